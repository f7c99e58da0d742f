# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench board run` where no host is needed: a complete result, and what is refused."""

from pathlib import Path

import pytest
from board_records import BOARD, board_result, drifting
from board_sessions import toml

from ntbbench.core.result_file import write_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")
RESUMED = ("board", "run", "board.toml", "--resume", "r.json")


def complete(gain: float) -> None:
    Path("board.toml").write_text(toml(BOARD))
    write_json(Path("r.json"), board_result(drifting(0.0, gain=gain)))


@pytest.mark.parametrize(("gain", "code"), [(0.8, 1), (1.2, 0)])
def test_the_gate_is_the_exit_code(ntbbench, gain: float, code: int) -> None:
    complete(gain)
    assert ntbbench(*RESUMED, "--gate").code == ntbbench("gate", "r.json").code == code
    assert ntbbench(*RESUMED).code == 0


def test_one_variant_has_nothing_to_gate(ntbbench) -> None:
    Path("board.toml").write_text(toml({**BOARD, "variants": [{"name": "only"}]}))
    ran = ntbbench("board", "run", "board.toml", "--gate")
    assert ran.code == 2
    assert ran.err == "ntbbench: --gate: 'only': two variants or more, to compare\n"
