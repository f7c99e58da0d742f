# SPDX-License-Identifier: BSD-3-Clause
"""What a session's report says of its controls, and what it calls each latency."""

from typing import Any

import pytest
from board_records import CELLS, board_result, drifting
from msgspec.structs import replace

from ntbbench.board.board_records import BoardMeasure
from ntbbench.report.views.board import document
from ntbbench.report.views.board_tables import CONTROL, LATENCIES, latency, median_interval


def warned(result: Any) -> dict[str, list[str]]:
    return dict(document(result).warnings)


def test_a_control_that_changes_is_warned_of() -> None:
    """The series cannot have made one queue faster."""
    steady = drifting(0.0)

    def rate(number: int, variant: str, cell: int) -> float:
        return steady(number, variant, cell) * (1.2 if variant == "after" else 1.0)

    (told,) = warned(board_result(rate, 16))[CONTROL]
    assert told == "iperf3 tcp 1q spread 1f rc-ep: throughput improved"


def test_controls_that_stay_are_not() -> None:
    assert CONTROL not in warned(board_result(drifting(0.0, gain=1.2), 16))


def test_the_table_of_what_can_have_changed() -> None:
    blocks = document(board_result(drifting(0.0, gain=1.2), 16)).blocks
    (table,) = [one for one in blocks if one.title == "What the series can have changed"]
    told = [[cell.text for cell in row] for row in table.rows]
    assert told[0][1:] == ["one queue: a doorbell wakes the same QP in each variant", "-"]
    assert told[1] == [CELLS[1].label, "can change", "throughput improved"]


@pytest.mark.parametrize("what", LATENCIES)
def test_every_latency_has_its_name(what: str) -> None:
    """A mean has no quantile; that of a trace is of a warm-up, others of timed runs."""
    is_mean = what.startswith("ping-pong")
    names = [what] if is_mean else [f"{what} p50", f"{what} p99"]
    result = board_result(drifting(0.0), 2, first=0)
    is_timed = what != "doorbell to run"
    runs = [
        replace(run, measures=[BoardMeasure(name=n, unit="s", value=4e-6) for n in names])
        if (run.block > 0) == is_timed
        else run
        for run in result.runs
    ]
    table = latency(replace(result, runs=runs))
    told = [[cell.text for cell in row] for row in table.rows]
    shown = ["4 [4, 4]", "-" if is_mean else "4 [4, 4]"]
    assert told == [[what, name, *shown] for _ in CELLS for name in ("before", "after")]
    assert table.notes == [f"{what}: {LATENCIES[what]}"]


def test_the_interval_of_equal_numbers_is_themselves() -> None:
    assert median_interval([3.0, 3.0]) == (3.0, 3.0)
