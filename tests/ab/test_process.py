# SPDX-License-Identifier: BSD-3-Clause
"""One timed process: what it took, what it left, and that nothing of it stays."""

import os
import shlex
import sys
import time
from pathlib import Path

import pytest

from ntbbench.ab.process import Interrupted, Job, run_job, split
from ntbbench.core.errors import InputError

PATIENCE = 60.0


def job(command: str, **changes: object) -> Job:
    usual = {"folder": None, "environment": {}, "cpu": None, "timeout": PATIENCE}
    return Job("--base", split("--base", command), **{**usual, **changes})


def python(code: str) -> str:
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def never() -> bool:
    return False


def ended(pid: int) -> bool:
    """Tell whether a process is gone, or a zombie that its new parent has not waited for."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False


def test_what_it_took_and_printed() -> None:
    code = "import time; time.sleep(0.2); sum(range(10**6)); print('took 5')"
    ran = run_job(job(python(code)), never)
    assert ran.wall >= 0.2
    assert ran.cpu > 0
    assert ran.stdout == b"took 5\n"


def test_its_folder_its_environment_and_its_cpu(tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    code = "import os; print(os.getcwd(), os.environ['A'], *os.sched_getaffinity(0))"
    ran = run_job(job(python(code), folder=tmp_path, environment={"A": "b"}, cpu=cpu), never)
    assert ran.stdout.decode().split() == [str(tmp_path), "b", str(cpu)]
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("", "--base: '': a command line"),
        ("'", '--base: "\'": a command line: No closing quotation'),
        ("./no-such-program", "'./no-such-program': a program that can be run: No such file"),
        (python("import sys; sys.exit('broken\\n')"), "exits 1: broken"),
        (python("raise SystemExit(3)"), "exits 3: it says nothing"),
        (python("import os; os.kill(os.getpid(), 9)"), "was ended by SIGKILL"),
    ],
)
def test_what_fails_is_told_in_one_line(command: str, told: str) -> None:
    with pytest.raises(InputError) as raised:
        run_job(job(command), never)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_cpu_that_is_not_there() -> None:
    with pytest.raises(InputError, match="--pin: 4095: one of the CPUs"):
        run_job(job("true", cpu=4095), never)


FORKS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("pid", "w").write(str(child.pid))
"""


def test_a_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    slow = job(python(f"{FORKS}time.sleep(600)"), folder=tmp_path, timeout=2)
    with pytest.raises(InputError, match=r"a command that ends within 2 s \(--timeout\)"):
        run_job(slow, never)
    assert ended(int((tmp_path / "pid").read_text()))


def test_who_is_asked_to_end_ends_the_whole_group(tmp_path: Path) -> None:
    slow = job(python(f"{FORKS}time.sleep(600)"), folder=tmp_path)
    with pytest.raises(Interrupted):
        run_job(slow, lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
    assert ended(int((tmp_path / "pid").read_text()))


def test_what_a_run_leaves_behind_is_ended_too(tmp_path: Path) -> None:
    run_job(job(python(FORKS), folder=tmp_path), never)
    assert ended(int((tmp_path / "pid").read_text()))
