# SPDX-License-Identifier: BSD-3-Clause
"""What a board does right now: rates between two readings of its counters."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ntbbench.capture.readers.irq_lines import find_slots
from ntbbench.capture.readers.proc import Snapshot, changed, difference, read_snapshot
from ntbbench.capture.readers.qp_stats import Stats, find_stats, qp_runs, read_stats_file
from ntbbench.capture.readers.qp_transmit import qp_transmit
from ntbbench.core.clock import NS, monotonic
from ntbbench.core.errors import InputError

ROOT = "NTBBENCH_ROOT"  # what stands before /proc and /sys, as of the capture script
TRANSPORT = "sys/kernel/debug/ntb_transport"
NO_COUNTERS = "no counters of QPs: root and a mounted debugfs have them"
NO_LINES = "no interrupt line of an NTB driver"
QP = tuple[str, int]  # device and qp_num


@dataclass(frozen=True)
class BoardCounters:
    """The counters at one moment, in seconds of a clock that never goes back."""

    seconds: float
    interrupts: Snapshot
    stats: Mapping[QP, Stats]


@dataclass(frozen=True)
class Bounded:
    """A rate per second between two bounds; None: there is no upper one."""

    low: float
    high: float | None


@dataclass(frozen=True)
class QpRate:
    """One QP per second: packets, runs, refused sends; how many entries of its ring wait."""

    device: str
    qp_num: int
    link: str
    received: float | None = None
    sent: float | None = None
    runs: Bounded | None = None
    refused: float | None = None
    waiting: int | None = None
    entries: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether a send was refused since the reading before, or would be now."""
        return bool(self.refused) or (self.waiting is not None and self.waiting + 1 == self.entries)


@dataclass(frozen=True)
class Rates:
    """Between two readings. `interrupts` is None where no doorbell line is known."""

    seconds: float
    interrupts: Bounded | None
    qps: tuple[QpRate, ...]
    cautions: list[str] = field(default_factory=list)

    @property
    def runs(self) -> Bounded | None:
        """Runs of all QPs; None: one of them is not known."""
        known = [qp.runs for qp in self.qps if qp.link != "down"]
        if not known or None in known:
            return None
        found = [runs for runs in known if runs is not None]
        highs = [runs.high for runs in found if runs.high is not None]
        high = sum(highs) if len(highs) == len(found) else None
        return Bounded(sum(runs.low for runs in found), high)

    @property
    def amplification(self) -> Bounded | None:
        """Runs per doorbell interrupt."""
        runs, interrupts = self.runs, self.interrupts
        if runs is None or interrupts is None or not interrupts.high:
            return None
        high = None
        if runs.high is not None and interrupts.low:
            high = runs.high / interrupts.low
        return Bounded(runs.low / interrupts.high, high)


def take() -> BoardCounters:
    """Read the counters; InputError: /proc/interrupts cannot be read."""
    root = Path(os.environ.get(ROOT) or "/")
    interrupts = read_snapshot(root / "proc/interrupts")
    return BoardCounters(monotonic() / NS, interrupts, dict(_stats(root / TRANSPORT)))


def _stats(folder: Path) -> Iterator[tuple[QP, Stats]]:
    """Yield each QP's counters; one that goes away while it is read is left out."""
    found = find_stats(folder, "stats") if os.access(folder, os.R_OK | os.X_OK) else {}
    for qp, path in found.items():
        try:
            yield qp, read_stats_file(path)
        except InputError:
            if path.exists():
                raise


def rates(old: BoardCounters, new: BoardCounters) -> Rates:
    """Return the rates between two readings."""
    seconds = new.seconds - old.seconds
    cautions: list[str] = []
    interrupts = _interrupts(old.interrupts, new.interrupts, seconds, cautions)
    qps = tuple(
        _qp(qp, (old.stats[qp], new.stats[qp]), seconds)
        for qp in sorted(new.stats)
        if qp in old.stats
    )
    if interrupts is None:
        cautions.append(NO_LINES)
    if not new.stats:
        cautions.append(NO_COUNTERS)
    return Rates(seconds, interrupts, qps, cautions)


def _interrupts(
    old: Snapshot, new: Snapshot, seconds: float, cautions: list[str]
) -> Bounded | None:
    """Return the doorbell interrupts per second; of a shared line they are at most its count."""
    slots = {
        label: slot for label, slot in find_slots(new.rows.values()).items() if slot.is_doorbell
    }
    said: list[str] = []
    deltas = difference(old, new, said)
    cautions += [text for text in said if any(f" {label} " in text for label in slots)]
    low = high = 0
    for label in set(slots) & set(changed(deltas)):
        high += deltas[label].at_least
        low += 0 if slots[label].is_link or slots[label].others else deltas[label].at_least
    return Bounded(low / seconds, high / seconds) if slots else None


def _qp(qp: QP, readings: tuple[Stats, Stats], seconds: float) -> QpRate:
    device, qp_num = qp
    runs = qp_runs(device, qp_num, readings, "", [])
    sender = qp_transmit(device, qp_num, readings, runs)
    if runs.runs_low is None:
        return QpRate(device, qp_num, runs.link, waiting=sender.waiting)
    high = runs.runs_high
    return QpRate(
        device=device,
        qp_num=qp_num,
        link=runs.link,
        received=(runs.rx_pkts or 0) / seconds,
        sent=(runs.tx_pkts or 0) / seconds,
        runs=Bounded(runs.runs_low / seconds, None if high is None else high / seconds),
        refused=(sender.tx_ring_full or 0) / seconds,
        waiting=sender.waiting,
        entries=sender.tx_max_entry,
    )


def line(found: Rates) -> str:
    """Return the rates per second in one line."""
    up = [qp for qp in found.qps if qp.received is not None]
    full = [f"qp{qp.qp_num}" for qp in found.qps if qp.is_full]
    return (
        f"irq/s {shown(found.interrupts)} runs/s {shown(found.runs)} "
        f"amp {shown(found.amplification, 2)} "
        f"rx/s {_sum(qp.received for qp in up)} tx/s {_sum(qp.sent for qp in up)} "
        f"full {','.join(full) or '-'}"
    )


def shown(rate: Bounded | None, digits: int = 0) -> str:
    """Return a rate or its bounds; `?`: it is not known."""
    if rate is None:
        return "?"
    low = f"{rate.low:.{digits}f}"
    if rate.high is None:
        return f">={low}"
    high = f"{rate.high:.{digits}f}"
    return low if low == high else f"{low}..{high}"


def _sum(values: Iterator[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known):.0f}" if known else "?"


HEAD = f"{'QP':<18}{'link':<6}{'rx/s':>9}{'tx/s':>9}{'runs/s':>15}{'refused/s':>11}  ring"


def screen(found: Rates, rows: int) -> list[str]:
    """Return the lines of a terminal: what all QPs add up to, then each QP, as many as fit."""
    lines = [
        f"interrupts/s {shown(found.interrupts)}   runs/s {shown(found.runs)}   "
        f"runs per interrupt {shown(found.amplification, 2)}",
        "",
    ]
    lines += [HEAD, *map(_row, found.qps)] if found.qps else []
    lines += ["", *dict.fromkeys(found.cautions)] if found.cautions else []
    if len(lines) > rows:
        lines = [*lines[: rows - 1], f"... and {len(lines) - rows + 1} more lines"]
    return lines


def _row(qp: QpRate) -> str:
    device = qp.device[-13:]
    if qp.received is None or qp.sent is None or qp.refused is None:
        return f"{f'{device} {qp.qp_num}':<18}{qp.link}"
    ring = "" if qp.waiting is None or qp.entries is None else f"{qp.waiting}/{qp.entries - 1}"
    return (
        f"{f'{device} {qp.qp_num}':<18}{qp.link:<6}{qp.received:>9.0f}{qp.sent:>9.0f}"
        f"{shown(qp.runs):>15}{qp.refused:>11.0f}  {ring}{' full' if qp.is_full else ''}"
    )
