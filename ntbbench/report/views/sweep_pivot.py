# SPDX-License-Identifier: BSD-3-Clause
"""The points of a sweep: what is known of one, and a pivot with queue counts across."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, prod
from operator import attrgetter
from typing import Any

from ntbbench.dispatch.records import OkPoint, Point, Timing, UnavailablePoint
from ntbbench.report.wording import nanoseconds

# Beyond the hardware itself: what may differ between two points of one device and is neither a
# row nor a column of the table.
CIRCUMSTANCES = ("workload", "mw_count", "max_num_clients", "drain", "seed")
_circumstances = attrgetter(*CIRCUMSTANCES)
_queues = attrgetter("queues")
MERGED_AXES = ("queues_requested", "sizes", "dispatch", "hardware")


@dataclass(frozen=True)
class Row:
    """Points that differ in the queues asked for only.

    `repeat` counts from 0: a device that ignores an axis gives the same point once more for each
    of its values, and none of them is dropped.
    """

    dispatch: str
    doorbells: int
    vectors: int
    repeat: int
    cells: Mapping[int, Point]  # by queues_requested


@dataclass(frozen=True)
class Group:
    """One device under one set of circumstances."""

    hardware: str  # as written in the scenario: every format escapes it
    circumstances: str  # that tell it from the device's other groups, empty where there are none
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """The device and its circumstances."""
        return ", ".join(part for part in (self.hardware, self.circumstances) if part)

    @property
    def queue_counts(self) -> list[int]:
        """The queue counts asked for, ascending."""
        return sorted({count for row in self.rows for count in row.cells})

    @property
    def dispatches(self) -> list[str]:
        """The dispatch modes in the order of the sweep."""
        return list(dict.fromkeys(row.dispatch for row in self.rows))

    def best(self, dispatch: str) -> list[OkPoint]:
        """Return the points of `dispatch` with most queues and most doorbells, by vectors."""
        points = [point for point in self.measured() if point.dispatch == dispatch]
        top = max(((point.queues, point.doorbells) for point in points), default=(0, 0))
        found = {p.vectors: p for p in sorted(points, key=_queues) if p.doorbells == top[1]}
        return list(found.values())

    def measured(self) -> list[OkPoint]:
        """Return the points that were measured."""
        return [point for row in self.rows for point in ok_points(row.cells.values())]


@dataclass(frozen=True)
class Refusal:
    """Unavailable points with one reason: every combination of the listed values."""

    reason: str
    hardware: tuple[str, ...]
    dispatch: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]  # doorbells and vectors
    queues_requested: tuple[int, ...]
    queues: int  # created

    @property
    def points(self) -> int:
        """How many points these are."""
        axes = (self.hardware, self.dispatch, self.sizes, self.queues_requested)
        return prod(map(len, axes))

    def __str__(self) -> str:
        asked = ",".join(str(count) for count in self.queues_requested)
        sizes = ", ".join(f"{doorbells}/{vectors}" for doorbells, vectors in self.sizes)
        return (
            f"{', '.join(self.hardware)}: {', '.join(self.dispatch)}; "
            f"doorbells/vectors {sizes}; queues asked {asked}, created {self.queues}"
        )


def ok_points(points: Iterable[Point]) -> list[OkPoint]:
    """Return the points that were measured."""
    return [point for point in points if isinstance(point, OkPoint)]


def lost_points(points: Iterable[Point]) -> list[OkPoint]:
    """Return the points where a rung doorbell woke nobody, or somebody else: never right."""
    return [point for point in ok_points(points) if point.missed or point.misrouted]


def timing_of(point: Point) -> Timing | None:
    """Return the timing of a point, None where it was not timed or is unavailable."""
    if isinstance(point, OkPoint) and isinstance(point.ns_per_dispatch, Timing):
        return point.ns_per_dispatch
    return None


def timed(points: Iterable[Point]) -> bool:
    """Tell whether any point carries a timing."""
    return any(timing_of(point) is not None for point in points)


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


def groups_of(points: Iterable[Point]) -> list[Group]:
    """Return the pivot of `points`: groups, rows and cells in the order of the points."""
    points = list(points)
    found: dict[tuple[object, ...], list[Point]] = {}
    for point in points:
        found.setdefault((point.hardware, *_circumstances(point)), []).append(point)
    varying = _varying(points)
    return [
        Group(members[0].hardware, _circumstances_text(members[0], varying), _rows_of(members))
        for members in found.values()
    ]


def queue_counts(groups: Sequence[Group]) -> list[int]:
    """Return every queue count asked for, ascending."""
    return sorted({count for group in groups for count in group.queue_counts})


def refusals_of(points: Iterable[Point]) -> list[Refusal]:
    """Return the unavailable points, those of one reason merged into full products of values.

    Reasons that differ only in the queues asked for are one: Q stands for that number.
    """
    refusals = [
        Refusal(
            reason=_general(point),
            hardware=(point.hardware,),
            dispatch=(point.dispatch,),
            sizes=((point.doorbells, point.vectors),),
            queues_requested=(point.queues_requested,),
            queues=point.queues,
        )
        for point in points
        if isinstance(point, UnavailablePoint)
    ]
    for axis in MERGED_AXES:
        refusals = _merge(refusals, axis)
    return refusals


def by_reason(refusals: Iterable[Refusal]) -> list[tuple[str, list[Refusal]]]:
    """Return the refusals under their reasons, both in the order of the points."""
    found: dict[str, list[Refusal]] = {}
    for refusal in refusals:
        found.setdefault(refusal.reason, []).append(refusal)
    return list(found.items())


def _general(point: UnavailablePoint) -> str:
    """Return the reason with Q for the number of queues asked for (ntbbench.ntb.transport)."""
    return re.sub(rf"^ENOSPC: {point.queues_requested} queues?\b", "ENOSPC: Q queues", point.reason)


def _rows_of(points: Sequence[Point]) -> tuple[Row, ...]:
    cells: dict[tuple[str, int, int, int], dict[int, Point]] = {}
    for point in points:
        repeat = 0
        while point.queues_requested in (row := cells.setdefault(_row_key(point, repeat), {})):
            repeat += 1
        row[point.queues_requested] = point
    return tuple(Row(*key, row) for key, row in cells.items())


def _row_key(point: Point, repeat: int) -> tuple[str, int, int, int]:
    return point.dispatch, point.doorbells, point.vectors, repeat


def _varying(points: Sequence[Point]) -> dict[str, list[str]]:
    """Return, for each hardware, the circumstances that tell its groups apart."""
    seen: dict[str, list[set[object]]] = {}
    for point in points:
        columns = seen.setdefault(point.hardware, [set() for _ in CIRCUMSTANCES])
        for column, value in zip(columns, _circumstances(point), strict=True):
            column.add(value)
    return {
        hardware: [n for n, column in zip(CIRCUMSTANCES, columns, strict=True) if len(column) > 1]
        for hardware, columns in seen.items()
    }


def _circumstances_text(point: Point, varying: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{name} {getattr(point, name)}" for name in varying[point.hardware])


def _merge(refusals: Iterable[Refusal], axis: str) -> list[Refusal]:
    found: dict[Refusal, list[object]] = {}
    for refusal in refusals:
        values = found.setdefault(_with(refusal, axis, ()), [])
        values += [value for value in getattr(refusal, axis) if value not in values]
    return [_with(rest, axis, tuple(values)) for rest, values in found.items()]


def _with(refusal: Refusal, axis: str, values: tuple[Any, ...]) -> Refusal:
    changes: dict[str, Any] = {axis: values}
    return replace(refusal, **changes)
