# SPDX-License-Identifier: BSD-3-Clause
"""Which lines of /proc/interrupts are an NTB device's, and what each of them carries."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from ntbbench.capture.measured_records import DeviceFacts, Irq, Measured
from ntbbench.capture.readers import Known, Reader, earlier
from ntbbench.capture.readers.proc import (
    MSI_INDEX_BITS,
    PCI_NAME,
    Row,
    changed,
    device_of,
    difference,
    read_snapshot,
)
from ntbbench.ntb.catalogue import irq_lines, resolve
from ntbbench.ntb.device import Hardware, IrqLayout

FIRST_DOORBELL = 2  # slot 0: link, slot 1: reserved
DOORBELL = "doorbell bit"
EMBEDDED = "all slots on one line (embedded doorbell)"
MAY_BE_LINK = "(link events too, where the vector has a link bit)"


class Slot(NamedTuple):
    """The place of a line among those of its device, what it means, what its interrupts may be.

    `is_doorbell` and `is_link` together: how many of its interrupts are doorbells is not known,
    only that no more are. Link stands for every event that is no doorbell: of AMD's vectors above
    its doorbells, of a message. `others`: the other actions that share the line.
    """

    slot: int
    role: str
    is_doorbell: bool
    is_link: bool
    others: tuple[str, ...] = ()


def _epf(slot: int, lines: int) -> Slot:
    if lines == 1:
        return Slot(slot, EMBEDDED, True, False)
    if slot < FIRST_DOORBELL:
        return Slot(slot, ("link", "reserved")[slot], False, slot == 0)
    return Slot(slot, f"{DOORBELL} {slot - FIRST_DOORBELL}", True, False)


def _vector(slot: int, lines: int) -> Slot:
    """Return what all devices with that many vectors say of this one; else it may be anything."""
    names = [name for name, irqs in irq_lines() if lines in irqs.counts]
    told = {_vector_slot(slot, *_masks_of(resolve(name), slot)) for name in names}
    if len(told) == 1:
        return told.pop()
    return Slot(slot, f"vector {slot} {MAY_BE_LINK}", True, True)


def _masks_of(hardware: Hardware, vector: int) -> tuple[int, int]:
    """Return the doorbell bits of a preset's vector, and the bits that are link events."""
    masks = hardware.vector_map.irq_masks
    bits = masks[vector] if vector < len(masks) else 0
    return bits & hardware.vector_map.db_valid_mask, bits & hardware.link_mask


def _vector_slot(vector: int, doorbells: int, link: int) -> Slot:
    if doorbells and link:
        return Slot(vector, f"vector {vector} (link events too)", True, True)
    if doorbells:
        return Slot(vector, f"vector {vector}", True, False)
    return Slot(vector, f"vector {vector} (link or other events, no doorbell)", False, True)


def _all(slot: int, _lines: int) -> Slot:
    return Slot(slot, "all doorbells, and link events", True, True)


def _all_but_link(slot: int, _lines: int) -> Slot:
    return Slot(slot, "all doorbells", True, False)


def _message(slot: int, _lines: int) -> Slot:
    return Slot(slot, "link and messages", False, True)


def _msi(slot: int, _lines: int) -> Slot:
    return Slot(slot, f"MSI of a QP, number {slot} of them", True, False)


LAYOUTS: dict[IrqLayout, Callable[[int, int], Slot]] = {
    "slots": _epf,
    "vectors": _vector,
    "all": _all,
    "doorbells": _all_but_link,
    "messages": _message,
}
# By action (request_irq's name): those of the presets, and of the QPs' MSIs.
ACTIONS: dict[str, Callable[[int, int], Slot]] = {
    lines.action: LAYOUTS[lines.layout] for _, lines in irq_lines()
} | {"ntb_transport": _msi}


def actions_of(action: str) -> list[str]:
    """Return the actions of a line, which several drivers may share."""
    return [part.strip() for part in action.split(",")]


def action_of(action: str) -> str | None:
    """Return the NTB action of a line, the first if it has several; None: it has none."""
    return next((part for part in actions_of(action) if part in ACTIONS), None)


def find_slots(rows: Iterable[Row]) -> dict[str, Slot]:
    """Return the slot of each NTB line by label; lines of one device count in file order."""
    groups: defaultdict[tuple[str, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        if (action := action_of(row.action)) is not None:
            device = 0 if row.hwirq is None else row.hwirq >> MSI_INDEX_BITS
            groups[action, row.chip, device].append(row)
    return {
        row.label: ACTIONS[action](slot, len(lines))._replace(others=_others(row.action, action))
        for (action, _, _), lines in groups.items()
        for slot, row in enumerate(lines)
    }


def _others(line: str, action: str) -> tuple[str, ...]:
    names = actions_of(line)
    names.remove(action)
    return tuple(names)


def told_line(irq: Irq, facts: Sequence[DeviceFacts]) -> Irq:
    """Return an interrupt line as the capture's facts tell it; one that they do not, as it is."""
    if irq.slot is None:
        return irq
    action = action_of(irq.action)
    receiving = {device.action for device in facts if device.action}
    others = tuple(irq.others)
    if receiving and action not in receiving:
        return _with_slot(
            irq, Slot(irq.slot, f"{irq.role}, of the side that sends", False, False, others)
        )
    device = _info_of(irq, facts) if ACTIONS.get(action or "") is _vector else None
    if device is None:
        return irq
    masks = device.vector_masks
    doorbells = int(masks[irq.slot], 16) if irq.slot < len(masks) else 0
    told = _vector_slot(irq.slot, doorbells, int(irq.slot in device.link_vectors))
    return _with_slot(irq, told._replace(others=others))


def _with_slot(irq: Irq, slot: Slot) -> Irq:
    is_upper_bound = bool(slot.others) or (slot.is_doorbell and slot.is_link)
    known = slot._asdict() | {"others": list(slot.others)}
    return replace(irq, **known, is_upper_bound=is_upper_bound)


def _info_of(irq: Irq, facts: Sequence[DeviceFacts]) -> DeviceFacts | None:
    """Return intel's `info` of the line's device: by its PCI name, or the only one there is."""
    found = {Path(device.source).name: device for device in facts if int(device.link_mask, 16)}
    if irq.device in found:
        return found[irq.device]
    named = irq.device and all(PCI_NAME.fullmatch(name) for name in found)
    return next(iter(found.values())) if len(found) == 1 and not named else None


def _interrupts(after: Path, _known: Known) -> Measured:
    old, new = read_snapshot(earlier(after)), read_snapshot(after)
    slots = find_slots(new.rows.values())
    cautions: list[str] = []
    deltas = difference(old, new, cautions)
    rows = []
    for label in dict.fromkeys((*slots, *changed(deltas))):
        row = new.rows[label]
        irq = Irq(
            label=label,
            chip=row.chip,
            action=row.action,
            source=str(after),
            device=device_of(row),
            **deltas[label].counts,
        )
        rows.append(_with_slot(irq, slots[label]) if label in slots else irq)
    return Measured(interrupts=rows, cautions=cautions)


INTERRUPTS = Reader(
    "/proc/interrupts",
    "interrupts a line and CPU between two snapshots",
    "rings that coalesced into one interrupt; whose QP an interrupt was for where a line "
    "covers several doorbells; more than one wrap of its u32; counters that restarted and passed "
    "their old value",
    _interrupts,
    snapshots="interrupts",
)
