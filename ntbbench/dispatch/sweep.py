# SPDX-License-Identifier: BSD-3-Clause
"""The sweep: count every cell on all cores, then time the cells in turn on one."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import msgspec

from ntbbench.core import environment as environments
from ntbbench.core.clock import NS, Clock, Timer, timer
from ntbbench.dispatch import cell as cells
from ntbbench.dispatch import resume
from ntbbench.dispatch.cell import Cell, StreamKey
from ntbbench.dispatch.records import Caution, OkPoint, Point, SweepResult
from ntbbench.dispatch.sample_interval import timings
from ntbbench.dispatch.scenario import Scenario, expand, plain
from ntbbench.dispatch.sweep_warnings import cautions_of

WAIT = 0.5  # seconds between two looks at `stop` while nothing but threads counts
SAVE_INTERVAL = 30 * NS  # nanoseconds between two savings of a long run, and
SAVE_SHARE = 20  # at least so many times what the last one took: intervals cost 1 ms per point

Group = list[Cell]  # cells with the same interrupts
Counted = list[tuple[Cell, Point]]


@dataclass(frozen=True)
class Hooks:
    """What a caller hears of a sweep while it runs.

    Parameters
    ----------
    progress : told the phase, the steps done (cells counted, samples taken) and all steps.
    stop : asked between cells, from several threads, whether to end here; what is being counted is
        waited for and kept. Where it is not to be waited for either, it raises KeyboardInterrupt.
    save : given the unfinished result now and then.
    clock : nanoseconds that go on while a thread waits; decides when to save.
    """

    progress: Callable[[str, int, int], None] = lambda phase, done, total: None
    stop: Callable[[], bool] = lambda: False
    save: Callable[[SweepResult], None] = lambda result: None
    clock: Clock = time.monotonic_ns


class Sweep:
    """A scenario's cells in axis order, and how far they are."""

    def __init__(self, scenario: Scenario, clock: Timer, hooks: Hooks) -> None:
        self.scenario = scenario
        self.timer = clock
        self.hooks = hooks
        self.cells = [Cell(spec) for spec in expand(scenario)]
        self.environment = environments.environment(clock)
        self.cautions: list[Caution] = []
        self._next_save = hooks.clock() + SAVE_INTERVAL
        self._done = self._total = 0

    @property
    def complete(self) -> bool:
        """Every cell is counted, and timed as often as asked."""
        return all(
            cell.point is not None and not cell.wants_sample(self.scenario.repeats)
            for cell in self.cells
        )

    def result(self) -> SweepResult:
        """Return what is known by now, in axis order."""
        timed = [cell for cell in self.cells if cell.samples]
        timing = dict(zip(timed, timings([cell.samples for cell in timed]), strict=True))
        points: list[Point] = []
        for cell in self.cells:
            if isinstance(cell.point, OkPoint) and cell in timing:
                points.append(msgspec.structs.replace(cell.point, ns_per_dispatch=timing[cell]))
            elif cell.point is not None:
                points.append(cell.point)
        return SweepResult(
            environment=self.environment.record(),
            scenario=plain(self.scenario),
            complete=self.complete,
            points=points,
            warnings=[*self.cautions, *cautions_of(points, self.timer, self.environment)],
        )

    def count(self) -> None:
        """Count the cells that are not counted yet, on `jobs` threads."""
        for cell in self.cells:
            cell.point = cell.point or cells.unavailable(cell)
        left = [cell for cell in self.cells if cell.point is None]
        self._start(len(left))
        jobs = self.scenario.jobs or environments.usable_cores()
        executor = ThreadPoolExecutor(jobs)
        futures = [executor.submit(self._count_group, group) for group in groups_of(left)]
        waits = True
        try:
            for future in futures:
                while not wait([future], WAIT).done:
                    self.hooks.stop()
                self._tell("counting", adopt(future))
        except KeyboardInterrupt:
            waits = False
            for future in futures:
                if future.done() and future.exception() is None:
                    adopt(future)
            raise
        finally:
            executor.shutdown(waits, cancel_futures=True)

    def time(self) -> None:
        """Take the missing samples: one of every cell, then the next of every cell."""
        repeats = self.scenario.repeats
        for repeat in range(repeats):
            for group in groups_of([c for c in self.cells if c.wants_sample(repeat + 1)]):
                if self.hooks.stop():
                    return
                stream = cells.timed_stream(group[0])
                for cell in group:
                    cells.sample(cell, stream, self.timer)
                self._tell("timing", len(group))

    def _start(self, left: int) -> None:
        """Work out the steps: a cell counted is one, and a sample is one."""
        available = sum(cell.spec.provision.reason is None for cell in self.cells)
        self._total = len(self.cells) + self.scenario.repeats * available
        self._done = len(self.cells) - left + sum(len(cell.samples) for cell in self.cells)

    def _count_group(self, group: Group) -> Counted:
        """Count cells that share a stream; runs in a thread and changes nothing."""
        counted: Counted = []
        stream = None
        for cell in group:
            if self.hooks.stop():
                break
            stream = stream or cell.stream(self.scenario.interrupts)
            counted.append((cell, cells.count(cell, stream)))
        return counted

    def _tell(self, phase: str, steps: int) -> None:
        self._done += steps
        self.hooks.progress(phase, self._done, self._total)
        now = self.hooks.clock()
        if now >= self._next_save:
            self.hooks.save(self.result())
            after = self.hooks.clock()
            self._next_save = after + max(SAVE_INTERVAL, SAVE_SHARE * (after - now))


def adopt(future: "Future[Counted]") -> int:
    """Give the cells of a group their points, and return how many they are."""
    counted = future.result()
    for cell, point in counted:
        cell.point = point
    return len(counted)


def groups_of(chosen: Sequence[Cell]) -> list[Group]:
    """Return the cells in groups that share their interrupts, in the order of the first of each."""
    found: dict[StreamKey, Group] = {}
    for cell in chosen:
        found.setdefault(cell.stream_key, []).append(cell)
    return list(found.values())


def run_sweep(
    scenario: Scenario,
    *,
    hooks: Hooks | None = None,
    previous: SweepResult | None = None,
    clock: Timer | None = None,
) -> SweepResult:
    """Count and time every cell of a scenario.

    Parameters
    ----------
    scenario : what to sweep; the counts depend on nothing else, `jobs` excepted.
    hooks : progress, an early end, savings on the way; default: none of them.
    previous : an unfinished result of the same scenario to go on from.
    clock : the clock of the timed samples; default: the system's.

    Returns
    -------
    SweepResult : `complete` unless `hooks.stop()` ended it early, by a KeyboardInterrupt too;
        points in axis order.

    Raises
    ------
    InputError : a workload does not fit a device, or `previous` is not of this scenario.
    ModelDisagreement : counts differ from the analytic law.
    """
    sweep = Sweep(scenario, clock or timer(), hooks or Hooks())
    if previous is not None:
        sweep.cautions += resume.adopt(sweep.cells, previous, sweep.environment)
    try:
        sweep.count()
        if not sweep.hooks.stop():
            sweep.time()
    except KeyboardInterrupt:  # out of hooks.stop(): what is known by now is kept
        pass
    return sweep.result()
