# SPDX-License-Identifier: BSD-3-Clause
"""The report of a session on two hosts."""

from board_records import BOARD, board_result, drifting

from ntbbench.board.settings import parsed
from ntbbench.report.views.board import document


def test_the_note_of_the_board_stands_before_its_setup() -> None:
    """Of a rehearsal it says whose throughput it is."""
    noted = {**BOARD, "how": {"until": 16, "note": "the emulator's"}}
    result = board_result(drifting(0.0), 2, board=parsed(noted, "").plain())
    assert document(result).lines[0] == "note: the emulator's"
    assert not document(board_result(drifting(0.0), 2)).lines[0].startswith("note")
