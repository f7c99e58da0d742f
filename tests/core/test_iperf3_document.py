# SPDX-License-Identifier: BSD-3-Clause
"""Documents of iperf3 that are there twice, or of runs that went both ways."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from captures import TOOLS
from compare_data import iperf3, written
from compare_runs import codes, warnings_of
from recordings import DATA

from ntbbench.capture.ingest import ingest
from ntbbench.capture.records import Measured
from ntbbench.core.errors import InputError
from ntbbench.core.iperf3 import read
from ntbbench.datapath.scenario_file import load_scenario

CASES = DATA / "cases"
BIDIR = CASES / "iperf3-bidirdup.json"
Record = dict[str, Any]


def rates(measured: Measured) -> list[tuple[str, float, str]]:
    return [(r.what, round(r.bits_per_second / 1e6, 1), r.direction) for r in measured.throughput]


def with_twin(record: Record, name: str, value: Record) -> str:
    """Return a document whose end has a sum twice, as old versions print --bidir."""
    printed = f'"{name}": {json.dumps(record["end"][name])}'
    text = json.dumps(record)
    assert text.count(printed) == 1
    return text.replace(printed, f'{printed}, "{name}": {json.dumps(value)}')


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[str], Path]:
    """Return a call that saves a document."""

    def run(text: str) -> Path:
        path = tmp_path / "a.json"
        path.write_text(text)
        return path

    return run


@pytest.mark.parametrize("how", ["file", "folder", "list", "printed otherwise"])
def test_a_document_that_is_there_twice_is_one_run(how: str, ntbbench, tmp_path: Path) -> None:
    once = ntbbench("compare", CASES / "iperf3-once/a", CASES / "iperf3-once/b", "--format", "json")
    sides = []
    for side in ("a", "b"):
        folder = tmp_path / side
        shutil.copytree(CASES / "iperf3-once" / side, folder)
        files = sorted(folder.iterdir())
        for path in files:
            text = path.read_text()
            if how in {"file", "printed otherwise"}:
                other = text if how == "file" else json.dumps(json.loads(text), sort_keys=True)
                path.write_text(f"{text}\n{other}")
            elif how == "folder":
                (folder / f"copy-{path.name}").write_text(text)
        sides.append(",".join(map(str, files * 2)) if how == "list" else folder)
    ran = ntbbench("compare", *sides, "--format", "json")
    assert ran.code == once.code
    for metric, one in once.comparisons.items():
        twice = ran.comparisons[metric]
        for key in ("verdict", "n_base", "n_candidate", "p_value", "ratio", "ratio_low"):
            assert (metric, key, twice[key]) == (metric, key, one[key])
    found = ran.comparisons["throughput"]
    assert (found["n_base"], found["n_candidate"], found["verdict"]) == (4, 4, "inconclusive")
    told = [w["message"] for w in found["warnings"] if w["code"] == "repeated-document"]
    assert [": 4 of 8 in " in text for text in told] == [True, True]
    assert "repeated-document" not in codes(once.comparisons["throughput"])
    assert "repeated-document" not in codes(ran.comparisons["cpu_host"])  # it is said once


def test_a_single_run_that_is_there_twice_is_still_a_single_run(ntbbench, saved, tmp_path) -> None:
    """Its seconds are the samples, not two equal totals."""
    once, twice = written(tmp_path / "once.json", iperf3(1e9)), saved(json.dumps(iperf3(1e9)) * 2)
    found = ntbbench("compare", once, twice, "--format", "json").comparisons["throughput"]
    assert (found["n_base"], found["n_candidate"]) == (10, 10)
    assert {"one-process", "repeated-document"} <= codes(found).keys()


def test_runs_that_differ_in_anything_are_two(ntbbench, saved) -> None:
    other = iperf3(1e9) | {"title": "the same numbers at another time"}
    path = saved(json.dumps(iperf3(1e9)) + json.dumps(other))
    ran = ntbbench("compare", path, path, "--format", "json")
    assert ran.comparisons["throughput"]["n_base"] == 2


def test_the_same_document_on_both_sides_is_a_comparison(ntbbench) -> None:
    path = CASES / "iperf3-once" / "a"
    ran = ntbbench("compare", path, path, "--format", "json")
    assert ran.comparisons["throughput"]["n_candidate"] == 4
    assert "repeated-document" not in codes(ran.comparisons["throughput"])


def test_ingest_shows_a_run_once(saved) -> None:
    tcp, udp = TOOLS / "iperf3-tcp.json", TOOLS / "iperf3-udp.json"
    one = saved(tcp.read_text() * 2)
    measured = ingest([one, tcp, udp])
    assert measured.errors == []
    assert [row.source for row in measured.throughput] == [str(one), str(udp)]
    assert [caution for caution in measured.cautions if "counts once" in caution] == [
        f"{path}: a run of {one} is there again: it counts once" for path in (one, tcp)
    ]


def test_a_damaged_file_is_not_the_one_that_counts(tmp_path: Path) -> None:
    text = (TOOLS / "iperf3-tcp.json").read_text()
    (tmp_path / "a.json").write_text(f"{text}\n{text[:300]}")
    (tmp_path / "b.json").write_text(text)
    measured = ingest([tmp_path / "a.json", tmp_path / "b.json"])
    assert len(measured.errors) == 1
    assert [row.source for row in measured.throughput] == [str(tmp_path / "b.json")]


def test_both_directions_of_an_old_bidir_run(ntbbench) -> None:
    """iperf3 3.9 prints every sum twice: a reader of JSON keeps the second."""
    measured = ingest([BIDIR])
    assert rates(measured) == [
        ("TCP, 1 streams", 897.8, "forward"), ("TCP, 1 streams, reverse", 99.8, "reverse"),
    ]  # fmt: skip
    assert measured.cautions == []
    for command in ("compare", "gate"):
        ran = ntbbench(command, BIDIR, BIDIR, "--format", "json")
        medians = [c["base_summary"]["median"] for c in ran.comparisons.values()]
        assert list(ran.comparisons) == ["throughput", "throughput_reverse"]
        assert medians == pytest.approx([897.4e6, 99.6e6], rel=0.001)


def test_a_fall_of_one_direction_is_seen(ntbbench, tmp_path: Path) -> None:
    """Forward falls by half; the way back, the second of each pair, stays."""
    worse = json.loads(BIDIR.read_text(), object_pairs_hook=list)

    def halved(pairs: list[Any]) -> str:
        seen: set[str] = set()
        parts = []
        for key, value in pairs:
            factor = 0.5 if key.startswith("sum") and key not in seen else 1.0
            seen.add(key)
            parts.append(f"{json.dumps(key)}: {printed(value, factor)}")
        return "{" + ", ".join(parts) + "}"

    def printed(value: Any, factor: float) -> str:
        if isinstance(value, list) and value and all(isinstance(v, tuple) for v in value):
            if factor == 1.0:
                return halved(value)
            scaled = ("bytes", "bits_per_second")
            return json.dumps({k: v * factor if k in scaled else v for k, v in value})
        if isinstance(value, list):
            return "[" + ", ".join(printed(v, 1.0) for v in value) + "]"
        return json.dumps(value)

    text = halved(worse)
    (tmp_path / "b.json").write_text(text)
    ran = ntbbench("gate", BIDIR, tmp_path / "b.json", "--format", "json")
    assert ran.code == 1
    assert {m: c["verdict"] for m, c in ran.comparisons.items()} == {
        "throughput": "regressed", "throughput_reverse": "inconclusive",
    }  # fmt: skip
    reverse = ran.comparisons["throughput_reverse"]
    assert reverse["ratio"] == 1
    assert "allowed for: autocorrelation" in reverse["reason"]


@pytest.mark.parametrize("name", ["bidir", "bidir-udp", "bidir-omit"])
def test_both_directions_of_a_newer_bidir_run(name: str) -> None:
    measured = ingest([TOOLS / f"iperf3-{name}.json"])
    assert [row.direction for row in measured.throughput] == ["forward", "reverse"]
    assert measured.cautions == []


def test_the_data_of_a_reverse_run_go_back(ntbbench) -> None:
    path = TOOLS / "iperf3-reverse.json"
    (row,) = ingest([path]).throughput
    assert (row.what, row.direction) == ("TCP, 4 streams", "reverse")
    assert "TCP, 4 streams, reverse" in ntbbench("ingest", path).out
    forward = ntbbench("compare", path, TOOLS / "iperf3-tcp.json")
    assert forward.code == 5 and "reverse: '1' against '0'" in forward.err


def test_equal_rates_of_both_directions_are_two_rates(saved) -> None:
    """With --bidir and a fixed rate the second sum may be the first one's double."""
    total = {"bits_per_second": 5e7, "seconds": 10.0}
    test = {"protocol": "TCP", "num_streams": 1}
    one = ("TCP, 1 streams", 50.0, "forward")
    both = [one, ("TCP, 1 streams, reverse", 50.0, "reverse")]
    for told, found in (({"bidir": 1}, both), ({}, [one])):  # nothing says that it goes both ways
        end = {"sum_received": total}
        record = {"start": {"test_start": test | told}, "intervals": [], "end": end}
        assert rates(ingest([saved(with_twin(record, "sum_received", total))])) == found


def test_both_directions_of_old_datagrams(saved) -> None:
    """Before there was `sum_received`, UDP has one sum per direction: of what was sent."""
    there = {"bits_per_second": 5e7, "seconds": 10.0, "lost_percent": 1.0, "sender": True}
    back = {"bits_per_second": 2e7, "seconds": 10.0, "lost_percent": -0.3, "sender": False}
    record = {"start": {"test_start": {"protocol": "UDP", "num_streams": 1}}, "end": {"sum": there}}
    measured = ingest([saved(with_twin(record, "sum", back))])
    found = [(r.what, r.bits_per_second, r.lost_percent, r.direction) for r in measured.throughput]
    assert found == [
        ("UDP, 1 streams, as sent", 5e7, 1.0, "forward"),
        ("UDP, 1 streams, as sent, reverse", 2e7, None, "reverse"),
    ]
    assert ["-0.3 % lost" in caution for caution in measured.cautions] == [True]


def test_a_way_back_without_a_total_leaves_the_way_there(tmp_path: Path) -> None:
    record = json.loads((TOOLS / "iperf3-bidir.json").read_text())
    for name in ("sum_sent", "sum_received"):
        del record["end"][f"{name}_bidir_reverse"]
    measured = ingest([Path(written(tmp_path / "a.json", record))])
    assert [row.direction for row in measured.throughput] == ["forward"]
    assert any("the way back has no total" in caution for caution in measured.cautions)


def test_a_run_of_one_direction_has_no_second_sum(saved) -> None:
    total = {"bits_per_second": 5e7, "seconds": 10.0}
    start = {"test_start": {"protocol": "TCP", "num_streams": 1, "bidir": 0}}
    record = {"start": start, "end": {"sum_received": total}}
    twin = with_twin(record, "sum_received", total | {"bits_per_second": 9e7})
    (error,) = ingest([saved(twin)]).errors
    assert "sum_received.bits_per_second" in error and "there twice" in error


def test_runs_of_one_and_of_both_directions_are_not_of_a_kind(ntbbench, saved) -> None:
    one, both = iperf3(1e9), iperf3(1e9, 2)
    both["end"]["sum_received_bidir_reverse"] = both["end"]["sum_received"]
    path = saved(json.dumps(one) + json.dumps(both))
    ran = ntbbench("compare", path, path)
    assert ran.code == 2 and "different settings" in ran.err


def test_a_key_that_is_there_twice_and_differs_is_not_known(ntbbench, saved) -> None:
    """Old versions print the buffers of each stream as one key: told, and no number of ours."""
    twice = '"start": {"sndbuf_actual": 16384, "sndbuf_actual": 87040, '
    path = saved(json.dumps(iperf3(1e9)).replace('"start": {', twice))
    told = warnings_of(ntbbench, path, path)["throughput"]["duplicate-keys"]
    assert "start.sndbuf_actual: there twice, with different values" in told
    assert ["sndbuf_actual" in text for text in ingest([path]).cautions].count(True) == 1


def test_a_key_that_is_there_twice_and_agrees_is_no_matter(saved) -> None:
    text = (TOOLS / "iperf3-tcp.json").read_text()
    measured = ingest(
        [saved(text.replace('"version":', '"version":\t"iperf 3.12", "version":', 1))]
    )
    assert (measured.cautions, measured.errors) == ([], [])


@pytest.mark.parametrize("key", ["host_total", "remote_total"])
def test_a_cpu_load_that_is_there_twice_is_not_known(key: str, saved) -> None:
    text = (TOOLS / "iperf3-tcp.json").read_text().replace(f'"{key}":', f'"{key}": 1, "{key}":')
    (row,) = ingest([saved(text)]).throughput
    known = {"host_total": row.cpu_host_percent, "remote_total": row.cpu_remote_percent}
    assert [name for name, value in known.items() if value is None] == [key]


@pytest.mark.parametrize("part", ["start", "intervals", "end"])
def test_the_parts_of_two_documents_in_one_are_refused(part: str, ntbbench, saved) -> None:
    one, other = iperf3(1e9), iperf3(2e9, 3)
    other["start"]["test_start"]["num_streams"] = 4
    path = saved(f'{json.dumps(one)[:-1]}, "{part}": {json.dumps(other[part])}}}')
    ran = ntbbench("compare", path, path)
    assert ran.code == 2 and part in ran.err and "there twice" in ran.err
    assert "there twice" in ingest([path]).errors[0]


def fitted(ntbbench: Callable[..., Any], path: Path, *args: str) -> tuple[str, float]:
    """Return what a fit says, and the copy cost that it found."""
    board = path.parent / "board.toml"
    ran = ntbbench("fit", "--iperf3", path, "--set", "run.duration=5ms", *args, "-o", board)
    assert ran.code == 0
    return " ".join(ran.out.split()), load_scenario(str(board)).receiver.byte


def test_fit_takes_the_forward_direction_and_says_so(ntbbench, saved) -> None:
    bidir = saved(BIDIR.read_text())
    text, cost = fitted(ntbbench, bidir)
    assert "measured 897.82 Mbit/s" in text
    assert "the forward direction of runs both ways (iperf3 --bidir)" in text
    assert "99.813 Mbit/s went the other way" in text
    text, other = fitted(ntbbench, bidir, "--direction", "reverse")
    assert "measured 99.813 Mbit/s" in text and "the reverse direction" in text
    assert other > 8 * cost


def test_fit_is_asked_for_a_direction_that_there_is(ntbbench, saved) -> None:
    back = saved((TOOLS / "iperf3-reverse.json").read_text())
    text, _ = fitted(ntbbench, back, "--direction", "reverse")
    assert "runs both ways" not in text
    for words, told in (
        (("--iperf3", back), "--direction: 'forward': reverse"),
        (("--throughput", "1e9"), "--iperf3 only"),
    ):
        ran = ntbbench("fit", *words, "--direction", "forward")
        assert ran.code == 2 and told in ran.err


def test_fit_tells_what_speaks_against_its_measurement(ntbbench, saved) -> None:
    record = iperf3(500e6)  # its total is a fifth of its seconds
    record["end"]["sum_received"]["bits_per_second"] = 100e6
    text, _ = fitted(ntbbench, saved(json.dumps(record) * 2))
    assert "a total at the end of a run contradicts its intervals" in text
    assert "a document of iperf3 is there more than once" in text
    assert "mean of 10 seconds of one run" in text


def test_what_is_nested_too_deep_is_one_line(saved) -> None:
    for depth in (900, 990, 100_000):
        text = '{"start": {}, "end": {"x": ' + '{"a":' * depth + "1" + "}" * depth + "}}"
        assert len(ingest([saved(text)]).errors) == 1
        with pytest.raises(InputError):
            read(text.replace("1}", "NaN}", 1), "x")


def test_a_run_without_intervals_is_one_sample(ntbbench, saved) -> None:
    """iperf3 -i 0."""
    record = iperf3(1e9) | {"intervals": []}
    path = saved(json.dumps(record))
    found = ntbbench("compare", path, path, "--format", "json").comparisons["throughput"]
    told = found["n_base"], found["base_summary"]["median"]
    assert told == (1, record["end"]["sum_received"]["bits_per_second"])
