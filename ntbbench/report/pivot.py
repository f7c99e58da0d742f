# SPDX-License-Identifier: BSD-3-Clause
"""The points of a sweep as tables: a group a device, a row a dispatch, a column a queue count."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ntbbench.dispatch.records import OkPoint, Point, UnavailablePoint

# Beyond the hardware itself: what may differ between two points of one device and is neither a
# row nor a column of the table.
CIRCUMSTANCES = ("workload", "mw_count", "max_num_clients", "drain", "seed")
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

    def best(self, dispatch: str) -> OkPoint | None:
        """Return the measured point of `dispatch` with most queues, then most doorbells."""
        points = [
            point
            for row in self.rows
            for point in row.cells.values()
            if row.dispatch == dispatch and isinstance(point, OkPoint)
        ]
        return max(points, key=lambda p: (p.queues, p.doorbells, p.vectors), default=None)


@dataclass(frozen=True)
class Refusal:
    """Unavailable points with one reason: every combination of the listed values."""

    reason: str
    hardware: tuple[str, ...]
    dispatch: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]  # doorbells and vectors
    queues_requested: tuple[int, ...]
    queues: int  # created

    def __str__(self) -> str:
        asked = ",".join(str(count) for count in self.queues_requested)
        sizes = ", ".join(f"{doorbells}/{vectors}" for doorbells, vectors in self.sizes)
        return (
            f"{', '.join(self.hardware)}: {', '.join(self.dispatch)}; "
            f"doorbells/vectors {sizes}; queues asked {asked}, created {self.queues}"
        )


def groups_of(points: Iterable[Point]) -> list[Group]:
    """Return the pivot of `points`: groups, rows and cells in the order of the points."""
    points = list(points)
    found: dict[tuple[object, ...], list[Point]] = {}
    for point in points:
        found.setdefault((point.hardware, *_circumstances(point)), []).append(point)
    varying = _varying(points)
    return [
        Group(members[0].hardware, _told(members[0], varying), _rows_of(members))
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
    """Return the reason with Q for the number of queues asked for (ntbbench.ntb.netdev)."""
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


def _circumstances(point: Point) -> tuple[object, ...]:
    return tuple(getattr(point, name) for name in CIRCUMSTANCES)


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


def _told(point: Point, varying: Mapping[str, Sequence[str]]) -> str:
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
