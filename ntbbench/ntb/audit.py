# SPDX-License-Identifier: BSD-3-Clause
"""Devices as records: their doorbell bits, and where a driver breaks what must hold."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from ntbbench.ntb.device import Hardware, queue_pairs
from ntbbench.ntb.records import AuditRow, AuditRule, BitRow, Citation, DeviceRow, Role, Violation
from ntbbench.ntb.transport import QpCount, qp_count, queue_bits
from ntbbench.ntb.vectormap import DB_BITS_MAX, bits_of


def device_row(hardware: Hardware, max_num_clients: int = 0, *, drawn: bool = False) -> DeviceRow:
    """Return one device with the queue pairs that it gets; drawn: with its bits too."""
    vector_map = hardware.vector_map
    qps = queue_pairs(hardware, "per-vector", max_num_clients)
    same: dict[str, Any] = {name: getattr(hardware, name) for name in AS_IT_IS}
    same |= {name: hex(getattr(hardware, name)) for name in MASKS}
    return DeviceRow(
        **same,
        db_valid_mask=hex(vector_map.db_valid_mask),
        db_vector_count=vector_map.db_vector_count,
        db_vector_masks=[hex(mask) for mask in vector_map.db_vector_masks],
        irq_masks=[hex(mask) for mask in vector_map.irq_masks],
        qp_count=qps.qp_count,
        qp_limit=qps.limit,
        bits=_bit_rows(hardware, qps) if drawn else None,
    )


def _bit_rows(hardware: Hardware, qps: QpCount) -> list[BitRow]:
    """Return every bit of `hardware`, from bit 0 to the highest one that means anything."""
    vector_map = hardware.vector_map
    qp_mask = sum(1 << bit for bit in queue_bits(qps.qp_bitmap))
    any_mask = vector_map.db_valid_mask | hardware.link_mask | hardware.reserved_mask
    any_mask |= sum(vector_map.irq_masks)  # no two of them overlap
    rows = []
    for bit in range(any_mask.bit_length()):
        source = vector_map.irq_of_bit[bit] if vector_map.irq_of_bit[bit] >= 0 else None
        woken = 0 if source is None else vector_map.db_vector_masks[source] & qp_mask
        rows.append(
            BitRow(
                bit=bit,
                role=_role(hardware, bit, qp_mask),
                lost=bool(hardware.lost_mask >> bit & 1),
                interrupt=source,
                qp_num=bit if qp_mask >> bit & 1 else None,
                wakes=bits_of(woken),
            )
        )
    return rows


def _role(hardware: Hardware, bit: int, qp_mask: int) -> Role:
    valid = hardware.vector_map.db_valid_mask
    if qp_mask >> bit & 1:
        return Role.QP
    if hardware.link_mask >> bit & 1:
        return Role.LINK
    if hardware.reserved_mask >> bit & 1:
        return Role.RESERVED
    if not valid >> bit & 1:
        return Role.OTHER
    return Role.TOP if bit == valid.bit_length() - 1 else Role.SPARE


def wakeup_groups(bits: list[BitRow]) -> list[tuple[int, ...]]:
    """Return the sets of QPs that a ring of any one of them wakes together, each set once."""
    return list(dict.fromkeys(tuple(bit.wakes) for bit in bits if bit.qp_num is not None))


# Of a device, as a row has them.
AS_IT_IS = (
    *("name", "driver", "description", "doorbells", "vectors", "callbacks", "db_read", "sized"),
    *("mw_count", "spad_count", "refusal", "source"),
)
MASKS = ("link_mask", "reserved_mask", "lost_mask")

Found = Iterator[tuple[str, str]]
Check = Callable[[Hardware, int], Found]


def audit_row(
    name: str, sizes: Iterable[tuple[int | None, Hardware]], max_num_clients: int
) -> AuditRow:
    """Return the audit of one device, each rule and line once.

    sizes: (db_count, the device of that size), db_counts ascending; None: it has a fixed size. A
        size that the driver refuses is not audited.
    """
    found: dict[tuple[AuditRule, Citation | None], Violation] = {}
    audited: list[int] = []
    for db_count, hardware in sizes:
        if db_count is not None and hardware.refusal:
            return AuditRow(name=name, db_counts=[], refusal=hardware.refusal, violations=[])
        counts = [] if db_count is None else [db_count]
        audited += counts
        for violation in audit(hardware, max_num_clients):
            key = (violation.rule, violation.source)
            before = found[key].db_counts if key in found else []
            found[key] = replace(violation, db_counts=[*before, *counts])
    order = list(AuditRule)
    violations = sorted(found.values(), key=lambda violation: order.index(violation.rule))
    return AuditRow(name=name, db_counts=audited, refusal=None, violations=violations)


def audit(hardware: Hardware, max_num_clients: int = 0) -> tuple[Violation, ...]:
    """Return every rule that a device breaks, in the order of `Rule`.

    max_num_clients 0: both unset and the largest number that has an effect.

    Deviates: one device at a time, receiving. What the two sides of a pair do to each other, and
    the embedded doorbell of pci-epf-vntb (all slots on one interrupt), are not looked at.
    """
    return tuple(
        Violation(
            rule=rule,
            requirement=requirement,
            detail=detail,
            effect=effect,
            db_counts=[],
            source=hardware.rules.citations.get(rule),
        )
        for rule, (requirement, check) in CHECKS.items()
        for detail, effect in check(hardware, max_num_clients)
    )


def _coverage(hardware: Hardware, _clients: int) -> Found:
    vector_map = hardware.vector_map
    masks = vector_map.db_vector_masks
    covered = 0
    for mask in masks[: vector_map.db_vector_count] if hardware.callbacks else masks:
        covered |= mask
    missing = vector_map.db_valid_mask & ~covered
    if missing:
        yield (
            f"no vector covers {missing:#x} of db_valid_mask {vector_map.db_valid_mask:#x}",
            "a ring of these bits wakes no QP",
        )


def _foreign_bit(hardware: Hardware, _clients: int) -> Found:
    valid = hardware.vector_map.db_valid_mask
    kinds = {"link": hardware.link_mask, "reserved": hardware.reserved_mask}
    kinds["invalid"] = ~(valid | hardware.link_mask | hardware.reserved_mask)
    masks = {"db_valid_mask": valid}
    for vector, mask in enumerate(hardware.vector_map.db_vector_masks):
        masks[f"db_vector_mask({vector})"] = mask
    found = [
        f"{name} {mask:#x} has {kind} bits {mask & bits:#x}"
        for name, mask in masks.items()
        for kind, bits in kinds.items()
        if mask & bits
    ]
    if found:
        yield "; ".join(found), "an event that is no doorbell is taken for one"


def _slot(hardware: Hardware, _clients: int) -> Found:
    valid = hardware.vector_map.db_valid_mask
    lost = valid & hardware.lost_mask
    if lost:
        yield (
            f"db_valid_mask {valid:#x} has bits {lost:#x} that no slot carries",
            "it counts slots that are no doorbells (link, reserved): rings of these bits are lost",
        )


def _event_vector(hardware: Hardware, _clients: int) -> Found:
    count = hardware.vector_map.db_vector_count
    wrong = [vector for vector in event_vectors(hardware) if not 0 <= vector < count]
    if not wrong:
        return
    effect = "db_vector_mask() gives 0: no QP wakes"
    if not hardware.callbacks:
        effect = "harmless in ntb_transport: the core's fallback ignores the number"
    elif max(wrong) < len(hardware.vector_map.db_vector_masks):
        given = [hardware.vector_map.db_vector_masks[vector] for vector in wrong]
        if any(given):
            effect = f"db_vector_mask() gives {max(given):#x} for a vector that does not exist"
    yield f"the driver reports {_vectors(wrong)}, db_vector_count is {count}", effect


def _empty_vector(hardware: Hardware, _clients: int) -> Found:
    vector_map = hardware.vector_map
    raised = [
        bool(irq_mask & vector_map.db_valid_mask and mask)
        for irq_mask, mask in zip(vector_map.irq_masks, vector_map.db_vector_masks, strict=True)
    ]
    count = vector_map.db_vector_count if hardware.callbacks else 0
    empty = [vector for vector in range(count) if vector >= len(raised) or not raised[vector]]
    if empty:
        yield (
            f"db_vector_count {count} counts {_vectors(empty)}, without a doorbell",
            "a client that spreads work over db_vector_count vectors gets nothing from it",
        )


def _vector_bound(hardware: Hardware, _clients: int) -> Found:
    count = hardware.vector_map.db_vector_count
    taken = count + hardware.rules.vectors_beyond
    if hardware.callbacks and (taken != count or hardware.mask_past_end):
        past = hardware.mask_past_end
        yield (
            f"db_vector_mask() takes the vectors 0 to {taken - 1}, db_vector_count is {count}",
            f"vector {count} does not exist and gets mask {past:#x}"
            + ("" if past or taken < count else ": harmless"),
        )


def _irq_count(hardware: Hardware, _clients: int) -> Found:
    grant = hardware.rules.irq_grant
    if grant and not grant.low == grant.high == grant.kept:
        yield (
            f"{grant.low} to {grant.high} interrupts can be granted, the driver goes by "
            f"{grant.kept} whatever it was",
            "granted fewer, it frees interrupts at unload that it never had"
            if grant.kept > grant.low
            else "granted more, it leaves some interrupts unfreed at unload",
        )


def _msi_mask(hardware: Hardware, _clients: int) -> Found:
    """Find an MSI doorbell that a shift of an int cannot reach: x86 and arm64 shift modulo 32."""
    bits = hardware.rules.msi_shift_bits
    count = hardware.vector_map.db_valid_mask.bit_length() - 1 - 1  # ilog2(), and use_msi's own bit
    if count < bits - 1:
        return
    is_sign = count == bits - 1
    wrong = f"bits {count} to {DB_BITS_MAX - 1}" if is_sign else f"bit {count % bits}"
    yield (
        f"use_msi takes 1 << {count} of {bits} bits for its doorbell: {wrong}, not bit {count}",
        "it rings and clears doorbells that are not its own"
        if is_sign
        else f"it rings and clears the doorbell of QP {count % bits}",
    )


def _qp(hardware: Hardware, max_num_clients: int) -> Found:
    if hardware.refusal:
        return
    if not hardware.vector_map.db_valid_mask:
        yield (
            "db_valid_mask is 0: no doorbell is left for a QP",
            "ilog2(0) wraps, ntb_transport binds and creates QPs that no client can get",
        )
        return
    reasons = (unreachable(hardware, bit) for bit in created_qps(hardware, max_num_clients))
    found = [reason for reason in reasons if reason]
    if found:
        yield "; ".join(found), "the peer's packets lie there until something else wakes the QP"


def created_qps(hardware: Hardware, max_num_clients: int) -> list[int]:
    """Return the QPs that ntb_transport creates; 0: with max_num_clients unset or any number."""
    valid = hardware.vector_map.db_valid_mask
    usable = valid.bit_length() - 1
    created = 0
    for clients in (max_num_clients,) if max_num_clients else (0, max(usable - 1, 0)):
        created |= qp_count(
            valid,
            mw_count=hardware.mw_count,
            spad_count=hardware.spad_count,
            use_msi=False,
            max_num_clients=clients,
        ).qp_bitmap
    return bits_of(created)


def unreachable(hardware: Hardware, qp_num: int) -> str | None:
    """Return why the ring of a QP does not reach it; None: it does."""
    if hardware.lost_mask >> qp_num & 1:
        return f"QP {qp_num}: its doorbell bit has no slot"
    vector_map = hardware.vector_map
    source = vector_map.irq_of_bit[qp_num]
    mask = vector_map.db_vector_masks[source]
    if not mask >> qp_num & 1:
        return f"QP {qp_num}: it raises interrupt {source}, whose mask is {mask:#x}"
    if hardware.callbacks and source not in event_vectors(hardware):
        return f"QP {qp_num}: it raises interrupt {source}, which the driver reports to nobody"
    return None


def event_vectors(hardware: Hardware) -> tuple[int, ...]:
    """Return the vectors that a driver passes to ntb_db_event()."""
    if hardware.rules.event_vectors is not None:
        return hardware.rules.event_vectors
    if not hardware.callbacks:
        return (0,)
    valid = hardware.vector_map.db_valid_mask
    irq_masks = hardware.vector_map.irq_masks
    return tuple(source for source, mask in enumerate(irq_masks) if mask & valid)


def _vectors(numbers: list[int]) -> str:
    first, last = numbers[0], numbers[-1]
    if first == last:
        return f"vector {first}"
    if numbers == list(range(first, last + 1)):
        return f"vectors {first} to {last}"
    return f"vectors {', '.join(map(str, numbers))}"


# What each rule asks for, and what finds where it is broken. Source: include/linux/ntb.h
# (ntb_db_event, ntb_db_vector_count, ntb_db_vector_mask, ntb_db_valid_mask),
# drivers/ntb/ntb_transport.c (ntb_transport_probe).
CHECKS: Mapping[AuditRule, tuple[str, Check]] = {
    AuditRule.COVERAGE: ("the vectors' masks together cover db_valid_mask", _coverage),
    AuditRule.FOREIGN_BIT: (
        "no vector covers a link bit, a reserved bit, or one outside db_valid_mask",
        _foreign_bit,
    ),
    AuditRule.SLOT: ("every bit of db_valid_mask has an interrupt slot of its own", _slot),
    AuditRule.EVENT_VECTOR: ("ntb_db_event() gets vectors below db_vector_count", _event_vector),
    AuditRule.EMPTY_VECTOR: ("db_vector_count counts doorbell vectors only", _empty_vector),
    AuditRule.VECTOR_BOUND: (
        "db_vector_mask() takes the vectors below db_vector_count and no other",
        _vector_bound,
    ),
    AuditRule.IRQ_COUNT: (
        "the driver goes by the number of interrupts that it was granted",
        _irq_count,
    ),
    AuditRule.MSI_MASK: ("the doorbell of use_msi is the bit above those of the QPs", _msi_mask),
    AuditRule.QP: ("the ring of every QP that ntb_transport creates reaches that QP", _qp),
}
