# SPDX-License-Identifier: BSD-3-Clause
"""The help says what the exit codes mean, and names each choice once."""

import re
import subprocess
import sys

import pytest

from ntbbench.cli.main import COMMANDS, main
from ntbbench.core.errors import ExitCode


def help_of(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


def test_the_help_lists_every_exit_code(capsys) -> None:
    codes = help_of(capsys).partition("exit codes:")[2]
    assert {int(code) for code in re.findall(r"^  (\d+) ", codes, re.MULTILINE)} == {*ExitCode}


@pytest.mark.parametrize(
    "command",
    ["compat", "doorbell", "patches", "compare", "gate", "calibrate", "history", "replay"],
)
def test_a_command_lists_its_exit_codes(capsys, command: str) -> None:
    assert command in COMMANDS
    assert "exit codes:" in help_of(capsys, command)


@pytest.mark.parametrize("command", ["compat", "doorbell", "patches"])
def test_no_format_is_offered_twice(capsys, command: str) -> None:
    shown = re.search(r"--format (\S+)", help_of(capsys, command))
    assert shown is not None
    assert "md" in shown[1].split("|")
    assert "markdown" not in shown[1]


def test_runs_says_what_several_files_are(capsys) -> None:
    told = " ".join(help_of(capsys, "gate").split())
    assert "each file is a metric" in told
    assert "the first column of the first file is the base" in told


IMPORTED = """
import sys
from ntbbench.cli.main import main
try:
    main(["gate", "--help"])
except SystemExit:
    print([name for name in sys.modules if name.startswith("ntbbench.cli.")])
"""


def test_a_command_imports_no_other() -> None:
    told = subprocess.check_output([sys.executable, "-c", IMPORTED], text=True)
    assert "'ntbbench.cli.gate'" in told
    assert "'ntbbench.cli.lab'" not in told


def test_a_command_that_is_none_names_all(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["nosuch"])
    assert stop.value.code == ExitCode.BAD_INPUT
    told = capsys.readouterr().err
    assert all(f"'{command}'" in told for command in COMMANDS)


@pytest.mark.parametrize("words", [["--help"], ["hardware"], ["capture", "--help"]])
def test_what_needs_no_numbers_loads_none(words: list[str]) -> None:
    """numpy and scipy take longer to load than these commands to run."""
    program = (
        "import sys; from ntbbench.cli.main import run\n"
        f"try: run({words!r})\n"
        "except SystemExit: pass\n"
        "print({'numpy', 'scipy', 'plotly'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], text=True, capture_output=True, check=True
    )
    assert done.stderr.strip() == "set()"


def test_the_help_leads_with_what_a_user_wants(capsys) -> None:
    told = help_of(capsys)
    wants = [line.rstrip(":") for line in told.splitlines() if line.endswith(":")]
    assert wants[:3] == ["test a driver", "gate a CI", "measure a board"]
    assert all(re.search(rf"^  {command} ", told, re.MULTILINE) for command in COMMANDS)
