# SPDX-License-Identifier: BSD-3-Clause
"""Sides of a comparison that are parts of a result: the points of one value of an axis each."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ntbbench.compare.readers.checked import read_bytes
from ntbbench.compare.readers.detect import joined, kind_of, paths_of, readable
from ntbbench.compare.readers.results import Results
from ntbbench.compare.series import Variant
from ntbbench.core.errors import InputError
from ntbbench.core.names import unknown

NOT_OF_ALL = "not known of every value of the axis"
Part = tuple[Any, list[Any]]  # a decoded result, and those of its points that were chosen


def by_axis(argument: str, name: str) -> list[Variant]:
    """Return a side for each value of an axis in one result, the first value's first.

    Raises
    ------
    InputError : no result of ntbbench, an axis that it has not, or one with a single value.
    """
    kind, paths, results = _read(argument, "--by")
    axis = _axis(kind, name, "--by")
    values = list(dict.fromkeys(_value(kind, p, axis) for r in results for p in _points(kind, r)))
    if len(values) < 2:
        raise InputError("--by", name, f"an axis of several values; all points have {values}")
    sides = [[_part(kind, result, axis, value) for result in results] for value in values]
    return _variants(kind, axis, sides, values, [paths] * len(values))


def matched(arguments: Sequence[str], asked: str) -> list[Variant]:
    """Return a side for each argument: its points with the value that `AXIS=A:B` says.

    Raises
    ------
    InputError : as `by_axis`, and values that are as many as the results are not, or not there.
    """
    name, _, texts = asked.partition("=")
    values = texts.split(":")
    if len(values) != len(arguments) or not all(values):
        allowed = f"AXIS=A:B, a value for each of {len(arguments)} results"
        raise InputError("--match", asked, allowed)
    read = [_read(argument, "--match") for argument in arguments]
    kind = read[0][0]
    if any(other.schema != kind.schema for other, _, _ in read):
        raise InputError("--match", " ".join(arguments), "results of one kind")
    axis = _axis(kind, name, "--match")
    sides = [
        [_part(kind, result, axis, value) for result in results]
        for (_, _, results), value in zip(read, values, strict=True)
    ]
    for (_, _, results), side, value in zip(read, sides, values, strict=True):
        if not any(points for _, points in side):
            known = {_value(kind, p, axis) for result in results for p in _points(kind, result)}
            raise unknown("--match", value, sorted(known))
    return _variants(kind, axis, sides, values, [paths for _, paths, _ in read])


def _read(argument: str, option: str) -> tuple[Results, list[Path], list[Any]]:
    """Return the kind of the results that an argument names, its files, and what is in them."""
    paths = paths_of(argument)
    kind, results = None, []
    for path in paths:
        with readable(str(path)):
            data = read_bytes(path)
            own = kind_of(data)
            if own is None or (kind is not None and own is not kind):
                raise InputError(option, argument, "results of ntbbench, of one kind")
            kind = own
            results.append(kind.decode(data))
    assert kind is not None  # there is a path
    return kind, paths, results


def _points(kind: Results, result: Any) -> list[Any]:
    found: list[Any] = getattr(result, kind.points)
    return found


def _axis(kind: Results, name: str, option: str) -> str:
    """Return the axis that a user names; a count that was asked for is called by what it counts."""
    known = {axis.removesuffix("_requested"): axis for axis in kind.axes}
    if name not in known:
        raise unknown(option, name, list(known))
    return known[name]


def _value(kind: Results, point: Any, axis: str) -> str:
    return str(kind.written(axis, getattr(point, axis)))


def _part(kind: Results, result: Any, axis: str, value: str) -> Part:
    points = [point for point in _points(kind, result) if _value(kind, point, axis) == value]
    return result, points


def _variants(
    kind: Results,
    axis: str,
    sides: Sequence[Sequence[Part]],
    labels: Sequence[str],
    paths: Sequence[Sequence[Path]],
) -> list[Variant]:
    """Return the sides under names that leave out the axis, and what follows from it."""
    chosen = [[point for _, points in side for point in points] for side in sides]
    left_out = _left_out(kind, axis, chosen)
    namer = type(kind)(left_out)
    found = []
    for side, label, files in zip(sides, labels, paths, strict=True):
        runs = []
        for (result, points), where in zip(side, files, strict=True):
            part = copy.copy(result)
            setattr(part, kind.points, points)
            runs.append(_told(namer.variant(part, label, str(where)), axis, label))
        found.append(runs[0] if len(runs) == 1 else joined(runs, list(files)))
    return [_comparable(variant, found) for variant in found]


def _comparable(variant: Variant, sides: Sequence[Variant]) -> Variant:
    """Return the side without what another lacks of a point that both have: it cannot know it."""
    points = [{_point(name) for name in side.series} for side in sides]
    lacking = {
        name
        for side, known in zip(sides, points, strict=True)
        for name in variant.series
        if name not in side.series and _point(name) in known
    }
    unknown_here = {**variant.unknown, **dict.fromkeys(lacking, NOT_OF_ALL)}
    return replace(variant, unknown=unknown_here)


def _point(name: str) -> str:
    return name.rpartition(":")[0]


def _told(variant: Variant, axis: str, value: str) -> Variant:
    """Return the side with the value of the axis as a note, and without lists that it shapes."""
    series = {
        name: one
        for name, one in variant.series.items()
        if not (isinstance(one.value, str) and one.rank is None)
    }
    return replace(variant, series=series, context={**variant.context, axis: value})


def _left_out(kind: Results, axis: str, sides: Sequence[Sequence[Any]]) -> list[str]:
    """Return the axis, and those that must go for points to meet: `vectors` follow a device.

    An axis goes where more points meet without it, and none of a side falls on another.
    """
    gone = [axis]
    others = [name for name in kind.axes if name != axis]
    for name in others:
        kept = [[o for o in others if o not in gone] for _ in sides]
        before = [
            {_key(point, names) for point in side} for side, names in zip(sides, kept, strict=True)
        ]
        after = [
            {_key(p, [o for o in others if o not in (*gone, name)]) for p in side} for side in sides
        ]
        apart = [len(one) == len(other) for one, other in zip(before, after, strict=True)]
        if all(apart) and _meeting(after) > _meeting(before):
            gone.append(name)
    return gone


def _key(point: Any, axes: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(getattr(point, axis)) for axis in axes)


def _meeting(sides: Sequence[set[tuple[str, ...]]]) -> int:
    """Return how many points of the base each of the others has, together."""
    return sum(len(sides[0] & other) for other in sides[1:])
