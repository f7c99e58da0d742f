# SPDX-License-Identifier: BSD-3-Clause
"""The shell steps of the CI examples run as they are written, each in a shell of its own.

They install ntbbench themselves, from a wheel of this tree, into an environment that has it not.
"""

import json
import os
import sys
import sysconfig
import venv
import xml.etree.ElementTree as ET
from pathlib import Path

import children
import pytest
import yaml

ROOT = Path(__file__).parent.parent
PATIENCE = 1800.0  # seconds: a wheel is built, and a job runs every one of its steps
DOCS = ROOT / "docs" / "ci"
OWN = ("ntbbench", "__editable__")  # what an installation of ntbbench itself leaves
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


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install` makes of a checkout, built once, or the wheel that is under test."""
    if given := os.environ.get("NTBBENCH_WHEEL"):
        return Path(given)
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT]
    children.run(command, check=True, capture_output=True, timeout=PATIENCE)
    (built,) = folder.glob("ntbbench-*.whl")
    return built


def empty_environment(folder: Path) -> Path:
    """Make a virtual environment without ntbbench and return its programs' folder.

    It sees the libraries that this interpreter has, so nothing is fetched.
    """
    venv.create(folder / "venv", symlinks=True)
    libraries = folder / "libraries"
    libraries.mkdir()
    here = Path(sysconfig.get_path("purelib"))
    for path in here.iterdir():
        if not path.name.startswith(OWN) and path.suffix != ".pth":
            (libraries / path.name).symlink_to(path)
    relative = here.relative_to(sys.prefix)
    (folder / "venv" / relative / "libraries.pth").write_text(f"{libraries}\n")
    return folder / "venv" / "bin"


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
    empty_environment(tmp_path)
    return tmp_path


def run_steps(
    project: Path, steps: tuple[list[str], list[str]], count: int, source: str | Path
) -> int:
    """Run a job as its service does and return the exit code of the first step that failed.

    `source` is what the user's variable NTBBENCH says; what the steps print is kept in `printed`.
    """
    (project / "benches" / "test_count.py").write_text(BENCH.format(count=count))
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = inherited | {
        "PATH": f"{project / 'bin'}:{project / 'venv' / 'bin'}:{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
        "NTBBENCH": str(source),
        "PULL_REQUEST": "7",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_API_V4_URL": "https://gitlab.example/api/v4",
        "CI_PROJECT_ID": "1",
        "NTBBENCH_TOKEN": "secret",
        "GITHUB_STEP_SUMMARY": str(project / "summary.md"),
    }
    code = 0
    for step in steps[0]:
        command = ["bash", "-e", "-o", "pipefail", "-c", step]
        done = children.run(
            command, cwd=project, env=environment, capture_output=True, text=True, timeout=PATIENCE
        )
        code = done.returncode
        with (project / "printed").open("a", encoding="utf-8") as file:
            file.write(done.stdout + done.stderr)
        if code:
            break
    for step in steps[1]:
        children.run(
            ["bash", "-e", "-c", step], cwd=project, env=environment, check=True, timeout=PATIENCE
        )
    return code


def keep_baseline(project: Path) -> None:
    """Commit the baseline that the job made: one number of each benchmark, and its counts."""
    baseline = project / "baseline.json"
    metrics = json.loads(baseline.read_text())["metrics"]
    assert [one["kind"] for one in metrics].count("noisy") == 1
    assert all(isinstance(one["value"], int | float) for one in metrics)
    baseline.rename(project / "ci" / "baseline.json")


@pytest.mark.parametrize("steps", [github_steps, gitlab_steps])
def test_a_job_passes_fails_and_posts(project: Path, wheel: Path, steps) -> None:
    installed = project / "venv" / "bin" / "ntbbench"
    assert not installed.exists()
    assert run_steps(project, steps(), 1000, wheel) == 4  # nothing to compare with yet
    assert installed.exists()
    assert not (project / "posted").exists()
    keep_baseline(project)
    assert run_steps(project, steps(), 1000, wheel) == 0
    posted = (project / "posted").read_text()
    assert "report.md" in posted
    # one comment for all pushes of a pull request
    assert steps is not github_steps or "--edit-last\n--create-if-none" in posted
    assert run_steps(project, steps(), 1001, wheel) == 1
    if steps is github_steps:
        assert (project / "summary.md").read_text().startswith("### ntbbench")
    assert "regressed" in (project / "report.md").read_text()
    assert ET.parse(project / "report.xml").getroot().get("failures") == "1"
    assert (project / "report.html").stat().st_size > 100_000


def test_a_pull_request_from_a_fork_gets_no_comment() -> None:
    """Its token only reads: posting would fail the job."""
    steps = yaml.safe_load((DOCS / "github-actions.yml").read_text())["jobs"]["gate"]["steps"]
    (post,) = [step for step in steps if "gh pr comment" in step.get("run", "")]
    condition = "github.event.pull_request.head.repo.full_name == github.repository"
    assert post["if"] == f"always() && {condition}"


@pytest.mark.parametrize("steps", [github_steps, gitlab_steps])
@pytest.mark.parametrize("source", ["", "ntbbench"])
def test_a_job_that_does_not_know_where_ntbbench_is_says_so(project: Path, steps, source) -> None:
    assert run_steps(project, steps(), 1000, source) == 2
    printed = (project / "printed").read_text()
    assert "set the variable NTBBENCH to git+https://HOST/OWNER/ntbbench@COMMIT or" in printed
    assert not (project / "new.json").exists()


@pytest.mark.parametrize("steps", [github_steps, gitlab_steps])
def test_instructions_beside_the_timings_are_gated(project: Path, wheel: Path, steps) -> None:
    counting = project / "benches" / "instructions.py"
    for count, code in ((100, 4), (100, 0), (101, 1)):
        counting.write_text(COUNTING.format(count=count))
        assert run_steps(project, steps(), 5, wheel) == code
        if code == 4:
            keep_baseline(project)
    assert "test_count:instructions_per_dispatch" in (project / "report.md").read_text()
