# SPDX-License-Identifier: BSD-3-Clause
"""What the model does not allow of a point, and what a run left untried: no more is agreed."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ntbbench.core.errors import InputError
from ntbbench.lab.pair.plan import PairPlan
from ntbbench.lab.pair.point_files import RecordedPoint
from ntbbench.lab.pair.predict import PER_VECTOR, WORKS, Prediction
from ntbbench.lab.pair.records import OK, PairPoint
from ntbbench.lab.pair.ring_trace_file import NO_SLOT, PairTrace
from ntbbench.pair.coalesce import Hop
from ntbbench.pair.drivers.kernel_around import EPF_IRQ_DB_START, EPF_IRQ_LINK, slot_of
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.setting import (
    EP_TO_RC,
    HOST1_TO_HOST2,
    HOST2_TO_HOST1,
    RC_TO_EP,
    SPACED_US,
    Traffic,
)

STALE = (
    "rx_err_ver"  # an entry's number is not the next: no lack of buffers and no burst makes it so
)


def count_complaints(trace: PairTrace, predicted: Prediction) -> Iterator[str]:
    """Yield each count that is not what the model says, or not within what it allows."""
    exact = ((trace.msis, predicted.msis), (trace.vectors, predicted.vectors))
    hops = (predicted.msi_hops, predicted.event_hops)
    for counts, own_hops, what in zip(exact, hops, ("MSI number", "events of vector"), strict=True):
        if predicted.exact:
            yield from _exact(*counts, sorted(counts[0].keys() | counts[1].keys()), what)
        else:
            yield from _hops(own_hops, what, trace)
    if predicted.bounds is None:
        runs = Counter(dict(enumerate(predicted.runs)))
        yield from _exact(trace.runs, runs, range(len(predicted.runs)), "runs of QP")
        return
    limits = zip(predicted.bounds.least, predicted.bounds.most, strict=True)
    for qp_num, (least, most) in enumerate(limits):
        yield from _within(trace.runs[qp_num], least, most, f"runs of QP {qp_num}")


def register_complaints(recorded: RecordedPoint, traffic: Traffic) -> Iterator[str]:
    """Yield the doorbell bits of QPs that are still set once all has come to rest.

    Of a driver whose db_read() shows the bits that were rung: the race check clears each.
    """
    own = sum(1 << qp_num for qp_num in recorded.active(traffic.receiver))
    left = recorded.registers.get(traffic.receiver, 0) & own
    if left:
        yield f"db_read shows {left:#x} at rest: the race check of these QPs cleared nothing"


def slot_complaints(trace: PairTrace, ep_slots: int | None) -> Iterator[str]:
    """Yield each bit that did not ring the slot at which peers of any version expect it.

    `ep_slots`: that the endpoint listens to; None: the slots are MSIs towards the root complex.
    """
    if len(trace.cpus) > 1:  # the order of events, which no longer holds, says whose a slot is
        return
    rung = trace.slots.of_bits()
    for bit in sorted(trace.doorbells):
        slot, seen = slot_of(bit), rung.get(bit, [])
        absent = 0 if ep_slots is None or slot >= ep_slots else trace.slots.absent[bit]
        wanted = f"{_slot(slot, ep_slots)} is expected, by peers of any version"
        if any(other != slot for other in seen):
            told = ", ".join(_slot(other, ep_slots) for other in seen)
            yield f"doorbell bit {bit} rang {told}; {wanted}"
        elif absent:
            lost = f"{absent} of {trace.doorbells[bit]}"
            yield f"doorbell bit {bit}: {lost} came to no slot; {wanted}"


def _slot(slot: int, ep_slots: int | None) -> str:
    if slot == NO_SLOT:
        return "a word that is no slot's"
    name = "link" if slot == EPF_IRQ_LINK else "reserved" if slot < EPF_IRQ_DB_START else ""
    told = ", ".join(filter(None, [name, f"MSI {slot + 1}" if ep_slots is None else ""]))
    return f"slot {slot} ({told})" if told else f"slot {slot}"


def _hops(hops: Mapping[int, Hop], what: str, trace: PairTrace) -> Iterator[str]:
    ordered = len(trace.cpus) <= 1  # several CPUs' events are in no order to build on
    for key, hop in hops.items():
        wrong = list(_within(hop.count, hop.least, hop.most, f"{what} {key}"))
        yield from wrong
        if wrong or not ordered:
            continue
        if hop.surplus():
            yield f"{what} {key}: came once more than it was asked for until then"
        if hop.lost():
            yield f"{what} {key}: did not come after it was asked for"


def _within(measured: int, least: int, most: int, what: str) -> Iterator[str]:
    if not least <= measured <= most:
        yield f"{what}: {measured}, possible are {least} .. {most}"


def _exact(
    measured: Counter[int], predicted: Counter[int], keys: Iterable[int], what: str
) -> Iterator[str]:
    for key in keys:
        if measured[key] != predicted[key]:
            yield f"{what} {key}: {measured[key]}, the model says {predicted[key]}"


def cautions(
    recorded: RecordedPoint, predicted: Prediction, traffic: Traffic, expected: int
) -> Iterator[str]:
    """Yield what no verdict depends on; `expected`: QPs that the model has."""
    if predicted.exact and predicted.bounds is not None:
        yield (
            "a poll found more than one doorbell: whether ksoftirqd preempts it between two "
            "callbacks is the scheduler's choice, so the runs are only bounded"
        )
    open_qps = len(recorded.active(traffic.receiver))
    if open_qps != expected:
        yield f"ntb_netdev runs {open_qps} of {expected} QPs"
    asked = traffic.flows * traffic.packets
    if recorded.sent < asked:
        yield f"{recorded.sent} of {asked} packets sent: the sender's queue stayed stopped"
    yield from _uneven(recorded)
    if recorded.trace.backward:
        yield f"{recorded.trace.backward} doorbells the other way"
    for name, count in recorded.counted.rx_errors.items():
        if count and name != STALE:
            yield f"{name}: {count}"
    yield from recorded.counted.doubts


def _uneven(recorded: RecordedPoint) -> Iterator[str]:
    sent, rings = recorded.sent, recorded.trace.rings
    if rings < sent:
        yield (
            f"{sent - rings} of {sent} packets sent rang no doorbell: they did not come to the "
            "transport's ring, the sender's queue stayed stopped"
        )
    if rings > sent:
        yield f"doorbells more than packets sent: {rings - sent}"
    if recorded.received > sent:
        yield (
            f"packets received more than sent: {recorded.received - sent}, of those that gave the "
            "flows their QPs: their doorbells were lost, and they were still in the ring"
        )


# What the API probe asks.
PROBED = "several bits at once, masks, scratchpads, windows, link down and up"
UNPROBED = f"{PROBED} (lab pair run)"
# Where the doorbells of each direction go, by endpoint function.
WHITHER: tuple[dict[str, str], ...] = (
    {EP_TO_RC: "the root complex", RC_TO_EP: "the endpoint"},
    {HOST1_TO_HOST2: "host 2", HOST2_TO_HOST1: "host 1"},
)
VERDICTS = {"": "no verdict, they may have met", WORKS: "per-vector or fallback, with one QP"}


def _is_up(point: PairPoint) -> bool:
    return point.link == "up"


def _works(point: PairPoint) -> bool:
    return _is_up(point) and point.packets_received == point.packets_sent > 0


def _is_per_vector(point: PairPoint) -> bool:
    # A burst has no verdict: the spaced point beside it has.
    has_met = point.gap_us < SPACED_US and not point.verdict
    return _works(point) and (has_met or point.verdict == PER_VECTOR)


# What --require asks of every point.
REQUIREMENTS: Mapping[str, Callable[[PairPoint], bool]] = {
    "link": _is_up,
    "packets": _works,
    PER_VECTOR: _is_per_vector,
}


def check_requirement(plan: PairPlan, required: str | None) -> None:
    """Refuse a requirement that no drivers can meet in this setting; InputError: per-vector of
    bursts alone, which have no verdict, or of one QP, where it is `works`."""
    if required != PER_VECTOR:
        return
    if not any(traffic.spaced for traffic in plan.traffic):
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
    return [
        f"--require {required}: {point.direction} is not: {_why(point)}"
        for point in points
        if not REQUIREMENTS[required](point)
    ]


def _why(point: PairPoint) -> str:
    if not _is_up(point):
        return point.cause
    sent = f"{point.packets_sent} packets sent, {point.packets_received} received"
    return f"{sent}; doorbells: {VERDICTS.get(point.verdict, point.verdict)}"


def not_exercised(points: Sequence[PairPoint], *, probed: bool) -> list[str]:
    """Return what none of the points did, in words, each with the option that changes it.

    `probed`: both drivers were asked for what no traffic shows.
    """
    run = [point for point in points if point.status == OK]
    untried = list(dict.fromkeys(_untried(run, [point for point in run if _is_up(point)])))
    return untried + ([UNPROBED] if run and not probed else [])


def _untried(run: Sequence[PairPoint], up: Sequence[PairPoint]) -> Iterator[str]:
    asked = {point.direction for point in run}
    for direction, whither in next((ways for ways in WHITHER if asked & ways.keys()), {}).items():
        if direction not in asked:
            yield f"doorbells towards {whither} (--direction {direction})"
    for point in run:
        if not _is_up(point):
            yield f"doorbells {point.direction} where the link is down"
    for point in up:
        silent = ", ".join(str(qp) for qp, rung in enumerate(point.doorbells_per_qp) if not rung)
        if silent:
            yield f"{point.direction}: the doorbell of QP {silent} (--flows)"
    for point in up:
        if point.doorbells_rung and not point.slots_per_number:  # a recording of an older lab
            yield f"{point.direction}: which slots its doorbells rang"
    yield from _bits(up)
    if up and all(point.gap_us for point in up):
        yield "doorbells that meet (--gap 0)"
    if up and not any(point.gap_us for point in up):
        yield "doorbells that do not meet (--gap)"
    used = {point.doorbell for point in run if point.direction == RC_TO_EP}
    others = [str(mode) for mode in Doorbell if mode not in used]
    if used and others:
        yield f"the endpoint's doorbell modes {' and '.join(others)} (--doorbell)"


def _bits(up: Sequence[PairPoint]) -> Iterator[str]:
    found = []  # bits that both sides have slots for and no QP uses
    for point in up:
        first = point.queues_open
        last = min(point.ep_slots, point.rc_vectors) - EPF_IRQ_DB_START - 1
        if first <= last:
            found.append(f"bit {last}" if first == last else f"bits {first}-{last}")
    if found:
        yield f"doorbell {found[0] if len({*found}) == 1 else 'bits'} that no QP has (--queues)"
