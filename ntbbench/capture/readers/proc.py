# SPDX-License-Identifier: BSD-3-Clause
"""Softirqs and interrupts between two snapshots of /proc, and what each NTB line carries."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from ntbbench.capture.readers import Known, Reader, earlier
from ntbbench.capture.records import DeviceFacts, Irq, Measured, Softirq
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import bad_line, read_small
from ntbbench.ntb.catalogue import irq_lines, resolve
from ntbbench.ntb.device import Hardware, IrqLayout

CPU = re.compile(r"CPU\d{1,5}")
ROW = re.compile(r"\s*([^\s:][^:]{0,30}):(.*)")
COUNT = re.compile(r"\d{1,10}")
U32 = 1 << 32
# A counter that falls from the upper half of u32 to the lower one has wrapped once; any other
# fall is a restart: the line was freed and requested again.
HALF = 1 << 31
# Rows with one count for all CPUs: of x86, and of arm and arm64 (arch_show_interrupts).
SINGLE = frozenset({"ERR", "MIS", "Err"})
# PCI-MSIX-0000:00:01.0 0-edge name | IO-APIC 2-edge timer | GICv3 27 Level arch_timer
CHIP = re.compile(r"(\S+)\s+(?:(\d{1,19})(?:-\S+)?(?:\s+|$))?(?:(?:Edge|Level)(?:\s+|$))?(.*)")

PCI_NAME = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
MSI_CHIP = re.compile(r"(?:[\w-]+-)?PCI-MSIX?")  # of x86, whose hwirq is that of the PCI layer
MSI_INDEX_BITS, MSI_DOMAIN_BITS = 11, 27  # hwirq = domain << 27 | devid << 11 | index


@dataclass(frozen=True)
class ProcRow:
    """One line: counts by CPU name, the rest of the line split into chip, hwirq and action."""

    label: str
    counts: dict[str, int]
    chip: str
    hwirq: int | None
    action: str


@dataclass(frozen=True)
class Snapshot:
    """One reading of the file: CPU names of the header, rows by label."""

    path: Path
    cpus: tuple[str, ...]
    rows: dict[str, ProcRow]


@dataclass(frozen=True)
class Delta:
    """What one row counted between two snapshots; None: not known (see the cautions)."""

    cpus: tuple[str, ...]
    per_cpu: tuple[int | None, ...]

    @property
    def at_least(self) -> int:
        """What the known CPUs add up to."""
        return sum(count or 0 for count in self.per_cpu)

    @property
    def total(self) -> int | None:
        """The sum, or None where one CPU's share is not known."""
        return None if None in self.per_cpu else self.at_least

    @property
    def counts(self) -> dict[str, Any]:
        """The fields of a record of it."""
        return {
            "cpus": list(self.cpus),
            "per_cpu": list(self.per_cpu),
            "total": self.total,
            "at_least": self.at_least,
        }


def read_snapshot(path: Path) -> Snapshot:
    """Read /proc/interrupts or /proc/softirqs.

    InputError: no header of CPUs, a row with too few counts or one beyond u32, a label twice, or a
    file that is cut off within a line.

    Source: Linux 6.12 kernel/irq/proc.c (show_interrupts), fs/proc/softirqs.c,
    arch/x86/kernel/irq.c (arch_show_interrupts).
    """
    text = read_small(path)
    lines = text.split("\n")
    cpus = tuple(lines[0].split())
    if not cpus or not all(map(CPU.fullmatch, cpus)) or len(set(cpus)) < len(cpus):
        raise bad_line(path, 1, lines[0], "a header of CPUs: CPU0 CPU1 ...")
    if lines[-1]:
        raise bad_line(path, len(lines), lines[-1], "the file is cut off within this line")
    rows: dict[str, ProcRow] = {}
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            row = _row(path, number, line, cpus)
            if row.label in rows:
                raise bad_line(path, number, line, f"{row.label} is there twice")
            rows[row.label] = row
    if not rows:
        raise InputError(str(path), "no rows", "a row an interrupt: the file is cut off")
    return Snapshot(path, cpus, rows)


def _row(path: Path, number: int, line: str, cpus: tuple[str, ...]) -> ProcRow:
    match = ROW.fullmatch(line)
    if match is None:
        raise bad_line(path, number, line, "label: one count a CPU, then what it is")
    label, rest = match[1], match[2]
    columns = cpus[:1] if label in SINGLE else cpus
    words = rest.split(None, len(columns))
    counts = words[: len(columns)]
    if len(counts) < len(columns) or not all(map(COUNT.fullmatch, counts)):
        raise bad_line(path, number, line, f"{len(columns)} counts, one a CPU")
    if any(int(count) >= U32 for count in counts):
        raise bad_line(path, number, line, "counts below 2**32 (they are u32)")
    tail = words[len(columns)].strip() if len(words) > len(columns) else ""
    chip, hwirq, action = "", None, tail
    if label.isdigit() and (found := CHIP.fullmatch(tail)) is not None:
        chip, action = found[1], found[3].strip()
        hwirq = None if found[2] is None else int(found[2])
    return ProcRow(label, dict(zip(columns, map(int, counts), strict=True)), chip, hwirq, action)


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


def difference(before: Snapshot, after: Snapshot, cautions: list[str]) -> dict[str, Delta]:
    """Return what each row of `after` counted since `before`; say what cannot be known."""
    cautions += _cpu_cautions(before, after)
    deltas = {}
    for label, row in after.rows.items():
        old = before.rows.get(label)
        if old is not None and (old.chip, old.action) == (row.chip, row.action):
            cpus = tuple(dict.fromkeys((*old.counts, *row.counts)))
            counts = [_one(after.path, row, cpu, old.counts.get(cpu), cautions) for cpu in cpus]
            deltas[label] = Delta(cpus, tuple(counts))
            continue
        if old is None:
            why = f"{label} {row.action} came between the snapshots"
        else:
            why = f"{label} was {old.action or 'free'} and is {row.action or 'free'}"
        if any(row.counts.values()) or old is not None:
            cautions.append(f"{after.path}: {why}: its interrupts are not known")
        deltas[label] = Delta(tuple(row.counts), (None,) * len(row.counts))
    gone = [f"{label} {before.rows[label].action}" for label in before.rows.keys() - after.rows]
    cautions += [
        f"{after.path}: {name} went between the snapshots: its interrupts are not known"
        for name in sorted(gone)
    ]
    return deltas


def _cpu_cautions(before: Snapshot, after: Snapshot) -> list[str]:
    came = [cpu for cpu in after.cpus if cpu not in before.cpus]
    went = [cpu for cpu in before.cpus if cpu not in after.cpus]
    return [
        f"{after.path}: {', '.join(names)} {verb} between the snapshots: "
        "its interrupts are not known, totals are lower bounds"
        for names, verb in ((came, "came"), (went, "went"))
        if names
    ]


def _one(path: Path, row: ProcRow, cpu: str, before: int | None, cautions: list[str]) -> int | None:
    after = row.counts.get(cpu)
    if before is None or after is None:
        return None
    if after >= before:
        return after - before
    where = f"{path}: {row.label} {row.action} on {cpu}: {before} then {after}"
    if before >= HALF > after:
        cautions.append(f"{where}: the u32 counter wrapped; taken as one wrap")
        return after - before + U32
    cautions.append(f"{where}: the counter went back (the line was freed?): not known")
    return None


def changed(deltas: dict[str, Delta]) -> Sequence[str]:
    """Return the labels of rows that counted something, or may have."""
    return [label for label, delta in deltas.items() if delta.at_least or delta.total is None]


def _softirqs(after: Path, _known: Known) -> Measured:
    cautions: list[str] = []
    deltas = difference(read_snapshot(earlier(after)), read_snapshot(after), cautions)
    rows = [
        Softirq(name=label, source=str(after), **deltas[label].counts) for label in changed(deltas)
    ]
    return Measured(softirqs=rows, cautions=cautions)


SOFTIRQS = Reader(
    "/proc/softirqs",
    "runs of each softirq by CPU between two snapshots",
    "which tasklets ran: one TASKLET softirq runs all that are scheduled, of any driver",
    _softirqs,
    snapshots="softirqs",
)


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


def find_slots(rows: Iterable[ProcRow]) -> dict[str, Slot]:
    """Return the slot of each NTB line by label; lines of one device count in file order."""
    groups: defaultdict[tuple[str, str, int], list[ProcRow]] = defaultdict(list)
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
