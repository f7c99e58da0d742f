# SPDX-License-Identifier: BSD-3-Clause
"""The recorded environment: right where it can be read, and outspoken where it cannot."""

import json
import os
from pathlib import Path

import children
import pytest

from ntbbench import __version__
from ntbbench.core.clock import timer
from ntbbench.core.environment import BUILD, comparable, cpu, environment, git, governor

X86 = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu sse2 avx2\n\nprocessor\t: 1\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd05\n"


def test_this_machine() -> None:
    clock = timer()
    record = environment(clock).record()
    assert json.loads(json.dumps(record)) == record
    assert record["ntbbench"] == __version__
    assert record["compiler"] == {
        "name": BUILD.name, "flags": BUILD.flags, "checked": BUILD.checked,
    }  # fmt: skip
    assert record["cpu"]["cores"] == len(os.sched_getaffinity(0))
    assert record["kernel"].startswith(f"Linux {os.uname().release}")
    assert record["clock"]["resolution"] == clock.resolution / 1e9
    assert set(record["libraries"]) == {"numpy", "scipy", "msgspec"}
    assert record["started"].endswith("+00:00")


@pytest.mark.parametrize(
    ("text", "model", "flags"),
    [(X86, "Some CPU @ 2 GHz", ["fpu", "sse2", "avx2"]), (ARM, "0xd05", ["fp", "asimd"])],
)
def test_the_processor(tmp_path: Path, text: str, model: str, flags: list[str]) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    found = cpu(tmp_path / "cpuinfo", tmp_path)
    assert (found.model, found.flags) == (model, flags)


def test_a_processor_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    found = cpu(tmp_path / "cpuinfo", tmp_path / "cpus")
    assert found.model == found.flags == "not readable: No such file or directory"
    (tmp_path / "cpuinfo").write_text("nothing of use\n")
    assert "does not name it" in cpu(tmp_path / "cpuinfo", tmp_path).model


def test_governors(tmp_path: Path) -> None:
    assert governor(tmp_path).startswith("not readable: no cpufreq/scaling_governor below")
    for number, name in enumerate(("performance", "powersave", "performance")):
        folder = tmp_path / f"cpu{number}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{name}\n")
    assert governor(tmp_path) == "performance, powersave"
    unreadable = tmp_path / "cpu3" / "cpufreq" / "scaling_governor"
    unreadable.mkdir(parents=True)
    assert governor(tmp_path) == "not readable: Is a directory"


def make_repository(folder: Path, tracked: str) -> str:
    """Make a repository with one commit of one file; return the commit."""
    folder.mkdir()
    (folder / tracked).write_text("1\n")
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    for words in (
        ["init", "-q"], ["add", tracked], [*identity, "commit", "-q", "-m", "m", "--no-gpg-sign"],
    ):  # fmt: skip
        children.run(["git", "-C", folder, *words], check=True)
    head = ["git", "-C", folder, "rev-parse", "HEAD"]
    return children.run(head, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_of_the_source_comes_first(tmp_path: Path) -> None:
    """A venv inside somebody's repository: that repository does not track the package."""
    source = make_repository(tmp_path / "source", "__init__.py")
    other = make_repository(tmp_path / "other", "README")
    found = git(tmp_path / "source", tmp_path / "other")
    assert (found.commit, found.dirty, found.of) == (source, False, "ntbbench's source")
    (tmp_path / "source" / "__init__.py").write_text("2\n")
    assert git(tmp_path / "source", tmp_path / "other").dirty is True
    for installed in (tmp_path / "site-packages", tmp_path / "other" / ".venv" / "ntbbench"):
        installed.mkdir(parents=True)
        (installed / "__init__.py").write_text("")
        found = git(installed, tmp_path / "other")
        assert (found.commit, found.of) == (other, "current directory")


def test_no_repository_and_no_git_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git(tmp_path, tmp_path).commit.startswith("not readable: fatal: not a git repository")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = git(tmp_path, tmp_path)
    assert found.commit == found.dirty == "not readable: No such file or directory"


def test_what_makes_timings_comparable() -> None:
    record = environment(timer()).record()
    later = record | {"started": "2030-01-01T00:00:00+00:00", "git": None, "clock": None}
    assert comparable(record) == comparable(later)
    assert comparable(record) != comparable(record | {"kernel": "Linux 2.6"})
    assert comparable({}) != comparable(record)
