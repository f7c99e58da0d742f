# SPDX-License-Identifier: BSD-3-Clause
"""Flows over ntb_netdev: what counters show, and flows on a real kernel of one queue."""

import json
from pathlib import Path

import msgspec
import pytest
from netdev_flows import (
    FAST,
    FAST_RUNS,
    GAP,
    IN_BOUNDS,
    SPACED,
    SPACED_RUNS,
    counters,
    point,
    result,
)
from rendered import rendered

from ntbbench.cli.main import main
from ntbbench.lab.commands import GuestError
from ntbbench.lab.netdev_client import NetdevPlan, evaluate, predicted_runs
from ntbbench.lab.records import NetdevResult


def test_a_spaced_point_is_held_against_the_exact_runs(tmp_path: Path) -> None:
    one = point(tmp_path, 16, GAP, SPACED, SPACED_RUNS)
    assert (one.agrees, one.checked) == (False, "exact")
    assert one.difference_per_qp == [60, 50, 30, 20]
    (note,) = one.notes
    assert note.startswith("likely cause: 1 run more per doorbell, not of the QP that rang: ")


def test_a_fast_point_is_held_against_bounds_alone(tmp_path: Path) -> None:
    """Nearly three runs an event where the spaced ones are two: some order of doorbells may."""
    fast = point(tmp_path, 16, 0, FAST, IN_BOUNDS)
    assert (fast.agrees, fast.checked, fast.predicted_runs_per_qp) == (True, "bounds", None)


def test_a_fast_point_beyond_every_order_or_with_a_lost_packet_disagrees(tmp_path: Path) -> None:
    beyond = point(tmp_path, 16, 0, FAST, FAST_RUNS)
    assert beyond.notes == ["runs of QP 1: 2200; any order of these doorbells gives 1 .. 1819"]
    lost = point(tmp_path, 0, 0, FAST, [3800] * 4, lost=2)
    assert lost.notes == ["3200 packets sent, 3200 doorbells, 3198 received"]
    assert not beyond.agrees and not lost.agrees


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match=r"flows x: .*sent"):
        evaluate(tmp_path, "x", 0, 1000, flows=1)
    folder = counters(tmp_path / "r", [4], [8])
    for path in folder.glob("*-stats/*/qp0"):
        path.write_text("")
    with pytest.raises(GuestError, match="flows x: no QP of the receiving port has a link"):
        evaluate(folder, "x", 16, GAP, flows=1)


def test_the_guest_gets_a_line_a_point() -> None:
    task = NetdevPlan(vectors=(0,), flows=3, packets=5).task()
    assert task.lines == ("vectors-0-spaced 0 3 5 1000\n", "vectors-0-fast 0 3 100 0\n")


def test_ktap_skips_queues_that_the_kernel_does_not_give(tmp_path: Path) -> None:
    one = point(tmp_path, 16, GAP, SPACED, predicted_runs(SPACED, 16))
    lines = [line.strip() for line in rendered(result(one, queues=8), "ktap").splitlines()]
    skipped = "# SKIP ntb_netdev of Linux 7.3.4+deb13-amd64 gave 4"
    assert f"ok 1 8 queues {skipped}" in lines
    assert "ok 1 vectors-16-spaced" in lines
    bad = rendered(result(point(tmp_path, 0, 0, FAST, [1] * 4, lost=1)), "ktap")
    failed = [line.strip() for line in bad.splitlines() if "not ok" in line]
    assert failed == [
        "not ok 2 no packet is lost", "not ok 7 the model agrees", "not ok 1 vectors-0-fast",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> NetdevResult:
    """Flows in one boot of Linux 6.12, whose ntb_netdev has one queue."""
    output = tmp_path_factory.mktemp("flows") / "netdev.json"
    options = ["--vectors", "0,16", "--flows", "4", "--packets", "10", "-o", str(output)]
    assert main(["lab", "run", "--client", "netdev", *options, "--keep"]) == 0
    assert json.loads(output.read_text())["schema"] == "ntbbench.lab-netdev/1"
    assert (output.with_suffix("") / "vectors-0-fast" / "after-loop").is_file()
    return msgspec.json.decode(output.read_bytes(), type=NetdevResult)


@pytest.mark.guest
def test_packets_cross_between_the_namespaces(flows: NetdevResult) -> None:
    assert flows.kernel.startswith("6.12.")
    assert flows.ping == "3 packets transmitted, 3 packets received, 0% packet loss"
    assert any("gave 1 of the 4 queues asked for" in warning for warning in flows.warnings)
    assert [(p.vectors, p.gap_us) for p in flows.points] == [(0, 1000), (0, 0), (16, 1000), (16, 0)]
    for one in flows.points:
        assert one.packets_sent == one.packets_received == (40 if one.gap_us else 800)
        assert sum(one.doorbells_per_qp) == one.packets_sent
        assert one.bits_per_second > 0


@pytest.mark.guest
def test_one_queue_wakes_itself_twice_whatever_the_vectors(flows: NetdevResult) -> None:
    for one in flows.points:
        assert (one.queues, one.active_qps) == (1, 1)
        if one.gap_us:
            assert one.runs_per_qp == one.predicted_runs_per_qp == [80]
