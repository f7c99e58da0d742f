# SPDX-License-Identifier: BSD-3-Clause
"""How the reports of a sweep say its numbers."""

from collections.abc import Iterable
from math import inf

from ntbbench.dispatch.records import OkPoint, Point, SweepResult, Timing, UnavailablePoint
from ntbbench.report.wording import nanoseconds, plural

AMPLIFICATION = "tasklet_schedule() calls a doorbell interrupt; 1 is ideal"
COST = "CPU time of one dispatch, from the vector to its tasklet_schedule() calls"


def interval(timing: Timing) -> str:
    """Return the median and its interval, in ns: `23.1 (22.9-23.4)`."""
    median, low, high = (nanoseconds(value) for value in (timing.median, timing.low, timing.high))
    return f"{median} ({low}-{high})"


def spread(timing: Timing) -> str:
    """Return the median in ns and how far the interval's farther end is from it.

    In percent of the median, `23.1 +-2%`, or, from 100 % on, in medians: `23.1 +-3x`.
    """
    farther = max(timing.high - timing.median, timing.median - timing.low)
    ratio = farther / timing.median if timing.median > 0 else inf
    shown = f"{100 * ratio:.0f}%" if ratio < 0.995 else f"{ratio:.0f}x"
    return f"{nanoseconds(timing.median)} +-{shown}"


def timing_of(point: Point) -> Timing | None:
    """Return the timing of a point, None where it was not timed or is unavailable."""
    if isinstance(point, OkPoint) and isinstance(point.ns_per_dispatch, Timing):
        return point.ns_per_dispatch
    return None


def ok_points(points: Iterable[Point]) -> list[OkPoint]:
    """Return the points that were measured."""
    return [point for point in points if isinstance(point, OkPoint)]


def timed(points: Iterable[Point]) -> bool:
    """Tell whether any point carries a timing."""
    return any(timing_of(point) is not None for point in points)


def number_list(values: Iterable[int]) -> str:
    """Return distinct numbers as the command line takes them: `1,2,4`."""
    return ",".join(str(value) for value in sorted(set(values)))


def headline(result: SweepResult) -> str:
    """Return how many points there are, and how many the devices could not give."""
    refused = sum(isinstance(point, UnavailablePoint) for point in result.points)
    text = f"{plural(len(result.points), 'point')}: {len(result.points) - refused} ok"
    return f"{text}, {refused} unavailable" if refused else text


def setup(result: SweepResult) -> str:
    """Return what all points have in common: the workload, interrupts, drain and seed."""
    points = result.points
    measured = ok_points(points)
    parts = [f"workload {_distinct(point.workload for point in points)}"]
    if measured:
        parts.append(f"{number_list(p.interrupts for p in measured)} interrupts a point")
    parts.append(f"drain {number_list(p.drain for p in points)}")
    parts.append(f"seed {number_list(p.seed for p in points)}")
    samples = {len(t.samples) for t in map(timing_of, points) if t is not None}
    parts.append(f"{number_list(samples)} samples" if samples else "counts only, not timed")
    return ", ".join(parts)


def unfinished(result: SweepResult) -> str | None:
    """Return how to go on with a sweep that was interrupted, None for a whole one."""
    if result.complete:
        return None
    return "interrupted: the finished points only; go on with: ntbbench sweep --resume FILE"


def lost(points: Iterable[Point]) -> list[OkPoint]:
    """Return the points where a rung doorbell woke nobody, or somebody else: never right."""
    return [point for point in ok_points(points) if point.missed or point.misrouted]


def _distinct(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(texts))
