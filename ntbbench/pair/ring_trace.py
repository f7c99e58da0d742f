# SPDX-License-Identifier: BSD-3-Clause
"""One ring through both drivers, traced, and its story: every step, the first wrong one marked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from ntbbench.ntb.transport import QpCount
from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.drivers.kernel_around import (
    Client,
    DriverError,
    Hazard,
    Transport,
    db_vector_mask,
    slot_name,
)
from ntbbench.pair.drivers.ntb_hw_epf import Epf, contiguous_irqs
from ntbbench.pair.drivers.patches import Driver
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell, Vntb
from ntbbench.pair.host_records import HOST_STORY_SCHEMA, HostStories, HostStory
from ntbbench.pair.joined_hosts import AnySetting, HostSetting, joined
from ntbbench.pair.records import STORY_SCHEMA, Stories, Story, StoryStep
from ntbbench.pair.setting import Arrive, Direction, by_role, ring_in_atomic, transport_qps


@dataclass
class SlotTrace:
    """What the interrupt of one slot did on the receiving side."""

    slot: int  # the slot on the wire
    # reported to the NTB core, in order; none if the driver ignored or never saw it
    vectors: list[int] = field(default_factory=list)
    masks: list[int] = field(default_factory=list)  # `ntb_db_vector_mask()` of each vector
    db_read: int = 0  # the receiver's doorbell register after it
    # QPs that its vectors scheduled, in order, merged ones included
    scheduled: list[int] = field(default_factory=list)


@dataclass
class RingTrace:
    """One call of peer_db_set() and all that came of it."""

    # what was asked
    direction: Direction
    drivers: tuple[Driver, Driver]  # first and second end
    setting: AnySetting
    db_bits: int
    masks: tuple[int, int] = (0, 0)  # db_valid_mask of either end
    qps: tuple[QpCount, ...] = ()  # the QPs of either end's transport
    refused: DriverError | None = None  # the errno of peer_db_set(); None: it returned 0
    pending: int | None = None  # peer_db_pending after the call; None where the driver has none
    slots: list[SlotTrace] = field(default_factory=list)  # the slots on the wire, in order
    # rings that came to nothing on the wire, in words
    lost: list[str] = field(default_factory=list)
    # QPs of the tasklet runs, in order, race checks included
    runs: list[int] = field(default_factory=list)
    # QPs whose race check found their bit in db_read()
    race_checks: list[int] = field(default_factory=list)
    reports: list[tuple[Hazard, str]] = field(default_factory=list)  # hazards met, with where

    @property
    def link_up(self) -> bool:
        """Whether the two transports agree on the number of QPs."""
        return self.qps[0].qp_count == self.qps[1].qp_count

    @property
    def sender(self) -> Driver:
        """The driver that rings."""
        return by_role(self.direction, *self.drivers)[0]

    @property
    def receiver(self) -> Driver:
        """The driver that takes the interrupt."""
        return by_role(self.direction, *self.drivers)[1]

    @property
    def sent_by(self) -> str:
        """The sending end."""
        return by_role(self.direction, *self.setting.ends.titles)[0]

    @property
    def received_by(self) -> str:
        """The receiving end."""
        return by_role(self.direction, *self.setting.ends.titles)[1]

    @property
    def rung(self) -> list[int]:
        """The QPs of the receiver that are rung."""
        return bits_of(self.db_bits & by_role(self.direction, *self.qps)[1].qp_bitmap)

    @property
    def woken(self) -> set[int]:
        """The QPs that were scheduled."""
        return {qp_num for slot in self.slots for qp_num in slot.scheduled}

    @property
    def asleep(self) -> list[int]:
        """The rung QPs that nothing scheduled."""
        return [qp_num for qp_num in self.rung if qp_num not in self.woken]


def ring(
    direction: Direction,
    first: Driver,
    second: Driver,
    setting: AnySetting,
    db_bits: int,
    *,
    irqs: Callable[[int], Sequence[int]] = contiguous_irqs,
    client: Client = Client.REPOSTS,
) -> RingTrace:
    """Ring once from atomic context, one packet waiting at each rung QP, and run the tasklets.

    `irqs` gives the Linux irq numbers of granted vectors. DriverError: a driver that refuses the
    setting.
    """
    trace = RingTrace(direction, (first, second), setting, db_bits)

    def event(vector: int) -> None:
        trace.slots[-1].vectors.append(vector)
        trace.slots[-1].masks.append(db_vector_mask(receiver, vector))
        before = len(transport.schedule_calls)
        transport.doorbell_callback(vector)
        trace.slots[-1].scheduled += transport.schedule_calls[before:]

    wire = joined(first, second, setting, event, irqs)
    ends: tuple[Vntb | Epf, Vntb | Epf] = wire.devices
    sender, receiver = by_role(direction, *ends)
    trace.masks = ends[0].db_valid_mask(), ends[1].db_valid_mask()
    trace.qps = tuple(transport_qps(mask, setting.mw_count) for mask in trace.masks)
    qp_bitmap = by_role(direction, *trace.qps)[1].qp_bitmap
    transport = Transport(receiver, qp_bitmap, client, packets=dict.fromkeys(trace.rung, 1))
    wire.on_slot = lambda slot, arrive: _arrive(trace, receiver, slot, arrive)
    trace.refused = ring_in_atomic(sender, db_bits)
    if isinstance(sender, Vntb) and sender.driver.has(2):
        trace.pending = sender.peer_db_work.pending
        sender.run_peer_db_work()
    transport.softirq()
    trace.runs, trace.race_checks = transport.runs, transport.race_checks
    trace.lost = wire.lost
    trace.reports = ends[0].sanitizer.reports + ends[1].sanitizer.reports
    return trace


def _arrive(trace: RingTrace, receiver: Vntb | Epf, slot: int, arrive: Arrive) -> None:
    trace.slots.append(SlotTrace(slot))
    arrive(slot)
    if isinstance(receiver, Vntb):
        receiver.poll()
    trace.slots[-1].db_read = receiver.db_read()


ARRIVAL = {
    Doorbell.POLL: "poll, at most 5 ms later",
    Doorbell.MSI: "the slot's own irq",
    Doorbell.EMBEDDED: "the one irq of all slots",
}


def story_of(trace: RingTrace, verdict: str | None = None) -> Story | HostStory:
    """Return a traced ring as a record; `verdict` is that of its cell."""
    labels = (driver.label for driver in trace.drivers)
    kind = HostStory if isinstance(trace.setting, HostSetting) else Story
    return kind(
        direction=trace.direction,
        **dict(zip(trace.setting.ends.names, labels, strict=True)),
        bits=bits_of(trace.db_bits),
        verdict=verdict,
        scheduled=[qp_num for slot in trace.slots for qp_num in slot.scheduled],
        runs=trace.runs,
        asleep=trace.asleep,
        steps=steps_of(trace),
    )


def stories(setting: AnySetting, found: list[Any]) -> Stories | HostStories:
    """Return the stories of rings in a setting, as `story_of` makes them."""
    hosts = isinstance(setting, HostSetting)
    kind = HostStories if hosts else Stories
    schema = HOST_STORY_SCHEMA if hosts else STORY_SCHEMA
    return kind(schema=schema, **setting.recorded(), stories=found)


def steps_of(trace: RingTrace) -> list[StoryStep]:
    """Return the steps of a traced ring.

    Only if the doorbell does not reach its queue is a step marked: the first that goes wrong.
    """
    steps = list(_link(trace))
    if trace.link_up:
        steps += _sending(trace)
        for slot in trace.slots:
            steps += _receiving(trace, slot)
        steps += _end(trace)
        steps += [_step("hazard", f"{kind}: {what}") for kind, what in dict.fromkeys(trace.reports)]
    lost = bool(trace.asleep) or not trace.link_up
    first = next((place for place, step in enumerate(steps) if step.wrong), None)
    return [replace(step, wrong=lost and place == first) for place, step in enumerate(steps)]


def _step(where: str, what: str, *, wrong: bool = False) -> StoryStep:
    return StoryStep(where=where, what=what, wrong=wrong)


def _link(trace: RingTrace) -> Iterator[StoryStep]:
    setting, titles = trace.setting, trace.setting.ends.titles
    if isinstance(setting, HostSetting):
        offered = f"db_count {setting.ep_slots} offers each host {setting.offered} vectors"
        yield _step("SoC", f"pci-epf-ntb: {offered}")
    for title, own, slots, mask, qps in zip(
        titles, trace.drivers, setting.slots, trace.masks, trace.qps, strict=True
    ):
        if own.side == "ep":
            what = f"pci-epf-vntb, {own.label}: db_count {slots}"
        else:
            what = f"ntb_hw_epf, {own.label}: {slots} vectors, db_count {slots - 1}"
        yield _step(title, what)
        yield _step(f"{title} transport", f"db_valid_mask {mask:#x}, so {qps.qp_count} QPs")
    one, two = (qps.qp_count for qps in trace.qps)
    if trace.link_up:
        yield _step("link", f"both sides publish {one} QPs: up")
    else:
        apart = f"{titles[0]} publishes {one} QPs, {titles[1]} {two}: they never agree"
        yield _step("link", apart, wrong=True)


def _sending(trace: RingTrace) -> Iterator[StoryStep]:
    side = trace.sent_by
    lowest, *others = bits_of(trace.db_bits)
    bits = _list(bits_of(trace.db_bits))
    yield _step(f"{side} transport", f"rings bits {bits}, may not sleep")
    if trace.refused is not None:
        yield _step(f"{side} driver", str(trace.refused), wrong=True)
    elif trace.pending is not None:
        pending = f"peer_db_pending = {trace.pending:#x}; a work item will raise the MSIs"
        yield _step(f"{side} driver", pending)
    else:
        raises = trace.sender.side == "ep"
        how = "raises its MSI at once, which may sleep" if raises else "writes to its slot"
        dropped = f"; bits {_list(others)} are dropped" if others else ""
        taken = f"takes the lowest bit, {lowest}: {how}{dropped}"
        yield _step(f"{side} driver", taken, wrong=bool(others))
    where = "SoC" if isinstance(trace.setting, HostSetting) else f"{side} driver"
    for text in trace.lost:
        yield _step(where, text, wrong=True)


def _receiving(trace: RingTrace, slot: SlotTrace) -> Iterator[StoryStep]:
    receiver = trace.receiver
    side = trace.received_by
    masked = receiver.has(12 if receiver.side == "rc" else 7)
    bit = slot.slot - trace.sender.db_start
    ends = trace.sender, receiver
    sent, expected = (slot_name(slot.slot, end.db_start) for end in ends)
    msi = f"MSI {slot.slot + 1}, " if receiver.side == "rc" else ""
    if isinstance(trace.setting, HostSetting):
        msi = f"BAR 2, entry {slot.slot} leads to {msi}"
    mistaken = "" if sent == expected else f"; the receiver takes it for {expected}"
    yield _step("wire", f"{msi}slot {slot.slot} ({sent}){mistaken}", wrong=bool(mistaken))
    reported = slot.slot - receiver.db_start in slot.vectors if masked else bool(slot.vectors)
    yield _step(f"{side} driver", _arrival(trace, slot), wrong=not reported)
    for vector, mask in zip(slot.vectors, slot.masks, strict=True):
        text = f"no db_vector_mask, so db_valid_mask {mask:#x} (fallback)"
        text = f"db_vector_mask({vector}) = {mask:#x}" if masked else text
        wrong = masked and not mask >> bit & 1
        yield _step(f"{side} core", f"vector {vector}: {text}", wrong=wrong)
    if slot.vectors:
        yield _step(f"{side} transport", f"schedules QPs {_list(slot.scheduled)}")


def _arrival(trace: RingTrace, slot: SlotTrace) -> str:
    how = "isr" if trace.receiver.side == "rc" else ARRIVAL[trace.setting.doorbell]
    if slot.vectors:
        word = "vector" if len(slot.vectors) == 1 else "vectors"
        return f"{how}: reports {word} {_list(slot.vectors)}; db_read() = {slot.db_read:#x}"
    if trace.receiver.side == "ep" and slot.slot >= trace.setting.ep_slots:
        return f"slot {slot.slot} is beyond db_count {trace.setting.ep_slots}: silently lost"
    return f"{how}: tells the NTB core nothing"


def _end(trace: RingTrace) -> Iterator[StoryStep]:
    side = trace.received_by
    if trace.runs:
        yield _step(f"{side} softirq", f"tasklets run: {_qps(trace.runs)}")
    if trace.race_checks:
        named = f"race check: db_read() named {_qps(trace.race_checks)}"
        yield _step(f"{side} softirq", named)
    if trace.asleep:
        one = len(trace.asleep) == 1
        what = "sleeps on although it was rung" if one else "sleep on although they were rung"
        asleep = f"{_qps(trace.asleep)} {what}"
        yield _step("end", asleep, wrong=True)
    elif trace.rung:
        others = sorted(trace.woken - set(trace.rung))
        extra = f"; {_qps(others)} for nothing" if others else ""
        verb = "is" if len(trace.rung) == 1 else "are"
        yield _step("end", f"{_qps(trace.rung)} {verb} woken{extra}")
    else:
        yield _step("end", "no QP has these bits")


def _qps(numbers: Sequence[int]) -> str:
    return f"QP{'s' * (len(numbers) != 1)} {_list(list(numbers))}"


def _list(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers)) if numbers else "none"
