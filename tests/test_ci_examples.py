# SPDX-License-Identifier: BSD-3-Clause
"""The shell steps of the CI examples run as they are written, each in a shell of its own."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

DOCS = Path(__file__).parent.parent / "docs" / "ci"
BENCH = """\
def test_count(benchmark):
    benchmark.extra_info["instructions"] = {count}
    benchmark.pedantic(lambda: sum(range(20000)), rounds=8)
"""

COUNTING = """\
import json, pathlib, sys
assert sys.argv[1] == "--into"
path = pathlib.Path(sys.argv[2])
record = json.loads(path.read_text())
record["benchmarks"][0]["extra_info"]["instructions_per_dispatch"] = {count}
path.write_text(json.dumps(record))
"""


def github_steps() -> tuple[list[str], list[str]]:
    """Return the steps of the job, and those that run whatever happened."""
    steps = yaml.safe_load((DOCS / "github-actions.yml").read_text())["jobs"]["gate"]["steps"]
    shell = [step for step in steps if "run" in step]
    usual = [step["run"] for step in shell if "if" not in step]
    return usual, [step["run"] for step in shell if "if" in step]


def gitlab_steps() -> tuple[list[str], list[str]]:
    job = yaml.safe_load((DOCS / "gitlab-ci.yml").read_text())["ntbbench"]
    return job["script"], job["after_script"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one bench, a policy, and programs that record what they are asked to post."""
    (tmp_path / "benches").mkdir()
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "policy.toml").write_text((DOCS / "policy.toml").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("gh", "curl"):
        program = programs / name
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/posted"\n')
        program.chmod(0o755)
    for name in ("sudo", "apt-get"):  # valgrind is here already, or not needed
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    starter = programs / "ntbbench"
    starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ntbbench.cli.main "$@"\n')
    starter.chmod(0o755)
    return tmp_path


def run_steps(project: Path, steps: tuple[list[str], list[str]], count: int) -> int:
    """Run a job as its service does and return the exit code of the first step that failed."""
    (project / "benches" / "test_count.py").write_text(BENCH.format(count=count))
    root = str(Path(__file__).parent.parent)
    environment = os.environ | {
        "PATH": f"{project / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": root,
        "NTBBENCH": "pytest",  # what is under test is installed, or on the path, already
        "PULL_REQUEST": "7",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_API_V4_URL": "https://gitlab.example/api/v4",
        "CI_PROJECT_ID": "1",
        "NTBBENCH_TOKEN": "secret",
        "GITHUB_STEP_SUMMARY": str(project / "summary.md"),
    }
    code = 0
    for step in steps[0]:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", step],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        code = done.returncode
        if code:
            break
    for step in steps[1]:
        subprocess.run(["bash", "-e", "-c", step], cwd=project, env=environment, check=True)
    return code


@pytest.mark.parametrize("steps", [github_steps, gitlab_steps])
def test_a_job_passes_fails_and_posts(project: Path, steps) -> None:
    assert run_steps(project, steps(), 1000) == 4  # nothing to compare with yet
    assert not (project / "posted").exists()
    (project / "new.json").rename(project / "ci" / "baseline.json")
    assert run_steps(project, steps(), 1000) == 0
    assert "report.md" in (project / "posted").read_text()
    assert run_steps(project, steps(), 1001) == 1
    assert "regressed" in (project / "report.md").read_text()
    assert ET.parse(project / "report.xml").getroot().get("failures") == "1"
    assert (project / "report.html").stat().st_size > 1_000_000


def test_the_github_job_writes_a_summary(project: Path) -> None:
    run_steps(project, github_steps(), 5)
    (project / "new.json").rename(project / "ci" / "baseline.json")
    assert run_steps(project, github_steps(), 6) == 1
    assert (project / "summary.md").read_text().startswith("### ntbbench")


@pytest.mark.parametrize("steps", [github_steps, gitlab_steps])
def test_instructions_beside_the_timings_are_gated(project: Path, steps) -> None:
    (project / "benches" / "__init__.py").touch()  # before the benches of this repository
    counting = project / "benches" / "instructions.py"
    for count, code in ((100, 4), (100, 0), (101, 1)):
        counting.write_text(COUNTING.format(count=count))
        assert run_steps(project, steps(), 5) == code
        if code == 4:
            (project / "new.json").rename(project / "ci" / "baseline.json")
    assert "test_count:instructions_per_dispatch" in (project / "report.md").read_text()
