# SPDX-License-Identifier: BSD-3-Clause
"""One ring through both drivers, traced, and its story: every step, the first wrong one marked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

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
from ntbbench.pair.drivers.ntb_hw_epf import Epf
from ntbbench.pair.drivers.patches import Driver, Side
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell, Vntb
from ntbbench.pair.records import Story, StoryStep
from ntbbench.pair.setting import Arrive, Direction, Pair, Setting, ring_in_atomic, transport_qps


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
    ep: Driver
    rc: Driver
    setting: Setting
    db_bits: int
    masks: dict[Side, int] = field(default_factory=dict)  # db_valid_mask of either side
    qps: dict[Side, QpCount] = field(default_factory=dict)  # the QPs of either side's transport
    refused: DriverError | None = None  # the errno of peer_db_set(); None: it returned 0
    pending: int | None = None  # peer_db_pending after the call; None where the driver has none
    slots: list[SlotTrace] = field(default_factory=list)  # the slots on the wire, in order
    # MSIs that the controller refused, in words
    failed_raises: list[str] = field(default_factory=list)
    # QPs of the tasklet runs, in order, race checks included
    runs: list[int] = field(default_factory=list)
    # QPs whose race check found their bit in db_read()
    race_checks: list[int] = field(default_factory=list)
    reports: list[tuple[Hazard, str]] = field(default_factory=list)  # hazards met, with where

    @property
    def link_up(self) -> bool:
        """Whether the two transports agree on the number of QPs."""
        return self.qps["ep"].qp_count == self.qps["rc"].qp_count

    @property
    def sender(self) -> Driver:
        """The driver that rings."""
        return self.ep if self.direction == "ep-to-rc" else self.rc

    @property
    def receiver(self) -> Driver:
        """The driver that takes the interrupt."""
        return self.rc if self.direction == "ep-to-rc" else self.ep

    @property
    def rung(self) -> list[int]:
        """The QPs of the receiver that are rung."""
        return bits_of(self.db_bits & self.qps[self.receiver.side].qp_bitmap)

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
    ep: Driver,
    rc: Driver,
    setting: Setting,
    db_bits: int,
    *,
    irqs: Sequence[int] | None = None,
    client: Client = Client.REPOSTS,
) -> RingTrace:
    """Ring once from atomic context, one packet waiting at each rung QP, and run the tasklets.

    `irqs` are as in `Pair`. DriverError: a driver that refuses the setting.
    """
    trace = RingTrace(direction, ep, rc, setting, db_bits)

    def event(vector: int) -> None:
        trace.slots[-1].vectors.append(vector)
        trace.slots[-1].masks.append(db_vector_mask(receiver, vector))
        before = len(transport.schedule_calls)
        transport.doorbell_callback(vector)
        trace.slots[-1].scheduled += transport.schedule_calls[before:]

    pair = Pair(ep, rc, setting, ep_event=event, rc_event=event, irqs=irqs)
    ends: tuple[Vntb | Epf, Vntb | Epf] = pair.ep, pair.rc
    sender, receiver = ends if direction == "ep-to-rc" else ends[::-1]
    for device in ends:
        mask = device.db_valid_mask()
        trace.masks[device.driver.side] = mask
        trace.qps[device.driver.side] = transport_qps(mask, setting.mw_count)
    qp_bitmap = trace.qps[receiver.driver.side].qp_bitmap
    transport = Transport(receiver, qp_bitmap, client, packets=dict.fromkeys(trace.rung, 1))
    pair.on_slot = lambda slot, arrive: _arrive(trace, receiver, slot, arrive)
    trace.refused = ring_in_atomic(sender, db_bits)
    if isinstance(sender, Vntb) and sender.driver.has(2):
        trace.pending = sender.peer_db_work.pending
        sender.run_peer_db_work()
    transport.softirq()
    trace.runs, trace.race_checks = transport.runs, transport.race_checks
    trace.failed_raises = pair.ep.failed_raises
    trace.reports = pair.ep.sanitizer.reports + pair.rc.sanitizer.reports
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


def story_of(trace: RingTrace, verdict: str | None = None) -> Story:
    """Return a traced ring as a record; `verdict` is that of its cell."""
    return Story(
        direction=trace.direction,
        ep=trace.ep.label,
        rc=trace.rc.label,
        bits=bits_of(trace.db_bits),
        verdict=verdict,
        scheduled=[qp_num for slot in trace.slots for qp_num in slot.scheduled],
        runs=trace.runs,
        asleep=trace.asleep,
        steps=steps_of(trace),
    )


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
    setting = trace.setting
    ep, rc = (trace.qps[side].qp_count for side in ("ep", "rc"))
    yield _step("EP", f"pci-epf-vntb, {trace.ep.label}: db_count {setting.ep_slots}")
    yield _step("EP transport", f"db_valid_mask {trace.masks['ep']:#x}, so {ep} QPs")
    vectors = f"{setting.rc_vectors} vectors, db_count {setting.rc_vectors - 1}"
    yield _step("RC", f"ntb_hw_epf, {trace.rc.label}: {vectors}")
    yield _step("RC transport", f"db_valid_mask {trace.masks['rc']:#x}, so {rc} QPs")
    if trace.link_up:
        yield _step("link", f"both sides publish {ep} QPs: up")
    else:
        yield _step("link", f"EP publishes {ep} QPs, RC {rc}: they never agree", wrong=True)


def _sending(trace: RingTrace) -> Iterator[StoryStep]:
    side = trace.sender.side.upper()
    lowest, *others = bits_of(trace.db_bits)
    bits = _list(bits_of(trace.db_bits))
    yield _step(f"{side} transport", f"rings bits {bits}, may not sleep")
    if trace.refused is not None:
        yield _step(f"{side} driver", str(trace.refused), wrong=True)
    elif trace.pending is not None:
        pending = f"peer_db_pending = {trace.pending:#x}; a work item will raise the MSIs"
        yield _step(f"{side} driver", pending)
    else:
        how = "raises its MSI at once, which may sleep" if side == "EP" else "writes to its slot"
        dropped = f"; bits {_list(others)} are dropped" if others else ""
        taken = f"takes the lowest bit, {lowest}: {how}{dropped}"
        yield _step(f"{side} driver", taken, wrong=bool(others))
    for text in trace.failed_raises:
        yield _step(f"{side} driver", text, wrong=True)


def _receiving(trace: RingTrace, slot: SlotTrace) -> Iterator[StoryStep]:
    receiver = trace.receiver
    side = receiver.side.upper()
    masked = receiver.has(12 if side == "RC" else 7)
    bit = slot.slot - trace.sender.db_start
    ends = trace.sender, receiver
    sent, expected = (slot_name(slot.slot, end.db_start) for end in ends)
    msi = f"MSI {slot.slot + 1}, " if side == "RC" else ""
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
    if trace.direction == "rc-to-ep" and slot.slot >= trace.setting.ep_slots:
        return f"slot {slot.slot} is beyond db_count {trace.setting.ep_slots}: silently lost"
    return f"{how}: tells the NTB core nothing"


def _end(trace: RingTrace) -> Iterator[StoryStep]:
    side = trace.receiver.side.upper()
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
