# SPDX-License-Identifier: BSD-3-Clause
"""Which format a file is in is told by its structure, whatever else stands in it."""

import gzip
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from compare_data import (
    BENCHMARKS,
    compat,
    iperf3,
    iperf3_udp,
    lab,
    pyperf,
    pytest_benchmark,
    runs_csv,
    samples,
    sweep,
    written,
)

from ntbbench.compare.readers import FORMATS, READERS
from ntbbench.compare.readers.detect import load_variant

# What belongs to another format, at the top of a file.
STRAY: dict[str, Any] = {
    **{"start": {"test_start": {}}, "end": {}, "intervals": [], "context": {}, "machine_info": {}},
    **{"metadata": {}, "benchmarks": [], "results": [{"command": "x"}], "schema": "another/1"},
    **{"points": [], "cells": [], "version": "1.0"},
}


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((BENCHMARKS / name).read_text())
    return found


RECORDS = {
    "pytest-benchmark": pytest_benchmark(),
    "pyperf": pyperf(),
    "iperf3": iperf3(1e9),
    "ntbbench.sweep/1": sweep(),
    "ntbbench.compat/1": compat(),
    "ntbbench.lab/1": lab(),
    "Google Benchmark": _read("google-benchmark.json"),
    "hyperfine": _read("hyperfine.json"),
    "asv": _read("asv.json"),
}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("source", RECORDS)
def test_stray_keys_mislead_nobody(tmp_path: Path, source: str, *, last: bool) -> None:
    record = RECORDS[source]
    stray = {key: value for key, value in STRAY.items() if key not in record}
    both = record | stray if last else stray | record
    for key in (*stray, None):
        one = both if key is None else {k: v for k, v in both.items() if k in record or k == key}
        assert load_variant(written(tmp_path / "r.json", one)).source == source


def test_a_parameter_called_start_is_no_iperf3(gated) -> None:
    record = pytest_benchmark()
    params = {"start": {"end": {}, "intervals": []}, "schema": "x"}
    record["benchmarks"][0] |= {"name": "test_x[start]", "params": params, "param": "start"}
    record = {"benchmarks": record.pop("benchmarks")} | record
    assert gated(record, record).code == 0


@pytest.mark.parametrize("record", [pyperf(), pytest_benchmark()], ids=["pyperf", "pytest"])
def test_where_the_keys_around_them_are_missing(tmp_path: Path, record: dict[str, Any]) -> None:
    """The benchmarks themselves tell whose they are."""
    bare = {"benchmarks": record["benchmarks"]}
    source = "pytest-benchmark" if "machine_info" in record else "pyperf"
    assert load_variant(written(tmp_path / "r.json", bare)).source == source


@pytest.mark.parametrize("name", READERS.values())
def test_an_unknown_file_is_refused_with_all_formats_known(ntbbench, tmp_path: Path, name) -> None:
    path = written(tmp_path / "r.json", {"speed": 1})
    ran = ntbbench("gate", path, path)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert name in ran.err


def test_an_empty_file_of_benchmarks_has_measured_nothing(gated) -> None:
    for record in ({"benchmarks": [], "machine_info": {}}, {"benchmarks": [], "version": "1.0"}):
        assert gated(record, record).code == 4


@pytest.mark.parametrize("name", ["runs.json", "runs.csv", "runs.JSON", "runs", "runs.txt"])
def test_a_table_is_one_whatever_it_is_called(ntbbench, tmp_path: Path, name: str) -> None:
    path = runs_csv(tmp_path / name, {"m": samples(1, 9), "k": [None, *samples(2, 8)]})
    ran = ntbbench("gate", path, path, "--format", "json")
    assert (ran.code, set(ran.comparisons)) == (0, {"m", "k"})


def test_json_that_is_called_csv_is_json(ntbbench, tmp_path: Path) -> None:
    for i, record in enumerate(RECORDS.values()):
        side = written(tmp_path / f"{i}.csv", record)
        assert ntbbench("compare", side, side).code == 0
    indented = tmp_path / "i.csv"
    indented.write_text("\ufeff" + json.dumps(sweep(), indent=2))
    assert ntbbench("gate", indented, indented).code == 0


@pytest.mark.parametrize(
    "text",
    [
        "hello\n",
        "a,b\nx,y\n",
        "a,b\n1\n",
        "1,2\n3,4\n",
        'a,b\n1,"2\n',
        "null",
        "17",
    ],
)
def test_what_is_neither_json_nor_a_table_is_said(ntbbench, tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    ran = ntbbench("gate", path, path)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert FORMATS in ran.err


DAMAGED: list[str | bytes] = [
    "",
    "   ",
    "{",
    '{"schema": "ntbbench.sweep/1", "points": [',
    '{"schema": "ntbbench.sweep/1"}',
    '{"schema": "ntbbench.sweep/1", "points": [{}]}',
    '{"schema": 7}',
    "[1, 2]",
    "[" * 100_000,
    '{"benchmarks": 3, "machine_info": {}}',
    '{"benchmarks": [{"name": "x", "stats": {}}], "machine_info": {}}',
    '{"benchmarks": [{"name": "x", "stats": {"data": [NaN]}}], "machine_info": {}}',
    '{"benchmarks": [{"name": "x", "stats": {"data": [-1]}}], "machine_info": {}}',
    '{"benchmarks": [{"name": "x", "stats": {"data": [1e999]}}], "machine_info": {}}',
    '{"benchmarks": [{"name": "x", "stats": {"data": [1]}}, '
    '{"name": "x", "stats": {"data": [1]}}], "machine_info": {}}',
    '{"benchmarks": [{"runs": [{"values": [1]}]}]}',
    '{"start": {}, "end": {}, "intervals": [{"sum": {}}]}',
    '{"start": 0}' + " 0" * 200_000,
    '{"start": {}, "x": ' + "[" * 5_000,
    '{"start": {}, "end": {}} ' + '{"start": {}, "x": ' + "[" * 5_000,
    '{"start": {}, "end": {}} {"schema": "x"}',
    '{"start": {}, "end": {}} 7',
    '{"start": {}, "end": {}} {"start": {}, "en',
    '{"start": {}, "end": {}, "n": ' + "9" * 5_000 + "} {}",
    '{"start": {}, "end": ',
    '{"start": [], "end": []}',
    '{"start": {}}',
    b'{"schema": "\xff"}',
    b'{"schema": "ntbbench.sweep/1", "points": "\xff"}',
    b'{"benchmarks": [{"stats": {}, "name": "\xff"}]}',
    b'{"start": {"x": "\xff"}, "end": {}}{"start": {}, "end": {}, "y": "\xff"}',
    b"\xff\xfe{}",
    b'{"benchmarks": [1, {"stats": {}}, 2]}',
    b'{"benchmarks": {"stats": {}}}',
    b'{"results": [{"command": 7}]}',
]


@pytest.mark.parametrize("data", DAMAGED)
def test_damaged_results_are_one_line_and_exit_2(ntbbench, tmp_path: Path, data) -> None:
    good = written(tmp_path / "good.json", sweep())
    is_text = isinstance(data, str)
    for name in ("r.json",) if is_text else ("r.json", "r.csv", "r"):
        path = tmp_path / name
        path.write_bytes(data.encode() if is_text else data)
        for sides in ((good, path), (path, good), (path, path)):
            ran = ntbbench("gate", *sides, "--format", "json")
            assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran.err
            assert len(ran.err) < 1_000


def test_runs_of_iperf3_one_after_another_are_several(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    text = "\n \t".join(json.dumps(iperf3(1e9, i), indent=1) for i in range(7))
    path.write_text(f"\ufeff\n{text}\n\n")
    throughput = load_variant(str(path)).series["throughput"].samples
    assert throughput is not None
    assert len(throughput) == 7


def test_formats_do_not_mix(ntbbench, tmp_path: Path) -> None:
    records = iperf3(1e9), pyperf(), pytest_benchmark()
    files = [written(tmp_path / f"{i}.json", record) for i, record in enumerate(records)]
    for one, other in ((0, 1), (1, 0), (1, 2)):
        ran = ntbbench("gate", f"{files[one]},{files[other]}", files[0])
        assert (ran.code, "format" in ran.err) == (2, True)


def test_pytest_benchmark_and_its_counts(gated) -> None:
    slow = pytest_benchmark(2, test_scan=2.2e-3)
    slow["benchmarks"][0]["extra_info"]["instructions"] = 1001
    ran = gated(pytest_benchmark(), slow)
    name = "benches/test_x.py::test_scan"
    assert ran.code == 1
    assert {m: (c["kind"], c["verdict"]) for m, c in ran.comparisons.items()} == {
        name: ("noisy", "regressed"),
        f"{name}:instructions": ("exact", "regressed"),
        f"{name}:listed": ("exact", "equivalent"),
    }


@pytest.mark.parametrize(
    "bad", ["NaN", "Infinity", "-Infinity", "1e999", "null", "9" * 400, "-1e400"]
)
def test_a_number_that_is_none_is_named_and_the_rest_is_read(
    ntbbench, tmp_path: Path, bad: str
) -> None:
    good, path = written(tmp_path / "a.json", pytest_benchmark()), tmp_path / "b.json"
    path.write_text(json.dumps(pytest_benchmark()).replace(": 1000", f": {bad}"))
    metric = "benches/test_x.py::test_scan:instructions"
    assert list(load_variant(str(path)).unread) == [metric]
    ran = ntbbench("gate", path, path, "--format", "json")
    assert (ran.code, [w["code"] for w in ran.report["warnings"]]) == (0, ["not-read"])
    assert any(note.startswith(metric) for note in ran.report["environment"]["notes"])
    ran = ntbbench("gate", good, path, "--format", "json")
    assert (ran.code, ran.comparisons[metric]["missing"]) == (4, "candidate")
    assert ntbbench("gate", path, path, "--fatal-warning", "not-read").code == 3


@pytest.mark.parametrize("stats", [None, {}, {"data": None}, {"data": [0.1, None]}])
def test_a_benchmark_without_rounds_is_named_and_the_rest_is_read(tmp_path: Path, stats) -> None:
    for place in (0, 1):
        record = pytest_benchmark(1, test_a=1e-3, test_b=2e-3)
        record["benchmarks"][place]["stats"] = stats
        variant = load_variant(written(tmp_path / "r.json", record))
        assert list(variant.unread) == [f"benches/test_x.py::test_{'ab'[place]}"]
        assert f"benches/test_x.py::test_{'ba'[place]}" in variant.series


def test_of_several_files_none_has_what_one_has_without_a_number(tmp_path: Path) -> None:
    for i in range(3):
        record = pytest_benchmark(i)
        record["benchmarks"][0]["extra_info"]["instructions"] = None if i == 1 else 1000
        written(tmp_path / f"{i}.json", record)
    variant = load_variant(str(tmp_path))
    ((metric, why),) = variant.unread.items()
    assert (metric.rpartition(":")[2], "1.json" in why) == ("instructions", True)
    assert metric not in variant.series
    assert len(variant.series) == 2


def test_pyperf_without_runs_is_named(tmp_path: Path) -> None:
    record = pyperf()
    record["benchmarks"].append({"metadata": {"name": "lost"}})
    record["benchmarks"].append({"metadata": {"name": "odd"}, "runs": [{"values": [0.1, None]}]})
    variant = load_variant(written(tmp_path / "r.json", record))
    assert (list(variant.series), list(variant.unread)) == (["bench"], ["lost", "odd"])


def test_counts_in_lists_and_objects_of_extra_info(gated) -> None:
    def counted(last: int) -> dict[str, Any]:
        record = pytest_benchmark()
        record["benchmarks"][0]["extra_info"] = {
            "per_qp": [[1, 2], [last]],
            "of": {"vector": {"0": 7}, "irq": last * 1.5},
            "measured": [0.1 * last],
            **{"flag": True, "words": ["a", 1], "empty": [], "none": None},
        }
        return record

    ran = gated(counted(3), counted(4))
    assert ran.code == 1
    assert {
        m.partition("::test_scan:")[2]: c["verdict"]
        for m, c in ran.comparisons.items()
        if c["kind"] == "exact"
    } == {"per_qp": "regressed", "of.vector.0": "equivalent", "of.irq": "regressed"}


def test_pyperf_processes_are_the_samples(gated) -> None:
    ran = gated(pyperf(), pyperf(50, centre=0.12))
    assert ran.code == 1
    assert (ran.comparisons["bench"]["n_base"], ran.comparisons["bench"]["unit"]) == (10, "s")


def test_iperf3_files(ntbbench, gated, tmp_path: Path) -> None:
    ran = gated(iperf3(1e9), iperf3(0.4e9, 7))
    assert (ran.code, ran.comparisons["throughput"]["n_base"]) == (1, 10)
    assert gated(iperf3(1e9), {"start": {}, "end": {}, "error": "refused"}).code == 2
    runs = [iperf3(1e9, i) for i in range(6)]
    for name, records in (("x", runs), ("y", [iperf3(1.1e9, i) for i in range(6)])):
        (tmp_path / name).mkdir()
        for i, record in enumerate(records):
            written(tmp_path / name / f"{i}.json", record)
    ran = ntbbench("gate", tmp_path / "x", tmp_path / "y", "--format", "json")
    assert ran.comparisons["throughput"]["verdict"] == "improved"
    assert set(ran.comparisons) == {"throughput", "cpu_host", "cpu_remote"}
    joined = ",".join(str(tmp_path / "x" / f"{i}.json") for i in range(6))
    several = tmp_path / "several.json"
    several.write_text("\n".join(map(json.dumps, runs)))
    for same in (joined, several):
        assert ntbbench("gate", same, tmp_path / "x").code == 0


@pytest.mark.parametrize("old", [True, False])
def test_datagrams_that_did_not_arrive_are_no_throughput(ntbbench, tmp_path: Path, old) -> None:
    sides = []
    for name, lost in (("a", 0.5), ("b", 20.0)):
        runs = [iperf3_udp(1e8, lost + i / 10, old=old) for i in range(6)]
        sides.append(tmp_path / f"{name}.json")
        sides[-1].write_text("\n".join(map(json.dumps, runs)))
    ran = ntbbench("gate", *sides, "--format", "json")
    assert ran.code == 1
    assert {m: c["verdict"] for m, c in ran.comparisons.items()} == {
        "throughput": "regressed",
        "lost_percent": "regressed",
    }
    assert ran.comparisons["throughput"]["ratio"] == pytest.approx(0.804, abs=0.002)
    # What one run's sender sent each second says nothing of what arrived.
    for side in sides:
        side.write_text(side.read_text().splitlines()[0])
    ran = ntbbench("gate", *sides, "--format", "json")
    assert ran.comparisons["throughput"]["n_base"] == 1
    assert ran.comparisons["throughput"]["ratio"] == pytest.approx(0.804, abs=0.002)


def test_both_ways_of_a_bidirectional_run(gated) -> None:
    def both(back: float) -> dict[str, Any]:
        record = iperf3(1e9)
        rates = samples(5, 10, back, back / 200)
        for second, rate in zip(record["intervals"][:-1], rates, strict=True):
            second["sum_bidir_reverse"] = {"bits_per_second": rate, "seconds": 1.0}
        return record

    verdicts = {m: c["verdict"] for m, c in gated(both(2e9), both(1e9)).comparisons.items()}
    assert verdicts == {"throughput": "equivalent", "throughput_reverse": "regressed"}


def test_pyperf_packs_its_files(ntbbench, tmp_path: Path) -> None:
    packed = tmp_path / "a.json.gz"
    packed.write_bytes(gzip.compress(json.dumps(pyperf()).encode()))
    plain = written(tmp_path / "b.json", pyperf())
    assert ntbbench("gate", packed, plain).code == 0
    whole = packed.read_bytes()
    for damaged in (whole[:-9], whole[:3], whole[:40] + b"xx" + whole[42:]):
        packed.write_bytes(damaged)
        ran = ntbbench("gate", packed, plain)
        assert (ran.code, "gzip" in ran.err) == (2, True)


def test_a_pipe_is_read_once(ntbbench, tmp_path: Path) -> None:
    runs = runs_csv(tmp_path / "r.csv", {"m": samples(1, 8), "k": samples(2, 8)})
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(runs.read_bytes()))
    writer.start()
    ran = ntbbench("gate", pipe, runs)
    writer.join()
    assert (ran.code, ran.err) == (0, "")
