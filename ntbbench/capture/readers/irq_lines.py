# SPDX-License-Identifier: BSD-3-Clause
"""The lines of NTB drivers in /proc/interrupts: which device, which slot, what each carries."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from ntbbench.capture.readers import Known, Reader, earlier
from ntbbench.capture.readers.proc import (
    ProcRow,
    Snapshot,
    changed,
    difference,
    read_snapshot,
)
from ntbbench.capture.records import DeviceFacts, Irq, Measured
from ntbbench.ntb.catalogue import irq_lines, resolve
from ntbbench.ntb.device import Hardware, IrqLayout

PCI_NAME = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
MSI_CHIP = re.compile(r"(?:[\w-]+-)?PCI-MSIX?")  # of x86, whose hwirq is that of the PCI layer
MSI_INDEX_BITS, MSI_DOMAIN_BITS = 11, 27  # hwirq = domain << 27 | devid << 11 | index


def device_of(row: ProcRow) -> str:
    """Return the PCI name of the device that a line's chip or hwirq tells; "": neither does.

    Source: Linux 6.12 drivers/pci/msi/irqdomain.c (pci_msi_domain_calc_hwirq).
    """
    if (found := PCI_NAME.search(row.chip)) is not None:
        return found[0]
    if row.hwirq is None or MSI_CHIP.fullmatch(row.chip) is None:
        return ""
    domain, device = row.hwirq >> MSI_DOMAIN_BITS, row.hwirq >> MSI_INDEX_BITS & 0xFFFF
    return f"{domain:04x}:{device >> 8:02x}:{device >> 3 & 0x1F:02x}.{device & 7}"


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
    masks = hardware.vector_map.irq_masks
    bits = masks[vector] if vector < len(masks) else 0
    return bits & hardware.vector_map.db_valid_mask, bits & hardware.link_mask


def _vector_slot(vector: int, doorbells: int, link: int) -> Slot:
    if doorbells and link:
        return Slot(vector, f"vector {vector} (link events too)", True, True)
    if doorbells:
        return Slot(vector, f"vector {vector}", True, False)
    return Slot(vector, f"vector {vector} (link or other events, no doorbell)", False, True)


LAYOUTS: dict[IrqLayout, Callable[[int, int], Slot]] = {
    "slots": _epf,
    "vectors": _vector,
    "all": lambda slot, _: Slot(slot, "all doorbells, and link events", True, True),
    "doorbells": lambda slot, _: Slot(slot, "all doorbells", True, False),
    "messages": lambda slot, _: Slot(slot, "link and messages", False, True),
}
# By action (request_irq's name): those of the presets, and of the QPs' MSIs.
ACTIONS: dict[str, Callable[[int, int], Slot]] = {
    lines.action: LAYOUTS[lines.layout] for _, lines in irq_lines()
} | {
    "ntb_transport": lambda slot, _: Slot(slot, f"MSI of a QP, number {slot} of them", True, False)
}


def actions_of(action: str) -> list[str]:
    """Return the actions of a line, which several drivers may share."""
    return [part.strip() for part in action.split(",")]


def action_of(action: str) -> str | None:
    """Return the NTB action of a line, the first if it has several; None: it has none."""
    return next((part for part in actions_of(action) if part in ACTIONS), None)


def find_slots(rows: Iterable[ProcRow], bridges: int = 0) -> dict[str, Slot]:
    """Return the slot of each NTB line by label; lines of one device count in file order.

    `bridges`: how many NTB devices other files show, 0: not known.
    """
    groups: defaultdict[tuple[str, str, int], list[ProcRow]] = defaultdict(list)
    for row in rows:
        if (action := action_of(row.action)) is not None:
            device = 0 if row.hwirq is None else row.hwirq >> MSI_INDEX_BITS
            groups[action, row.chip, device].append(row)
    told = bridges if len(groups) == 1 else 0
    return {
        row.label: ACTIONS[action](slot, len(lines))._replace(others=_others(row.action, action))
        for (action, _, _), alike in groups.items()
        for lines in _by_device(alike, action, told)
        for slot, row in enumerate(lines)
    }


def _by_device(rows: list[ProcRow], action: str, bridges: int) -> list[list[ProcRow]]:
    """Split the lines of several bridges that neither chip nor hwirq tells apart.

    A hwirq that goes back is another controller's. Old kernels and Xen print none: then the number
    of bridges tells, else a gap between equal runs of labels, else how many lines a device has.
    """
    parts = _split(rows, lambda old, new: (new.hwirq or 0) <= (old.hwirq or 0))
    if rows[0].hwirq is not None and (len(parts) > 1 or bridges < 2):
        return parts
    if bridges > 1 and not device_of(rows[0]) and len(rows) % bridges == 0:
        return _cut(rows, len(rows) // bridges)
    if rows[0].hwirq is not None:
        return [rows]
    parts = _split(rows, lambda old, new: int(new.label) != int(old.label) + 1)
    if len({len(part) for part in parts}) == 1 and 1 < len(parts) < len(rows):
        return parts
    own = [irqs.counts for _, irqs in irq_lines() if irqs.action == action]
    sizes = {size for counts in own for size in counts}
    fitting = {size for size in sizes if len(rows) % size == 0}
    if not all(own) or len(rows) in sizes or len(fitting) != 1:
        return [rows]
    return _cut(rows, fitting.pop())


def _split(rows: list[ProcRow], is_new: Callable[[ProcRow, ProcRow], bool]) -> list[list[ProcRow]]:
    starts = [0, *(i for i, pair in enumerate(pairwise(rows), 1) if is_new(*pair)), len(rows)]
    return [rows[start:end] for start, end in pairwise(starts)]


def _cut(rows: list[ProcRow], size: int) -> list[list[ProcRow]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


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
    """Return the `info` of the line's device: by its PCI name, or the only one there is."""
    found = {
        Path(device.source).name: device
        for device in facts
        if device.driver or int(device.link_mask, 16)  # older files have no driver
    }
    if irq.device in found:
        return found[irq.device]
    named = irq.device and all(PCI_NAME.fullmatch(name) for name in found)
    return next(iter(found.values())) if len(found) == 1 and not named else None


def _interrupts(after: Path, _known: Known) -> Measured:
    old, new = read_snapshot(earlier(after)), read_snapshot(after)
    lines = _whole_lines(old, new)
    slots = find_slots(lines.values(), _bridges(after))
    cautions: list[str] = []
    deltas = difference(old, new, cautions)
    rows = []
    for label in dict.fromkeys((*slots, *changed(deltas))):
        row = lines[label]
        if label not in slots and row.values is None:
            continue  # an odd row of another driver: it is named
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


def _whole_lines(old: Snapshot, new: Snapshot) -> dict[str, ProcRow]:
    """Return the rows of both snapshots; of one that is odd in the later, the earlier's."""
    lines = {
        label: old.rows[label] if row.values is None and label in old.rows else row
        for label, row in new.rows.items()
    }
    gone = {label: row for label, row in old.rows.items() if label not in lines}
    return dict(sorted((lines | gone).items(), key=_place)) if gone else lines


def _place(item: tuple[str, ProcRow]) -> tuple[bool, int]:
    """Return a key for the order of the file: by number, then the named rows as they came."""
    label = item[0]
    return (True, 0) if not label.isdecimal() else (False, int(label))


def _bridges(after: Path) -> int:
    """Return how many NTB devices the capture's counters of ntb_transport show; 0: none."""
    folder = after.with_name("after-stats")
    return sum(path.is_dir() for path in folder.iterdir()) if folder.is_dir() else 0


INTERRUPTS = Reader(
    "/proc/interrupts",
    "interrupts a line and CPU between two snapshots",
    "rings that coalesced into one interrupt; whose QP an interrupt was for where a line "
    "covers several doorbells; more than one wrap of its u32; counters that restarted and passed "
    "their old value",
    _interrupts,
    snapshots="interrupts",
)
