# SPDX-License-Identifier: BSD-3-Clause
"""What goes wrong on real hosts: one line tells, nothing stays changed, nothing is lost."""

import getpass
import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from board_sessions import (
    ECHO,
    PATIENCE,
    QUICK,
    check_left,
    own_program,
    state,
    toml,
    under_way,
    write,
)
from machine_apart import MachineApart
from ssh_machine import Machine

from ntbbench.board.one_run import measure

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("in_an_empty_folder")]
RUN = ("board", "run", "board.toml", "-o", "r.json")
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
THREE = {"queues": [3], "programs": []}


@pytest.fixture
def remote(sides: dict[str, Any], machine: Machine) -> dict[str, Any]:
    """The pair with rc reached by ssh."""
    machine.before = ["ip", "netns", "exec", sides["rc"]["host"].partition(":")[2]]
    sides["rc"] |= {"host": "ssh:board", "ssh_config": str(machine.config)}
    return sides


def refused(ntbbench, board: dict[str, Any], told: str) -> None:
    """A session ends with exit code 2 and a line, and both sides are as they were."""
    before = write(board)
    ran = ntbbench(*RUN)
    assert ran.code == 2, ran.err
    (line,) = ran.err.splitlines()
    assert told in line
    check_left(board, before, ran.err)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_the_connection_is_cut_at_every_step(
    remote: dict[str, Any], machine: Machine, ntbbench, late: bool
) -> None:
    """Whatever command it is cut at, both sides end as they were, and one line tells.

    The session has one block left to run: another one has no other steps.
    """
    board = own_program(
        remote,
        axes=THREE,
        commands=[{**ECHO, "command": "echo took 5"}],
        variants=[{"name": "only"}],
    )
    before = write(board)
    assert ntbbench(*RUN).code == 0
    begun = json.loads(Path("r.json").read_text())
    begun |= {"runs": begun["runs"][:1], "stopped": "interrupted"}
    again = ("board", "run", "board.toml", "--resume", "r.json")
    machine.late = late
    steps, step = 0, 0
    while step <= steps:
        Path("r.json").write_text(json.dumps(begun))
        machine.count, machine.cut_at = 0, step
        ran = ntbbench(*again)
        steps, machine.cut_at = steps or machine.count, 0
        assert ran.code in ((0, 2) if step else (0,)), (step, ran.err)
        assert "internal error" not in ran.err, (step, ran.err)
        assert len(json.loads(Path("r.json").read_text())["runs"]) >= 1, step
        check_left(board, before, (step, ran.err))
        step += 1
    assert steps > 15


def test_a_board_that_reboots(
    remote: dict[str, Any], machine: Machine, apart: Callable[..., MachineApart], ntbbench
) -> None:
    """Its server, its /tmp and the state of its driver are new ones; the session goes on later."""
    place = apart()
    machine.before = place.before
    board = own_program(remote, axes=THREE, how={**QUICK, "until": 4})
    before = write(board)
    with under_way() as child:
        machine.down()
        place.reboot()
        machine.before = place.before
        subprocess.run([*place.before, "ethtool", "-L", "link0", "rx", "4", "tx", "4"], check=True)
        machine.up()
        _, told = child.communicate(timeout=PATIENCE)
    assert child.returncode == 2, told
    assert "rc: the connection was lost" in told
    check_left(board, before, told)
    first = json.loads(Path("r.json").read_text())["runs"]
    again = ntbbench("board", "run", "board.toml", "--resume", "r.json")
    assert again.code == 0, again.err
    whole = json.loads(Path("r.json").read_text())["runs"]
    assert (whole[: len(first)], len(whole)) == (first, 4 * 2)
    check_left(board, before, again.err)


@pytest.mark.parametrize(
    ("room", "told"),
    [("size=16k", "cannot be written"), ("nr_inodes=1", "rc: no lock: ln: ")],
)
def test_a_board_whose_disk_is_full(
    remote: dict[str, Any],
    machine: Machine,
    apart: Callable[..., MachineApart],
    ntbbench,
    room: str,
    told: str,
) -> None:
    machine.before = apart(room=room).before
    refused(ntbbench, own_program(remote, axes=THREE), told)
    check = ntbbench("board", "check", "board.toml")
    assert ("4096 KiB" in check.out, check.code) == (room == "size=16k", int(room == "size=16k"))


def test_a_full_disk_here_changes_nothing(sides: dict[str, Any], ntbbench) -> None:
    """Where no journal can be written, nothing is changed."""
    Path("small").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", "small"], check=True)
    try:
        board = own_program(sides, axes=THREE)
        before = write(board, "small/board.toml")
        with pytest.raises(OSError, match="No space left"):
            Path("small/full").write_bytes(bytes(1 << 16))
        ran = ntbbench("board", "run", "small/board.toml", "-o", "r.json")
        assert ran.code == 2
        assert "board.toml.journal.json': cannot be written: No space left" in ran.err
        assert state(board) == before
    finally:
        subprocess.run(["umount", "small"], check=True)


def test_no_root(remote: dict[str, Any], machine: Machine, ntbbench) -> None:
    machine.before += NOBODY
    board = own_program(remote, axes=THREE)
    told = "rc: exit code 1 of ethtool -L link0 rx 3: netlink error: Operation not permitted"
    refused(ntbbench, board, told)
    check = ntbbench("board", "check", "board.toml")
    assert check.code == 1
    assert "uid 65534" in check.out


def test_two_runs_at_once(sides: dict[str, Any], ntbbench) -> None:
    """The second is told whose run it is, and the first does not notice."""
    board = own_program(sides, how={**QUICK, "until": 6})
    before = write(board)
    Path("other.toml").write_text(toml(board))
    with under_way() as child:
        ran = ntbbench("board", "run", "other.toml", "-o", "other.json")
        assert child.poll() is None
        assert ran.code == 2
        assert f"rc: locked by {getpass.getuser()}@{socket.gethostname()}" in ran.err
        _, told = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0, told
    assert not Path("other.toml.journal.json").exists()
    assert not Path("other.json").exists()
    check_left(board, before, told)


def test_a_wrong_host_key(remote: dict[str, Any], machine: Machine, ntbbench) -> None:
    public = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    Path("board.toml").write_text(toml(own_program(remote)))
    (machine.folder / "known_hosts").write_text(f"[127.0.0.1]:{machine.port} {public}")
    ran = ntbbench(*RUN)
    assert ran.code == 2
    assert "rc.host: 'ssh:board': a host whose key known_hosts has" in ran.err
    assert machine.lines == []  # nobody there was asked for anything


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("echo broken; exit 3", "exits 3: broken"),
        ("sleep 4720", "not done within 5 s: sleep 4720"),
        ("echo nothing", "nothing matches"),
    ],
)
def test_a_program_that_fails_or_hangs(
    sides: dict[str, Any], ntbbench, monkeypatch: pytest.MonkeyPatch, command: str, told: str
) -> None:
    monkeypatch.setattr(measure, "SPARE", 4.0)
    own = {"name": "own", "command": command, "metric": "regex:took (.*)"}
    refused(ntbbench, own_program(sides, commands=[own]), told)


@pytest.mark.parametrize("kind", ["busybox", "jumps"])
def test_busybox_and_a_clock_that_jumps(
    remote: dict[str, Any],
    machine: Machine,
    apart: Callable[..., MachineApart],
    ntbbench,
    kind: str,
) -> None:
    """Neither a shell without bash's or dash's ways nor a `date` that lies changes a session."""
    machine.before = apart(**{kind: True}).before
    board = own_program(remote, axes=THREE, commands=[{**ECHO, "command": "echo took 5"}])
    before = write(board)
    ran = ntbbench(*RUN)
    assert ran.code == 0, ran.err
    saved = json.loads(Path("r.json").read_text())
    assert [run["measures"][0]["value"] for run in saved["runs"]] == [5.0] * 4
    assert saved["seconds"] < PATIENCE
    check_left(board, before, ran.err)


def test_what_cannot_be_restored_is_told_and_restored_later(
    remote: dict[str, Any], machine: Machine, ntbbench
) -> None:
    board = own_program(remote, how={**QUICK, "patience": "1s", "until": 6}, axes=THREE)
    before = write(board)
    with under_way() as child:
        machine.down()
        _, told = child.communicate(timeout=PATIENCE)
    assert child.returncode == 2, told
    assert "to restore by hand: rc: ethtool -L link0 rx 4" in told
    assert "ntbbench board restore board.toml" in told
    machine.up()
    again = ntbbench("board", "run", "board.toml", "-o", "other.json")
    assert again.code == 2
    assert "a board that is restored: ntbbench board restore board.toml" in again.err
    assert "ethtool -L link0 tx 4" in ntbbench("board", "restore", "board.toml", "--dry-run").out
    assert state(board) != before
    assert ntbbench("board", "restore", "board.toml").code == 0
    check_left(board, before, told)
    assert ntbbench("board", "restore", "board.toml").code == 0  # nothing is left
