# SPDX-License-Identifier: BSD-3-Clause
"""Tables of /proc, and the difference of two snapshots of one; softirqs as they are counted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntbbench.capture.measured_records import Measured, Softirq
from ntbbench.capture.readers import Known, Reader, earlier
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import bad_line, read_small

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
class Row:
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
    rows: dict[str, Row]


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

    Raises
    ------
    InputError : no header of CPUs, a row with too few counts or one beyond u32, a label twice, or
        a file that is cut off within a line.

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
    rows: dict[str, Row] = {}
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            row = _row(path, number, line, cpus)
            if row.label in rows:
                raise bad_line(path, number, line, f"{row.label} is there twice")
            rows[row.label] = row
    if not rows:
        raise InputError(str(path), "no rows", "a row an interrupt: the file is cut off")
    return Snapshot(path, cpus, rows)


def _row(path: Path, number: int, line: str, cpus: tuple[str, ...]) -> Row:
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
    return Row(label, dict(zip(columns, map(int, counts), strict=True)), chip, hwirq, action)


def device_of(row: Row) -> str:
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
            deltas[label] = _delta(after.path, old, row, cautions)
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


def _delta(path: Path, old: Row, new: Row, cautions: list[str]) -> Delta:
    cpus = tuple(dict.fromkeys((*old.counts, *new.counts)))
    per_cpu = [_one(path, new, cpu, old.counts.get(cpu), cautions) for cpu in cpus]
    return Delta(cpus, tuple(per_cpu))


def _one(path: Path, row: Row, cpu: str, before: int | None, cautions: list[str]) -> int | None:
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
