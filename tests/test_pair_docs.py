# SPDX-License-Identifier: BSD-3-Clause
"""The generated tables of docs/driver-pair.md are what the commands print today."""

import re
import shlex
from pathlib import Path

import pytest

from ntbbench.cli.main import main

PAGE = Path(__file__).resolve().parent.parent / "docs" / "driver-pair.md"
BLOCK = re.compile(r"<!-- \$ ntbbench (.*?) -->\n(.*?)<!-- end -->", re.DOTALL)
BLOCKS = BLOCK.findall(PAGE.read_text())


def test_the_page_has_generated_blocks() -> None:
    assert [command.split()[0] for command, _ in BLOCKS] == ["compat", "patches"]


@pytest.mark.parametrize(("command", "written"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_generated_block(capsys: pytest.CaptureFixture[str], command: str, written: str) -> None:
    assert main(shlex.split(command)) == 0
    printed = capsys.readouterr().out
    assert written.strip() == printed.strip(), f"docs/driver-pair.md: paste: ntbbench {command}"
