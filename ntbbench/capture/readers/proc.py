# SPDX-License-Identifier: BSD-3-Clause
"""Two snapshots of /proc/interrupts or /proc/softirqs, and what each row counted between them.

A row that cannot be read is named and has no counts; the rest of the file stands.
"""

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import sub
from pathlib import Path
from typing import Any, NamedTuple

from ntbbench.capture.readers import Known, Reader, earlier
from ntbbench.capture.records import Measured, Softirq
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import bad_line, read_lines

CPU = re.compile(r"CPU\d{1,5}")
LABEL = re.compile(r"\s*([^\s:][^:]{0,30}):(.*)", re.DOTALL)
U32 = 1 << 32
# A counter that falls from the upper half of u32 to the lower one has wrapped once; any other
# fall is a restart: the line was freed and requested again.
HALF = 1 << 31
# Rows with one count for all CPUs: of x86, of arm and arm64, of powerpc (arch_show_interrupts).
SINGLE = frozenset({"ERR", "MIS", "Err", "BAD"})
LINE_MAX = 1 << 17  # characters: 8,192 CPUs, the most that Linux takes, have 11 each
CELLS_MAX = 1 << 23  # counts of a file, 4 bytes each: 768 CPUs and 3,000 rows have 2.3 million
HEADER_LAST = 8  # a text that was pasted begins with the command
TAIL_MAX = 512  # characters behind the counts
ODD_MAX = 20  # rows that are named
# Between chip and actions: `0-edge`, `39 Level`, `-msi-x` (Xen has no hwirq), `12 Edge oob` (EVL).
PLACE = re.compile(
    r"(?:^|\s)(?:(?P<hwirq>\d{1,19})(?=-|\s+(?:Edge|Level)\b))?"
    r"(?:-[a-zA-Z][\w-]*|\s*\b(?:Edge|Level)\b(?:-\w+)?)(?:\s+-?(?:oob|OOB))?(?=\s|$)"
)
GAP = re.compile(r"\s{2,}")  # the kernel prints at least two blanks before the first action
NUMBERED = re.compile(r"(.*\S)\s+(\d{1,19})")
ONE_GAP = re.compile(r"(.*\S)\s+([^\s,]+(?:,\s?[^\s,]+)*)")  # blanks lost on the way


class Tail(NamedTuple):
    """What stands behind the counts of a line."""

    chip: str = ""
    hwirq: int | None = None
    action: str = ""


@dataclass(frozen=True)
class ProcRow:
    """One line: its counts in the order of its CPUs, and the rest; `values` None: an odd row."""

    label: str
    cpus: tuple[str, ...]
    values: "array[int] | None"
    tail: Tail

    @property
    def counts(self) -> dict[str, int]:
        """The counts by the CPU's name; none of an odd row."""
        return {} if self.values is None else dict(zip(self.cpus, self.values, strict=True))

    @property
    def chip(self) -> str:
        """The name of the interrupt controller."""
        return self.tail.chip

    @property
    def hwirq(self) -> int | None:
        """The controller's number of it, where the kernel prints one."""
        return self.tail.hwirq

    @property
    def action(self) -> str:
        """The drivers of the line, as it names them."""
        return self.tail.action


@dataclass(frozen=True)
class Snapshot:
    """One reading of the file: CPU names of the header, rows by label, and which rows are odd."""

    path: Path
    cpus: tuple[str, ...]
    rows: dict[str, ProcRow]
    odd: dict[str, str] = field(default_factory=dict)  # label, or line -> what is wrong with it


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
    """Read /proc/interrupts or /proc/softirqs, line by line.

    InputError: no header of CPUs, no row, more than `CELLS_MAX` counts, or a file that is cut off
    within a line. A row that cannot be read is one of `odd`.

    Source: Linux 7.3 kernel/irq/proc.c (irq_seq_show), Linux 6.12 (show_interrupts),
    fs/proc/softirqs.c, arch/x86/kernel/irq.c (arch_show_interrupts).
    """
    lines = read_lines(path, LINE_MAX)
    odd: dict[str, str] = {}
    cpus = _header(path, lines, odd)
    rows: dict[str, ProcRow] = {}
    cells = 0
    for number, line in lines:
        if "\0" in line:
            raise InputError(str(path), "NUL characters", "a text file")
        if not line.strip():
            continue
        row, why = _row(line, cpus)
        if not line.endswith("\n") and (row is None or why or row.label.isdigit()):
            raise bad_line(path, number, line, "the file is cut off within this line")
        if row is not None and row.label in rows:
            row, why = ProcRow(row.label, cpus, None, row.tail), f"{row.label} is there twice"
        if why:
            text = bad_line(path, number, line, f"{why}: this row is not read")
            odd[str(number) if row is None else row.label] = str(text)
        if row is not None:
            rows[row.label] = row
        cells += len(cpus)
        if cells > CELLS_MAX:
            raise bad_line(path, number, line, f"at most {CELLS_MAX} counts in a file")
    if all(row.values is None for row in rows.values()):
        raise InputError(str(path), "no rows", "a row an interrupt: the file is cut off")
    return Snapshot(path, cpus, rows, odd)


def _header(path: Path, lines: Iterator[tuple[int, str]], odd: dict[str, str]) -> tuple[str, ...]:
    """Return the CPUs of the header, one of the first lines."""
    first: InputError | None = None
    for number, line in lines:
        cpus = tuple(line.split())
        if cpus and all(map(CPU.fullmatch, cpus)) and len(set(cpus)) == len(cpus):
            if not line.endswith("\n"):
                raise bad_line(path, number, line, "the file is cut off within this line")
            return cpus
        error = bad_line(path, number, line, "a header of CPUs: CPU0 CPU1 ...")
        first = first or error
        if cpus:
            odd[str(number)] = f"{error}: this line is not read"
        if number >= HEADER_LAST:
            break
    raise first or bad_line(path, 1, "", "a header of CPUs: CPU0 CPU1 ...")


def _row(line: str, cpus: tuple[str, ...]) -> tuple[ProcRow | None, str]:
    """Return a row and what is wrong with it; None: it has no label."""
    why, values = "", None
    match = LABEL.fullmatch(line)
    if match is None:
        return None, "label: one count a CPU, then what it is"
    label = match[1].strip()
    columns = cpus[:1] if label in SINGLE else cpus
    words = match[2].split(None, len(columns))
    rest = words[len(columns)].strip() if len(words) > len(columns) else ""
    tail = _tail(rest) if label.isdigit() else Tail(action=rest)
    shown = words[: len(columns)]
    digits = "".join(shown)
    if len(shown) < len(columns) or not (digits.isascii() and digits.isdecimal()):
        why = f"{len(columns)} counts, one a CPU"
    elif len(rest) > TAIL_MAX:
        why = f"at most {TAIL_MAX} characters behind the counts"
    else:
        try:
            values = array("I", map(int, shown))
        except (OverflowError, ValueError):  # of array(); of int(), which refuses endless digits
            why = "counts below 2**32 (they are u32)"
    return ProcRow(label, columns, values, tail), why


def _tail(text: str) -> Tail:
    """Split what stands behind the counts: the chip's name may hold blanks, as actions may."""
    if len(text) > TAIL_MAX:
        return Tail()
    if places := [*PLACE.finditer(text)]:
        place = places[-1]  # actions are found from the right
        hwirq = None if place["hwirq"] is None else int(place["hwirq"])
        return Tail(text[: place.start()].strip(), hwirq, text[place.end() :].strip())
    *before, last = GAP.split(text)
    if not before and (found := ONE_GAP.fullmatch(text)) is not None:
        before, last = [found[1]], found[2]
    if not before:
        return Tail(chip=text)
    chip = " ".join(before)
    if (numbered := NUMBERED.fullmatch(chip)) is not None:
        return Tail(numbered[1], int(numbered[2]), last)
    return Tail(chip, None, last)


def difference(before: Snapshot, after: Snapshot, cautions: list[str]) -> dict[str, Delta]:
    """Return what each row of either snapshot counted in between; say what cannot be known."""
    cautions += _cpu_cautions(before, after)
    cautions += _odd_cautions(before, after)
    odd = before.odd.keys() | after.odd.keys()
    deltas = {}
    for label, row in after.rows.items():
        old = before.rows.get(label)
        if old is not None and label not in odd and is_same(old, row):
            deltas[label] = _delta(after.path, old, row, cautions)
            continue
        if label in odd:
            why = ""
        elif old is None:
            why = f"{label} {row.action} came between the snapshots"
        else:
            why = f"{label} was {old.action or 'free'} and is {row.action or 'free'}"
        if why and (any(row.values or ()) or old is not None):
            cautions.append(f"{after.path}: {why}: its interrupts are not known")
        deltas[label] = Delta(row.cpus, (None,) * len(row.cpus))
    for label in sorted(before.rows.keys() - after.rows.keys()):
        row = before.rows[label]
        deltas[label] = Delta(row.cpus, (None,) * len(row.cpus))
        why = f"{label} {row.action} went between the snapshots"
        cautions.append(f"{after.path}: {why}: its interrupts are not known")
    return deltas


def is_same(old: ProcRow, new: ProcRow) -> bool:
    """Return whether a line still belongs to the same chip and drivers."""
    return (old.chip, old.action) == (new.chip, new.action)


def _delta(path: Path, old: ProcRow, new: ProcRow, cautions: list[str]) -> Delta:
    before, after = old.values or array("I"), new.values or array("I")
    if old.cpus == new.cpus:
        grown = tuple(map(sub, after, before)) if after != before else (0,) * len(after)
        if min(grown) >= 0:
            return Delta(new.cpus, grown)
    counts, earlier_counts = new.counts, old.counts
    cpus = tuple(dict.fromkeys((*old.cpus, *new.cpus)))
    named = f"{path}: {new.label} {new.action}"
    return Delta(
        cpus,
        tuple(_one(named, cpu, earlier_counts.get(cpu), counts.get(cpu), cautions) for cpu in cpus),
    )


def _one(
    named: str, cpu: str, before: int | None, after: int | None, cautions: list[str]
) -> int | None:
    if before is None or after is None:
        return None
    if after >= before:
        return after - before
    where = f"{named} on {cpu}: {before} then {after}"
    if before >= HALF > after:
        cautions.append(f"{where}: the u32 counter wrapped; taken as one wrap")
        return after - before + U32
    cautions.append(f"{where}: the counter went back (the line was freed?): not known")
    return None


def _cpu_cautions(before: Snapshot, after: Snapshot) -> list[str]:
    came = [cpu for cpu in after.cpus if cpu not in set(before.cpus)]
    went = [cpu for cpu in before.cpus if cpu not in set(after.cpus)]
    return [
        f"{after.path}: {', '.join(names)} {verb} between the snapshots: "
        "its interrupts are not known, totals are lower bounds"
        for names, verb in ((came, "came"), (went, "went"))
        if names
    ]


def _odd_cautions(before: Snapshot, after: Snapshot) -> list[str]:
    """Name each odd row once, though it is there in both snapshots."""
    told = [*({**before.odd, **after.odd}).values()]
    more = f"{after.path}: {len(told) - ODD_MAX} more rows are not read"
    return [*told[:ODD_MAX], *[more] * (len(told) > ODD_MAX)]


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
