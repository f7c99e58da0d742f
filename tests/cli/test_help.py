# SPDX-License-Identifier: BSD-3-Clause
"""The help says what the exit codes mean and names each choice once; no command loads another."""

import re
import sys

import children
import pytest

from ntbbench.cli.main import COMMANDS, main
from ntbbench.compare.readers import FORMATS
from ntbbench.core.errors import ExitCode


def help_of(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


def test_the_help_lists_every_command_and_exit_code(capsys) -> None:
    told = help_of(capsys)
    codes = re.findall(r"^  (\d+) ", told.partition("exit codes:")[2], re.MULTILINE)
    assert {*map(int, codes)} == {*ExitCode}
    assert all(re.search(rf"^  {command} ", told, re.MULTILINE) for command in COMMANDS)


@pytest.mark.parametrize(
    "command",
    ["compat", "doorbell", "patches", "compare", "gate", "calibrate", "history", "replay"],
)
def test_a_command_lists_its_exit_codes_and_each_format_once(capsys, command: str) -> None:
    told = help_of(capsys, command)
    assert "exit codes:" in told
    shown = re.search(r"--format (\S+)", told)
    assert command == "history" or (shown and "md" in shown[1].split("|"))
    assert "markdown" not in told


@pytest.mark.parametrize("command", ["compare", "gate"])
def test_the_formats_that_are_read_are_named(capsys, command: str) -> None:
    assert FORMATS in " ".join(help_of(capsys, command).split())


def test_a_command_that_is_none_names_all(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["nosuch"])
    assert stop.value.code == ExitCode.BAD_INPUT
    told = capsys.readouterr().err
    assert all(f"'{command}'" in told for command in COMMANDS)


@pytest.mark.parametrize(
    ("words", "strange"),
    [
        (["gate", "--help"], {"ntbbench.cli.lab", "ntbbench.cli.sweep", "numpy"}),
        (["--help"], {"numpy", "scipy", "plotly"}),  # they take longer to load than this to run
        (["hardware"], {"numpy", "scipy", "plotly"}),
        (["capture", "--help"], {"numpy", "scipy", "plotly"}),
    ],
)
def test_what_is_not_needed_is_not_loaded(words: list[str], strange: set[str]) -> None:
    program = (
        f"import sys; from ntbbench.cli.main import run\ntry: run({words!r})\n"
        f"except SystemExit: pass\nprint({strange!r} & set(sys.modules), file=sys.stderr)"
    )
    command = [sys.executable, "-c", program]
    done = children.run(command, text=True, capture_output=True, check=True)
    assert done.stderr.strip() == "set()"
