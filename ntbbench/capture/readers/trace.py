# SPDX-License-Identifier: BSD-3-Clause
"""What a trace shows: doorbell events, the tasklets that they wake, and handlers, counted."""

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ntbbench.capture.readers import Known, Reader
from ntbbench.capture.readers.doorbell_point import Qp
from ntbbench.capture.readers.trace_events import TraceText, read_events
from ntbbench.capture.readers.trace_tally import TraceTally
from ntbbench.capture.recording import QP_SIZE_MAX
from ntbbench.capture.records import Handler, Measured, Traced, Woken
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import bad_line, read_lines

FULL = "trace-full"
FULL_CPU = re.compile(r"CPU(\d{1,5}) dropped \d{1,20}")
LOST = "a CPU's buffer starts later than the others': its first events are lost"
CUT_END = "the trace ends within a callback, or before what it wakes"
CUT_START = "the trace begins within a callback: {} of its schedules may be a doorbell's"
UNBOUNDED = "nothing in the trace tells where a callback ends: later schedules may be counted"
UNPLACED = "the trace has no CPU or no pid: which schedules a callback made is not known"
NO_CPU = "the trace has no CPU or no pid with its events: which CPU ran what is not known"
NO_TIMES = "the trace's clock counts no seconds: its counts stay, its times are not known"
UNSEEN = "{} runs have no schedule in the trace: it begins after it, or a probe missed it"
NOT_RUN = "{} schedules have no run in the trace: it ends before it, or a probe missed it"
UNLIKE = "tasklet_entry shows {} runs, rxc_db {}: a probe missed some"


@dataclass(frozen=True)
class TraceRow:
    """One QP, or what the trace shows of one: addresses of its start and tasklet, where known."""

    ptr: int | None
    tasklet: int | None
    qp_num: int | None = None

    def scheduled(self, tally: TraceTally) -> int | None:
        """Return how often its tasklet was put on a list; None: no probe shows that."""
        if self.tasklet is None or not tally.has_schedules:
            return None
        return tally.doorbell[self.tasklet] + tally.other[self.tasklet]

    def runs(self, tally: TraceTally) -> int | None:
        """Return how often it ran: a probe can miss what the other shows; None: none is set."""
        shown = []
        if self.ptr is not None and tally.runs:
            shown.append(tally.runs[self.ptr])
        if self.tasklet is not None and tally.entered:
            shown.append(tally.entered[self.tasklet])
        return max(shown, default=None)

    def woken(self, tally: TraceTally) -> Woken:
        """Return the row's record."""
        is_known = self.tasklet is not None and tally.has_schedules and tally.is_placed
        address = self.tasklet if self.ptr is None else self.ptr
        at = self.tasklet or 0
        return Woken(
            address=hex(address or 0),
            qp_num=self.qp_num,
            doorbell=tally.doorbell[at] if is_known and tally.db_events is not None else None,
            other=tally.other[at] if is_known else None,
            runs=self.runs(tally),
        )


@dataclass
class Span:
    """A count's bounds and why they are not one number; None: not known, or no bound."""

    low: int | None = None
    high: int | None = None
    doubts: list[str] = field(default_factory=list)

    def open(self, why: str) -> None:
        """Drop the upper bound: lost events may have made the count too small."""
        self.high = None
        self.doubts.append(why)


def _trace(path: Path, known: Known) -> Measured:
    """Count a trace; `trace-full` beside that of a capture names the CPUs whose buffer was full.

    Only what came before the first of them was full is counted: up to there no event of any CPU is
    missing.
    """
    cautions: list[str] = []
    full_cpus = read_full_cpus(path.with_name(FULL)) if path.name == "trace" else []
    end = _end_of(path, full_cpus, cautions)
    facts, tally = TraceText(), TraceTally()
    events = 0
    for event in read_events(path, facts):
        if event.time <= end:
            tally.count(path, event)
            events += 1
    cautions += [f"{path}: {NO_TIMES}"] * (not facts.has_times)
    cautions += [f"{path}: {NO_CPU}"] * (not facts.has_places)
    rows = _rows(tally, known.qps)
    wakeups, runs = _wakeups(tally, rows), _runs(tally, rows)
    if facts.started:
        cautions.append(f"{path}: {LOST}")
        wakeups.open(LOST)
        runs.open(LOST)
    traced = Traced(
        source=str(path),
        format=facts.format,
        events=events,
        schedules=tally.schedules,
        db_events=tally.db_events,
        db_events_per_vector={str(v): count for v, count in sorted(tally.vectors.items())},
        woken=[row.woken(tally) for row in rows],
        handlers=_handlers(tally.handlers),
        softirqs=dict(sorted(tally.softirqs.items())),
        has_lost=bool(facts.started),
        is_cut=bool(full_cpus),
        has_times=facts.has_times,
        wakeups_low=wakeups.low,
        wakeups_high=wakeups.high,
        wakeups_doubts=wakeups.doubts,
        runs_low=runs.low,
        runs_high=runs.high,
        runs_doubts=runs.doubts,
    )
    # Without a CPU nobody knows whose callback scheduled; other clocks count no seconds.
    is_timed = facts.has_times and facts.has_places
    run_times = [*tally.times.found(rows, str(path))] if is_timed else []
    return Measured(traces=[traced], run_times=run_times, cautions=cautions)


def read_full_cpus(path: Path) -> list[int]:
    """Return the CPUs that the file beside a trace names as full; none: no such file."""
    cpus = []
    for number, line in read_lines(path) if path.is_file() else ():
        match = FULL_CPU.fullmatch(line.rstrip("\n"))
        if match is None:
            raise bad_line(path, number, line, "CPU1 dropped 20, as capture writes")
        cpus.append(int(match[1]))
    return cpus


def _end_of(path: Path, full_cpus: Collection[int], cautions: list[str]) -> float:
    if not full_cpus:
        return math.inf
    facts = TraceText()
    last = {event.cpu: event.time for event in read_events(path, facts)}
    cpu = min(full_cpus, key=lambda cpu: last.get(cpu, -1.0))
    if cpu not in last:
        raise InputError(str(path), f"CPU{cpu} was full", "a trace with events of that CPU")
    at = f"{last[cpu]:.6f}" if facts.has_times else f"{last[cpu]:.0f} of its clock"
    cautions.append(f"{path}: the buffer of CPU{cpu} was full at {at}: counted up to there")
    return last[cpu]


def _rows(tally: TraceTally, qps: tuple[Qp, ...]) -> list[TraceRow]:
    """Return one row a QP where `qps` tell which is which, else one a tasklet or QP address."""
    tasklets = (set(tally.entered) | set(tally.doorbell)) - tally.foreign
    starts: Mapping[int, Qp | None] = {qp.ptr: qp for qp in qps} or dict.fromkeys(tally.runs)
    offset = _offset(tasklets, starts)
    if offset is None:
        rows = [TraceRow(None, at) for at in sorted(tasklets)]
        # Without an offset nobody knows which QP a tasklet is: its runs stand for themselves.
        return rows if tally.entered else rows + [TraceRow(ptr, None) for ptr in sorted(tally.runs)]
    rows = []
    for ptr, qp in sorted(starts.items()):
        at = ptr + offset
        if at in tasklets or ptr in tally.runs:
            rows.append(TraceRow(ptr, at, None if qp is None else qp.qp_num))
    if not qps:  # else every QP is known, and a tasklet elsewhere is another driver's
        known = {row.tasklet for row in rows}
        rows += [TraceRow(at - offset, at) for at in sorted(tasklets - known)]
    return rows


def _offset(tasklets: set[int], starts: Mapping[int, object]) -> int | None:
    """Return the one distance at which every QP's tasklet lies behind its start, if there is."""
    hits: Counter[int] = Counter()
    low = sorted(starts)
    for at in list(tasklets)[:256]:
        hits.update(at - ptr for ptr in low[:256] if 0 < at - ptr < QP_SIZE_MAX)
    return max(hits, key=lambda distance: (hits[distance], -distance), default=None)


def _wakeups(tally: TraceTally, rows: list[TraceRow]) -> Span:
    if not tally.has_schedules or tally.db_events is None:
        return Span()
    own = {row.tasklet for row in rows if row.tasklet is not None}
    low = high = sum(tally.doorbell[at] for at in own)
    span = Span()
    if not tally.is_placed:
        return Span(0, high + sum(tally.other[at] for at in own), [UNPLACED])
    for more, why in (
        (_beyond(tally, rows)[1], UNSEEN),
        (sum(tally.undecided[at] for at in own), CUT_START),
    ):
        high += more
        span.doubts += [why.format(more)] * bool(more)
    if low and not tally.is_bounded:
        low = 0
        span.doubts.append(UNBOUNDED)
    span.low, span.high = low, high
    if tally.ringing:
        span.open(CUT_END)
    return span


def _runs(tally: TraceTally, rows: list[TraceRow]) -> Span:
    """Return how many runs the trace's schedules made: each makes one."""
    shown = [row.runs(tally) for row in rows]
    known = [runs for runs in shown if runs is not None]
    if not known:
        return Span()
    not_run, unseen = _beyond(tally, rows)
    span = Span(sum(known) - unseen, sum(known) + not_run)
    for count, why in ((not_run, NOT_RUN), (unseen, UNSEEN)):
        span.doubts += [why.format(count)] * bool(count)
    probes, entries = sum(tally.runs.values()), sum(tally.entered.values())
    if probes and entries and probes != entries:
        span.open(UNLIKE.format(entries, probes))
    if tally.ringing:
        span.open(CUT_END)
    return span


def _beyond(tally: TraceTally, rows: list[TraceRow]) -> tuple[int, int]:
    """Return how many schedules have no run in the trace, and how many runs no schedule.

    Where no offset joins tasklets and QPs, all of them together are compared.
    """
    counts = [(row.scheduled(tally), row.runs(tally)) for row in rows]
    pairs = [(s, r) for s, r in counts if s is not None and r is not None]
    if len(pairs) < len(counts):
        schedules, runs = ([n for n in side if n is not None] for side in zip(*counts, strict=True))
        pairs = [(sum(schedules), sum(runs))] if schedules and runs else []
    return sum(max(s - r, 0) for s, r in pairs), sum(max(r - s, 0) for s, r in pairs)


def _handlers(counts: Counter[tuple[int, str, int]]) -> list[Handler]:
    by_irq: dict[tuple[int, str], dict[str, int]] = {}
    for (irq, name, cpu), entries in sorted(counts.items()):
        by_irq.setdefault((irq, name), {})[str(cpu) if cpu >= 0 else "?"] = entries
    return [Handler(irq=irq, name=name, per_cpu=cpus) for (irq, name), cpus in by_irq.items()]


TRACE = Reader(
    "trace",
    "doorbell events, wakeups and runs, each one, while it ran",
    "schedule calls that met a tasklet already scheduled; what no probe was set on; "
    "anything before its first and after its last event",
    _trace,
    begins=lambda _head: True,
)
