# SPDX-License-Identifier: BSD-3-Clause
"""The simulator beside a session: fitted on one queue of the first variant, and on nothing else."""

from typing import Any

import pytest
from board_records import BOARD, board_result, drifting

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
    fitted = rows[0, "before"]
    assert fitted.simulated == pytest.approx(fitted.measured, rel=0.01)
    for variant in ("before", "after"):
        assert rows[1, variant].simulated > 1.5 * fitted.measured
        assert rows[1, variant].measured == pytest.approx(1.1e9, rel=0.01)


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
