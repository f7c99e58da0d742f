# SPDX-License-Identifier: BSD-3-Clause
"""What every format says alike: numbers with their units, safe names, the facts of a sweep."""

from collections.abc import Iterable, Mapping
from math import inf
from textwrap import wrap
from typing import Any

from ntbbench.dispatch.records import OkPoint, Point, SweepResult, Timing, UnavailablePoint

AMPLIFICATION = "tasklet_schedule() calls a doorbell interrupt; 1 is ideal"
COST = "CPU time of one dispatch, from the vector to its tasklet_schedule() calls"
UNITS = {"resolution": " s"}  # of numbers in the environment
WIDTH = 80  # of a text report
ENTRIES_MAX = 12  # of a list in a few lines; a longer one (the CPU's flags) is counted


def printable(text: str) -> str:
    """Return `text` on one line and without anything a terminal or a browser would obey.

    Control, format and bidirectional characters become their Python escapes, so they stay visible.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def ascii_only(text: str) -> str:
    """Return `text` as printable ASCII, every other character as its Python escape."""
    return printable(text).encode("ascii", "backslashreplace").decode("ascii")


def folded(text: str, indent: str = "") -> str:
    """Return `text` in lines of at most WIDTH columns of ASCII, the first one indented less."""
    lines = wrap(
        ascii_only(text), WIDTH, initial_indent=indent, subsequent_indent=indent + "  ",
        break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(lines)


def number(value: float) -> str:
    """Return a ratio with two decimals: 1.00, 2.53, 64.00."""
    return f"{value:.2f}"


def nanoseconds(value: float) -> str:
    """Return a duration in ns with the digits that a measurement can hold, without the unit."""
    decimals = 2 if value < 10 else 1 if value < 1000 else 0
    return f"{value:.{decimals}f}"


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


def percent(ratio: float) -> str:
    """Return a share in percent: 0.875 -> `87.5%`."""
    return f"{100 * ratio:.1f}%"


def plural(count: int, noun: str) -> str:
    """Return `1 point`, `2 points`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


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


def facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a nested record as rows: the dotted name and its value as text."""
    rows: list[tuple[str, str]] = []
    for key, value in record.items():
        if isinstance(value, dict):
            rows += [(f"{key}.{name}", text) for name, text in facts(value)]
        else:
            rows.append((key, _plain(value) + UNITS.get(key, "")))
    return rows


def brief_facts(record: Mapping[str, Any]) -> list[str]:
    """Return a nested record as a few lines: one a key, and no long list."""
    lines: list[str] = []
    for key, value in record.items():
        inner = facts(value) if isinstance(value, dict) else [("", _plain(value))]
        parts = [f"{name} {_brief(text)}".strip() for name, text in inner]
        lines.append(f"{key}: {'; '.join(parts)}")
    return lines


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value) or "none"
    return "none" if value is None else str(value)


def _brief(text: str) -> str:
    entries = text.count(", ") + 1
    return f"{entries} entries, in the JSON" if entries > ENTRIES_MAX else text


def _distinct(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(texts))
