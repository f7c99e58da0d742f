# SPDX-License-Identifier: BSD-3-Clause
"""The simulator beside a session: fitted on one queue of the first variant, and on nothing else."""

from typing import Any

import pytest
from board_records import BOARD, CELLS, board_result, drifting
from msgspec.structs import replace

from ntbbench.board.law import ONE_QUEUE, SAME_LAW, controls, woken_per_doorbell
from ntbbench.board.predictions import predictions
from ntbbench.board.settings import parsed
from ntbbench.core.errors import InputError


def with_preset(name: str = "rcar-s4-spider", **changes: Any) -> dict[str, Any]:
    before, after = BOARD["variants"]
    variants = [{**before, "dispatch": "fallback"}, {**after, "dispatch": "per-vector"}]
    table = {**BOARD, "variants": variants, "how": {"until": 16, "preset": name}, **changes}
    return parsed(table, "").plain()


def test_the_one_queue_is_met_and_the_others_are_foretold() -> None:
    result = board_result(drifting(0.0), 6, board=with_preset())
    rows = {(one.cell, one.variant): one for one in predictions(result)}
    assert rows.keys() == {(cell, name) for cell in (0, 1) for name in ("before", "after")}
    assert [key for key, one in rows.items() if one.is_fitted] == [(0, "before")]
    assert {one.number for one in rows.values()} == {"throughput"}
    fitted = rows[0, "before"]
    assert fitted.simulated == pytest.approx(fitted.measured, rel=0.01)
    for variant in ("before", "after"):
        assert rows[1, variant].simulated > 1.5 * fitted.measured
        assert rows[1, variant].measured == pytest.approx(1.1e9, rel=0.01)


def test_amplification_stands_beside_the_model_and_the_simulator() -> None:
    """Four queues: a doorbell wakes all four without vectors, and its own QP with them."""
    result = board_result(drifting(0.0), 6, board=with_preset(), woken=True)
    rows = {
        (one.cell, one.variant): one for one in predictions(result) if one.number == "amplification"
    }
    assert {key: one.model for key, one in rows.items()} == {
        (0, "before"): 1.0,
        (0, "after"): 1.0,
        (1, "before"): 4.0,
        (1, "after"): 1.0,
    }
    wide = rows[1, "before"]
    assert (wide.measured, wide.measured_high) == (4.0, 4.25)
    assert rows[1, "after"].simulated < wide.simulated <= 4.5


def test_the_trace_of_a_warm_up_stands_beside_the_model() -> None:
    result = board_result(drifting(0.0), 6, first=0, board=with_preset(), woken=True)
    rows = [one for one in predictions(result) if one.number == "effective amplification"]
    assert [(one.cell, one.measured, one.model) for one in rows] == [
        (0, 1.0, 1.0),
        (0, 1.0, 1.0),
        (1, 4.0, 4.0),
        (1, 1.0, 1.0),
    ]
    assert rows[2].simulated > rows[3].simulated > 0  # wakeups merge under load


def test_the_model_needs_no_flows_of_iperf3_and_no_placement() -> None:
    """A ping rings one doorbell; where interrupts go does not change whom they wake."""
    board = parsed(with_preset(), "")
    cell = replace(CELLS[1], program="ping", protocol="", flows=0, affinity="found")
    assert woken_per_doorbell(board, cell, 4, "fallback") == 4.0
    assert woken_per_doorbell(board, cell, 4, "per-vector") == 1.0
    assert woken_per_doorbell(board, cell, 4, "") is None
    assert woken_per_doorbell(board, cell, 0, "fallback") is None
    assert woken_per_doorbell(parsed(BOARD, ""), cell, 4, "fallback") is None


def test_a_cell_of_one_queue_is_a_control() -> None:
    assert controls(board_result(drifting(0.0), 2)) == {0: ONE_QUEUE}


def test_queues_as_found_are_those_of_the_receiver() -> None:
    cells = [replace(cell, queues=0) for cell in CELLS]
    found = {"rc": {"channels combined": "4"}, "ep": {"channels rx": "1", "channels tx": "1"}}
    result = board_result(drifting(0.0), 2, settings=found)
    assert controls(replace(result, cells=cells)) == {0: ONE_QUEUE, 1: ONE_QUEUE}


def test_variants_that_wake_alike_change_nothing() -> None:
    """Both without vectors: whatever the series is, the model wakes as many."""
    variants = [{**one, "dispatch": "fallback"} for one in BOARD["variants"]]
    result = board_result(drifting(0.0), 2, board=with_preset(variants=variants))
    assert controls(result) == {0: ONE_QUEUE, 1: SAME_LAW}


def test_what_is_measured_elsewhere_does_not_move_it() -> None:
    once, other = (
        predictions(board_result(drifting(0.0, gain=gain), 6, board=with_preset()))
        for gain in (1.0, 1.5)
    )
    assert [one.simulated for one in once] == [one.simulated for one in other]
    assert [one.measured for one in once] != [one.measured for one in other]


def test_without_a_preset_or_a_dispatch_there_is_none() -> None:
    assert predictions(board_result(drifting(0.0), 2)) == []
    with pytest.raises(InputError, match="preset: 'rcar-s4-spidr': unknown; did you mean rcar-s4"):
        with_preset("rcar-s4-spidr")
