# SPDX-License-Identifier: BSD-3-Clause
"""What is required of a run, and what it left untried: "agrees" says no more than was exercised."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from ntbbench.core.errors import InputError
from ntbbench.lab.pair.plan import PairPlan
from ntbbench.lab.pair.predict import PER_VECTOR, WORKS
from ntbbench.lab.pair.records import OK, PairPoint
from ntbbench.pair.drivers.kernel_around import EPF_IRQ_DB_START
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.setting import DIRECTIONS, EP_TO_RC, RC_TO_EP, SPACED_US

VERDICTS = {"": "no verdict, they may have met", WORKS: "per-vector or fallback, with one QP"}


def _is_up(point: PairPoint) -> bool:
    return point.link == "up"


def _works(point: PairPoint) -> bool:
    return _is_up(point) and point.packets_received == point.packets_sent > 0


def _per_vector(point: PairPoint) -> bool:
    return _works(point) and point.verdict == PER_VECTOR


# What --require asks of every point.
REQUIREMENTS: Mapping[str, Callable[[PairPoint], bool]] = {
    "link": _is_up,
    "packets": _works,
    PER_VECTOR: _per_vector,
}


def check_requirement(plan: PairPlan, required: str | None) -> None:
    """Refuse a requirement that no drivers can meet in this setting.

    Raises
    ------
    InputError : per-vector of a burst, which has no verdict, or of one QP, where it is `works`.
    """
    if required != PER_VECTOR:
        return
    if any(not traffic.spaced for traffic in plan.traffic):
        gap = plan.traffic[0].gap_us
        raise InputError("--require", PER_VECTOR, f"a --gap of {SPACED_US} us or more, not {gap}")
    for option, value in (("--mw-count", plan.setup.mw_count), ("--queues", plan.setup.queues)):
        if value == 1:
            allowed = f"two QPs or more, not the one of {option} 1: it is woken either way"
            raise InputError("--require", PER_VECTOR, allowed)


def not_as_required(points: Sequence[PairPoint], required: str | None) -> list[str]:
    """Return what each point that is not as required is instead."""
    if required is None:
        return []
    failing = [point for point in points if not REQUIREMENTS[required](point)]
    return [f"--require {required}: {point.direction} is not: {_why(point)}" for point in failing]


def _why(point: PairPoint) -> str:
    if not _is_up(point):
        return point.cause
    sent = f"{point.packets_sent} packets sent, {point.packets_received} received"
    return f"{sent}; doorbells: {VERDICTS.get(point.verdict, point.verdict)}"


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
    others = [str(mode) for mode in Doorbell if mode not in used]
    if used and others:
        yield f"the endpoint's doorbell modes {' and '.join(others)} (--doorbell)"
