# SPDX-License-Identifier: BSD-3-Clause
"""What each doorbell bit of a device is for, and which QPs one ring of it wakes."""

from dataclasses import dataclass
from enum import StrEnum

from ntbbench.ntb.devices.device import Hardware
from ntbbench.ntb.netdev import queue_bits
from ntbbench.ntb.transport import QpCount
from ntbbench.ntb.vectormap import bits_of


class Role(StrEnum):
    """What a bit is for; the value is what a user reads."""

    QP = "qp"
    SPARE = "spare"
    TOP = "top"
    LINK = "link"
    RESERVED = "reserved"
    OTHER = "other"


# One sentence a role, for legends.
MEANINGS = {
    Role.QP: "the doorbell of this QP",
    Role.SPARE: "a valid doorbell without a QP: another limit came first",
    Role.TOP: "the top valid bit, which ntb_transport never uses (ilog2)",
    Role.LINK: "link events, outside db_valid_mask",
    Role.RESERVED: "kept by the driver or lost to an erratum, outside db_valid_mask",
    Role.OTHER: "no doorbell: outside db_valid_mask",
}


@dataclass(frozen=True)
class DoorbellBit:
    """One bit of the doorbell register.

    Parameters
    ----------
    bit : its number.
    role : what it is for.
    lost : it is valid, but has no slot: a ring of it never arrives.
    source : the interrupt that its ring raises; None: there is none.
    qp_num : the QP that it belongs to; None: none.
    wakes : QPs that one ring of it schedules, in ntb_transport with all QPs active.
    """

    bit: int
    role: Role
    lost: bool
    source: int | None
    qp_num: int | None
    wakes: tuple[int, ...]


def doorbell_bits(hardware: Hardware, qps: QpCount) -> tuple[DoorbellBit, ...]:
    """Return every bit of `hardware`, from bit 0 to the highest one that means anything."""
    vector_map = hardware.vector_map
    qp_mask = sum(1 << bit for bit in queue_bits(qps.qp_bitmap))
    any_mask = vector_map.db_valid_mask | hardware.link_mask | hardware.reserved_mask
    for irq_mask in vector_map.irq_masks:
        any_mask |= irq_mask
    bits = []
    for bit in range(any_mask.bit_length()):
        source = vector_map.irq_of_bit[bit] if vector_map.irq_of_bit[bit] >= 0 else None
        woken = 0 if source is None else vector_map.db_vector_masks[source] & qp_mask
        bits.append(
            DoorbellBit(
                bit=bit,
                role=role_of(hardware, bit, qp_mask),
                lost=bool(hardware.lost_mask >> bit & 1),
                source=source,
                qp_num=bit if qp_mask >> bit & 1 else None,
                wakes=tuple(bits_of(woken)),
            )
        )
    return tuple(bits)


def role_of(hardware: Hardware, bit: int, qp_mask: int) -> Role:
    """Return what a bit is for."""
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


def wakeup_groups(bits: tuple[DoorbellBit, ...]) -> list[tuple[int, ...]]:
    """Return the sets of QPs that a ring of any one of them wakes together, each set once."""
    return list(dict.fromkeys(bit.wakes for bit in bits if bit.qp_num is not None))
