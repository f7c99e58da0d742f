# SPDX-License-Identifier: BSD-3-Clause
"""What docs/series.md gives to the kernel's CI, run as it stands; guests are recordings."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from series_fake import AFTER, BROKEN, LOSES, SIDES, driver, fake_commits
from series_mails import AUTHOR, Commits

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
STUB = ROOT / "tests" / "support" / "ntbbench_on_recordings.py"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell that finds the stub as `ntbbench`."""
    place = tmp_path / "bin"
    place.mkdir()
    program = place / "ntbbench"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {STUB} "$@"\n')
    program.chmod(0o755)
    python = place / "python3"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    path = f"{place}:{os.environ['PATH']}"
    return {**AUTHOR, "PATH": path, "PYTHONPATH": f"{STUB.parent}"}


@pytest.fixture
def commits(tmp_path: Path) -> Commits:
    """Two sound commits, and one between them that nothing here runs."""
    found = fake_commits(tmp_path / "linux")
    found.commit("PCI: endpoint: vntb: The endpoint", {SIDES["EP"]: driver(AFTER)})
    found.commit("Documentation: Words", {"Documentation/x": "x\n"})
    found.commit("NTB: epf: The root complex", {SIDES["RC"]: driver(AFTER)})
    return found


def lines_of(name: str, begin: str) -> str:
    """Return the one shell line of a document that begins so."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (DOCS / name).read_text(), re.M | re.S)
    (line,) = (line for block in blocks for line in block.splitlines() if line.startswith(begin))
    return line


def call(command: str | list[str], env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess:
    shell = isinstance(command, str)
    return subprocess.run(
        command, shell=shell, env=env, cwd=cwd, capture_output=True, text=True, check=False
    )


def test_a_rebase_tests_each_commit(env: dict[str, str], commits: Commits) -> None:
    line = lines_of("series.md", "git rebase -x").replace("BASE", commits.base)
    heads = commits.git("rev-list", "HEAD")
    ran = call(line, env, commits.folder)
    assert ran.returncode == 0, ran.stderr
    assert commits.git("rev-list", "HEAD") == heads
    assert (ran.stdout + ran.stderr).count("1 commit, bisectable") == 2
    commits.commit("NTB: epf: Lose", {SIDES["RC"]: driver(LOSES)})
    ran = call(line, env, commits.folder)
    assert ran.returncode == 1 and "commit 1 (epf: Lose): breaks a peer" in ran.stdout + ran.stderr


def test_the_executor_of_netdev_publishes_each_new_branch(
    env: dict[str, str], commits: Commits, tmp_path: Path
) -> None:
    tree, results = tmp_path / "clone", tmp_path / "results"
    commits.git("clone", "--quiet", str(commits.folder), str(tree))
    results.mkdir()
    branch = {"branch": "main", "base": commits.base, "url": str(commits.folder)}
    branches = tmp_path / "branches.json"
    branches.write_text(json.dumps([branch]))
    words = [branches.as_uri(), str(tree), str(results), "--check", "none"]
    command = [sys.executable, str(DOCS / "ci" / "netdev-executor.py"), *words]
    ran = call(command, env, tmp_path)
    assert ran.returncode == 0, ran.stderr
    (first,) = json.loads((results / "results.json").read_text())
    assert first["executor"] == "ntbbench" and first["branch"] == "main"
    assert {one["result"] for one in first["results"]} == {"pass"} and len(first["results"]) == 8
    assert (results / "main.html").read_text().startswith("<!DOCTYPE html>")
    base = commits.git("rev-parse", "HEAD").strip()
    commits.git("checkout", "--quiet", "-b", "next")
    commits.commit("NTB: epf: Lose", {SIDES["RC"]: driver(LOSES)})
    branches.write_text(json.dumps([branch, {**branch, "branch": "next", "base": base}]))
    assert call(command, env, tmp_path).returncode == 0
    again, second = json.loads((results / "results.json").read_text())
    assert again == first
    assert [one["test"] for one in second["results"] if one["result"] == "fail"] == ["1-peers"]


@pytest.mark.parametrize(("kind", "code"), [(AFTER, 0), (LOSES, 1)])
def test_the_job_of_kernelci_leaves_its_reports(
    env: dict[str, str], commits: Commits, tmp_path: Path, kind: str, code: int
) -> None:
    commits.commit("NTB: epf: One more", {SIDES["RC"]: driver(kind) + "/* 4 */\n"})
    out = tmp_path / "out"
    asked = {"TREE": str(commits.folder), "RANGE": f"{commits.base}..HEAD", "OUT": str(out)}
    ran = call([str(DOCS / "ci" / "kernelci-job.sh"), "--check", "none"], env | asked, tmp_path)
    assert ran.returncode == code, ran.stderr
    report = json.loads((out / "kcidb.json").read_text())
    assert len(report["checkouts"]) == 3
    assert (out / "series.ktap").read_text().startswith("KTAP version 1\n")
    assert {path.name for path in out.iterdir()} == {
        *("kcidb.json", "series.json", "series.ktap", "series.html")
    }


def test_a_bisection_finds_the_commit(env: dict[str, str], tmp_path: Path) -> None:
    """What does not build is skipped."""
    commits = fake_commits(tmp_path / "linux")
    for number, kind in enumerate((AFTER, BROKEN, AFTER, LOSES, LOSES), 1):
        text = f"{driver(kind)}/* {number} */\n"
        commits.commit(f"vntb: {number} is {kind}", {SIDES["EP"]: text})
    commits.git("bisect", "start", "HEAD", commits.base)
    ran = call(lines_of("series.md", "git bisect run"), env, commits.folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    bad = commits.git("show", "-s", "--format=%s", "refs/bisect/bad").strip()
    assert bad == "vntb: 4 is loses"
