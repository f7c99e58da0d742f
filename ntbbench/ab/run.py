# SPDX-License-Identifier: BSD-3-Clause
"""The loop of `ab`: block after block, until every metric is decided or a bound is reached."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ntbbench.ab.metrics import OUTPUT, Left, RunReader
from ntbbench.ab.process import PADDING_VARIABLE, Interrupted, Job, run_job
from ntbbench.ab.records import AbMetric, AbResult, AbRun, Stopped
from ntbbench.ab.revisions import Setup
from ntbbench.ab.schedule import AbPlan, Turn, turns
from ntbbench.compare.compare import compare
from ntbbench.compare.policy import Policy
from ntbbench.compare.readers.ab_blocks import ab_sides
from ntbbench.compare.records import Report, Side
from ntbbench.core.clock import NS, monotonic
from ntbbench.core.errors import InputError
from ntbbench.core.options import changed


@dataclass(frozen=True)
class Watcher:
    """What the loop tells its caller: after each block, and whether to end."""

    stop: Callable[[], bool]
    save: Callable[[AbResult], None]
    progress: Callable[[AbResult, Report | None], None]


@dataclass(frozen=True)
class Bench:
    """What is run, and how it is read.

    Parameters
    ----------
    places : where each side runs.
    reader : of its metrics.
    cpu : the only CPU of both; None: any.
    folder : for the files that runs leave; each is removed when it is read.
    """

    places: Mapping[Side, Setup]
    reader: RunReader
    cpu: int | None
    folder: Path


def judged(result: AbResult) -> Report:
    """Return the verdicts on the blocks so far, by the policy of the run; they hold at any time."""
    policy = changed("policy: ", Policy(), result.policy)
    base, candidate = ab_sides(result)
    return compare(base, [candidate], policy, paired=True)


def run_blocks(result: AbResult, bench: Bench, watcher: Watcher) -> AbResult:
    """Return a result that goes on until it is decided, bounded or interrupted.

    InputError: a run that fails; what was run before is saved.
    """
    plan: AbPlan = changed("plan: ", AbPlan(), result.plan)
    before, begun = result.seconds, monotonic()
    result = replace(result, stopped="")
    block = max((run.block for run in result.runs), default=-plan.warmup) + 1
    while not result.stopped:
        if watcher.stop():
            return replace(result, stopped="interrupted")
        try:
            result = _with_block(result, bench, plan, block, watcher.stop)
        except Interrupted:
            return replace(result, stopped="interrupted")
        result = replace(result, seconds=before + (monotonic() - begun) / NS)
        report = judged(result) if result.blocks else None
        result = replace(result, stopped=_end(result, report, plan))
        watcher.save(result)
        watcher.progress(result, report)
        block += 1
    return result


def _end(result: AbResult, report: Report | None, plan: AbPlan) -> Stopped:
    """Return why to run no more blocks; "": go on."""
    if plan.until:
        return "until" if result.blocks >= plan.until else ""
    if report is not None and all(c.verdict != "inconclusive" for c in report.comparisons):
        return "decided"
    if result.blocks >= plan.max_runs:
        return "max-runs"
    return "max-time" if result.seconds >= plan.max_time else ""


def _with_block(
    result: AbResult, bench: Bench, plan: AbPlan, block: int, stop: Callable[[], bool]
) -> AbResult:
    assert plan.seed is not None  # drawn before the first block
    begun = monotonic()
    runs = []
    for turn in turns(plan.seed, block):
        started = result.seconds + (monotonic() - begun) / NS
        found = _measured(result, bench, plan, turn, stop)
        about = [quantity for quantity, _ in found]
        if not result.metrics:
            result = replace(result, metrics=about)
        _check_same(result.metrics, about, turn)
        run = AbRun(
            block=turn.block,
            side=turn.side,
            place=turn.place,
            started=round(started, 6),
            environment_bytes=turn.environment_bytes,
            values=[value for _, value in found],
        )
        runs.append(run)
    return replace(result, runs=[*result.runs, *runs])


def _measured(
    result: AbResult, bench: Bench, plan: AbPlan, turn: Turn, stop: Callable[[], bool]
) -> list[tuple[AbMetric, float]]:
    """Run one side once and read it; the files that it leaves are removed."""
    command: Any = getattr(result, turn.side).command
    place, option = bench.places[turn.side], f"--{turn.side}"
    left, count = (bench.folder / name for name in ("output.json", "count"))
    filled = [word.replace(OUTPUT, str(left)) for word in place.words(option, command)]
    counter = bench.reader.counter
    words = filled if counter is None else [*counter.wrap(count), *filled]
    padding = {PADDING_VARIABLE: "x" * turn.environment_bytes}
    environment = {**place.environment, **padding}
    job = Job(option, words, place.folder, environment, bench.cpu, plan.timeout)
    try:
        ran = run_job(job, stop)
        if OUTPUT in command and not (left.exists() and left.stat().st_size):
            raise InputError(option, command, f"a command that writes {OUTPUT}; this run does not")
        return bench.reader.read(Left(ran, left if OUTPUT in command else None, count))
    finally:
        left.unlink(missing_ok=True)
        count.unlink(missing_ok=True)


def _check_same(known: list[AbMetric], found: list[AbMetric], turn: Turn) -> None:
    """Raise InputError where a run has other metrics than those before it."""
    names, others = ({quantity.name for quantity in side} for side in (known, found))
    odd = sorted(names ^ others)
    if odd:
        lacks = "lacks it" if odd[0] in names else "has it, and others do not"
        allowed = f"a metric of every run: the {turn.side} of block {turn.block} {lacks}"
        raise InputError("metric", odd[0], allowed)
