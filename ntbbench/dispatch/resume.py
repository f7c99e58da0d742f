# SPDX-License-Identifier: BSD-3-Clause
"""Going on with an unfinished sweep: the same scenario, the cells that are finished already."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from ntbbench.core.environment import Environment, comparable
from ntbbench.core.errors import InputError
from ntbbench.dispatch.cell import Cell
from ntbbench.dispatch.records import Axes, Caution, OkPoint, Point, SweepResult, Timing
from ntbbench.dispatch.scenario import Scenario, plain
from ntbbench.dispatch.sweep_warnings import ENVIRONMENT_CHANGED

FREE_KEYS = ("jobs",)  # changes no result


def check_same(recorded: Scenario, asked: Scenario, source: str) -> None:
    """Raise InputError at the first key in which a recorded scenario is not the one asked for."""
    for key in Scenario.__struct_fields__:
        old, new = getattr(recorded, key), getattr(asked, key)
        if old != new and key not in FREE_KEYS:
            allowed = f"{plain(recorded)[key]!r}, as in {source}, which is resumed"
            raise InputError(key, plain(asked)[key], allowed)


def adopt(cells: Sequence[Cell], previous: SweepResult, environment: Environment) -> list[Caution]:
    """Give the cells the points of an earlier run, and return the warnings about that.

    Timings are taken over only from the same environment; counts from the same ntbbench.

    Raises
    ------
    InputError : another version of ntbbench wrote the result, or a point is not of the scenario.
    """
    version = previous.environment.get("ntbbench")
    if version != environment.ntbbench:
        allowed = f"a result of ntbbench {environment.ntbbench}; start a new sweep"
        raise InputError("resume: ntbbench version", version, allowed)
    same = comparable(previous.environment) == comparable(environment.record())
    waiting: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in reversed(cells):
        waiting.setdefault(msgspec.structs.astuple(cell.axes), []).append(cell)
    dropped = 0
    for number, point in enumerate(previous.points):
        twins = waiting.get(tuple(getattr(point, name) for name in Axes.__struct_fields__))
        if not twins:
            raise InputError("resume: point", number, "a point of the scenario in the same file")
        timing = take_over(twins.pop(), point, same)
        dropped += timing
    if not dropped:
        return []
    message = f"the timings of {dropped} points, from another environment, were taken anew"
    return [ENVIRONMENT_CHANGED.caution(message)]


def take_over(cell: Cell, point: Point, with_timing: bool) -> bool:
    """Give a cell its earlier point; return whether a timing had to be dropped."""
    cell.point = point
    if not isinstance(point, OkPoint) or not isinstance(point.ns_per_dispatch, Timing):
        return False
    cell.point = msgspec.structs.replace(point, ns_per_dispatch=UNSET)
    if with_timing:
        cell.samples = list(point.ns_per_dispatch.samples)
    return not with_timing
