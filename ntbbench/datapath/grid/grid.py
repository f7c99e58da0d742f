# SPDX-License-Identifier: BSD-3-Clause
"""Runs every replication of every point, on any executor, with the same result on all of them.

A replication depends on its point and its number alone, and is put in its place by them; the
order in which replications end changes nothing.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from dataclasses import dataclass, replace

from ntbbench.core.errors import NtbbenchError
from ntbbench.datapath.grid.backends import Place
from ntbbench.datapath.grid.replicate import Chunk, run_packed, unpacked
from ntbbench.datapath.records import Replication
from ntbbench.datapath.scenario.grid_point import PointSpec

CHUNKS_A_SLOT = 2  # of what is left: chunks shrink, so that no slot waits long for the last one
CHUNK_MAX = 128  # replications; a chunk costs the parent most of a millisecond
LOST = "a worker process was ended from outside; is the memory short?"
WAIT = 0.5  # seconds between two looks at `stop`
SAVE_INTERVAL = 30.0  # seconds between two savings of a long run

Found = list[dict[int, Replication]]  # of each point, by number


@dataclass(frozen=True)
class Hooks:
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

    specs: Sequence[PointSpec]  # of one scenario
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


class WorkersLost(NtbbenchError):
    """A worker process ended by itself, with what it had under way; all else was kept."""


def run_grid(grid: Grid, found: Found, place: Place, hooks: Hooks) -> None:
    """Add to `found` every replication that it lacks, until all are there or `hooks.stop()`.

    Raises
    ------
    InputError : a point's system is refused. Whatever was found before stays in `found`.
    WorkersLost : the executor broke; the same holds.
    KeyboardInterrupt : out of `hooks.stop()`; the same holds.
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
    place: Place,
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
        except BrokenExecutor as error:
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
