# SPDX-License-Identifier: BSD-3-Clause
"""Signals at every command that takes long or has children: its exit code, and nothing is left."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from children import NTBBENCH, below, is_running, started, until

HANGS = """
import signal, subprocess, sys, tempfile
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
with tempfile.TemporaryDirectory():
    subprocess.run(["sleep", "600"])
"""
SLEEPS = f"{shlex.quote(sys.executable)} -c {shlex.quote(HANGS)}"
COMMAND = f"{SLEEPS} {{output}}"
CONFIRM = ("gate", "base.json", "slow.json", "--confirm", COMMAND)
CALIBRATE = ("calibrate", "--command", COMMAND, "-o", "t.toml")
AB = ("ab", "--base", SLEEPS, "--candidate", SLEEPS, "-o", "r.json")
SWEEP = ("sweep", "--hardware", "generic", "--queues", "1-32", "--doorbells", "64", "--vectors",
         "1-64", "--repeats", "1000", "--jobs", "2", "-o", "r.json")  # fmt: skip
SIMULATE = ("simulate", "--queues", "1,2", "--replications", "1000", "--jobs", "2",
            "--engine", "reference", "-o", "r.json")  # fmt: skip
BRACKET = ("capture", "-o", "c", "--", "sh", "-c", "sleep 600 & wait")
CAPTURE = ("capture", "-o", "c", "--seconds", "600")


def waits(pid: int) -> bool:
    """Tell whether what the command waits for runs: a sleep."""
    return "sleep" in map(name, below(pid))


def works(pid: int) -> bool:
    """Tell whether workers run: the forkserver's, beside it and the resource tracker."""
    return len(below(pid)) >= 4


def counts(pid: int) -> bool:
    """Tell whether threads count."""
    return len(list(Path(f"/proc/{pid}/task").iterdir())) >= 3


def name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.mark.usefixtures("in_an_empty_folder")
@pytest.mark.parametrize(
    ("words", "begun", "number", "code"),
    [
        (CONFIRM, waits, signal.SIGTERM, 143),
        (CONFIRM, waits, signal.SIGINT, 130),
        (CONFIRM, waits, signal.SIGHUP, 129),
        (CALIBRATE, waits, signal.SIGTERM, 143),
        (AB, waits, signal.SIGTERM, 143),
        ((*AB, "--build", SLEEPS), waits, signal.SIGTERM, 143),
        ((*AB, "--build", SLEEPS), waits, signal.SIGHUP, 129),
        (SWEEP, counts, signal.SIGTERM, 143),
        (SWEEP, counts, signal.SIGHUP, 129),
        (SIMULATE, works, signal.SIGTERM, 143),
        (CAPTURE, waits, signal.SIGTERM, 130),  # the script's own code
        (BRACKET, waits, signal.SIGTERM, 143),  # the command's
    ],
)
def test_a_signal_leaves_no_process_and_no_folder(
    words: tuple[str, ...], begun: Callable[[int], bool], number: int, code: int, tmp_path: Path
) -> None:
    for file, calls in (("base.json", 1), ("slow.json", 2)):
        benchmark = {"name": "a", "stats": {"data": [1.0]}, "extra_info": {"calls": calls}}
        found = {"benchmarks": [benchmark], "machine_info": {"cpu": "x"}}
        Path(file).write_text(json.dumps(found))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with started([*NTBBENCH, *words], env=environment, stderr=subprocess.PIPE, text=True) as child:
        until(lambda: begun(child.pid), child)
        processes = below(child.pid)
        child.send_signal(number)
        _, err = child.communicate()
    assert child.returncode == code, err
    assert "Traceback" not in err and (words == BRACKET or "interrupted" in err.splitlines()[-1])
    until(lambda: not any(map(is_running, processes)))
    assert list(scratch.iterdir()) == []
