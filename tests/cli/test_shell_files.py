# SPDX-License-Identifier: BSD-3-Clause
"""The completions in the shells that they are for, and the man page in man."""

import os
import pty
import select
import signal
from pathlib import Path
from shlex import quote

import children
import pytest
from shell_files import EXAMPLES

from ntbbench.cli.main import build_parser

SHELL = Path(__file__).parents[2] / "docs" / "shell"
BASH = """
source {file}
COMP_WORDS=({words}) COMP_CWORD={last}
$(complete -p ntbbench | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
FISH = "source {file}; complete -C '{line}' | cut -f1"
ZSH = (
    "PS1=; fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -d {dump}; "
    "LISTMAX=1000; bindkey '^I' complete-word; echo RE''ADY\r"
)
ASKED = [
    ("ntbbench ca", {"calibrate", "capture"}),
    ("ntbbench lab pair ", {"run", "matrix", "check"}),
    ("ntbbench compare --fa", {"--fail-inconclusive", "--fatal-warning"}),
]


def printed(*command: str) -> str:
    return children.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize(("line", "wanted"), ASKED)
def test_bash(line: str, wanted: set[str]) -> None:
    words = line.split() + [""] * line.endswith(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    script = BASH.format(
        file=quote(str(SHELL / "bash" / "ntbbench")), words=quoted, last=len(words) - 1
    )
    assert wanted <= set(printed("bash", "--norc", "-c", script).split())


@pytest.mark.parametrize(("line", "wanted"), ASKED)
def test_fish(line: str, wanted: set[str]) -> None:
    script = FISH.format(file=quote(str(SHELL / "fish" / "ntbbench.fish")), line=line)
    assert wanted <= set(printed("fish", "--no-config", "-c", script).split())


@pytest.mark.parametrize(("line", "wanted"), ASKED)
def test_zsh(line: str, wanted: set[str], tmp_path: Path) -> None:
    """It completes only for a terminal: the lists come after two tabs."""
    child, terminal = pty.fork()
    if not child:
        os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb"})
    set_up = ZSH.format(folder=quote(str(SHELL / "zsh")), dump=quote(str(tmp_path / "dump")))
    try:
        os.write(terminal, set_up.encode())
        heard(terminal, {"READY"})
        os.write(terminal, f"{line}\t\t".encode())
        heard(terminal, wanted)
    finally:
        os.close(terminal)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def heard(terminal: int, wanted: set[str]) -> None:
    """Read what a shell says until it has said every word."""
    told = ""
    while not all(word in told for word in wanted):
        ready, _, _ = select.select([terminal], [], [], 30)
        assert ready, f"{wanted} not in {told!r}"
        told += os.read(terminal, 4096).decode(errors="replace")


def test_man_reads_the_page() -> None:
    page = SHELL / "man" / "ntbbench.1"
    told = children.run(
        ["man", "--warnings", "-l", page],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    wrong = [line for line in told.stderr.splitlines() if "can't break line" not in line]
    assert wrong == []
    shown = told.stdout.replace("\N{HYPHEN}", "-")
    assert "--ep-driver" in shown
    lines = [line.strip() for line in shown.partition("EXAMPLES")[2].splitlines()]
    commands = [command for commands in EXAMPLES.values() for command in commands]
    assert len(EXAMPLES) == 4
    assert [line for line in lines if line.startswith("ntbbench ")][: len(commands)] == commands


@pytest.mark.parametrize("command", [one for commands in EXAMPLES.values() for one in commands])
def test_an_example_of_the_man_page_is_a_command(command: str) -> None:
    words = command.split()[1:]
    build_parser(words).parse_args(words)
