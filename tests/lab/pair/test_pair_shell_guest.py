# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab shell` in a terminal: the guest answers, and the terminal gets it back."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Boots a kernel that is built once: `make test-guest`.
pytestmark = pytest.mark.guest

PATIENCE = 600  # seconds; a test that waits longer has hung


class Terminal:
    """A terminal of 100 columns, in a tmux of its own."""

    def __init__(self, socket: Path, command: str) -> None:
        self.tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        size = ("-x", "100", "-y", "50")
        self.call("new-session", "-d", *size, "-s", "shell", f"{command}; exec sleep {PATIENCE}")

    def call(self, *words: str) -> str:
        return subprocess.run(
            [*self.tmux, *words], capture_output=True, text=True, check=True
        ).stdout

    def type(self, text: str) -> None:
        self.call("send-keys", "-t", "shell", text, "Enter")

    def wait_for(self, text: str) -> str:
        for _ in range(PATIENCE):
            shown = self.call("capture-pane", "-p", "-J", "-t", "shell")
            if text in (line.strip() for line in shown.splitlines()):
                return shown
            time.sleep(1)
        raise AssertionError(f"no {text!r}:\n{shown}")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    command = f"{sys.executable} -m ntbbench.cli.main lab shell --queues 2; echo code $?"
    opened = Terminal(tmp_path / "tmux", command)
    yield opened
    opened.call("kill-server")


def test_a_shell_has_both_interfaces_and_the_traces(terminal: Terminal) -> None:
    terminal.wait_for("pair#")
    terminal.type("rc ping -c 1 $EP_ADDRESS > /dev/null; echo pinged $?")
    terminal.wait_for("pinged 0")
    terminal.type("echo 1 > $TRACING/events/kprobes/enable; ping -c 1 $RC_ADDRESS > /dev/null")
    terminal.type("grep -q db_event $TRACING/trace; echo traced $?")
    terminal.wait_for("traced 0")
    terminal.type("exit")
    terminal.wait_for("code 0")
