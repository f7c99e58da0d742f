# SPDX-License-Identifier: BSD-3-Clause
"""What must hold between a device's doorbells, vectors and QPs, and where a driver breaks it."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from ntbbench.ntb.audit.records import Citation, Conduct, Finding, Rule, Violation
from ntbbench.ntb.devices.device import Hardware
from ntbbench.ntb.transport import qp_count
from ntbbench.ntb.vectormap import bits_of

Found = Iterator[tuple[str, str]]
Check = Callable[[Hardware, Conduct, int], Found]


def audit(hardware: Hardware, conduct: Conduct, max_num_clients: int = 0) -> tuple[Violation, ...]:
    """Return every rule that a device breaks, in the order of `Rule`.

    Parameters
    ----------
    conduct : of the driver that made the device.
    max_num_clients : of ntb_transport. 0: both unset and the largest number that has an effect.

    Deviates: one device at a time, receiving. What the two sides of a pair do to each other, and
    the embedded doorbell of pci-epf-vntb (all slots on one interrupt), are not looked at.
    """
    return tuple(
        Violation(rule, detail, effect, conduct.citations.get(rule))
        for rule, check in CHECKS.items()
        for detail, effect in check(hardware, conduct, max_num_clients)
    )


def findings(audits: Iterable[tuple[int | None, tuple[Violation, ...]]]) -> tuple[Finding, ...]:
    """Return the violations of one device's sizes, each rule and line once.

    Parameters
    ----------
    audits : (db_count, or None where the device has none; its violations), db_counts ascending.
    """
    last: dict[tuple[Rule, Citation | None], Violation] = {}
    sizes: dict[tuple[Rule, Citation | None], list[int]] = {}
    for db_count, violations in audits:
        for violation in violations:
            key = (violation.rule, violation.where)
            last[key] = violation
            sizes.setdefault(key, []).extend([] if db_count is None else [db_count])
    order = list(Rule)
    keys = sorted(last, key=lambda key: order.index(key[0]))
    return tuple(Finding(last[key], tuple(sizes[key])) for key in keys)


def coverage(hardware: Hardware, _conduct: Conduct, _clients: int) -> Found:
    """Find valid bits that no counted vector covers."""
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


def foreign_bit(hardware: Hardware, _conduct: Conduct, _clients: int) -> Found:
    """Find bits that are no doorbells in db_valid_mask or in a vector's mask."""
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


def slot(hardware: Hardware, _conduct: Conduct, _clients: int) -> Found:
    """Find valid bits whose ring never arrives."""
    valid = hardware.vector_map.db_valid_mask
    lost = valid & hardware.lost_mask
    if lost:
        yield (
            f"db_valid_mask {valid:#x} has bits {lost:#x} that no slot carries",
            "it counts slots that are no doorbells (link, reserved): rings of these bits are lost",
        )


def event_vector(hardware: Hardware, conduct: Conduct, _clients: int) -> Found:
    """Find vectors passed to ntb_db_event() that do not exist."""
    count = hardware.vector_map.db_vector_count
    wrong = [vector for vector in event_vectors(hardware, conduct) if not 0 <= vector < count]
    if not wrong:
        return
    effect = "db_vector_mask() gives 0: no QP wakes"
    if not hardware.callbacks:
        effect = "harmless in ntb_transport: the core's fallback ignores the number"
    elif max(wrong) < len(hardware.vector_map.db_vector_masks):
        given = [hardware.vector_map.db_vector_masks[vector] for vector in wrong]
        if any(given):
            effect = f"db_vector_mask() gives {max(given):#x} for a vector that does not exist"
    yield (
        f"the driver reports {vectors(wrong)}, db_vector_count is {count}",
        effect,
    )


def empty_vector(hardware: Hardware, _conduct: Conduct, _clients: int) -> Found:
    """Find counted vectors that no doorbell raises or that cover none."""
    vector_map = hardware.vector_map
    raised = [
        bool(irq_mask & vector_map.db_valid_mask and mask)
        for irq_mask, mask in zip(vector_map.irq_masks, vector_map.db_vector_masks, strict=True)
    ]
    count = vector_map.db_vector_count if hardware.callbacks else 0
    empty = [vector for vector in range(count) if vector >= len(raised) or not raised[vector]]
    if empty:
        yield (
            f"db_vector_count {count} counts {vectors(empty)}, without a doorbell",
            "a client that spreads work over db_vector_count vectors gets nothing from it",
        )


def vector_bound(hardware: Hardware, conduct: Conduct, _clients: int) -> Found:
    """Find a wrong limit in db_vector_mask()."""
    count = hardware.vector_map.db_vector_count
    taken = count if conduct.vectors_taken is None else conduct.vectors_taken
    if hardware.callbacks and (taken != count or hardware.mask_past_end):
        past = hardware.mask_past_end
        yield (
            f"db_vector_mask() takes the vectors 0 to {taken - 1}, db_vector_count is {count}",
            f"vector {count} does not exist and gets mask {past:#x}"
            + ("" if past or taken < count else ": harmless"),
        )


def irq_count(_hardware: Hardware, conduct: Conduct, _clients: int) -> Found:
    """Find a number of interrupts that need not be the granted one."""
    grant = conduct.irq_grant
    if grant and not grant.low == grant.high == grant.kept:
        yield (
            f"{grant.low} to {grant.high} interrupts can be granted, the driver goes by "
            f"{grant.kept} whatever it was",
            "granted fewer, it frees interrupts at unload that it never had"
            if grant.kept > grant.low
            else "granted more, it leaves some interrupts unfreed at unload",
        )


def qp(hardware: Hardware, conduct: Conduct, max_num_clients: int) -> Found:
    """Find QPs whose ring does not reach them."""
    if hardware.refusal:
        return
    valid = hardware.vector_map.db_valid_mask
    if not valid:
        yield (
            "db_valid_mask is 0: no doorbell is left for a QP",
            "ilog2(0) wraps, ntb_transport binds and creates QPs that no client can get",
        )
        return
    reasons = (
        unreachable(hardware, conduct, bit) for bit in created_qps(hardware, max_num_clients)
    )
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


def unreachable(hardware: Hardware, conduct: Conduct, qp_num: int) -> str | None:
    """Return why the ring of a QP does not reach it; None: it does."""
    if hardware.lost_mask >> qp_num & 1:
        return f"QP {qp_num}: its doorbell bit has no slot"
    vector_map = hardware.vector_map
    source = vector_map.irq_of_bit[qp_num]
    mask = vector_map.db_vector_masks[source]
    if not mask >> qp_num & 1:
        return f"QP {qp_num}: it raises interrupt {source}, whose mask is {mask:#x}"
    if hardware.callbacks and source not in event_vectors(hardware, conduct):
        return f"QP {qp_num}: it raises interrupt {source}, of which the driver tells nobody"
    return None


def event_vectors(hardware: Hardware, conduct: Conduct) -> tuple[int, ...]:
    """Return the vectors that a driver passes to ntb_db_event()."""
    if conduct.event_vectors is not None:
        return conduct.event_vectors
    if not hardware.callbacks:
        return (0,)
    valid = hardware.vector_map.db_valid_mask
    irq_masks = hardware.vector_map.irq_masks
    return tuple(source for source, mask in enumerate(irq_masks) if mask & valid)


def vectors(numbers: list[int]) -> str:
    """Return ascending numbers as "vector 3", "vectors 2 to 9", or "vectors 1, 4"."""
    first, last = numbers[0], numbers[-1]
    if first == last:
        return f"vector {first}"
    if numbers == list(range(first, last + 1)):
        return f"vectors {first} to {last}"
    return f"vectors {', '.join(map(str, numbers))}"


CHECKS: Mapping[Rule, Check] = {
    Rule.COVERAGE: coverage,
    Rule.FOREIGN_BIT: foreign_bit,
    Rule.SLOT: slot,
    Rule.EVENT_VECTOR: event_vector,
    Rule.EMPTY_VECTOR: empty_vector,
    Rule.VECTOR_BOUND: vector_bound,
    Rule.IRQ_COUNT: irq_count,
    Rule.QP: qp,
}
