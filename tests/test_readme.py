# SPDX-License-Identifier: BSD-3-Clause
"""Every command of the README's tour and of the docs runs, and prints what is written there."""

import doctest
import os
import re
import sys
from pathlib import Path

import children
import pytest
from markdown.extensions.toc import slugify

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BOOTS = re.compile(r"^\$ ntbbench lab (?!doctor)", re.MULTILINE)  # a real kernel
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
TIMEOUT = 120


def sessions(page: Path, *, boots: bool) -> list[tuple[str, str]]:
    """Return (command, expected output) of every `$ ` line in the page's console blocks.

    Those of blocks that boot a guest, or of all others: the two share no files.
    """
    found: list[tuple[str, str]] = []
    for block in BLOCK.findall(page.read_text()):
        if bool(BOOTS.search(block)) == boots:
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, expected = part.partition("\n")
                found.append((command, expected))
    return found


def run(command: str, folder: Path) -> str:
    """Run one shell line as a reader would, with this interpreter's scripts first on the PATH."""
    scripts = str(Path(sys.executable).parent)
    env = os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}", "COLUMNS": "80"}
    done = children.run(
        command, shell=True, cwd=folder, env=env, text=True, timeout=TIMEOUT,
        capture_output=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), f"{command}: exit {done.returncode}: {done.stderr}"
    return done.stdout


def check(page: Path, folder: Path, *, boots: bool) -> None:
    """A block's output must match; `...` stands for what differs from run to run."""
    for name in ("docs", "tests", "results"):
        (folder / name).symlink_to(ROOT / name)
    checker = doctest.OutputChecker()
    for command, expected in sessions(page, boots=boots):
        printed = run(command, folder)
        if expected:
            assert checker.check_output(expected, printed, doctest.ELLIPSIS), (
                f"{page.name}: $ {command}\nexpected:\n{expected}\nprinted:\n{printed}"
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_page(page: Path, tmp_path: Path) -> None:
    check(page, tmp_path, boots=False)


@pytest.mark.guest
@pytest.mark.parametrize(
    "page", [p for p in PAGES if sessions(p, boots=True)], ids=lambda page: page.name
)
def test_commands_that_boot_a_guest(page: Path, tmp_path: Path) -> None:
    check(page, tmp_path, boots=True)


def test_the_tour_has_commands() -> None:
    assert len(sessions(ROOT / "README.md", boots=False)) >= 5


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name: str) -> None:
    """`make docs` checks those between the documents."""
    for target, anchor in LINK.findall((ROOT / name).read_text()):
        assert (ROOT / target).exists(), target
        if anchor:
            headings = HEADING.findall((ROOT / target).read_text())
            assert anchor in {slugify(heading, "-") for heading in headings}, f"{target}#{anchor}"
