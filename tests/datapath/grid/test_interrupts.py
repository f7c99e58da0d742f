# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C, SIGTERM, lost workers: what is finished is saved, and `--resume` goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from simulate_runs import ONE, SMALL, Command, found_on, saved, small_grid

from ntbbench.cli import progress as cli_progress
from ntbbench.cli.main import main
from ntbbench.cli.progress import SAME_REQUEST
from ntbbench.core.result_file import write_json
from ntbbench.datapath import grid as grids
from ntbbench.datapath.grid import Found, Grid, Hooks, WorkersLost, run_grid
from ntbbench.datapath.records import SimulationResult
from ntbbench.datapath.replicate import Chunk, replicate, run_packed


def test_what_was_found_before_a_worker_died_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ntbbench: Command
) -> None:
    path, whole = tmp_path / "result.json", tmp_path / "whole.json"

    def dies(plan: Grid, found: Found, place: grids.Place, hooks: Hooks) -> None:
        found[0][1] = replicate(plan.specs[0], 1, "specialised")
        raise WorkersLost("a worker process was ended from outside;")

    with monkeypatch.context() as patched:
        patched.setattr("ntbbench.cli.simulate.run_grid", dies)
        ran = ntbbench("simulate", *SMALL, "-o", path)
    assert ran.code == 70
    (line,) = ran.err.splitlines()
    assert f"go on with: ntbbench simulate --resume {path}" in line
    assert [len(point["replications"]) for point in saved(path)["points"]] == [1]
    assert ntbbench("simulate", "--resume", path).code == 0
    assert ntbbench("simulate", *SMALL, "-o", whole).code == 0
    assert saved(path)["points"] == saved(whole)["points"]


def test_an_end_on_the_way_keeps_what_is_done() -> None:
    plan = small_grid(40)
    told: list[int] = []
    hooks = Hooks(progress=lambda _, done, total: told.append(done), stop=lambda: len(told) > 0)
    with grids.local(1, 1) as place:
        found = found_on(place, plan, hooks)
        assert 0 < sum(map(len, found)) < 160
        run_grid(plan, found, place, Hooks())
        assert found == found_on(place, plan)


def test_it_is_saved_now_and_then() -> None:
    now = iter(range(0, 10_000, 20))
    kept: list[int] = []
    hooks = Hooks(save=lambda found: kept.append(sum(map(len, found))), clock=lambda: next(now))
    with grids.local(1, 1) as place:
        found_on(place, small_grid(40), hooks)
    assert kept
    assert kept == sorted(kept)


def started(path: Path, *words: str) -> "subprocess.Popen[str]":
    """Start a simulation of minutes in two workers, in a group of its own."""
    command = [sys.executable, "-m", "ntbbench.cli.main", "simulate", *SMALL, "--jobs", "2"]
    return subprocess.Popen(
        [*command, *words, "-o", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_helpers(parent: "subprocess.Popen[str]") -> None:
    """Wait for the first process below: those are started once SIGINT has its handler."""
    while parent.poll() is None and not children(parent.pid):
        time.sleep(0.05)


def test_ctrl_c_and_resume(tmp_path: Path) -> None:
    """A real process, a real SIGINT: exit 130, a readable result, and the rest by --resume."""
    path, whole = tmp_path / "result.json", tmp_path / "whole.json"
    running = started(path, "--replications", "200", "--engine", "reference")
    wait_for_helpers(running)
    time.sleep(2)
    os.kill(running.pid, signal.SIGINT)
    _, error = running.communicate(timeout=60)
    assert running.returncode == 130, error
    assert "go on with: ntbbench simulate --resume" in error
    part = saved(path)
    assert part["complete"] is False
    done = sum(len(point["replications"]) for point in part["points"])
    assert 0 < done < 8 * 200
    assert main(["simulate", "--resume", str(path)]) == 0  # with the fast engine
    assert main(["simulate", *SMALL, "--replications", "200", "-o", str(whole)]) == 0
    assert saved(path)["points"] == saved(whole)["points"]


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    running = started(path, "--duration", "3000s", "--engine", "reference")  # days
    wait_for_helpers(running)
    for _ in range(2):
        time.sleep(3)
        os.kill(running.pid, signal.SIGINT)
    _, error = running.communicate(timeout=60)
    assert running.returncode == 130, error
    assert "go on with: ntbbench simulate --resume" in error
    assert saved(path)["points"] == []


def test_a_second_ctrl_c_ends_what_runs_in_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There no lock is held, and nobody asks before the replication is done. One more changes
    nothing while the result is written.
    """
    path, begun, now = tmp_path / "result.json", [], [0]

    def interrupted_write(output: Path, result: SimulationResult) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        write_json(output, result)
        os.kill(os.getpid(), signal.SIGTERM)

    def interrupted(chunk: Chunk) -> bytes:
        begun.append(chunk)
        if len(begun) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            now.append(2 * SAME_REQUEST)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("the second one raised nothing")
        return run_packed(chunk)

    monkeypatch.setattr(cli_progress, "monotonic", lambda: now[-1])
    monkeypatch.setattr(grids, "run_packed", interrupted)
    monkeypatch.setattr(cli_progress, "write_json", interrupted_write)
    assert main(["simulate", *SMALL, "-o", str(path)]) == 130
    assert [len(point["replications"]) for point in saved(path)["points"]] == [3]


def test_sigterm_keeps_what_is_finished_and_leaves_no_worker(tmp_path: Path) -> None:
    """As a batch scheduler sends it: to every process of the group."""
    path = tmp_path / "result.json"
    running = started(path, "--replications", "10000")
    workers = wait_for_workers(running)
    os.killpg(running.pid, signal.SIGTERM)
    _, error = running.communicate(timeout=60)
    assert running.returncode == 143, error
    assert "go on with: ntbbench simulate --resume" in error
    assert saved(path)["complete"] is False
    wait_for_end(workers)


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    running = started(tmp_path / "result.json", "--replications", "10000")
    workers = wait_for_workers(running)
    running.kill()
    running.communicate(timeout=60)
    wait_for_end(workers)


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def wait_for_workers(parent: "subprocess.Popen[str]") -> list[int]:
    """Return two workers, which the forkserver started, once they are there."""
    workers: list[int] = []
    while len(workers) < 2:
        assert parent.poll() is None
        time.sleep(0.05)
        workers = [worker for helper in children(parent.pid) for worker in children(helper)]
    return workers


def wait_for_end(processes: list[int]) -> None:
    """Wait until none of them runs: a minute at most."""
    deadline = time.monotonic() + 60
    for pid in processes:
        status = Path(f"/proc/{pid}/stat")
        while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline, f"{pid} goes on"
            time.sleep(0.05)


def test_replications_can_be_added(tmp_path: Path, ntbbench: Command) -> None:
    path, whole = tmp_path / "result.json", tmp_path / "whole.json"
    assert ntbbench("simulate", *ONE, "-o", path).code == 0
    assert ntbbench("simulate", "--resume", path, "--replications", 5).code == 0
    assert ntbbench("simulate", *ONE, "--replications", 5, "-o", whole).code == 0
    assert saved(path)["points"] == saved(whole)["points"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed", "2"], "run.seed: 2: 1, as in the file that is resumed"),
        (["--set", "receiver.hardirq=9us"], "receiver.hardirq: '9us': '1us'"),
        (["--queues", "1"], "queues: [1]: [1, 2]"),
        (["--replications", "2"], "run.replications: 2: at least 3"),  # it would delete the third
    ],
)
def test_only_the_same_scenario_goes_on(
    words: list[str], said: str, result_file: Path, ntbbench: Command
) -> None:
    before = result_file.read_bytes()
    ran = ntbbench("simulate", "--resume", result_file, *words)
    assert ran.code == 2
    assert said in ran.err
    assert result_file.read_bytes() == before
