# SPDX-License-Identifier: BSD-3-Clause
"""Sides of a comparison that are parts of a result: the points of one value of an axis each."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from ntbbench.compare.readers.content import Content, readable
from ntbbench.compare.readers.joining import joined, unique_labels
from ntbbench.compare.readers.own_results import kind_of
from ntbbench.compare.readers.paths import paths_of
from ntbbench.compare.readers.results import Results
from ntbbench.compare.series import Variant
from ntbbench.core.errors import InputError
from ntbbench.core.fields import declared
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
        allowed = f"AXIS=A:B, a value for each of {len(arguments)} results; a file may stand twice"
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
            content = Content(path)
            own = kind_of(content)
            if own is None or (kind is not None and own is not kind):
                raise InputError(option, argument, "results of ntbbench, of one kind")
            kind = own
            results.append(kind.decode(content.data))
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
    namer = type(kind)((axis, *_following(kind, axis, sides)))
    found = []
    for side, label, files in zip(sides, labels, paths, strict=True):
        runs, known = [], []
        for (result, points), where in zip(side, files, strict=True):
            if points:
                part = copy.copy(result)
                setattr(part, kind.points, points)
                runs.append(_told(namer.variant(part, label, str(where)), axis, label))
                known.append(where)
        found.append(runs[0] if len(runs) == 1 else joined(runs, known))
    return [_comparable(variant, found, kind) for variant in unique_labels(found)]


def _comparable(variant: Variant, sides: Sequence[Variant], kind: Results) -> Variant:
    """Return the side with a note on what its points cannot know, and another's of them do.

    That is a field that a device may lack: its type says so.
    """
    about = declared(kind.point)
    optional = {name for name, it in about.items() if type(None) in get_args(it.type)}
    points = {_point(name) for name in variant.series}
    lacking = {
        name
        for side in sides
        for name in side.series.keys() - variant.series.keys()
        if _point(name) in points and name.rpartition(":")[2] in optional
    }
    return replace(variant, unknown={**variant.unknown, **dict.fromkeys(lacking, NOT_OF_ALL)})


def _point(name: str) -> str:
    return name.rpartition(":")[0]


def _told(variant: Variant, axis: str, value: str) -> Variant:
    """Return the side with the value of the axis as a note, and without lists that it shapes."""
    series = {
        name: one
        for name, one in variant.series.items()
        if not (isinstance(one.value, str) and one.rank is None)
        and name.rpartition(":")[2] != axis.removesuffix("_requested")  # what was chosen by it
    }
    return replace(variant, series=series, context={**variant.context, axis: value})


def _following(kind: Results, axis: str, sides: Sequence[Sequence[Part]]) -> list[str]:
    """Return the axes that follow from the chosen one and tell no two points of a side apart."""
    gone: list[str] = []
    for name in kind.follows.get(axis, ()):
        kept = [other for other in kind.axes if other not in (axis, *gone)]
        rest = [other for other in kept if other != name]
        apart = ({_key(point, kept) for _, points in side for point in points} for side in sides)
        if all(len(keys) == len({_short(key, kept, rest) for key in keys}) for keys in apart):
            gone.append(name)
    return gone


def _key(point: Any, axes: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(getattr(point, axis)) for axis in axes)


def _short(key: Sequence[str], axes: Sequence[str], kept: Sequence[str]) -> tuple[str, ...]:
    return tuple(value for value, axis in zip(key, axes, strict=True) if axis in kept)
