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
from ntbbench.capture.readers.run_times import RunTimes
from ntbbench.capture.readers.trace_events import Event, TraceText, read_events
from ntbbench.capture.recording import QP_SIZE_MAX
from ntbbench.capture.records import Handler, Measured, Traced, Woken
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import bad_line, read_lines

CALLBACK = "ntb_transport_doorbell_callback"
SCHEDULE = "__tasklet_schedule"
RUN = "ntb_transport_rxc_db"
OF_EVENT = (CALLBACK, "ntb_db_event")
# The names that a recording's own probes have; any other probe is known by its function.
PROBES = {"db_event": CALLBACK, "tasklet_schedule": SCHEDULE, "rxc_db": RUN}
SYMBOL = re.compile(r"\((\w+)\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?(?: \[\w+\])?\)")
RETURNED = re.compile(r"\([^()]* <- ")
FIELD = re.compile(r"\b(\w+)=((?:0x)?[0-9a-fA-F]{1,16})\b")
HANDLER = re.compile(r"irq=(\d{1,10}) name=(.{0,200})")
SOFTIRQ = re.compile(r"vec=\d{1,2} \[action=(\w{1,20})\]")
TASKLET = re.compile(r"tasklet=(\S+) function=(\w+)")
# Events of the kernel that no callback makes; a probe that someone else set may be within one.
ENDING = ("tasklet_e", "softirq_e", "irq_handler_", "sched_")
IN_SOFTIRQ = "s"  # of the flags column: no doorbell callback runs there
KEYS_MAX = 1 << 16  # distinct tasklets or handlers; no machine has more


@dataclass
class TraceTally:
    """Counts while the trace goes by. Tasklets and QPs are known by their address.

    `ringing` and `cut` hold the callback that a CPU is in by its pid and context: one whose event
    was seen, or one that began before the CPU's first event. `undecided`: schedules of the latter,
    which are counted as `other`. `is_bounded`: some event tells where a callback ends.
    """

    db_events: int | None = None
    vectors: Counter[int] = field(default_factory=Counter)
    doorbell: Counter[int] = field(default_factory=Counter)
    other: Counter[int] = field(default_factory=Counter)
    undecided: Counter[int] = field(default_factory=Counter)
    entered: Counter[int] = field(default_factory=Counter)  # tasklet_entry of ntb_transport
    foreign: set[int] = field(default_factory=set)  # tasklets of other functions
    runs: Counter[int] = field(default_factory=Counter)  # rxc_db, by QP
    handlers: Counter[tuple[int, str, int]] = field(default_factory=Counter)
    softirqs: Counter[str] = field(default_factory=Counter)
    has_schedules: bool = False
    is_bounded: bool = False
    cpus: set[int] = field(default_factory=set)
    ringing: dict[int, tuple[int, str]] = field(default_factory=dict)
    cut: dict[int, tuple[int, str]] = field(default_factory=dict)
    times: RunTimes = field(default_factory=RunTimes)

    def count(self, path: Path, event: Event) -> None:
        """Add one event; InputError for more addresses than a machine can have."""
        kind = _probe(event)
        self._end_callbacks(kind, event)
        if kind == SCHEDULE:
            self._scheduled(event)
        self.cpus.add(event.cpu)
        if kind == CALLBACK:
            self.db_events = (self.db_events or 0) + 1
            self.ringing[event.cpu] = (event.pid, event.context)
            self.times.callback(event)
            vector = dict(FIELD.findall(event.body)).get("vector", "")
            if "x" in vector or vector.isdecimal():
                self.vectors[int(vector, 16 if "x" in vector else 10)] += 1
        elif kind == RUN and (qp := _address(event, "qp")) is not None:
            self.runs[qp] += 1
            self.times.ran(qp, event)
        else:
            self._count_kernel_event(event)
        if self._keys() > KEYS_MAX:
            allowed = "fewer different addresses or handlers"
            raise InputError(f"{path}:{event.line}", KEYS_MAX, allowed)

    def _keys(self) -> int:
        addresses = len(self.doorbell) + len(self.other) + len(self.entered) + len(self.runs)
        names = len(self.vectors) + len(self.handlers) + len(self.softirqs)
        return addresses + names + len(self.cpus) + len(self.foreign)

    def _end_callbacks(self, kind: str, event: Event) -> None:
        """Forget the callback that the event's CPU was in, if the event cannot be within it."""
        where = (event.pid, event.context)
        ends = kind in {CALLBACK, RUN} or event.name.startswith(ENDING) or _is_return(event)
        for callbacks in (self.ringing, self.cut):
            if ends or callbacks.get(event.cpu, where) != where:
                callbacks.pop(event.cpu, None)
        self.is_bounded |= ends and kind != CALLBACK

    def _scheduled(self, event: Event) -> None:
        address = _address(event, "tasklet")
        if address is None:
            return  # a probe without its argument tells nothing of a tasklet
        self.has_schedules = True
        where = (event.pid, event.context)
        if event.cpu not in self.cpus and event.context != IN_SOFTIRQ:
            self.cut[event.cpu] = where
        by_doorbell = self.ringing.get(event.cpu) == where
        (self.doorbell if by_doorbell else self.other)[address] += 1
        self.times.scheduled(address, event, by_doorbell=by_doorbell)
        if self.cut.get(event.cpu) == where:
            self.undecided[address] += 1

    def _count_kernel_event(self, event: Event) -> None:
        if event.name == "tasklet_entry" and (match := TASKLET.match(event.body)):
            address = _hex(match[1])
            if address is not None and match[2] == RUN:
                self.entered[address] += 1
                self.times.entered(address, event)
            elif address is not None:
                self.foreign.add(address)
        elif event.name == "tasklet_exit":
            self.times.exited(event)
        elif event.name == "irq_handler_entry" and (match := HANDLER.match(event.body)):
            self.handlers[int(match[1]), match[2].strip(), event.cpu] += 1
        elif event.name == "softirq_entry" and (match := SOFTIRQ.match(event.body)):
            self.softirqs[match[1]] += 1


def _is_return(event: Event) -> bool:
    if RETURNED.match(event.body) is None:
        return False
    return any(name in text for name in OF_EVENT for text in (event.name, event.body))


def _probe(event: Event) -> str:
    """Return the function that a probe's event stands for; '': it is no probe of ours.

    A return probe, `(caller <- function)`, is another event of the same call.
    """
    if RETURNED.match(event.body):
        return ""
    if (match := SYMBOL.match(event.body)) is not None:
        return match[1]
    if event.name in PROBES:
        return PROBES[event.name]
    return next((name for name in (CALLBACK, SCHEDULE, RUN) if name in event.name), "")


def _address(event: Event, name: str) -> int | None:
    fields = dict(FIELD.findall(event.body))
    text = fields.get(name, fields.get("arg1"))
    return None if text is None else _hex(text)


def _hex(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None


FULL = "trace-full"
FULL_CPU = re.compile(r"CPU(\d{1,5}) dropped \d{1,20}")
LOST = "a CPU's buffer starts later than the others': its first events are lost"
CUT_END = "the trace ends within a callback, or before what it wakes"
CUT_START = "the trace begins within a callback: {} of its schedules may be a doorbell's"
UNBOUNDED = "nothing in the trace tells where a callback ends: later schedules may be counted"
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
        is_known = self.tasklet is not None and tally.has_schedules
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
        db_events=tally.db_events,
        db_events_per_vector={str(v): count for v, count in sorted(tally.vectors.items())},
        woken=[row.woken(tally) for row in rows],
        handlers=_handlers(tally.handlers),
        softirqs=dict(sorted(tally.softirqs.items())),
        has_lost=bool(facts.started),
        is_cut=bool(full_cpus),
        wakeups_low=wakeups.low,
        wakeups_high=wakeups.high,
        wakeups_doubts=wakeups.doubts,
        runs_low=runs.low,
        runs_high=runs.high,
        runs_doubts=runs.doubts,
    )
    run_times = [*tally.times.found(rows, str(path))]
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
    last = {event.cpu: event.time for event in read_events(path, TraceText())}
    cpu = min(full_cpus, key=lambda cpu: last.get(cpu, -1.0))
    if cpu not in last:
        raise InputError(str(path), f"CPU{cpu} was full", "a trace with events of that CPU")
    cautions.append(
        f"{path}: the buffer of CPU{cpu} was full at {last[cpu]:.6f}: counted up to there"
    )
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
        by_irq.setdefault((irq, name), {})[str(cpu)] = entries
    return [Handler(irq=irq, name=name, per_cpu=cpus) for (irq, name), cpus in by_irq.items()]


TRACE = Reader(
    "trace",
    "doorbell events, wakeups and runs, each one, while it ran",
    "schedule calls that met a tasklet already scheduled; what no probe was set on; "
    "anything before its first and after its last event",
    _trace,
    begins=lambda _head: True,
)
