# SPDX-License-Identifier: BSD-3-Clause
"""What a reader of one point is told: counts that the model does not allow, and cautions."""

from collections import Counter
from collections.abc import Iterator, Mapping

from ntbbench.lab.pair.point_files import RecordedPoint
from ntbbench.lab.pair.predict import Prediction
from ntbbench.lab.pair.ring_trace_file import NO_SLOT, PairTrace
from ntbbench.pair.coalesce import Hop
from ntbbench.pair.drivers.kernel_around import EPF_IRQ_DB_START, EPF_IRQ_LINK, slot_of
from ntbbench.pair.setting import Traffic


def count_complaints(trace: PairTrace, predicted: Prediction) -> Iterator[str]:
    """Yield each count that is not what the model says, or not within what it allows."""
    if predicted.exact:
        yield from _each(trace.msis, predicted.msis, "MSI number")
        yield from _each(trace.vectors, predicted.vectors, "events of vector")
    else:
        yield from _hops(predicted.msi_hops, "MSI number", trace)
        yield from _hops(predicted.event_hops, "events of vector", trace)
    bounds = predicted.bounds
    for qp_num, runs in enumerate(predicted.runs):
        what, measured = f"runs of QP {qp_num}", trace.runs[qp_num]
        if bounds is None:
            yield from _exact(measured, runs, what)
        else:
            yield from _within(measured, bounds.least[qp_num], bounds.most[qp_num], what)


def slot_complaints(trace: PairTrace, ep_slots: int | None) -> Iterator[str]:
    """Yield each bit that did not ring the slot at which peers of any version expect it.

    Parameters
    ----------
    ep_slots : that the endpoint listens to; None: the slots are MSIs towards the root complex.
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
    """Return a slot in words, with its MSI where it is one."""
    if slot == NO_SLOT:
        return "a word that is no slot's"
    name = "link" if slot == EPF_IRQ_LINK else "reserved" if slot < EPF_IRQ_DB_START else ""
    told = ", ".join(filter(None, [name, f"MSI {slot + 1}" if ep_slots is None else ""]))
    return f"slot {slot} ({told})" if told else f"slot {slot}"


def _hops(hops: Mapping[int, Hop], what: str, trace: PairTrace) -> Iterator[str]:
    """Yield what cannot come of a burst, however it coalesced."""
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


def _exact(measured: int, predicted: int, what: str) -> Iterator[str]:
    if measured != predicted:
        yield f"{what}: {measured}, the model says {predicted}"


def _each(measured: Counter[int], predicted: Counter[int], what: str) -> Iterator[str]:
    for key in sorted(measured.keys() | predicted.keys()):
        yield from _exact(measured[key], predicted[key], f"{what} {key}")


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
        if count:
            yield f"{name}: {count}"
    yield from recorded.counted.doubts


def _uneven(recorded: RecordedPoint) -> Iterator[str]:
    """Yield where packets, doorbells and arrivals are not one for one."""
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
