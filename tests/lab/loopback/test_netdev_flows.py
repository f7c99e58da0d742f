# SPDX-License-Identifier: BSD-3-Clause
"""Flows over ntb_netdev: on a real kernel of one queue, and the rule on counts of one with four."""

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest

from ntbbench.cli.main import main
from ntbbench.lab.lab_errors import GuestError
from ntbbench.lab.loopback.netdev_flows import NetdevPlan, evaluate
from ntbbench.lab.loopback.netdev_records import NetdevResult
from ntbbench.lab.loopback.netdev_rule import predicted_runs
from ntbbench.report.lab_netdev import FORMATS

# Boots a real kernel: `make test-guest`.
pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> NetdevResult:
    """Flows in one boot of Linux 6.12, whose ntb_netdev has one queue."""
    output = tmp_path_factory.mktemp("flows") / "netdev.json"
    options = ["--vectors", "0,16", "--flows", "4", "--packets", "10", "-o", str(output)]
    assert main(["lab", "netdev", *options]) == 0
    assert json.loads(output.read_text())["schema"] == "ntbbench.lab-netdev/1"
    return msgspec.json.decode(output.read_bytes(), type=NetdevResult)


def test_packets_cross_between_the_namespaces(flows: NetdevResult) -> None:
    assert flows.kernel.startswith("6.12.")
    assert flows.ping == "3 packets transmitted, 3 packets received, 0% packet loss"
    assert [(p.vectors, p.gap_us) for p in flows.points] == [(0, 1000), (0, 0), (16, 1000), (16, 0)]
    for point in flows.points:
        assert point.packets_sent == point.packets_received == (40 if point.gap_us else 800)
        assert sum(point.doorbells_per_qp) == point.packets_sent
        assert point.bits_per_second > 0


def test_one_queue_wakes_itself_twice_whatever_the_vectors(flows: NetdevResult) -> None:
    for point in flows.points:
        assert (point.queues, point.active_qps) == (1, 1)
        if point.gap_us:
            assert point.runs_per_qp == point.predicted_runs_per_qp == [80]


def test_flows_in_every_format(flows: NetdevResult) -> None:
    text = FORMATS["text"](flows)
    told = " ".join(text.split())
    assert "the model agrees in 2 of 2 spaced points; 2 of 2 fast in bounds" in told
    assert "gave 1 of the 4 queues asked for" in told
    assert text.isascii() and max(map(len, text.splitlines())) <= 80
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](flows))))
    assert [row["runs"] for row in rows][::2] == ["80", "80"]
    assert FORMATS["md"](flows).count("\n|") == 6
    assert [line.startswith("- ") for line in FORMATS["md"](flows).splitlines()].count(True) == 2
    assert msgspec.json.decode(FORMATS["json"](flows), type=NetdevResult) == flows


# Counted on Linux 7.3.4, four queues: (vectors, doorbells by QP, runs by QP).
COUNTED = [
    (0, [20, 30, 90, 20], [180, 190, 250, 180]),
    (16, [50, 40, 20, 50], [100, 80, 40, 100]),
    (0, [80, 80, 60, 100], [400, 400, 380, 420]),
]


@pytest.mark.parametrize(("vectors", "doorbells", "runs"), COUNTED)
def test_the_rule_gives_what_a_kernel_of_four_queues_counted(
    vectors: int, doorbells: list[int], runs: list[int]
) -> None:
    assert predicted_runs(doorbells, vectors) == runs


def test_two_vectors_wake_every_second_queue() -> None:
    assert predicted_runs([1, 10, 0, 0], 2) == [2, 20, 1, 10]


def test_the_guest_is_told_each_flow() -> None:
    task = NetdevPlan(vectors=(0,), flows=3, packets=5).task()
    assert task.lines == ("vectors-0-spaced 0 3 5 1000\n", "vectors-0-fast 0 3 100 0\n")


def test_missing_counters_are_told(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match=r"flows x: .*sent"):
        evaluate(tmp_path, "x", 0, 1000, flows=1)


@pytest.mark.parametrize(
    ("option", "value"), [("--gap", "100"), ("--flows", "65"), ("--queues", "0"), ("--vectors", "")]
)
def test_bad_flows_are_one_line(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "netdev", option, value]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ntbbench: {option}: ")
