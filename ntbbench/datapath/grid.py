# SPDX-License-Identifier: BSD-3-Clause
"""Runs every replication of every point, on any executor, with the same result on all of them.

A replication depends on its point and its number alone, and is put in its place by them; the
order in which replications end changes nothing. They run in this process, in one process a core,
or on a Dask cluster: each is a `concurrent.futures.Executor`, so one runner serves them. joblib's
backends were the alternative: its Dask backend needs distributed all the same, and hides the
futures that an interrupted grid has to keep apart.
"""

import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from multiprocessing import connection
from tempfile import gettempdir
from typing import Any
from urllib.parse import urlsplit

from ntbbench.core.environment import usable_cores
from ntbbench.core.errors import InputError, WorkersLost
from ntbbench.datapath.dask_client import DaskExecutor, serve
from ntbbench.datapath.grid_point import SimulationSpec
from ntbbench.datapath.records import Replication
from ntbbench.datapath.replicate import Chunk, run_packed, unpacked

SCHEMES = ("tcp", "tls", "ws", "wss")  # of a Dask scheduler; without one, tcp
CONNECT_TIMEOUT = 10.0  # seconds to wait for a scheduler
# A worker keeps memory that it freed: the engines' buffers are some hundred KiB each, and to give
# them back to the kernel and take them again was a quarter of a short replication (glibc; bytes).
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "8388608", "MALLOC_TRIM_THRESHOLD_": "33554432"}
FORKSERVER = multiprocessing.get_context("forkserver")  # fork and threads do not go together
# What the start of a process raises where a SIGTERM to the whole group has just ended that one.
NO_FORKSERVER = (EOFError, OSError)
QUEUED = 2  # tasks a slot that are handed over: one runs, the next is there when it ends


@dataclass(frozen=True)
class WorkPlace:
    """An executor and how many tasks it is to be given in advance."""

    executor: Executor
    slots: int  # how many tasks run at once

    @property
    def in_process(self) -> bool:
        """Whether `submit` does the task itself: then nothing can ask meanwhile whether to end."""
        return isinstance(self.executor, Inline)

    @property
    def window(self) -> int:
        """Tasks under way at once."""
        return 1 if self.in_process else QUEUED * self.slots


class Inline(Executor):
    """Runs each task at once, in the calling thread."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Return a future that is done; raise what the task raises."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextmanager
def local(jobs: int, tasks: int) -> Iterator[WorkPlace]:
    """Yield `jobs` processes on this machine; 0: one a core. A single one is this process."""
    count = min(jobs or usable_cores(), max(tasks, 1))
    if count == 1:
        yield WorkPlace(Inline(), 1)
        return
    _start_forkserver()
    executor = ProcessPoolExecutor(count, FORKSERVER, initializer=_end_with_parent)
    try:
        yield WorkPlace(executor, count)
    except BaseException:  # nobody waits for the rest, and a replication can take minutes
        for worker in multiprocessing.active_children():
            worker.terminate()
        raise
    finally:
        executor.shutdown(wait=True)


def _end_with_parent() -> None:
    """End this worker when the process that started the pool has gone, however it ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch(sentinel: int) -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


def _start_forkserver() -> None:
    """Start the process that forks workers, with SIGINT blocked in it and so in every worker.

    A terminal sends SIGINT to the whole group, and the parent alone decides; a worker that blocks
    it itself is too late. SIGTERM stays: with it the pool ends its workers where one of them died.

    InputError: the path of a temporary folder is too long for a socket in it.
    """
    # Its own start ends with SIGINT unblocked (Python 3.11), so it comes before the mask.
    multiprocessing.resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    added = {name: value for name, value in KEEP_MEMORY.items() if name not in os.environ}
    os.environ.update(added)
    try:
        multiprocessing.forkserver.ensure_running()
    except OSError as error:
        if error.errno is not None:  # one that the kernel did not raise is of the socket's path
            raise
        raise InputError("TMPDIR", gettempdir(), f"a shorter path, of sockets: {error}") from error
    finally:
        for name in added:
            del os.environ[name]
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def dask(scheduler: str, stop: Callable[[], bool] = lambda: False) -> Iterator[WorkPlace]:
    """Yield a Dask cluster; a task whose worker dies is run again elsewhere.

    Raises
    ------
    InputError : there is no `distributed`, no answer at `scheduler` in time, no worker, or one with
        another version of ntbbench, or none.
    KeyboardInterrupt : `stop` said so before there was an answer.
    """
    if find_spec("distributed") is None:
        allowed = "needs the package distributed: pip install 'ntbbench[dask]'"
        raise InputError("--backend", "dask", allowed)
    check_address(scheduler)
    _start_forkserver()
    pipe, its_end = FORKSERVER.Pipe()
    client = FORKSERVER.Process(target=_dask_client, args=(its_end, scheduler, CONNECT_TIMEOUT))
    try:
        client.start()
    except NO_FORKSERVER as error:
        raise WorkersLost(LOST) from error
    its_end.close()
    with DaskExecutor(client, pipe) as executor:
        yield WorkPlace(executor, executor.slots(scheduler, CONNECT_TIMEOUT, stop))


def _dask_client(pipe: connection.Connection, scheduler: str, timeout: float) -> None:
    _end_with_parent()
    serve(pipe, scheduler, timeout)


def check_address(scheduler: str) -> None:
    """Raise InputError for what cannot be a scheduler's address.

    Dask's own words about one are of its insides.
    """
    allowed = f"[SCHEME://]HOST:PORT, SCHEME of {', '.join(SCHEMES)}"
    try:
        parts = urlsplit(scheduler if "://" in scheduler else f"tcp://{scheduler}")
        port = parts.port
    except ValueError:  # of a bad port, or brackets that do not close
        raise InputError("--scheduler", scheduler, allowed) from None
    plain = parts.path in ("", "/") and not parts.query and not parts.fragment
    if parts.scheme not in SCHEMES or not parts.hostname or not port or not plain:
        raise InputError("--scheduler", scheduler, allowed)


CHUNKS_A_SLOT = 2  # of what is left: chunks shrink, so that no slot waits long for the last one
CHUNK_MAX = 128  # replications; a chunk costs the parent most of a millisecond
LOST = "a worker process was ended from outside; is the memory short?"
WAIT = 0.5  # seconds between two looks at `stop`
SAVE_INTERVAL = 30.0  # seconds between two savings of a long run

Found = list[dict[int, Replication]]  # of each point, by number


@dataclass(frozen=True)
class GridHooks:
    """What a caller hears of a grid while it runs."""

    # Gets a word, the replications done and all of them.
    progress: Callable[[str, int, int], None] = lambda phase, done, total: None
    # Says whether to end here; what was handed out is waited for and kept. Where that is not to be
    # waited for either, it raises KeyboardInterrupt.
    stop: Callable[[], bool] = lambda: False
    save: Callable[[Found], None] = lambda found: None  # gets what is found by now
    clock: Callable[[], float] = time.monotonic  # decides when to save


@dataclass(frozen=True)
class Grid:
    """What is to be run."""

    specs: Sequence[SimulationSpec]  # of one scenario
    replications: int  # of each point that can be had
    engine: str

    def missing(self, found: Found) -> list[list[int]]:
        """Return the numbers of the replications that each point still lacks."""
        return [
            [number for number in range(self.replications) if number not in have]
            if spec.reason is None
            else []
            for spec, have in zip(self.specs, found, strict=True)
        ]

    @property
    def total(self) -> int:
        """All replications."""
        return sum(spec.reason is None for spec in self.specs) * self.replications


def run_grid(grid: Grid, found: Found, place: WorkPlace, hooks: GridHooks) -> None:
    """Add to `found` every replication that it lacks, until all are there or `hooks.stop()`.

    What was found before stays in `found` also after an error.
    InputError: a point's system is refused; WorkersLost: the executor broke; KeyboardInterrupt: out
        of `hooks.stop()`.
    """
    waiting = _chunks(grid, grid.missing(found), place.slots)
    again: deque[Chunk] = deque()  # what a worker left of its chunk
    running: dict[Future[bytes], Chunk] = {}
    next_save = hooks.clock() + SAVE_INTERVAL
    while True:
        # Nothing is cancelled: where a worker dies, Python 3.11's pool stumbles over a cancelled
        # future and leaves the others unanswered for ever (concurrent.futures.process,
        # terminate_broken()).
        if not hooks.stop():
            _hand_out(place, again, waiting, running)
        if not running:
            return
        done, _ = wait(running, timeout=WAIT, return_when=FIRST_COMPLETED)
        for future in done:
            chunk = running.pop(future)
            try:
                runs = unpacked(future.result())
            except (BrokenExecutor, CancelledError) as error:
                raise WorkersLost(LOST) from error
            found[chunk.point] |= {one.replication: one for one in runs}
            if left_over := chunk.replications[len(runs) :]:
                again.append(replace(chunk, replications=left_over))
        if done:
            hooks.progress("simulating", sum(map(len, found)), grid.total)
        if hooks.clock() >= next_save:
            hooks.save(found)
            next_save = hooks.clock() + SAVE_INTERVAL


def _hand_out(
    place: WorkPlace,
    again: deque[Chunk],
    waiting: Iterator[Chunk],
    running: dict[Future[bytes], Chunk],
) -> None:
    """Let the executor have as much in advance as it is to be given."""
    while len(running) < place.window:
        chunk = again.popleft() if again else next(waiting, None)
        if chunk is None:
            return
        try:
            running[place.executor.submit(run_packed, chunk)] = chunk
        except (BrokenExecutor, *NO_FORKSERVER) as error:
            raise WorkersLost(LOST) from error


def _chunks(grid: Grid, lacking: Sequence[Sequence[int]], slots: int) -> Iterator[Chunk]:
    """Yield what is to be done, some replications of one point at a time, fewer towards the end."""
    left = sum(map(len, lacking))
    for point, (spec, numbers) in enumerate(zip(grid.specs, lacking, strict=True)):
        start = 0
        while start < len(numbers):
            size = max(1, min(CHUNK_MAX, left // (CHUNKS_A_SLOT * slots)))
            part = tuple(numbers[start : start + size])
            yield Chunk(point, spec, part, grid.engine)
            start += len(part)
            left -= len(part)
