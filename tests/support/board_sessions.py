# SPDX-License-Identifier: BSD-3-Clause
"""Sessions of `board run` between two namespaces, and the state of both sides around them."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ntbbench.board.changes import LOCK
from ntbbench.board.hosts import open_host
from ntbbench.board.settings import parsed
from ntbbench.board.survey import survey

NTBBENCH = [sys.executable, "-m", "ntbbench.cli.main"]
PATIENCE = 300.0  # seconds until a test gives up on a process
QUICK = {"until": 2, "seconds": 1, "settle": 0, "warmup": 0, "patience": "20s", "seed": 3}
ECHO = {"name": "own", "command": "sleep 0.1; echo took 5", "metric": "regex:took (.*)"}
# What a run may leave: its lock, its folder, and a variant's queueing discipline.
LEFT = (
    f"ls -d {LOCK} /tmp/ntbbench-board-* 2>/dev/null; tc qdisc show dev link0 | cut -d' ' -f 2,4-"
)


def toml(board: dict[str, Any]) -> str:
    """Return a board.toml of one level of tables; JSON's texts and lists are TOML's too."""
    lines = []
    for name, table in board.items():
        for one in table if isinstance(table, list) else [table]:
            lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in one.items()]
    return "\n".join(lines)


def a_board(sides: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the tables of a session of a second a run."""
    usual = {
        **sides,
        "axes": {"queues": [1, 2], "programs": ["ping"]},
        "how": QUICK,
        "variants": [{"name": "before"}, {"name": "after"}],
    }
    return {**usual, **changes}


def own_program(sides: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the tables of a session that measures in a tenth of a second what nobody doubts."""
    board = a_board(sides, commands=[ECHO])
    board["axes"] = {"queues": [1], "programs": []}
    return {**board, **changes}


def state(board: dict[str, Any]) -> dict[str, Any]:
    """Return all that a run may change of both sides, and what it may leave there."""
    known = parsed(board, "")
    found: dict[str, Any] = {}
    for side in ("rc", "ep"):
        host = open_host(side, known.side(side))
        told = survey(host, known)
        found[side] = (told.settings(), told.drivers(), host.run(LEFT).text)
        host.close()
    return found


def write(board: dict[str, Any], name: str = "board.toml") -> dict[str, Any]:
    """Write a board.toml, and return the state of both sides before its session."""
    Path(name).write_text(toml(board))
    return state(board)


def check_left(board: dict[str, Any], before: dict[str, Any], why: object) -> None:
    """Both sides are as they were, and nothing is left to restore."""
    assert state(board) == before, why
    assert not Path("board.toml.journal.json").exists(), why


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run the command as a process of its own."""
    return subprocess.run(
        [*NTBBENCH, *words], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@contextmanager
def under_way() -> "Iterator[subprocess.Popen[str]]":
    """Yield a session of board.toml that has saved its first run in r.json."""
    words = [*NTBBENCH, "board", "run", "board.toml", "-o", "r.json"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as child:
        until = time.monotonic() + PATIENCE
        while not Path("r.json").exists():
            assert time.monotonic() < until
            assert child.poll() is None, child.communicate()[1]
            time.sleep(0.02)
        yield child
