# SPDX-License-Identifier: BSD-3-Clause
"""Two revisions in worktrees: built, and the repository left as it was on every way out."""

import os
from dataclasses import replace
from pathlib import Path

import children
import pytest

from ntbbench.ab import revisions
from ntbbench.ab.process import Interrupted, Job, Ran, Stop, run_job
from ntbbench.ab.revisions import HERE, parse_range, worktrees
from ntbbench.core.errors import InputError

NAMES = {"base": "true", "candidate": "true"}


def git(*words: str) -> str:
    author = {
        f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    done = children.run(
        ["git", *words], capture_output=True, text=True, check=True, env={**os.environ, **author}
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The current folder, with two commits whose file `n` holds 1 and 2."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    git("init", "--quiet")
    commits = []
    for number in "12":
        Path("n").write_text(number)
        git("add", "n")
        git("commit", "--quiet", "-m", number)
        commits.append(git("rev-parse", "HEAD"))
    return commits


def state() -> tuple[str, ...]:
    left = Path(".git/worktrees")
    known = " ".join(sorted(path.name for path in left.iterdir())) if left.exists() else ""
    return git("worktree", "list"), git("status", "--short"), git("branch"), known


def never() -> bool:
    return False


def test_each_side_has_its_tree_and_its_environment(repository: list[str]) -> None:
    before = state()
    builds = dict.fromkeys(NAMES, "{python} -c \"open('built', 'w')\"")
    with worktrees("HEAD~1..HEAD", builds, never) as places:
        trees = [places[side] for side in ("base", "candidate")]
        assert [(place.folder / "n").read_text() for place in trees] == ["1", "2"]
        assert all((place.folder / "built").exists() for place in trees)
        assert [place.revision for place in trees] == repository
        assert len({place.python for place in trees}) == 2
        for place in trees:
            prefix = ["-c", "import sys; print(sys.prefix)"]
            done = children.run([place.python, *prefix], capture_output=True, text=True, check=True)
            assert done.stdout.strip() == place.environment["VIRTUAL_ENV"]
            assert place.environment["PATH"].startswith(str(Path(place.python).parent))
            assert place.words("--base", "{python} a") == [place.python, "a"]
    assert not any(place.folder.exists() for place in trees)
    assert state() == before


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The words of every process; what venv and pip would do is theirs, and takes seconds."""
    ran: list[list[str]] = []

    def quick(job: Job, stop: Stop) -> Ran:
        ran.append(list(job.words))
        words = ["true"] if {"pip", "venv"} & {*job.words} else job.words
        return run_job(replace(job, words=words), stop)

    monkeypatch.setattr(revisions, "run_job", quick)
    return ran


@pytest.mark.parametrize("package", [True, False])
def test_a_package_is_installed_by_default(
    repository: list[str], asked: list[list[str]], package: bool
) -> None:
    if package:
        Path("setup.py").touch()
        git("add", "setup.py")
        git("commit", "--quiet", "-m", "3")
    with worktrees("HEAD..HEAD", {"base": "", "candidate": ""}, never):
        pass
    installs = [words[1:] for words in asked if "pip" in words]
    assert installs == [["-m", "pip", "install", "--quiet", "."]] * (2 if package else 0)


@pytest.mark.parametrize(
    ("text", "builds", "told"),
    [
        ("HEAD", NAMES, "--git: 'HEAD': two revisions: A..B"),
        ("HEAD...HEAD", NAMES, "--git: 'HEAD...HEAD': two revisions: A..B"),
        ("..HEAD", NAMES, "--git: '..HEAD': two revisions: A..B"),
        ("HEAD..nowhere", NAMES, "--git: 'nowhere': a commit of the repository here"),
        ("HEAD~1..HEAD", {**NAMES, "candidate": "false"}, "--build-candidate: 'false': a command"),
    ],
)
def test_what_fails_leaves_the_repository_as_it_was(
    repository: list[str], asked: list[list[str]], text: str, builds: dict, told: str
) -> None:
    before = state()
    with pytest.raises(InputError) as raised, worktrees(text, builds, never):
        pytest.fail("nothing to measure")
    assert str(raised.value).startswith(told)
    assert state() == before


def test_an_end_that_was_asked_for_leaves_the_repository_as_it_was(
    repository: list[str], asked: list[list[str]]
) -> None:
    before = state()
    builds = {"base": "sleep 60", "candidate": ""}
    with pytest.raises(Interrupted), worktrees("HEAD~1..HEAD", builds, lambda: True):
        pytest.fail("nothing to measure")
    with pytest.raises(KeyboardInterrupt), worktrees("HEAD~1..HEAD", NAMES, never):
        raise KeyboardInterrupt
    assert state() == before


def test_a_range_is_two_revisions() -> None:
    assert parse_range("main..v1.2") == ("main", "v1.2")
    assert HERE.folder is None
