# SPDX-License-Identifier: BSD-3-Clause
"""Hosts: what a command leaves, its limit, its end with the connection, and what is refused."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest
from ssh_machine import Machine

from ntbbench.board.hosts import (
    BoardInterrupted,
    CommandFailed,
    Host,
    HostLost,
    LocalHost,
    guard,
    open_host,
)
from ntbbench.board.settings import BoardSide
from ntbbench.core.errors import InputError

PATIENCE = 20.0  # seconds until a test gives up


def side_of(machine: Machine) -> BoardSide:
    return BoardSide(host="ssh:board", ssh_config=str(machine.config))


SERVERS = ("openssh", "dropbear")


@pytest.fixture(
    params=["local", "ssh", *(pytest.param(s, marks=pytest.mark.netns) for s in SERVERS)]
)
def host(request: pytest.FixtureRequest) -> Host:
    if request.param == "local":
        return open_host("rc", BoardSide(host="local"))
    if request.param == "ssh":
        found = open_host("rc", side_of(request.getfixturevalue("machine")))
    else:
        config = request.getfixturevalue(request.param)
        found = open_host("rc", BoardSide(host="ssh:board", ssh_config=str(config)))
    request.addfinalizer(found.close)
    return found


def running(mark: str) -> bool:
    found = subprocess.run(["pgrep", "-f", f"^sleep {mark}"], capture_output=True, check=False)
    return found.returncode == 0


def ends(mark: str) -> bool:
    until = time.monotonic() + PATIENCE
    while running(mark):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_a_command_leaves_its_code_and_both_streams(host: Host) -> None:
    done = host.run("echo out; echo 'a \"b\"' >&2; exit 3")
    assert (done.code, done.out, done.err) == (3, b"out\n", 'a "b"\n')
    with pytest.raises(CommandFailed, match="rc: exit code 3 of echo bad; exit 3: bad"):
        host.checked("echo bad; exit 3")


def test_bytes_come_back_as_they_are(host: Host) -> None:
    assert host.run("head -c 300000 /dev/zero | tr '\\0' '\\377'").out == b"\xff" * 300000


def test_a_command_that_hangs_ends_with_its_limit(host: Host) -> None:
    with pytest.raises(CommandFailed, match="rc: not done within 1 s: sleep 4711"):
        host.run("sleep 4711 & sleep 4711", 1)
    assert ends("4711")


def test_whoever_interrupts_leaves_nothing_running(host: Host) -> None:
    with pytest.raises(BoardInterrupted):
        host.run("sleep 4712", 60, lambda: running("4712"))
    assert ends("4712")


def test_what_a_command_leaves_in_the_background_is_ended(host: Host) -> None:
    host.run("sleep 4713 >/dev/null 2>&1 & true")
    assert ends("4713")


def test_a_lost_connection_ends_its_commands(machine: Machine) -> None:
    host = open_host("rc", side_of(machine))
    command = host.start("sleep 4714", 600)
    until = time.monotonic() + PATIENCE
    while not running("4714"):
        assert time.monotonic() < until
    machine.down()
    with pytest.raises(HostLost, match="rc: the connection was lost"):
        host.wait(command, "sleep 4714", 600, lambda: False)
    with pytest.raises(HostLost, match="rc: the connection was lost"):
        host.run("true")
    host.close()
    assert ends("4714")
    machine.up()


def test_busybox_runs_the_guard() -> None:
    words = ["busybox", "ash", "-c", guard(), "guard", "echo $0; sleep 4715", "1"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.wait(PATIENCE) != 0
    assert ends("4715")


def opened(machine: Machine, change: Callable[[], None]) -> str:
    change()
    with pytest.raises((InputError, HostLost)) as error:
        open_host("rc", side_of(machine))
    return str(error.value)


def test_a_wrong_host_key_is_refused(machine: Machine) -> None:
    def changed() -> None:
        machine.down()
        public = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        machine.up()
        (machine.folder / "known_hosts").write_text(f"[127.0.0.1]:{machine.port} {public}")

    told = opened(machine, changed)
    assert told.startswith("rc.host: 'ssh:board': a host whose key known_hosts has")
    assert machine.lines == []


def test_a_key_that_it_does_not_take(machine: Machine) -> None:
    def changed() -> None:
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(machine.folder / "user_key")

    told = opened(machine, changed)
    assert told.startswith("rc.host: 'ssh:board': a host that takes a key of yours")


def test_nobody_listens(machine: Machine) -> None:
    told = opened(machine, machine.down)
    assert told.startswith("rc: ssh:board does not answer: ")
    machine.up()


def test_a_namespace_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"rc\.host: 'netns:ntbbench-none': a host that runs"):
        open_host("rc", BoardSide(host="netns:ntbbench-none"))


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(HostLost, match="rc: no-such-become: No such file"):
        LocalHost("rc", "", ["no-such-become"]).run("true")
    assert not Path("no-such-become").exists()
