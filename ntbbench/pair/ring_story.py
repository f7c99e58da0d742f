# SPDX-License-Identifier: BSD-3-Clause
"""The story of one doorbell: every step in words, and the first one that goes wrong."""

from collections.abc import Iterator
from dataclasses import dataclass

from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.drivers.patches import Driver
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.drivers.slots import slot_name
from ntbbench.pair.ring_trace import RingTrace, SlotTrace
from ntbbench.pair.setting import Setting


@dataclass(frozen=True)
class Step:
    """One step of a doorbell.

    Parameters
    ----------
    where : the side and the layer.
    what : what happens, in words.
    wrong : this step takes the doorbell off its way.
    """

    where: str
    what: str
    wrong: bool = False


def tell(trace: RingTrace) -> list[Step]:
    """Return the steps of a traced ring; at most the first that goes wrong is marked."""
    steps = list(_link(trace))
    if trace.link_up:
        steps += [*_sending(trace)]
        for slot in trace.slots:
            steps += _receiving(trace, slot)
        steps += _end(trace)
        steps += [Step("hazard", f"{kind}: {what}") for kind, what in dict.fromkeys(trace.reports)]
    return _first_wrong(steps)


def woken(trace: RingTrace) -> set[int]:
    """Return the QPs that a traced ring scheduled."""
    return {qp_num for slot in trace.slots for qp_num in slot.scheduled}


def sleeping(trace: RingTrace) -> list[int]:
    """Return the rung QPs that nothing scheduled."""
    return [qp for qp in bits_of(trace.db_bits & trace.receiver_qps) if qp not in woken(trace)]


def _link(trace: RingTrace) -> Iterator[Step]:
    setting = trace.setting
    yield Step("EP", f"pci-epf-vntb, {trace.ep.label}: db_count {setting.ep_slots}")
    yield Step("EP transport", _qps_text(trace.ep_mask, trace.qp_counts[0]))
    vectors = f"{setting.rc_vectors} vectors, db_count {setting.rc_vectors - 1}"
    yield Step("RC", f"ntb_hw_epf, {trace.rc.label}: {vectors}")
    yield Step("RC transport", _qps_text(trace.rc_mask, trace.qp_counts[1]))
    ep, rc = trace.qp_counts
    if trace.link_up:
        yield Step("link", f"both sides publish {ep} QPs: up")
    else:
        yield Step("link", f"EP publishes {ep} QPs, RC {rc}: they never agree", wrong=True)


def _qps_text(mask: int, count: int) -> str:
    return f"db_valid_mask {mask:#x}, so {count} QPs"


def _sending(trace: RingTrace) -> Iterator[Step]:
    side = trace.sender.side.upper()
    yield Step(f"{side} transport", f"rings bits {_list(bits_of(trace.db_bits))}, may not sleep")
    if trace.refused is not None:
        yield Step(f"{side} driver", str(trace.refused), wrong=True)
    elif trace.pending is not None:
        yield Step(
            f"{side} driver",
            f"peer_db_pending = {trace.pending:#x}; a work item will raise the MSIs",
        )
    else:
        lowest, *others = bits_of(trace.db_bits)
        how = "raises its MSI at once, which may sleep" if side == "EP" else "writes to its slot"
        dropped = f"; bits {_list(others)} are dropped" if others else ""
        yield Step(
            f"{side} driver", f"takes the lowest bit, {lowest}: {how}{dropped}", wrong=bool(others)
        )
    for text in trace.failed_raises:
        yield Step(f"{side} driver", text, wrong=True)


def _receiving(trace: RingTrace, slot: SlotTrace) -> Iterator[Step]:
    yield Step("wire", *_wire_text(trace, slot.slot))
    side = trace.receiver.side.upper()
    masked = trace.receiver.has(12 if side == "RC" else 7)
    bit = slot.slot - trace.sender.db_start
    told = not masked or slot.slot - trace.receiver.db_start in slot.vectors
    yield Step(f"{side} driver", _arrival_text(trace, slot), wrong=not (slot.vectors and told))
    for vector, mask in zip(slot.vectors, slot.masks, strict=True):
        if masked:
            yield Step(
                f"{side} core",
                f"vector {vector}: db_vector_mask({vector}) = {mask:#x}",
                wrong=not mask >> bit & 1,
            )
        else:
            yield Step(
                f"{side} core",
                f"vector {vector}: no db_vector_mask, so db_valid_mask {mask:#x} (fallback)",
            )
    if slot.vectors:
        yield Step(f"{side} transport", f"schedules QPs {_list(slot.scheduled)}")


def _wire_text(trace: RingTrace, slot: int) -> tuple[str, bool]:
    sent = slot_name(slot, trace.sender.db_start)
    expected = slot_name(slot, trace.receiver.db_start)
    text = f"slot {slot} ({sent})"
    if trace.direction == "ep-to-rc":
        text = f"MSI {slot + 1}, {text}"
    if sent == expected:
        return text, False
    return f"{text}; the receiver takes it for {expected}", True


def _arrival_text(trace: RingTrace, slot: SlotTrace) -> str:
    how = _arrival(trace.setting, trace.receiver)
    if slot.vectors:
        word = "vector" if len(slot.vectors) == 1 else "vectors"
        told = f"reports {word} {_list(slot.vectors)}"
        return f"{how}: {told}; db_read() = {slot.db_read:#x}"
    if trace.direction == "rc-to-ep" and slot.slot >= trace.setting.ep_slots:
        return f"slot {slot.slot} is beyond db_count {trace.setting.ep_slots}: silently lost"
    return f"{how}: tells the NTB core nothing"


def _arrival(setting: Setting, receiver: Driver) -> str:
    if receiver.side == "rc":
        return "isr"
    return {
        Doorbell.POLL: "poll, at most 5 ms later",
        Doorbell.MSI: "the slot's own irq",
        Doorbell.EMBEDDED: "the one irq of all slots",
    }[setting.doorbell]


def _end(trace: RingTrace) -> Iterator[Step]:
    side = trace.receiver.side.upper()
    if trace.runs:
        yield Step(f"{side} softirq", f"tasklets run: QPs {_list(trace.runs)}")
    if trace.race_checks:
        yield Step(f"{side} softirq", f"race check: db_read() named QPs {_list(trace.race_checks)}")
    rung = bits_of(trace.db_bits & trace.receiver_qps)
    asleep = sleeping(trace)
    if asleep:
        yield Step("end", f"QPs {_list(asleep)} sleep on although they were rung", wrong=True)
    elif rung:
        others = sorted(woken(trace) - set(rung))
        extra = f"; QPs {_list(others)} for nothing" if others else ""
        yield Step("end", f"QPs {_list(rung)} are woken{extra}")
    else:
        yield Step("end", "no QP has these bits")


def _first_wrong(steps: list[Step]) -> list[Step]:
    """Keep the first mark, and only if the doorbell really did not reach its queue."""
    lost = any(step.wrong for step in steps if step.where in ("end", "link"))
    marked = False
    result = []
    for step in steps:
        wrong = step.wrong and lost and not marked
        marked |= wrong
        result.append(Step(step.where, step.what, wrong))
    return result


def _list(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers)) if numbers else "none"
