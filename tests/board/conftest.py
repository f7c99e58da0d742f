# SPDX-License-Identifier: BSD-3-Clause
"""A board of two network namespaces, and the other machine by ssh."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from machine_apart import MachineApart
from ssh_machine import Machine
from ssh_servers import dropbear_server, openssh_server

NAMES = tuple(f"ntbbench-{letter}{os.getpid()}" for letter in "ab")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    folder = tmp_path / "machine"
    folder.mkdir()
    found = Machine(folder)
    yield found
    found.close()


@pytest.fixture
def pair() -> Iterator[tuple[str, str]]:
    """Two namespaces joined by a veth with four queues, each counted by the qdisc mq."""
    try:
        for name in NAMES:
            ip("netns", "add", name)
        queues = ("numtxqueues", "4", "numrxqueues", "4")
        ip("link", "add", "link0", "netns", NAMES[0], *queues, "type", "veth",
           "peer", "name", "link0", "netns", NAMES[1], *queues)  # fmt: skip
        for number, name in enumerate(NAMES, start=1):
            ip("-n", name, "addr", "add", f"10.93.7.{number}/24", "dev", "link0")
            ip("-n", name, "link", "set", "link0", "up")
            ip("-n", name, "link", "set", "lo", "up")
            enter = ["ip", "netns", "exec", name]
            mq = ["tc", "qdisc", "add", "dev", "link0", "root", "handle", "1:", "mq"]
            subprocess.run([*enter, *mq], check=True)
        yield NAMES
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@pytest.fixture
def sides(pair: tuple[str, str]) -> dict[str, dict[str, Any]]:
    """The tables [rc] and [ep] of the pair."""
    return {
        side: {"host": f"netns:{name}", "netdev": "link0", "address": f"10.93.7.{number}"}
        for number, (side, name) in enumerate(zip(("rc", "ep"), pair, strict=True), start=1)
    }


@pytest.fixture
def openssh(tmp_path: Path) -> Iterator[Path]:
    """OpenSSH's server as Debian has it; its client's configuration is yielded."""
    with openssh_server(tmp_path) as config:
        yield config


@pytest.fixture
def dropbear(tmp_path: Path) -> Iterator[Path]:
    """Dropbear, which boards without OpenSSH have."""
    with dropbear_server(tmp_path) as config:
        yield config


@pytest.fixture
def apart(pair: tuple[str, str], tmp_path: Path) -> Iterator[Callable[..., MachineApart]]:
    """Make a machine of the first namespace; options as of MachineApart."""
    with ExitStack() as stack:

        def made(**options: Any) -> MachineApart:
            found = MachineApart(tmp_path / "apart", pair[0], **options)
            stack.callback(found.end)
            return found

        yield made
