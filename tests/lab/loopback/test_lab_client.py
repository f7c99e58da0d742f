# SPDX-License-Identifier: BSD-3-Clause
"""Points of the lab's own client beside their prediction."""

from pathlib import Path

from golden_cases import INPUTS
from recordings import PER_VECTOR, copy, one_qp_too_many, without
from rendered import rendered

from ntbbench.lab.lab_client import LabPlan, PointPlan, evaluate
from ntbbench.report.kinds import load_any


def test_the_guest_gets_a_line_a_point() -> None:
    every = LabPlan(vectors=(4,), db_read=("latched", "zero"), queues=2, packets=20)
    assert every.task().lines == (
        "vectors-4-latched 4 1 1000 20 turn 0 1\n", "vectors-4-zero 4 0 1000 20 turn 0 1\n",
    )  # fmt: skip
    some = LabPlan(vectors=(0,), senders=(3, 1), order="together", gap=0)
    assert some.task().lines == ("vectors-0-latched 0 1 0 50 together 3 1\n",)


def test_notes_name_each_cause_once_in_the_words_of_the_table(tmp_path: Path) -> None:
    """A callback that schedules QP 3 beside the one of its vector."""
    edit = without("rxc_db")
    folder = copy(PER_VECTOR, tmp_path / "r", trace=lambda t: one_qp_too_many(edit(t)))
    plan = PointPlan("r", 16, True, 700, 40, "turn", (0, 1, 2, 3))
    point = evaluate(folder, plan, 4)
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
