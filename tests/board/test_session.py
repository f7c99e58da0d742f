# SPDX-License-Identifier: BSD-3-Clause
"""Whole sessions between two namespaces: what is saved, and that all is left as it was found."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from board_sessions import (
    PATIENCE,
    QUICK,
    a_board,
    check_left,
    own_program,
    state,
    under_way,
    write,
)

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("in_an_empty_folder")]
RUN = ("board", "run", "board.toml", "-o", "r.json")
# A line that no driver of this machine cares for: the balloon of a virtual machine.
IDLE = "virtio0-(inflate|deflate)|ntbbench-none"


def test_queues_and_affinities_are_set_and_put_back(sides: dict[str, Any], ntbbench) -> None:
    shown = "ethtool -l {netdev} | sed -n 's/^TX:[^0-9]*//p' | tail -n 1"
    sides["rc"]["irqs"] = IDLE
    board = own_program(
        sides,
        axes={"queues": [3], "affinity": ["found", "single"], "programs": []},
        commands=[{"name": "queues", "command": shown, "metric": "regex:(.*)"}],
    )
    before = write(board)
    ran = ntbbench(*RUN)
    assert ran.code == 0, ran.err
    saved = json.loads(Path("r.json").read_text())
    for one in saved["runs"]:
        cell = saved["cells"][one["cell"]]
        told = {m["name"]: m["value"] for m in one["measures"]}
        assert told["queues"] == cell["queues"] == 3
    check_left(board, before, ran.err)


def test_a_plan_shows_what_changes_and_changes_nothing(sides: dict[str, Any], ntbbench) -> None:
    board = a_board(
        sides,
        variants=[{"name": "before"}, {"name": "after", "rc": "touch loaded"}],
        restore={"rc": "rm -f loaded"},
    )
    before = write(board)
    for words in (("plan", "board.toml"), ("run", "board.toml", "--dry-run")):
        ran = ntbbench("board", *words, "--format", "json")
        assert ran.code == 0, ran.err
        commands = [one["command"] for one in json.loads(ran.out)["changes"]]
        assert {"ethtool -L link0 rx 1", "ethtool -L link0 tx 2", "touch loaded"} <= {*commands}
        assert commands.index("touch loaded") < commands.index("rm -f loaded")
    assert state(board) == before
    assert not Path("loaded").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_restores_and_resume_goes_on(
    sides: dict[str, Any], ntbbench, number: int, code: int
) -> None:
    board = own_program(sides, how={**QUICK, "until": 3})
    before = write(board)
    with under_way() as child:
        child.send_signal(number)
        _, told = child.communicate(timeout=PATIENCE)
    assert child.returncode == code, told
    assert "--resume r.json" in told
    check_left(board, before, told)
    first = json.loads(Path("r.json").read_text())
    assert first["stopped"] == "interrupted"
    ran = ntbbench("board", "run", "board.toml", "--resume", "r.json")
    assert ran.code == 0, ran.err
    whole = json.loads(Path("r.json").read_text())
    assert whole["runs"][: len(first["runs"])] == first["runs"]
    keys = [(one["block"], one["variant"], one["cell"]) for one in whole["runs"]]
    assert len(keys) == len(set(keys)) == 3 * 2
    check_left(board, before, ran.err)


def test_resume_refuses_another_kernel(sides: dict[str, Any], ntbbench) -> None:
    board = own_program(sides, how={**QUICK, "until": 2})
    before = write(board)
    assert ntbbench(*RUN).code == 0
    saved = json.loads(Path("r.json").read_text())
    saved["drivers"]["ep"]["kernel"] = "6.1.0-other"
    saved["stopped"] = "interrupted"
    Path("r.json").write_text(json.dumps(saved))
    ran = ntbbench("board", "run", "board.toml", "--resume", "r.json")
    assert ran.code == 2
    told = f"--resume: ep kernel: '{os.uname().release}': '6.1.0-other', as in the result"
    assert told in ran.err
    check_left(board, before, ran.err)
