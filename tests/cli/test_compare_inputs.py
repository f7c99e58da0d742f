# SPDX-License-Identifier: BSD-3-Clause
"""What `compare` and `gate` read: every format, its samples and counts."""

import gzip
import json
import os
import threading
from pathlib import Path

import pytest
from compare_data import (
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


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 0),
        ({"runs_per_qp": [100, 100], "tasklet_schedules": 200}, 0),  # fewer: improved
        ({"runs_per_qp": [150, 151]}, 1),
        ({"packets_received": 99}, 1),
        ({"agrees": False}, 1),
        ({"vectors": 2}, 4),  # another point: both are missing on one side
        ({"doorbells_rung": -1}, 2),
    ],
)
def test_lab_results(ntbbench, tmp_path: Path, fields: dict[str, object], code: int) -> None:
    base = written(tmp_path / "a.json", lab())
    new = written(tmp_path / "b.json", lab(**fields) | {"kernel": "7.3"})
    assert ntbbench("gate", base, new).code == code


def test_less_work_of_a_lab_for_fewer_packets_is_no_improvement(ntbbench, tmp_path: Path) -> None:
    lost = lab(packets_received=90, runs_per_qp=[140, 140], tasklet_schedules=280)
    base, new = written(tmp_path / "a.json", lab()), written(tmp_path / "b.json", lost)
    ran = ntbbench("gate", base, new, "--format", "json")
    totals = ran.report["totals"]
    assert (ran.code, totals["improved"], totals["regressed"]) == (1, 0, 1)
    assert totals["inconclusive"] == 3


def test_timed_sweeps(ntbbench, tmp_path: Path) -> None:
    slow = sweep(2, 12)
    timing = slow["points"][3]["ns_per_dispatch"]
    timing["samples"] = [x * 2.2 for x in timing["samples"]]
    base, new = written(tmp_path / "a.json", sweep(1, 12)), written(tmp_path / "b.json", slow)
    ran = ntbbench("gate", base, new, "--format", "json")
    assert ran.code == 1
    worse = [m for m, c in ran.comparisons.items() if c["verdict"] == "regressed"]
    assert worse == ["generic/fallback/q2/d8/v1/round-robin/drain1:ns_per_dispatch"]


def test_pytest_benchmark_and_its_counts(ntbbench, tmp_path: Path) -> None:
    slow = pytest_benchmark(2, test_scan=2.2e-3)
    slow["benchmarks"][0]["extra_info"]["instructions"] = 1001
    base = written(tmp_path / "a.json", pytest_benchmark())
    ran = ntbbench("gate", base, written(tmp_path / "b.json", slow), "--format", "json")
    assert ran.code == 1
    name = "benches/test_x.py::test_scan"
    assert {m: c["kind"] for m, c in ran.comparisons.items()} == {
        name: "noisy",
        f"{name}:instructions": "exact",
        f"{name}:listed": "exact",
    }
    assert {m for m, c in ran.comparisons.items() if c["verdict"] == "regressed"} == {
        name,
        f"{name}:instructions",
    }


def test_counts_in_lists_and_objects_of_extra_info(ntbbench, tmp_path: Path) -> None:
    files = []
    for name, last in (("a", 3), ("b", 4)):
        record = pytest_benchmark()
        record["benchmarks"][0]["extra_info"] = {
            "per_qp": [[1, 2], [last]],
            "of": {"vector": {"0": 7}, "irq": last * 1.5},
            "flag": True,
            "measured": [0.1 * last],
            "words": ["a", 1],
            "empty": [],
            "none": None,
        }
        files.append(written(tmp_path / f"{name}.json", record))
    ran = ntbbench("gate", *files, "--format", "json")
    exact = {
        m.partition("::test_scan:")[2]: c
        for m, c in ran.comparisons.items()
        if ":of" in m or ":per" in m
    }
    assert ran.code == 1
    assert len(ran.comparisons) == 4  # and the timing
    assert {m: c["verdict"] for m, c in exact.items()} == {
        "per_qp": "regressed",
        "of.vector.0": "equivalent",
        "of.irq": "regressed",
    }


def test_pyperf_processes_are_the_samples(ntbbench, tmp_path: Path) -> None:
    base = written(tmp_path / "a.json", pyperf())
    new = written(tmp_path / "b.json", pyperf(50, centre=0.12))
    ran = ntbbench("gate", base, new, "--format", "json")
    assert ran.code == 1
    assert (ran.comparisons["bench"]["n_base"], ran.comparisons["bench"]["unit"]) == (10, "s")


def test_iperf3_files(ntbbench, tmp_path: Path) -> None:
    base = written(tmp_path / "a.json", iperf3(1e9))
    new = written(tmp_path / "b.json", iperf3(0.4e9, 7))
    ran = ntbbench("gate", base, new, "--format", "json")
    assert (ran.code, ran.comparisons["throughput"]["n_base"]) == (1, 10)
    for name, rate in (("x", 1e9), ("y", 1.1e9)):
        (tmp_path / name).mkdir()
        for i in range(6):
            written(tmp_path / name / f"{i}.json", iperf3(rate, i))
    ran = ntbbench("gate", tmp_path / "x", tmp_path / "y", "--format", "json")
    assert ran.comparisons["throughput"]["verdict"] == "improved"
    assert set(ran.comparisons) == {"throughput", "cpu_host", "cpu_remote"}
    joined = ",".join(str(tmp_path / "x" / f"{i}.json") for i in range(6))
    assert ntbbench("gate", joined, tmp_path / "x").code == 0
    several = tmp_path / "several.json"
    several.write_text("\n".join(json.dumps(iperf3(1e9, i)) for i in range(6)))
    assert ntbbench("gate", several, tmp_path / "x").code == 0
    failed = written(tmp_path / "f.json", {"start": {}, "end": {}, "error": "refused"})
    assert ntbbench("gate", base, failed).code == 2


def test_compat_results(ntbbench, tmp_path: Path) -> None:
    base = written(tmp_path / "a.json", compat())
    for verdicts, code in (
        ({"ep7": "missed"}, 1),
        ({"ep0": "per-vector"}, 0),
        ({"ep7": "link-down"}, 1),
    ):
        new = written(tmp_path / "b.json", compat(**verdicts))
        assert ntbbench("gate", base, new).code == code
    bad = written(tmp_path / "b.json", compat(ep7="great"))
    assert ntbbench("gate", base, bad).code == 2


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


def test_both_ways_of_a_bidirectional_run(ntbbench, tmp_path: Path) -> None:
    base, new = iperf3(1e9), iperf3(1e9)
    for record, back in ((base, 2e9), (new, 1e9)):
        for second, rate in zip(
            record["intervals"][:-1], samples(5, 10, back, back / 200), strict=True
        ):
            second["sum_bidir_reverse"] = {"bits_per_second": rate, "seconds": 1.0}
    ran = ntbbench(
        "gate",
        written(tmp_path / "a.json", base),
        written(tmp_path / "b.json", new),
        "--format",
        "json",
    )
    assert {m: c["verdict"] for m, c in ran.comparisons.items()} == {
        "throughput": "equivalent",
        "throughput_reverse": "regressed",
    }


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
