# SPDX-License-Identifier: BSD-3-Clause
"""The grid on any number of workers, interrupted, and where a worker is killed; `--resume`."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import children
import pytest
from simulate_runs import ONE, SMALL, Command, found_on, saved, small_grid

from ntbbench.cli import progress as cli_progress
from ntbbench.cli.main import main
from ntbbench.cli.progress import SAME_REQUEST
from ntbbench.core.errors import InputError, WorkersLost
from ntbbench.core.result_file import write_json
from ntbbench.datapath import grid as grids
from ntbbench.datapath import replicate as replicating
from ntbbench.datapath.grid import Found, Grid, GridHooks, run_grid
from ntbbench.datapath.grid_point import QpRing, SimulationSpec
from ntbbench.datapath.records import SimulationResult
from ntbbench.datapath.replicate import Chunk, replicate, run_packed, unpacked
from ntbbench.datapath.scenario_file import preset, with_settings


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_any_number_of_workers_gives_the_same(jobs: int) -> None:
    plan = small_grid()
    expected = [{n: replicate(spec, n, "specialised") for n in range(5)} for spec in plan.specs]
    with grids.local(jobs, 20) as place:
        assert place.slots == jobs
        assert found_on(place, plan) == expected


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_system_that_the_engines_refuse_is_one_line(jobs: int) -> None:
    """The error crosses from the worker that met it, whole."""
    scenario = with_settings(preset("generic"), ["length=1MiB", "sender.byte=10us"])
    plan = Grid([SimulationSpec(scenario, 1, "msi", "single", "tcp")], 3, "specialised")
    plan.specs[0].__dict__["rings"] = (QpRing(2 << 20, 15),)  # frames that hold such packets
    with (
        grids.local(jobs, 3) as place,
        pytest.raises(InputError, match=r"costs\.send: .*: at most a second a packet"),
    ):
        found_on(place, plan)


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_worker_leaves_of_its_chunk_is_handed_out_again(jobs, monkeypatch) -> None:
    plan = small_grid(40)
    with grids.local(1, 1) as place:
        expected = found_on(place, plan)
    if jobs == 1:
        monkeypatch.setattr(replicating, "CHUNK_SECONDS", 0.0)
        left = run_packed(Chunk(0, plan.specs[0], (3, 1, 2), "specialised"))
        assert len(unpacked(left)) == 1
    else:  # the workers are processes of their own: leave something in their place
        monkeypatch.setattr(grids, "run_packed", first_of_chunk)
    with grids.local(jobs, 2) as place:
        assert found_on(place, plan) == expected


def first_of_chunk(chunk: Chunk) -> bytes:
    return run_packed(replace(chunk, replications=chunk.replications[:1]))


def test_an_end_waits_for_what_was_handed_out() -> None:
    """And cancels none of it: Python 3.11's pool hangs where a worker dies beside such a future."""
    plan, handed = small_grid(40), []
    with ThreadPoolExecutor(1) as executor:  # one begins, the others wait

        def submit(task: Any, chunk: Chunk) -> "Future[Any]":
            handed.append(chunk.replications)
            return executor.submit(task, chunk)

        noted = SimpleNamespace(submit=submit)
        place = grids.WorkPlace(cast(Executor, noted), 2)
        found = found_on(place, plan, GridHooks(stop=lambda: bool(handed)))
    assert len(handed) == place.window
    assert sum(map(len, found)) == sum(map(len, handed)) < plan.total


def test_who_insists_waits_for_nothing() -> None:
    """The task never ends; what was found before stays."""
    place = grids.WorkPlace(cast(Executor, SimpleNamespace(submit=lambda *_: Future())), 2)
    plan, asked = small_grid(), iter([False, False])

    def stop() -> bool:
        for answer in asked:
            return answer
        raise KeyboardInterrupt

    found: Found = [{0: replicate(plan.specs[0], 0, "specialised")}, {}, {}, {}]
    with pytest.raises(KeyboardInterrupt):
        run_grid(plan, found, place, GridHooks(stop=stop))
    assert [len(have) for have in found] == [1, 0, 0, 0]


NAME = "MALLOC_TRIM_THRESHOLD_"
ASK = f"""
import os
from ntbbench.datapath.grid import local
with local(2, 2) as place:
    print(place.executor.submit(os.getenv, "{NAME}").result())
print(os.getenv("{NAME}"))
"""


def blocked_signals() -> set[signal.Signals]:
    return {signal.Signals(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])}


def test_workers_never_see_a_sigint_to_the_group() -> None:
    """It is blocked in what forks them, so from their first instruction; and here it is not."""
    before = blocked_signals()
    with grids.local(2, 2) as place:
        assert signal.SIGINT in place.executor.submit(blocked_signals).result()
        (worker, *_) = active_children()
        parent = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[1]
        (mask,) = re.findall(r"SigBlk:\s*(\w+)", Path(f"/proc/{parent}/status").read_text())
        assert int(parent) != os.getpid()
        assert int(mask, 16) >> (signal.SIGINT - 1) & 1
    assert blocked_signals() == before


def test_a_killed_worker_loses_only_what_it_ran() -> None:
    plan = small_grid(1000)
    found: Found = [{} for _ in plan.specs]

    def kill(_: str, done: int, total: int) -> None:
        os.kill(active_children()[0].pid or 0, signal.SIGKILL)

    with grids.local(2, 4000) as place, pytest.raises(WorkersLost, match="ended from outside"):
        run_grid(plan, found, place, GridHooks(progress=kill))
    assert 0 < sum(map(len, found)) < 4000


@pytest.mark.parametrize("asked", [False, True])
def test_a_forkserver_that_a_signal_ended_starts_no_worker(
    asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ntbbench: Command
) -> None:
    """As SIGTERM to the whole group ends it while the pool begins."""

    def submit(*words: object) -> None:
        if asked:
            os.kill(os.getpid(), signal.SIGTERM)
        raise EOFError("unexpected EOF")

    monkeypatch.setattr(grids.ProcessPoolExecutor, "submit", submit)
    path = tmp_path / "r.json"
    ran = ntbbench("simulate", *SMALL, "--jobs", "2", "-o", path)
    assert ran.code == (143 if asked else 3)
    assert ran.err.count("\n") == 1 and "go on with: ntbbench simulate --resume" in ran.err
    assert saved(path)["complete"] is False


def test_a_temporary_folder_whose_sockets_have_too_long_a_path_is_named(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 100)
    folder.mkdir()
    command = [*children.NTBBENCH, "simulate", *SMALL, "--jobs", "2", "-o", str(tmp_path / "r")]
    ran = children.run(
        command, env=os.environ | {"TMPDIR": str(folder)}, capture_output=True, text=True
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"ntbbench: TMPDIR: '{folder}': a shorter path")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("own", "worker", "parent"), [(None, grids.KEEP_MEMORY[NAME], "None"), ("1000", "1000", "1000")]
)
def test_a_worker_keeps_memory_unless_the_user_says_how_much(own, worker, parent) -> None:
    environment = {name: value for name, value in os.environ.items() if name != NAME}
    environment |= {} if own is None else {NAME: own}
    told = children.run(
        [sys.executable, "-c", ASK], env=environment, text=True, check=True, stdout=subprocess.PIPE
    ).stdout
    assert told.split() == [worker, parent]


def test_what_was_found_before_a_worker_died_is_saved(tmp_path, monkeypatch, ntbbench) -> None:
    path, whole = tmp_path / "result.json", tmp_path / "whole.json"

    def dies(plan: Grid, found: Found, place: grids.WorkPlace, hooks: GridHooks) -> None:
        found[0][1] = replicate(plan.specs[0], 1, "specialised")
        raise WorkersLost("a worker process was ended from outside;")

    with monkeypatch.context() as patched:
        patched.setattr("ntbbench.cli.simulate.run_grid", dies)
        ran = ntbbench("simulate", *SMALL, "-o", path)
    assert ran.code == 3
    (line,) = ran.err.splitlines()
    assert f"go on with: ntbbench simulate --resume {path}" in line
    assert [len(point["replications"]) for point in saved(path)["points"]] == [1]
    assert ntbbench("simulate", "--resume", path).code == 0
    assert ntbbench("simulate", *SMALL, "-o", whole).code == 0
    assert saved(path)["points"] == saved(whole)["points"]


def test_an_end_on_the_way_keeps_what_is_done() -> None:
    plan = small_grid(40)
    told: list[int] = []
    hooks = GridHooks(progress=lambda _, done, total: told.append(done), stop=lambda: len(told) > 0)
    with grids.local(1, 1) as place:
        found = found_on(place, plan, hooks)
        assert 0 < sum(map(len, found)) < 160
        run_grid(plan, found, place, GridHooks())
        assert found == found_on(place, plan)


def test_it_is_saved_now_and_then() -> None:
    now = iter(range(0, 10_000, 20))
    kept: list[int] = []
    hooks = GridHooks(save=lambda found: kept.append(sum(map(len, found))), clock=lambda: next(now))
    with grids.local(1, 1) as place:
        found_on(place, small_grid(40), hooks)
    assert kept
    assert kept == sorted(kept)


def started(path: Path, *words: str) -> AbstractContextManager["subprocess.Popen[str]"]:
    """Start a simulation of minutes in two workers, in a group of its own."""
    command = [*children.NTBBENCH, "simulate", *SMALL, "--jobs", "2", *words, "-o", str(path)]
    pipe = subprocess.PIPE
    return children.started(command, stdout=pipe, stderr=pipe, text=True)


def wait_for_helpers(parent: "subprocess.Popen[str]") -> None:
    """Wait for the first process below: those are started once SIGINT has its handler."""
    while parent.poll() is None and not children.of(parent.pid):
        time.sleep(0.05)


def test_ctrl_c_and_resume(tmp_path: Path) -> None:
    """A real process, a real SIGINT: exit 130, a readable result, and the rest by --resume."""
    path, whole = tmp_path / "result.json", tmp_path / "whole.json"
    with started(path, "--replications", "200", "--engine", "reference") as running:
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
    with started(path, "--duration", "3000s", "--engine", "reference") as running:  # days
        wait_for_helpers(running)
        for _ in range(2):
            time.sleep(3)
            os.kill(running.pid, signal.SIGINT)
        _, error = running.communicate(timeout=60)
    assert running.returncode == 130, error
    assert "go on with: ntbbench simulate --resume" in error
    assert saved(path)["points"] == []


def test_a_second_ctrl_c_ends_what_runs_in_this_process(tmp_path, monkeypatch) -> None:
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
    with started(path, "--replications", "10000") as running:
        workers = wait_for_workers(running)
        os.killpg(running.pid, signal.SIGTERM)
        _, error = running.communicate(timeout=60)
    assert running.returncode == 143, error
    assert "go on with: ntbbench simulate --resume" in error
    assert saved(path)["complete"] is False
    wait_for_end(workers)


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    with started(tmp_path / "result.json", "--replications", "10000") as running:
        workers = wait_for_workers(running)
        running.kill()
        running.communicate(timeout=60)
    wait_for_end(workers)


def wait_for_workers(parent: "subprocess.Popen[str]") -> list[int]:
    """Return two workers, which the forkserver started, once they are there."""
    workers: list[int] = []
    while len(workers) < 2:
        assert parent.poll() is None
        time.sleep(0.05)
        workers = [worker for helper in children.of(parent.pid) for worker in children.of(helper)]
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
def test_only_the_same_scenario_goes_on(words, said, result_file, ntbbench) -> None:
    before = result_file.read_bytes()
    ran = ntbbench("simulate", "--resume", result_file, *words)
    assert ran.code == 2
    assert said in ran.err
    assert result_file.read_bytes() == before
