# SPDX-License-Identifier: BSD-3-Clause
"""What a run left untried, so that "agrees" is not taken for more than was exercised."""

from collections.abc import Iterator, Sequence

from ntbbench.lab.pair.plan import DIRECTIONS, DOORBELLS, EP_TO_RC, RC_TO_EP
from ntbbench.lab.pair.records import OK, PairPoint
from ntbbench.pair.drivers.slots import EPF_IRQ_DB_START


def not_exercised(points: Sequence[PairPoint]) -> list[str]:
    """Return what none of the points did, in words, each with the option that changes it."""
    run = [point for point in points if point.status == OK]
    up = [point for point in run if point.link == "up"]
    told = [*_directions(run), *_down(run), *_qps(up), *_slots(up), *_bits(up), *_gaps(up)]
    return list(dict.fromkeys([*told, *_modes(run)]))


def _directions(run: Sequence[PairPoint]) -> Iterator[str]:
    asked = {point.direction for point in run}
    names = {EP_TO_RC: "towards the root complex", RC_TO_EP: "towards the endpoint"}
    for direction in DIRECTIONS:
        if run and direction not in asked:
            yield f"doorbells {names[direction]} (--direction {direction})"


def _down(run: Sequence[PairPoint]) -> Iterator[str]:
    for point in run:
        if point.link != "up":
            yield f"doorbells {point.direction} where the link is down"


def _qps(up: Sequence[PairPoint]) -> Iterator[str]:
    for point in up:
        silent = ", ".join(str(qp) for qp, rung in enumerate(point.doorbells_per_qp) if not rung)
        if silent:
            yield f"{point.direction}: the doorbell of QP {silent} (--flows)"


def _slots(up: Sequence[PairPoint]) -> Iterator[str]:
    """Yield the directions whose slots were not seen: a recording of an older lab has none."""
    for point in up:
        if point.doorbells_rung and not point.slots_per_number:
            yield f"{point.direction}: which slots its doorbells rang"


def _bits(up: Sequence[PairPoint]) -> Iterator[str]:
    """Yield the doorbell bits that both sides have slots for and no QP uses."""
    found = []
    for point in up:
        first = point.queues_open
        last = min(point.ep_slots, point.rc_vectors) - EPF_IRQ_DB_START - 1
        if first <= last:
            found.append(f"bit {last}" if first == last else f"bits {first}-{last}")
    which = dict.fromkeys(found)
    if which:
        bits = next(iter(which)) if len(which) == 1 else "bits"
        yield f"doorbell {bits} that no QP has (--queues)"


def _gaps(up: Sequence[PairPoint]) -> Iterator[str]:
    if up and all(point.gap_us for point in up):
        yield "doorbells that meet (--gap 0)"
    if up and not any(point.gap_us for point in up):
        yield "doorbells that do not meet (--gap)"


def _modes(run: Sequence[PairPoint]) -> Iterator[str]:
    used = {point.doorbell for point in run if point.direction == RC_TO_EP}
    others = [mode for mode in DOORBELLS if mode not in used]
    if used and others:
        yield f"the endpoint's doorbell modes {' and '.join(others)} (--doorbell)"
