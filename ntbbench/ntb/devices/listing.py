# SPDX-License-Identifier: BSD-3-Clause
"""Devices and their doorbell bits as records: what a bit is for, which QPs one ring of it wakes."""

from ntbbench.ntb.devices.device import Hardware
from ntbbench.ntb.devices.dispatch_modes import queue_pairs
from ntbbench.ntb.netdev import queue_bits
from ntbbench.ntb.records import BitRow, DeviceRow, Role
from ntbbench.ntb.transport import QpCount
from ntbbench.ntb.vectormap import bits_of


def device_row(hardware: Hardware, max_num_clients: int = 0, *, drawn: bool = False) -> DeviceRow:
    """Return one device with the queue pairs that it gets; drawn: with its bits too."""
    vector_map = hardware.vector_map
    qps = queue_pairs(hardware, "per-vector", max_num_clients)
    return DeviceRow(
        name=hardware.name,
        driver=hardware.driver,
        description=hardware.description,
        doorbells=hardware.doorbells,
        vectors=hardware.vectors,
        db_valid_mask=hex(vector_map.db_valid_mask),
        db_vector_count=vector_map.db_vector_count,
        db_vector_masks=[hex(mask) for mask in vector_map.db_vector_masks],
        irq_masks=[hex(mask) for mask in vector_map.irq_masks],
        link_mask=hex(hardware.link_mask),
        reserved_mask=hex(hardware.reserved_mask),
        lost_mask=hex(hardware.lost_mask),
        callbacks=hardware.callbacks,
        db_read=hardware.db_read,
        sized=hardware.sized,
        mw_count=hardware.mw_count,
        spad_count=hardware.spad_count,
        qp_count=qps.qp_count,
        qp_limit=qps.limit,
        refusal=hardware.refusal,
        source=hardware.source,
        bits=bit_rows(hardware, qps) if drawn else None,
    )


def bit_rows(hardware: Hardware, qps: QpCount) -> list[BitRow]:
    """Return every bit of `hardware`, from bit 0 to the highest one that means anything."""
    vector_map = hardware.vector_map
    qp_mask = sum(1 << bit for bit in queue_bits(qps.qp_bitmap))
    any_mask = vector_map.db_valid_mask | hardware.link_mask | hardware.reserved_mask
    for irq_mask in vector_map.irq_masks:
        any_mask |= irq_mask
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
