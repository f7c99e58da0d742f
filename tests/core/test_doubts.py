# SPDX-License-Identifier: BSD-3-Clause
"""What a document of iperf3 says and cannot be: totals unlike their intervals, wild losses."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from captures import TOOLS
from compare_data import iperf3_udp, written
from compare_runs import codes, warnings_of
from recordings import DATA

from ntbbench.capture.ingest import ingest
from ntbbench.core.iperf3 import doubts, loss, read

CASES = DATA / "cases"
Record = dict[str, Any]


def tcp(interval: float, sent: float, received: float, **start: Any) -> Record:
    test = {"protocol": "TCP", "num_streams": 1}
    second = {"bits_per_second": interval, "seconds": 1.0, "sender": True}
    return {
        "start": {"test_start": test} | start,
        "intervals": [{"sum": second}] * 10,
        "end": {
            "sum_sent": {"bits_per_second": sent, "seconds": 10.0, "sender": True},
            "sum_received": {"bits_per_second": received, "seconds": 10.04, "sender": True},
        },
    }


def told(record: Record, way: str = "") -> list[tuple[str, str]]:
    return [tuple(doubt) for doubt in doubts(read(json.dumps(record), "x"), way)]


@pytest.mark.parametrize(
    ("sent", "received", "named"),
    [
        (500, 498, []),
        (500, 490, []),  # what the buffers held when the test ended
        (500, 100, ["sum_received says 100"]),
        (500, 900, ["sum_received says 900"]),
        (900, 500, ["sum_sent says 900"]),
        (250, 250, ["sum_sent says 250", "sum_received says 250"]),
        (5, 5, ["sum_sent says 5", "sum_received says 5"]),
    ],
)
def test_a_total_far_from_its_intervals_is_named(
    sent: float, received: float, named: list[str], ntbbench, tmp_path: Path
) -> None:
    record = tcp(500e6, sent * 1e6, received * 1e6)
    texts = [text for code, text in told(record) if code == "contradicting-totals"]
    assert texts == [f"end.{name} Mbit/s, its intervals 500" for name in named]
    path = Path(written(tmp_path / "a.json", record))
    assert sum("its intervals 500" in caution for caution in ingest([path]).cautions) == len(named)
    warnings = warnings_of(ntbbench, path, path)["throughput"]
    assert ("contradicting-totals" in warnings) == bool(named)


def test_buffers_of_many_streams_or_of_a_large_window_explain_a_gap() -> None:
    assert told(tcp(50e6, 50e6, 40e6)) == []  # 12 MB of 62
    assert told(tcp(500e6, 500e6, 250e6, sock_bufsize=512 << 20)) == []  # iperf3 -w 512M
    assert told(tcp(500e6, 500e6, 250e6)) != []


def test_the_receiver_s_own_intervals_explain_no_gap(tmp_path: Path) -> None:
    """Of -R the client counts both: intervals and total are of one counter."""
    record = tcp(50e6, 50e6, 40e6)
    record["start"]["test_start"]["reverse"] = 1
    record["intervals"] = [{"sum": {"bits_per_second": 50e6, "seconds": 1.0, "sender": False}}] * 10
    assert [code for code, _ in told(record)] == ["contradicting-totals"]
    record["end"]["sum_received"]["bits_per_second"] = 49e6
    assert told(record) == []


def test_omitted_and_missing_intervals_explain_what_they_can() -> None:
    record = tcp(500e6, 500e6, 498e6)
    slow = {"sum": {"bits_per_second": 1e6, "seconds": 1.0, "sender": True, "omitted": True}}
    record["intervals"] = [slow] * 5 + record["intervals"]
    assert told(record) == []
    record = tcp(500e6, 600e6, 598e6)
    record["intervals"] = record["intervals"][:8]  # two seconds of which nothing is known
    assert told(record) == []
    record["intervals"] = []  # iperf3 -i 0
    assert told(record) == []


def test_each_direction_is_held_against_its_own_intervals() -> None:
    record = json.loads((TOOLS / "iperf3-bidir.json").read_text())
    record["end"]["sum_received_bidir_reverse"]["bits_per_second"] /= 10
    assert told(record) == []
    ((code, text),) = told(record, "_bidir_reverse")
    assert code == "contradicting-totals" and "sum_received_bidir_reverse" in text


def test_totals_of_many_runs_are_named_once(ntbbench, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("\n".join(json.dumps(tcp(500e6, 500e6, 100e6 + i)) for i in range(6)))
    message = warnings_of(ntbbench, path, path)["throughput"]["contradicting-totals"]
    assert message.endswith("its intervals 500, and so 5 more")


def udp(sent: float, received: float | None, **lost: Any) -> Record:
    record = iperf3_udp(sent, 0.0, old=received is None)
    record["start"]["test_start"]["num_streams"] = 1
    record["end"]["sum"] = {"bits_per_second": sent, "seconds": 10.0, **lost}
    if received is not None:
        record["end"]["sum_received"] = {"bits_per_second": received, "seconds": 10.0, **lost}
    return record


def test_datagrams_that_arrived_without_having_been_sent() -> None:
    assert told(udp(100e6, 90e6, lost_percent=10.0)) == []
    assert told(udp(100e6, 60e6, lost_percent=10.0)) == []  # overload: the end is cut off
    ((_, text),) = told(udp(100e6, 90e6) | {"end": udp(300e6, 90e6)["end"]})
    assert text == "end.sum says 300 Mbit/s, its intervals 100"
    for received in (30e6, 120e6):
        ((code, _),) = told(udp(100e6, received, lost_percent=10.0))
        assert code == "contradicting-totals"


def test_real_documents_contradict_themselves_nowhere() -> None:
    files = [path for path in TOOLS.glob("iperf3-*.json") if "refused" not in path.name]
    assert len(files) == 10
    for path in files:
        document = read(path.read_text(), path.name)
        for way in document.ways():
            assert (path.name, way, doubts(document, way)) == (path.name, way, [])


def test_a_loss_above_100_per_cent_is_not_known_and_the_throughput_stays(ntbbench) -> None:
    path = CASES / "iperf3-loss179.json"
    measured = ingest([path])
    (row,) = measured.throughput
    assert (round(row.bits_per_second / 1e6, 1), row.lost_percent) == (500.4, None)
    (caution,) = measured.cautions
    assert "179.649 % lost" in caution
    ran = ntbbench("compare", path, path, "--format", "json")
    assert (ran.code, list(ran.comparisons)) == (0, ["throughput"])
    found = ran.comparisons["throughput"]
    assert found["base_summary"]["median"] == pytest.approx(500426362.0)
    assert "179.649 % lost" in codes(found)["impossible-loss"]


@pytest.mark.parametrize(
    ("percent", "lost", "packets", "named"),
    [
        (-0.5, None, None, "-0.5 %"),
        (100.01, None, None, "100.01 %"),
        (-0.3, -3, 1000, "-0.3 %"),
        (None, -3, 1000, "-3 of 1000 packets"),
        (20.0, 1200, 1000, "1200 of 1000 packets"),
        (0, -1, 10, "-1 of 10 packets"),
    ],
)
@pytest.mark.parametrize("received", [None, 90e6])
def test_losses_that_cannot_be(
    percent, lost, packets, named: str, received: float | None, ntbbench, tmp_path: Path
) -> None:
    record = udp(100e6, received, lost_percent=percent, lost_packets=lost, packets=packets)
    path = written(tmp_path / "a.json", record)
    (row,) = ingest([Path(path)]).throughput
    assert (row.bits_per_second, row.lost_percent) == (received or 100e6, None)
    share, (doubt,) = loss(read(json.dumps(record), "x"), "")
    assert (share, doubt.code) == (None, "impossible-loss")
    assert f"says {named} lost" in doubt.text
    found = ntbbench("compare", path, path, "--format", "json").comparisons
    assert list(found) == ["throughput"]
    assert found["throughput"]["base_summary"]["median"] == (received or 100e6)


@pytest.mark.parametrize(
    ("lost", "share"),
    [
        ({"lost_percent": 0}, 0.0),
        ({"lost_percent": 100}, 100.0),
        ({"lost_packets": 250, "packets": 1000}, 25.0),
        ({"lost_packets": 0, "packets": 0, "lost_percent": None}, None),  # 0 / 0, printed as null
        ({}, None),
    ],
)
def test_losses_that_can_be(lost: Record, share: float | None) -> None:
    assert loss(read(json.dumps(udp(100e6, 90e6, **lost)), "x"), "") == (share, [])


def test_a_wrong_loss_of_one_side_is_no_missing_metric(ntbbench, tmp_path: Path) -> None:
    """`gate` exits 4 for a metric of one side only; here the throughput carries the warning."""
    good = [iperf3_udp(1e8, 1.0 + i / 10) for i in range(6)]
    bad = copy.deepcopy(good)
    bad[3]["end"]["sum_received"]["lost_percent"] = 179.6
    sides = []
    for name, runs in (("a", good), ("b", bad)):
        sides.append(tmp_path / f"{name}.json")
        sides[-1].write_text("\n".join(map(json.dumps, runs)))
    for pair in (sides, sides[::-1]):
        ran = ntbbench("gate", *pair, "--format", "json")
        assert ran.code == 0
        assert list(ran.comparisons) == ["throughput"]
        assert "impossible-loss" in codes(ran.comparisons["throughput"])
