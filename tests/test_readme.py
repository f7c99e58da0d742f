# SPDX-License-Identifier: BSD-3-Clause
"""Every command of the README's tour and of the docs runs, and prints what is written there."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
GUEST_PAGES = {"lab.md", "pair-lab.md"}  # their commands boot a real kernel: `make test-guest`
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
TIMEOUT = 120


def sessions(page: Path) -> list[tuple[str, str]]:
    """Return (command, expected output) of every `$ ` line in the page's console blocks."""
    found: list[tuple[str, str]] = []
    for block in BLOCK.findall(page.read_text()):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            found.append((command, expected))
    return found


def run(command: str, folder: Path) -> str:
    """Run one shell line as a reader would, with this interpreter's scripts first on the PATH."""
    scripts = str(Path(sys.executable).parent)
    env = os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}", "COLUMNS": "80"}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=env, text=True, timeout=TIMEOUT,
        capture_output=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), f"{command}: exit {done.returncode}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page, id=page.name, marks=[pytest.mark.guest] if page.name in GUEST_PAGES else []
        )
        for page in PAGES
    ],
)
def test_commands_of_the_page(page: Path, tmp_path: Path) -> None:
    """A block's output must match; `...` stands for what differs from run to run."""
    for name in ("docs", "tests", "results"):
        (tmp_path / name).symlink_to(ROOT / name)
    checker = doctest.OutputChecker()
    for command, expected in sessions(page):
        printed = run(command, tmp_path)
        if expected:
            assert checker.check_output(expected, printed, doctest.ELLIPSIS), (
                f"{page.name}: $ {command}\nexpected:\n{expected}\nprinted:\n{printed}"
            )


def test_the_tour_has_commands() -> None:
    assert len(sessions(ROOT / "README.md")) >= 5
