# SPDX-License-Identifier: BSD-3-Clause
"""What a capture's own facts say of its interrupt lines: masks of a vector, whose they are."""

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from ntbbench.capture.measured import DeviceFacts, Irq
from ntbbench.capture.readers.ntb_interrupts import Slot, action_of, vector_slot
from ntbbench.capture.readers.proc import PCI_NAME

VECTOR_ACTION = "ndev_vec_isr"


def told_line(irq: Irq, facts: Sequence[DeviceFacts]) -> Irq:
    """Return an interrupt line as the capture's facts tell it; one that they do not, as it is."""
    if irq.slot is None:
        return irq
    action = action_of(irq.action)
    receiving = {device.action for device in facts if device.action}
    if receiving and action not in receiving:
        told = Slot(irq.slot, f"{irq.role}, of the side that sends", False, False)
        return with_slot(irq, told)
    device = _info_of(irq, facts) if action == VECTOR_ACTION else None
    return irq if device is None else with_slot(irq, _vector(irq.slot, device))


def with_slot(irq: Irq, slot: Slot) -> Irq:
    """Return a line with the meaning of its slot."""
    return replace(
        irq,
        slot=slot.slot,
        role=slot.role,
        is_doorbell=slot.is_doorbell,
        is_link=slot.is_link,
        is_upper_bound=bool(irq.others) or (slot.is_doorbell and slot.is_link),
    )


def _info_of(irq: Irq, facts: Sequence[DeviceFacts]) -> DeviceFacts | None:
    """Return intel's `info` of the line's device: by its PCI name, or the only one there is."""
    found = {Path(device.source).name: device for device in facts if int(device.link_mask, 16)}
    if irq.device in found:
        return found[irq.device]
    named = irq.device and all(PCI_NAME.fullmatch(name) for name in found)
    return next(iter(found.values())) if len(found) == 1 and not named else None


def _vector(vector: int, device: DeviceFacts) -> Slot:
    masks = device.vector_masks
    doorbells = int(masks[vector], 16) if vector < len(masks) else 0
    return vector_slot(vector, doorbells, int(vector in device.link_vectors))
