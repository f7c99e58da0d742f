# SPDX-License-Identifier: BSD-3-Clause
"""What points of the pair were asked: axes in words, and which of them tell points apart."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import Any

from msgspec.structs import replace

from ntbbench.core.fields import declared
from ntbbench.lab.hosts.bridge_records import HostPoint
from ntbbench.lab.pair.boot.left import SOC, TITLES
from ntbbench.lab.pair.plan import AFTER
from ntbbench.lab.pair.records import PairPoint
from ntbbench.report.document import Cell, words
from ntbbench.report.wording import plural

# What a point was asked, and how a sentence says it.
AXES: dict[str, Callable[[Any], str]] = {
    "ep_driver": str,
    "rc_driver": str,
    "ep_slots": lambda slots: plural(slots, "slot"),
    "mw_count": lambda windows: plural(windows, "window"),
    "doorbell": str,
    "queues": lambda queues: "" if queues is None else f"max_num_clients {queues}",
    "flows": lambda flows: plural(flows, "flow"),
    "packets": lambda packets: f"{plural(packets, 'packet')} each",
    "gap_us": lambda gap: f"{gap} us apart" if gap else "a burst",
}


def named(points: Sequence[PairPoint]) -> list[PairPoint]:
    """Return points with each driver's path cut to the shortest tail that no other one has."""
    drivers = {name for point in points for name in (point.ep_driver, point.rc_driver)}
    tails = {name: _tail(name, drivers - {name}) for name in drivers}
    return [
        replace(point, ep_driver=tails[point.ep_driver], rc_driver=tails[point.rc_driver])
        for point in points
    ]


def _tail(name: str, others: set[str]) -> str:
    parts = PurePath(name).parts
    for count in range(1, len(parts)):
        if not any(PurePath(other).parts[-count:] == parts[-count:] for other in others):
            return str(PurePath(*parts[-count:]))
    return name


def differing(points: Sequence[PairPoint]) -> list[str]:
    """Return the axes in which points differ: the others are said once.

    By default the flows follow the windows, one per QP.
    """
    names = [name for name in AXES if not _alike(points, name)]
    return [name for name in names if name != "flows" or "mw_count" not in names]


def _alike(points: Sequence[PairPoint], name: str) -> bool:
    return len({getattr(point, name) for point in points}) <= 1


def asked(point: PairPoint, names: Iterable[str]) -> str:
    """Return what a point was asked on these axes, in words."""
    return ", ".join(filter(None, (_said(point, name) for name in names)))


def _said(point: PairPoint, name: str) -> str:
    text = AXES[name](getattr(point, name))
    if name.endswith("_driver"):
        return f"{declared(type(point))[name].title} {text}"
    # how rings reach a host of two is no choice
    return "" if name == "doorbell" and isinstance(point, HostPoint) else text


def shared(points: Sequence[PairPoint]) -> list[str]:
    """Return in one line what all points were asked alike."""
    same = [name for name in AXES if _alike(points, name)]
    joints = {point.ntb_driver for point in points if isinstance(point, HostPoint)} - {AFTER}
    others = [f"{TITLES[SOC]} {name}" for name in sorted(joints)]
    return [", ".join([asked(point, same), *others]) for point in points[:1]]


def title(point: PairPoint, axes: Iterable[str]) -> str:
    """Return what tells a point from the others: its direction and these axes."""
    return ", ".join(filter(None, [point.direction, asked(point, axes)]))


def asked_cells(point: PairPoint, axes: Iterable[str]) -> tuple[Cell, ...]:
    """Return the cells of a point's direction and of these axes."""
    values = (getattr(point, name) for name in axes)
    return words(point.direction, *("unset" if value is None else value for value in values))
