# SPDX-License-Identifier: BSD-3-Clause
"""Whole sessions between two namespaces: what is saved, and that all is left as it was found."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ssh_machine import Machine

from ntbbench.board.changes import LOCK
from ntbbench.board.hosts import open_host
from ntbbench.board.settings import parsed
from ntbbench.board.survey import survey

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("in_an_empty_folder")]

NTBBENCH = [sys.executable, "-m", "ntbbench.cli.main"]
PATIENCE = 300.0  # seconds until a test gives up on a process
# A line that no driver of this machine cares for: the balloon of a virtual machine.
IDLE = "virtio0-(inflate|deflate)|ntbbench-none"
QUICK = {"until": 2, "seconds": 1, "settle": 0, "warmup": 0, "patience": "20s", "seed": 3}
ECHO = {"name": "own", "command": "sleep 0.1; echo took 5", "metric": "regex:took (.*)"}


def toml(board: dict[str, Any]) -> str:
    """Return a board.toml of one level of tables; JSON's texts and lists are TOML's too."""
    lines = []
    for name, table in board.items():
        for one in table if isinstance(table, list) else [table]:
            lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in one.items()]
    return "\n".join(lines)


def a_board(sides: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the tables of a session that measures in tenths of a second what nobody doubts."""
    usual = {
        **sides,
        "axes": {"queues": [1, 2], "programs": ["ping"]},
        "how": QUICK,
        "variants": [{"name": "before"}, {"name": "after"}],
    }
    return {**usual, **changes}


def own_program(sides: dict[str, Any], **changes: Any) -> dict[str, Any]:
    board = a_board(sides, commands=[ECHO])
    board["axes"] = {"queues": [1], "programs": []}
    return {**board, **changes}


def state(board: dict[str, Any]) -> dict[str, Any]:
    """Return all that a run may change of both sides, and whether the lock is there."""
    known = parsed(board, "")
    found: dict[str, Any] = {"lock": Path(LOCK).is_symlink()}
    for side in ("rc", "ep"):
        host = open_host(side, known.side(side))
        told = survey(host, known)
        found[side] = (told.settings(), told.drivers())
        host.close()
    return found


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*NTBBENCH, *words], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_iperf3_and_ping_from_end_to_end(sides: dict[str, Any]) -> None:
    board = a_board(
        sides,
        axes={"queues": [2], "protocol": ["tcp", "udp"], "flows": [2], "programs": ["iperf3"]},
        how={**QUICK, "rate": "20M", "placement": 3},
    )
    Path("board.toml").write_text(toml(board))
    before = state(board)
    ran = run("board", "run", "board.toml", "-o", "r.json")
    assert ran.returncode == 0, ran.stderr
    assert state(board) == before
    saved = json.loads(Path("r.json").read_text())
    assert (saved["schema"], saved["stopped"]) == ("ntbbench.board/1", "until")
    assert saved["restored"]
    assert len(saved["runs"]) == 2 * 2 * 2
    for one in saved["runs"]:
        names = {measure["name"] for measure in one["measures"]}
        assert {"throughput", "receiver CPU", "receiver softirq", "sender CPU"} <= names
        assert sum(one["packets_per_queue"]) > 100
        assert {path.name for path in (Path("r") / one["capture"]).iterdir()} == {"rc", "ep"}
    udp = [r for r in saved["runs"] if saved["cells"][r["cell"]]["protocol"] == "udp"]
    rates = [m["value"] for r in udp for m in r["measures"] if m["name"] == "throughput"]
    assert all(15e6 < rate < 25e6 for rate in rates)
    gate = run("gate", "r.json")
    assert gate.returncode in (0, 1, 3), gate.stderr
    assert not Path("board.toml.journal.json").exists()


def test_queues_and_affinities_are_set_and_put_back(sides: dict[str, Any]) -> None:
    shown = "ethtool -l {netdev} | sed -n 's/^TX:[^0-9]*//p' | tail -n 1"
    sides["rc"]["irqs"] = IDLE
    board = own_program(
        sides,
        axes={"queues": [3], "affinity": ["found", "single"], "programs": []},
        commands=[{"name": "queues", "command": shown, "metric": "regex:(.*)"}],
    )
    Path("board.toml").write_text(toml(board))
    before = state(board)
    ran = run("board", "run", "board.toml", "-o", "r.json")
    assert ran.returncode == 0, ran.stderr
    saved = json.loads(Path("r.json").read_text())
    for one in saved["runs"]:
        cell = saved["cells"][one["cell"]]
        told = {m["name"]: m["value"] for m in one["measures"]}
        assert told["queues"] == cell["queues"] == 3
    assert state(board) == before


def test_a_plan_shows_what_changes_and_changes_nothing(sides: dict[str, Any]) -> None:
    board = a_board(
        sides,
        variants=[{"name": "before"}, {"name": "after", "rc": "touch loaded"}],
        restore={"rc": "rm -f loaded"},
    )
    Path("board.toml").write_text(toml(board))
    before = state(board)
    for words in (("plan", "board.toml"), ("run", "board.toml", "--dry-run")):
        ran = run("board", *words, "--format", "json")
        assert ran.returncode == 0, ran.stderr
        commands = [one["command"] for one in json.loads(ran.stdout)["changes"]]
        assert {"ethtool -L link0 rx 1", "ethtool -L link0 tx 2", "touch loaded"} <= {*commands}
        assert commands.index("touch loaded") < commands.index("rm -f loaded")
    assert state(board) == before
    assert not Path("loaded").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_restores_and_resume_goes_on(
    sides: dict[str, Any], number: int, code: int
) -> None:
    board = own_program(sides, how={**QUICK, "until": 3})
    Path("board.toml").write_text(toml(board))
    before = state(board)
    words = [*NTBBENCH, "board", "run", "board.toml", "-o", "r.json"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as child:
        until = time.monotonic() + PATIENCE
        while not Path("r.json").exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        child.send_signal(number)
        _, told = child.communicate(timeout=PATIENCE)
    assert child.returncode == code, told
    assert "--resume r.json" in told
    assert state(board) == before
    first = json.loads(Path("r.json").read_text())
    assert first["stopped"] == "interrupted"
    ran = run("board", "run", "board.toml", "--resume", "r.json")
    assert ran.returncode == 0, ran.stderr
    whole = json.loads(Path("r.json").read_text())
    assert whole["runs"][: len(first["runs"])] == first["runs"]
    keys = [(one["block"], one["variant"], one["cell"]) for one in whole["runs"]]
    assert len(keys) == len(set(keys)) == 3 * 2
    assert state(board) == before


def test_resume_refuses_another_kernel(sides: dict[str, Any]) -> None:
    board = own_program(sides, how={**QUICK, "until": 2})
    Path("board.toml").write_text(toml(board))
    assert run("board", "run", "board.toml", "-o", "r.json").returncode == 0
    saved = json.loads(Path("r.json").read_text())
    saved["drivers"]["ep"]["kernel"] = "6.1.0-other"
    saved["stopped"] = "interrupted"
    Path("r.json").write_text(json.dumps(saved))
    before = state(board)
    ran = run("board", "run", "board.toml", "--resume", "r.json")
    assert ran.returncode == 2
    told = f"--resume: ep kernel: '{os.uname().release}': '6.1.0-other', as in the result"
    assert told in ran.stderr
    assert state(board) == before


def test_a_full_disk_changes_nothing(sides: dict[str, Any]) -> None:
    """Where no journal can be written, nothing is changed."""
    Path("small").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "none", "small"]
    subprocess.run(mount, check=True)
    try:
        board = own_program(sides, axes={"queues": [3], "programs": []})
        Path("small/board.toml").write_text(toml(board))
        before = state(board)
        with pytest.raises(OSError, match="No space left"):
            Path("small/full").write_bytes(bytes(1 << 16))
        ran = run("board", "run", "small/board.toml", "-o", "r.json")
        assert ran.returncode == 2
        assert "board.toml.journal.json': cannot be written: No space left" in ran.stderr
        assert state(board) == before
    finally:
        subprocess.run(["umount", "small"], check=True)


def test_two_runs_at_once(sides: dict[str, Any]) -> None:
    board = own_program(sides)
    Path("board.toml").write_text(toml(board))
    Path(LOCK).symlink_to("123abc ada@elsewhere")
    try:
        ran = run("board", "run", "board.toml", "-o", "r.json")
        assert ran.returncode == 2
        assert f"rc: locked by ada@elsewhere ({LOCK})" in ran.stderr
        assert Path(LOCK).readlink() == Path("123abc ada@elsewhere")
    finally:
        Path(LOCK).unlink()


def test_a_program_that_fails_or_hangs_ends_the_run_with_one_line(sides: dict[str, Any]) -> None:
    for command, told in (
        ("echo broken; exit 3", "exits 3: broken"),
        ("sleep 4720", "not done within 21 s: sleep 4720"),
        ("echo nothing", "nothing matches"),
    ):
        own = {"name": "own", "command": command, "metric": "regex:took (.*)"}
        board = own_program(sides, commands=[own])
        Path("board.toml").write_text(toml(board))
        before = state(board)
        ran = run("board", "run", "board.toml", "-o", "r.json")
        assert ran.returncode == 2
        assert told in ran.stderr
        assert "internal error" not in ran.stderr
        assert state(board) == before
        assert not Path("board.toml.journal.json").exists()


@pytest.fixture
def remote(sides: dict[str, Any], machine: Machine) -> dict[str, Any]:
    """The pair with rc reached by ssh."""
    machine.before = ["ip", "netns", "exec", sides["rc"]["host"].partition(":")[2]]
    sides["rc"] |= {"host": "ssh:board", "ssh_config": str(machine.config)}
    return sides


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_the_connection_is_cut_at_every_step(
    remote: dict[str, Any], machine: Machine, ntbbench, late: bool
) -> None:
    """Whatever command it is cut at, both sides end as they were, and one line tells."""
    board = own_program(
        remote,
        axes={"queues": [3], "programs": []},
        commands=[{**ECHO, "command": "echo took 5"}],
        variants=[{"name": "only"}],
    )
    Path("board.toml").write_text(toml(board))
    words = ("board", "run", "board.toml", "-o", "r.json")
    before = state(board)
    machine.count = 0
    assert ntbbench(*words).code == 0
    steps = machine.count
    assert steps > 20
    machine.late = late
    for step in range(1, steps + 1):
        machine.count, machine.cut_at = 0, step
        ran = ntbbench(*words)
        machine.cut_at = 0
        assert ran.code in (0, 2), (step, ran.err)
        assert "internal error" not in ran.err, (step, ran.err)
        assert state(board) == before, (step, ran.err)
        assert not Path("board.toml.journal.json").exists(), (step, ran.err)


def test_what_cannot_be_restored_is_told_and_restored_later(
    remote: dict[str, Any], machine: Machine
) -> None:
    board = own_program(
        remote, how={**QUICK, "patience": "1s"}, axes={"queues": [3], "programs": []}
    )
    Path("board.toml").write_text(toml(board))
    before = state(board)
    words = [*NTBBENCH, "board", "run", "board.toml", "-o", "r.json"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as child:
        until = time.monotonic() + PATIENCE
        while not Path("r.json").exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        machine.down()
        _, told = child.communicate(timeout=PATIENCE)
    assert child.returncode == 2, told
    assert "to restore by hand: rc: ethtool -L link0 rx 4" in told
    assert "ntbbench board restore board.toml" in told
    machine.up()
    again = run("board", "run", "board.toml", "-o", "other.json")
    assert again.returncode == 2
    assert "a board that is restored: ntbbench board restore board.toml" in again.stderr
    assert "ethtool -L link0 tx 4" in run("board", "restore", "board.toml", "--dry-run").stdout
    assert state(board) != before
    assert run("board", "restore", "board.toml").returncode == 0
    assert state(board) == before
    assert run("board", "restore", "board.toml").returncode == 0  # nothing is left
