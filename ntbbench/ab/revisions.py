# SPDX-License-Identifier: BSD-3-Clause
"""Two revisions of a repository, each in a worktree and a virtual environment of its own."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ntbbench.ab.process import Job, Stop, run_job, split
from ntbbench.compare.records import Side
from ntbbench.core.ending import scratch_folder
from ntbbench.core.errors import InputError

BUILD_TIMEOUT = 3600.0  # seconds
PYTHON = "{python}"
PACKAGED = ("pyproject.toml", "setup.py")


@dataclass(frozen=True)
class Setup:
    """What one side runs in.

    Parameters
    ----------
    folder : its working folder; None: that of this process.
    python : what {python} stands for.
    environment : what its processes have beside the environment of this one.
    """

    folder: Path | None
    python: str
    environment: Mapping[str, str]
    revision: str = ""

    def words(self, option: str, command: str) -> list[str]:
        """Return the words of a command with {python} filled in."""
        return [word.replace(PYTHON, self.python) for word in split(option, command)]


HERE = Setup(None, sys.executable, {})


def parse_range(text: str) -> tuple[str, str]:
    """Return the two revisions of A..B."""
    base, dots, candidate = text.partition("..")
    if not dots or not base or not candidate or candidate.startswith("."):
        raise InputError("--git", text, "two revisions: A..B")
    return base, candidate


@contextmanager
def worktrees(text: str, builds: Mapping[Side, str], stop: Stop) -> Iterator[dict[Side, Setup]]:
    """Yield both revisions built, and leave the repository as it was on every way out.

    Parameters
    ----------
    builds : the command that builds each side; empty: `pip install .` where there is a package.

    Raises
    ------
    InputError : no repository, no such revision, a build that fails.
    Interrupted : `stop` said so during a build.
    """
    revisions = parse_range(text)
    with scratch_folder() as folder, ExitStack() as stack:
        found: dict[Side, Setup] = {}
        sides: Sequence[Side] = ("base", "candidate")
        for side, revision in zip(sides, revisions, strict=True):
            commit = _commit(revision, stop)
            tree = folder / side
            stack.callback(_removed, tree)
            _git(["worktree", "add", "--detach", str(tree), commit], stop)
            found[side] = _built(side, tree, commit, builds[side], stop)
        yield found


def _built(side: Side, tree: Path, commit: str, build: str, stop: Stop) -> Setup:
    venv = tree.with_name(f"{side}-venv")
    _run("--git", [sys.executable, "-m", "venv", str(venv)], HERE, stop)
    path = f"{venv / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = {"VIRTUAL_ENV": str(venv), "PATH": path}
    place = Setup(tree, str(venv / "bin/python"), environment, commit)
    if build:
        built(f"--build-{side}", build, place, stop)
    elif any((tree / name).exists() for name in PACKAGED):
        words = [place.python, "-m", "pip", "install", "--quiet", "."]
        _run("--git", words, place, stop)
    return place


def built(option: str, command: str, place: Setup, stop: Stop) -> None:
    """Run the command that builds a side."""
    _run(option, place.words(option, command), place, stop)


def _git(words: list[str], stop: Stop) -> str:
    place = Setup(None, sys.executable, {"LC_ALL": "C"})
    return _run("--git", ["git", *words], place, stop).decode(errors="replace").strip()


def _commit(revision: str, stop: Stop) -> str:
    try:
        return _git(["rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"], stop)
    except InputError:
        raise InputError("--git", revision, "a commit of the repository here") from None


def _removed(tree: Path) -> None:
    """Remove a worktree and what git knows of it, also where it was only half made."""
    if tree.exists():
        _git(["worktree", "remove", "--force", "--force", str(tree)], lambda: False)
    _git(["worktree", "prune"], lambda: False)


def _run(option: str, words: list[str], place: Setup, stop: Stop) -> bytes:
    job = Job(option, words, place.folder, place.environment, None, BUILD_TIMEOUT)
    return run_job(job, stop).stdout
