# SPDX-License-Identifier: BSD-3-Clause
"""The sweep: count every cell on all cores, then time the cells in turn on one; its warnings."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET

from ntbbench.core import environment as environments
from ntbbench.core.clock import NS, Clock, Timer, timer
from ntbbench.core.environment import Environment, comparable
from ntbbench.core.errors import InputError
from ntbbench.dispatch import cell as cells
from ntbbench.dispatch.cell import StreamKey, SweepCell, timings
from ntbbench.dispatch.records import (
    Axes,
    Caution,
    OkPoint,
    Point,
    SweepResult,
    Timing,
    UnavailablePoint,
)
from ntbbench.dispatch.scenario import SweepScenario, expand, inputs_of, plain
from ntbbench.ntb.workload import memory_of

REPEATS_MIN = 5  # below, the interval is hardly more than the range of the samples
UNSTABLE = 0.1  # width of the interval as a share of the median
CLOCK_STEPS_MIN = 100  # clock steps in a sample: fewer are an error above 1 %
STEADY_GOVERNOR = "performance"


REMEDIES = {  # of the warnings: a closed list
    "few-repeats": f"use --repeats {REPEATS_MIN} or more",
    "unstable-timing": "leave the machine to the sweep, fix the CPU frequency, raise --repeats",
    "equal-samples": "the interval says nothing: raise --repeats, check the clock",
    "coarse-clock": "time on a machine or kernel with a finer clock",
    "checked-build": "build without NTBBENCH_CHECKED; these timings mean nothing",
    "frequency-scaling": f"set the {STEADY_GOVERNOR} governor while a sweep is timed",
    "unknown-log": "the resumed file has no hash of it: sweep anew if it may have changed",
    "environment-changed": "nothing to do: every timing is of the environment recorded here",
}


def _caution(code: str, message: str, point: int | None = None) -> Caution:
    return Caution(code=code, message=message, remedy=REMEDIES[code], point=point)


def cautions_of(points: Sequence[Point], timer: Timer, environment: Environment) -> list[Caution]:
    """Return the warnings about timed points; counts are exact and need none."""
    timed = [
        (number, point.ns_per_dispatch)
        for number, point in enumerate(points)
        if isinstance(point, OkPoint) and isinstance(point.ns_per_dispatch, Timing)
    ]
    if not timed:
        return []
    found = list(_of_machine(timer, environment))
    fewest = min(len(timing.samples) for _, timing in timed)
    if fewest < REPEATS_MIN:
        found.append(_caution("few-repeats", f"{fewest} timed samples a point"))
    for number, timing in timed:
        if len(timing.samples) > 1 and min(timing.samples) == max(timing.samples):
            message = f"all {len(timing.samples)} samples are equal"
            found.append(_caution("equal-samples", message, number))
        elif timing.high - timing.low > UNSTABLE * timing.median:
            message = (
                f"median {timing.median:.4g} ns, interval {timing.low:.4g} to {timing.high:.4g} ns"
            )
            found.append(_caution("unstable-timing", message, number))
    return found


def _of_machine(timer: Timer, environment: Environment) -> Iterator[Caution]:
    if timer.sample_duration < CLOCK_STEPS_MIN * timer.resolution:
        yield _caution(
            "coarse-clock",
            f"the clock's smallest step is {timer.resolution / NS:.3g} s, "
            f"a sample lasts {timer.sample_duration / NS:.3g} s",
        )
    if environment.compiler.checked:
        yield _caution("checked-build", "the kernels were built with checks and sanitizers")
    governor = environment.cpu.governor
    if governor != STEADY_GOVERNOR and not governor.startswith("not readable"):
        yield _caution("frequency-scaling", f"the CPU frequency governor is {governor}")


FREE_KEYS = ("jobs",)  # changes no result


def check_same(recorded: SweepScenario, asked: SweepScenario, source: str) -> None:
    """Raise InputError at the first key in which a recorded scenario is not the one asked for."""
    for key in SweepScenario.__struct_fields__:
        old, new = getattr(recorded, key), getattr(asked, key)
        if old != new and key not in FREE_KEYS:
            allowed = f"{plain(recorded)[key]!r}, as in {source}, which is resumed"
            raise InputError(key, plain(asked)[key], allowed)


def adopt(
    cells: Sequence[SweepCell], previous: SweepResult, environment: Environment
) -> list[Caution]:
    """Give the cells the points of an earlier run, and return the warnings about that.

    Timings are taken over only from the same environment; counts from the same ntbbench.

    InputError: another version of ntbbench wrote the result, or a point is not of the scenario.
    """
    version = previous.environment.get("ntbbench")
    if version != environment.ntbbench:
        allowed = f"a result of ntbbench {environment.ntbbench}; start a new sweep"
        raise InputError("resume: ntbbench version", version, allowed)
    same = comparable(previous.environment) == comparable(environment.record())
    waiting: dict[tuple[Any, ...], list[SweepCell]] = {}
    for cell in reversed(cells):
        waiting.setdefault(msgspec.structs.astuple(cell.axes), []).append(cell)
    dropped = 0
    for number, point in enumerate(previous.points):
        twins = waiting.get(tuple(getattr(point, name) for name in Axes.__struct_fields__))
        if not twins:
            raise InputError("resume: point", number, "a point of the scenario in the same file")
        cell = twins.pop()
        cell.point = point
        if isinstance(point, OkPoint) and isinstance(point.ns_per_dispatch, Timing):
            cell.point = msgspec.structs.replace(point, ns_per_dispatch=UNSET)
            cell.samples = list(point.ns_per_dispatch.samples) if same else []
            dropped += not same
    if not dropped:
        return []
    message = f"the timings of {dropped} points, from another environment, were taken anew"
    return [_caution("environment-changed", message)]


def check_inputs(previous: SweepResult, now: dict[str, str]) -> list[Caution]:
    """Return the warning about logs that an earlier run does not tell the content of.

    InputError: a log has another content than the earlier points were counted of.
    """
    before = {} if previous.inputs is UNSET else previous.inputs
    for path, digest in now.items():
        if path in before and before[path] != digest:
            allowed = f"the content that the finished points are of: SHA-256 {before[path]}"
            raise InputError(f"resume: log {path!r}", f"SHA-256 {digest}", allowed)
    if unknown := sorted(now.keys() - before.keys()):
        message = f"who counted the earlier points kept no SHA-256 of {', '.join(unknown)}"
        return [_caution("unknown-log", message)]
    return []


GB = 1e9  # bytes
WAIT = 0.5  # seconds between two looks at `stop` while nothing but threads counts
SAVE_INTERVAL = 30 * NS  # nanoseconds between two savings of a long run, and
SAVE_SHARE = 20  # at least so many times what the last one took: intervals cost 1 ms per point

Group = list[SweepCell]  # cells with the same interrupts
Counted = list[tuple[SweepCell, Point]]


@dataclass(frozen=True)
class Hooks:
    """What a caller hears of a sweep while it runs."""

    # Gets the phase, the steps done (cells counted, samples taken) and all steps.
    progress: Callable[[str, int, int], None] = lambda phase, done, total: None
    # Asked between cells, from several threads, whether to end here; what is being counted is
    # waited for and kept. Where it is not to be waited for either, it raises KeyboardInterrupt.
    stop: Callable[[], bool] = lambda: False
    save: Callable[[SweepResult], None] = lambda result: None  # gets the unfinished result
    clock: Clock = time.monotonic_ns  # goes on while a thread waits; decides when to save


class Sweep:
    """A scenario's cells in axis order, and how far they are."""

    def __init__(self, scenario: SweepScenario, clock: Timer, hooks: Hooks) -> None:
        self.scenario = scenario
        self.timer = clock
        self.hooks = hooks
        self.cells = [SweepCell(spec) for spec in expand(scenario)]
        self.inputs = inputs_of(cell.spec for cell in self.cells)
        self.environment = environments.environment(clock)
        self.cautions: list[Caution] = []
        self._next_save = hooks.clock() + SAVE_INTERVAL
        self._done = self._total = 0  # steps: a cell counted is one, and a sample is one

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
            inputs=self.inputs or UNSET,
            complete=self.complete,
            points=points,
            warnings=[*self.cautions, *cautions_of(points, self.timer, self.environment)],
        )

    def count(self) -> None:
        """Count the cells that are not counted yet, on `jobs` threads."""
        for cell in self.cells:
            reason = cell.spec.provision.reason
            if cell.point is None and reason is not None:
                cell.point = UnavailablePoint(**msgspec.structs.asdict(cell.axes), reason=reason)
        left = [cell for cell in self.cells if cell.point is None]
        available = sum(cell.spec.provision.reason is None for cell in self.cells)
        self._total = len(self.cells) + self.scenario.repeats * available
        self._done = len(self.cells) - len(left) + sum(len(cell.samples) for cell in self.cells)
        jobs = self.scenario.jobs or environments.usable_cores()
        groups = groups_of(left)
        executor = ThreadPoolExecutor(fitting(jobs, [group[0] for group in groups]))
        futures = [executor.submit(self._count_group, group) for group in groups]
        waits = True
        try:
            for future in futures:
                while not wait([future], WAIT).done:
                    self.hooks.stop()
                self._tell("counting", _take(future))
        except KeyboardInterrupt:
            waits = False
            for future in futures:
                if future.done() and future.exception() is None:
                    _take(future)
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


def _take(future: "Future[Counted]") -> int:
    counted = future.result()
    for cell, point in counted:
        cell.point = point
    return len(counted)


def groups_of(chosen: Sequence[SweepCell]) -> list[Group]:
    """Return the cells in groups that share their interrupts, in the order of the first of each."""
    found: dict[StreamKey, Group] = {}
    for cell in chosen:
        found.setdefault(cell.stream_key, []).append(cell)
    return list(found.values())


def fitting(jobs: int, chosen: Sequence[SweepCell]) -> int:
    """Return how many of `jobs` threads have memory for the streams of these cells.

    InputError: not even one has; the message names what is needed.
    """
    free, most = environments.free_memory(), 0
    for cell in chosen:
        workload, interrupts = cell.spec.workload, cell.spec.scenario.interrupts
        needed = memory_of(workload, interrupts)
        if needed > free:
            allowed = (
                f"at most {interrupts * free // needed} with {workload.spec}: this takes "
                f"{needed / GB:.1f} GB of memory, {free / GB:.1f} GB are free"
            )
            raise InputError("interrupts", interrupts, allowed)
        most = max(most, needed)
    return min(jobs, free // most) if most else jobs


def run_sweep(
    scenario: SweepScenario,
    *,
    hooks: Hooks | None = None,
    previous: SweepResult | None = None,
    clock: Timer | None = None,
) -> SweepResult:
    """Count and time every cell of a scenario.

    The counts depend on nothing but the scenario. `previous` is an unfinished result of the same
    one to go on from; `clock` that of the timed samples, else the system's. The result is
    `complete` unless `hooks.stop()` ended it early, by a KeyboardInterrupt too.
    InputError: a workload does not fit a device or the memory, or `previous` is not of this
        scenario or its logs.
    ModelDisagreement: counts differ from the analytic law.
    """
    sweep = Sweep(scenario, clock or timer(), hooks or Hooks())
    if previous is not None:
        sweep.cautions += check_inputs(previous, sweep.inputs)
        sweep.cautions += adopt(sweep.cells, previous, sweep.environment)
    try:
        sweep.count()
        if not sweep.hooks.stop():
            sweep.time()
    except KeyboardInterrupt:  # out of hooks.stop(): what is known by now is kept
        pass
    return sweep.result()
