# SPDX-License-Identifier: BSD-3-Clause
"""The grid on any number of workers, and where a worker is killed."""

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from simulate_runs import found_on, small_grid, spec_of

from ntbbench.core.errors import InputError
from ntbbench.datapath import grid as grids
from ntbbench.datapath import replicate as replicating
from ntbbench.datapath.grid import Found, Grid, Hooks, WorkersLost, run_grid
from ntbbench.datapath.grid_point import PointSpec, Ring
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
    plan = Grid([PointSpec(scenario, 1, "msi", "single", "tcp")], 3, "specialised")
    plan.specs[0].__dict__["rings"] = (Ring(2 << 20, 15),)  # frames that hold such packets
    with (
        grids.local(jobs, 3) as place,
        pytest.raises(InputError, match=r"costs\.send: .*: at most a second a packet"),
    ):
        found_on(place, plan)


def test_chunks_are_replications_one_by_one() -> None:
    spec = spec_of()
    together = run_packed(Chunk(0, spec, (3, 1), "reference"))
    assert unpacked(together) == [replicate(spec, 3, "reference"), replicate(spec, 1, "reference")]


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_worker_leaves_of_its_chunk_is_handed_out_again(
    jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        place = grids.Place(cast(Executor, noted), 2)
        found = found_on(place, plan, Hooks(stop=lambda: bool(handed)))
    assert len(handed) == place.window
    assert sum(map(len, found)) == sum(map(len, handed)) < plan.total


def test_who_insists_waits_for_nothing() -> None:
    """The task never ends; what was found before stays."""
    place = grids.Place(cast(Executor, SimpleNamespace(submit=lambda *_: Future())), 2)
    plan, asked = small_grid(), iter([False, False])

    def stop() -> bool:
        for answer in asked:
            return answer
        raise KeyboardInterrupt

    found: Found = [{0: replicate(plan.specs[0], 0, "specialised")}, {}, {}, {}]
    with pytest.raises(KeyboardInterrupt):
        run_grid(plan, found, place, Hooks(stop=stop))
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
        run_grid(plan, found, place, Hooks(progress=kill))
    assert 0 < sum(map(len, found)) < 4000


@pytest.mark.parametrize(
    ("own", "worker", "parent"), [(None, grids.KEEP_MEMORY[NAME], "None"), ("1000", "1000", "1000")]
)
def test_a_worker_keeps_memory_unless_the_user_says_how_much(
    own: str | None, worker: str, parent: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != NAME}
    environment |= {} if own is None else {NAME: own}
    told = subprocess.check_output([sys.executable, "-c", ASK], env=environment, text=True)
    assert told.split() == [worker, parent]
