# SPDX-License-Identifier: BSD-3-Clause
"""The same places in another build: by function, access and line of source."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from ntbbench.lab.explore.code_points import CodePoint
from ntbbench.lab.explore.records import Delay, PlaceInCode, Schedule


def mapped(places: Sequence[PlaceInCode], points: Sequence[CodePoint]) -> Mapping[str, CodePoint]:
    """Return the point of each place that `points`, located in their source, still have.

    The same offset with the same text is the same place; else the first of the same text and access
    in the same function that no other place has.
    """
    by_name = {point.name: point for point in points}
    found: dict[str, CodePoint] = {}
    for place in places:
        same = by_name.get(place.name)
        if same is not None and same.text == place.source:
            found[place.name] = same
    for place in places:
        if place.name not in found:
            taken = {point.name for point in found.values()}
            alike = (p for p in points if _alike(place, p) and p.name not in taken)
            if (point := next(alike, None)) is not None:
                found[place.name] = point
    return found


def _alike(place: PlaceInCode, point: CodePoint) -> bool:
    function = place.name.rpartition("+")[0]
    return (
        f"{point.module}:{point.function}" == function
        and point.access == place.access
        and point.text == place.source != ""
    )


def renamed(schedule: Schedule, places: Mapping[str, CodePoint]) -> Schedule:
    """Return the schedule with the names that its points have in the other build; a delay whose
    point is gone keeps its name, which no point has."""
    delays = tuple(
        Delay(places[delay.point].name, delay.hit, delay.us) if delay.point in places else delay
        for delay in schedule.delays
    )
    return replace(schedule, delays=delays)
