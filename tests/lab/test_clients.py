# SPDX-License-Identifier: BSD-3-Clause
"""Points of either client of ntb_transport beside what the model says; flows compared and gated."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from golden_cases import INPUTS
from hypothesis import given
from hypothesis import strategies as st
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
from recordings import PER_VECTOR, copy, one_qp_too_many, without
from rendered import rendered

from ntbbench.cli.main import main
from ntbbench.core.result_file import write_json
from ntbbench.lab.commands import GuestError
from ntbbench.lab.lab_client import LabPlan, PointPlan
from ntbbench.lab.lab_client import evaluate as evaluate_point
from ntbbench.lab.netdev_client import (
    NetdevPlan,
    evaluate,
    likely_cause,
    predicted_runs,
    run_bounds,
)
from ntbbench.lab.records import NetdevResult
from ntbbench.report.registry import load_any


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
    every = LabPlan(vectors=(4,), db_read=("latched", "zero"), queues=2, packets=20)
    assert every.task().lines == (
        "vectors-4-latched 4 1 1000 20 turn 0 1\n", "vectors-4-zero 4 0 1000 20 turn 0 1\n",
    )  # fmt: skip
    some = LabPlan(vectors=(0,), senders=(3, 1), order="together", gap=0)
    assert some.task().lines == ("vectors-0-latched 0 1 0 50 together 3 1\n",)


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


NOT_UNDER = "the doorbell callback scheduled a QP whose bit is not under its vector"


@pytest.mark.parametrize(
    ("vectors", "doorbells", "runs"),
    [
        (0, [20, 30, 90, 20], [180, 190, 250, 180]),  # counted on Linux 7.3.4, four queues
        (16, [50, 40, 20, 50], [100, 80, 40, 100]),
        (0, [80, 80, 60, 100], [400, 400, 380, 420]),
        (2, [1, 10, 0, 0], [2, 20, 1, 10]),
    ],
)
def test_runs_of_spaced_doorbells(vectors: int, doorbells: list[int], runs: list[int]) -> None:
    assert predicted_runs(doorbells, vectors) == runs


@pytest.mark.parametrize(
    ("doorbells", "runs", "vectors", "told"),
    [
        (SPACED, SPACED_RUNS, 16, NOT_UNDER),
        (SPACED, predicted_runs(SPACED, 0), 16, "as without vector callbacks"),
        (SPACED, [150, 90, 60, 180], 16, "1 run more per packet of its own QP"),
        ([40] * 4, [120] * 4, 16, "or the doorbell callback schedules 1 QP too many"),
        (SPACED, SPACED, 16, "1 run fewer per packet of its own QP"),
        (SPACED, [80, 60, 40, 120], 16, "skipped a QP under its vector"),
        (SPACED, [101, 60, 40, 120], 16, "no single cause"),
        ([40, 0], [80, 3], 16, "no single cause"),
    ],
)
def test_likely_causes(doorbells: list[int], runs: list[int], vectors: int, told: str) -> None:
    assert told in likely_cause(doorbells, runs, vectors)


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=14), st.integers(0, 16))
def test_the_prediction_lies_within_the_bounds(doorbells: list[int], vectors: int) -> None:
    least, most = run_bounds(doorbells, doorbells, vectors, 31)
    for low, runs, high in zip(least, predicted_runs(doorbells, vectors), most, strict=True):
        assert low <= runs <= high


def saved(folder: Path, vectors: int, doorbells: list[int], runs: list[int]) -> Path:
    folder.mkdir()
    spaced = point(folder, vectors, GAP, doorbells, runs)
    fast = point(folder, vectors, 0, FAST, IN_BOUNDS)
    write_json(folder / "net.json", result(spaced, fast))
    return folder / "net.json"


def gated(*paths: Path, report: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return the exit code, and each comparison by what is compared; `fast` before a fast one."""
    code = main(["gate", *map(str, paths), "--format", "json", "--write", f"json={report}"])
    found = json.loads(report.read_text())["comparisons"]
    names = [one["metric"].rpartition(":") for one in found]
    keys = [f"fast {name}" if "/fast/" in where else name for where, _, name in names]
    return code, dict(zip(keys, found, strict=True))


def test_a_patch_that_adds_runs_regresses(tmp_path: Path) -> None:
    base = saved(tmp_path / "a", 16, SPACED, predicted_runs(SPACED, 16))
    new = saved(tmp_path / "b", 16, SPACED, SPACED_RUNS)
    code, found = gated(base, new, report=tmp_path / "r.json")
    assert code == 1
    assert {name for name, one in found.items() if one["verdict"] == "regressed"} == {
        "runs", "runs beyond prediction", "agrees",
    }  # fmt: skip
    assert (found["runs"]["base_value"], found["runs"]["candidate_value"]) == (320, 480)
    throughput = found["fast throughput"]
    assert (throughput["kind"], throughput["unit"]) == ("noisy", "bit/s")
    assert found["doorbells"]["verdict"] == "equivalent"


def test_another_hash_of_the_flows_is_no_change(tmp_path: Path) -> None:
    """Each boot hashes them anew: three vectors over four QPs then give another sum of runs."""
    other = [60, 20, 50, 30]
    for vectors in (16, 2, 3, 0):
        paths = [
            saved(tmp_path / f"{vectors}-{i}", vectors, rung, predicted_runs(rung, vectors))
            for i, rung in enumerate((SPACED, other))
        ]
        code, found = gated(*paths, report=tmp_path / "r.json")
        assert code == 3  # the throughput of one boot a side is not tested
        assert ("runs" in found) == (vectors != 3)


def test_several_boots_are_samples_of_the_throughput(tmp_path: Path) -> None:
    paths = [
        saved(tmp_path / f"{side}{i}", 16, SPACED, predicted_runs(SPACED, 16))
        for side in "ab"
        for i in range(3)
    ]
    sides = [",".join(map(str, paths[:3])), ",".join(map(str, paths[3:]))]
    report = tmp_path / "r.json"
    assert main(["gate", *sides, "--write", f"json={report}"]) == 3
    comparisons = json.loads(report.read_text())["comparisons"]
    (throughput,) = [one for one in comparisons if one["metric"].endswith("throughput")]
    assert (throughput["n_base"], throughput["n_candidate"]) == (3, 3)


@pytest.mark.parametrize(("old", "new"), [('"events":160', '"events":-1'), ('"gap_us"', '"gap"')])
def test_a_damaged_result_is_one_line(old, new, tmp_path, capsys) -> None:
    path = saved(tmp_path / "a", 16, SPACED, SPACED_RUNS)
    text = path.read_text()
    assert old in text
    bad = tmp_path / "bad.json"
    bad.write_text(text.replace(old, new))
    assert main(["gate", str(path), str(bad)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_emulated_throughput_is_not_compared_with_another(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", 16, SPACED, SPACED_RUNS)
    other = tmp_path / "b.json"
    other.write_text(path.read_text().replace('"tcg"', '"kvm"'))
    assert main(["gate", str(path), str(other)]) == 5


def test_notes_name_each_cause_once_in_the_words_of_the_table(tmp_path: Path) -> None:
    """A callback that schedules QP 3 beside the one of its vector."""
    edit = without("rxc_db")
    folder = copy(PER_VECTOR, tmp_path / "r", trace=lambda t: one_qp_too_many(edit(t)))
    plan = PointPlan("r", 16, True, 700, 40, "turn", (0, 1, 2, 3))
    point = evaluate_point(folder, plan, 4)
    added = point.runs_per_qp[3] - point.predicted_runs_per_qp[3]
    assert point.agrees is False
    assert point.notes == [
        f"tasklet schedules and tasklet runs of QP 3: {added:+d} each: more schedules: "
        "the doorbell callback scheduled a QP whose bit is not under its vector"
    ]


def test_a_point_is_a_test_with_a_subtest_a_qp() -> None:
    """The runs of both points lie in bounds; of the second one a cause has no explanation."""
    lines = rendered(load_any(INPUTS / "lab-run.json"), "ktap").splitlines()
    results = [line.strip() for line in lines if "ok " in line]
    first, second = results[:5], results[5:]
    assert first == [
        "ok 1 no packet is lost", "ok 2 runs of QP 0", "ok 3 runs of QP 1", "ok 4 the model agrees",
        "ok 1 vectors-2-latched",
    ]  # fmt: skip
    assert [line for line in second if line.startswith("not")] == [
        "not ok 4 the model agrees", "not ok 2 vectors-2-latched",
    ]  # fmt: skip
    assert "  # 18 runs, 1 to 20 allowed" in lines
