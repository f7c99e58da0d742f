# SPDX-License-Identifier: BSD-3-Clause
"""Reader of traces by any of three printers: ftrace, trace-cmd report, perf script."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from ntbbench.core.errors import InputError
from ntbbench.core.text_file import bad_line, read_lines
from ntbbench.ntb.loopback import Context

# comm-pid [(tgid)] [cpu] [flags] seconds: event: body; comm may hold blanks and dashes.
FTRACE_LINE = re.compile(
    r"\s*(?P<comm>\S.*?)-(?P<pid>\d{1,10})\s+(?:\(\s*[-\d]+\)\s+)?\[(?P<cpu>\d{1,5})\]\s+"
    r"(?:\(\s*[-\d]+\)\s+)?(?:(?P<flags>[^\s:]{3,6})\s+)?(?P<time>\d{1,12}\.\d{1,9}):\s+"
    r"(?:\w+:)?(?P<event>\w+):(?:\s+(?P<body>.*))?$"
)
# `comm  pid [cpu]  seconds:  group:event: body`, as perf script prints it.
PERF_LINE = re.compile(
    r"\s*(?P<comm>\S.*?)\s+(?P<pid>-?\d{1,10})(?:/\d{1,10})?\s+\[(?P<cpu>\d{1,5})\]\s+"
    r"(?P<flags>)(?P<time>\d{1,12}\.\d{1,9}):\s+(?:\w+:)?(?P<event>\w+):(?:\s+(?P<body>.*))?$"
)
HEADER = re.compile(r"#\s*entries-in-buffer/entries-written:\s*(\d{1,18})/(\d{1,18})")
# The first lines of trace-cmd report; older versions name each CPU without an event.
CPUS = re.compile(r"cpus=\d{1,5}|CPU \d{1,5} is empty")
STARTED = re.compile(r"##### CPU \d{1,5} buffer started ####")
# What the kernel and trace-cmd print in the place of events that were lost; not always how many.
LOST = re.compile(r"CPU:?\s*(\d+)\s*\[(?:LOST\s+)?(?:(\d+)\s+)?EVENTS?(?:\s+DROPPED)?\]")
PERF_LOST = re.compile(r"PERF_RECORD_LOST\b.*?(\d+)?\s*$")
INCOMPLETE = "the trace is incomplete:"
FTRACE, TRACE_CMD, PERF_SCRIPT = "ftrace text", "trace-cmd report", "perf script"


class Event(NamedTuple):
    """One line: seconds, CPU, pid, the flags column ("" where there is none), what happened."""

    line: int
    cpu: int
    pid: int
    flags: str
    name: str
    body: str
    time: float

    @property
    def context(self) -> str:
        """The hardirq or softirq character of the flags."""
        return self.flags[2:3]


@dataclass
class TraceText:
    """What the reader learned beside the events; complete once they are consumed."""

    format: str = ""
    lines: int = 0  # event lines that were read
    entries: int | None = None  # what the header says is in the buffer; None: no header
    has_flags: bool = False  # the flags column is there
    # CPUs whose buffer starts later than the others'
    started: list[str] = field(default_factory=list)


def read_events(path: Path, facts: TraceText) -> Iterator[Event]:
    """Yield the events of a whole trace as `each_event` does; InputError: as `each_event`, fewer
    events than the header counts, or no event line at all."""
    yield from each_event(path, facts)
    if facts.entries is not None and facts.lines != facts.entries:
        shown = f"{facts.lines} of {facts.entries} lines"
        raise InputError(str(path), shown, "the trace is cut off: its header counts more lines")
    if not facts.lines and facts.entries is None and facts.format != TRACE_CMD:
        raise InputError(str(path), "no event", "a trace with at least one line")


def each_event(path: Path, facts: TraceText) -> Iterator[Event]:
    """Yield the events of a trace in file order, filling `facts`.

    InputError: a line that is none of the three forms, lost events, or a trace cut off within a
    line.

    Source: Linux 6.12 kernel/trace/trace.c (print_event_info, print_trace_fmt) and
    kernel/trace/trace_output.c (trace_print_context), trace-cmd 3.1.6 and perf 6.12 (printed
    lines).
    """
    pattern = FTRACE_LINE
    for number, text in read_lines(path):
        line = text.rstrip()
        if not line or line.startswith("#"):
            _header(path, number, line, facts)
            continue
        if CPUS.fullmatch(line) and facts.lines == 0:
            facts.format = TRACE_CMD
            continue
        if not text.endswith("\n"):
            raise bad_line(path, number, text, f"{INCOMPLETE} cut off within this line")
        match = pattern.match(line)
        if match is None and facts.lines == 0:
            pattern, match = PERF_LINE, PERF_LINE.match(line)
        if match is None:
            raise _bad(path, number, line)
        facts.format = facts.format or (PERF_SCRIPT if pattern is PERF_LINE else FTRACE)
        facts.lines += 1
        facts.has_flags |= bool(match["flags"])
        yield Event(
            line=number,
            cpu=int(match["cpu"]),
            pid=int(match["pid"]),
            flags=match["flags"] or "",
            name=match["event"],
            body=match["body"] or "",
            time=float(match["time"]),
        )


def _header(path: Path, number: int, line: str, facts: TraceText) -> None:
    if STARTED.fullmatch(line):
        facts.started.append(line)
    match = HEADER.match(line)
    if match is None:
        return
    entries, written = int(match[1]), int(match[2])
    if entries < written:
        lost = f"{written - entries} of {written} events were overwritten"
        why = f"{INCOMPLETE} {lost}; a larger buffer_size_kb keeps them"
        raise bad_line(path, number, line, why)
    facts.entries = entries
    facts.format = FTRACE


def _bad(path: Path, number: int, line: str) -> InputError:
    if (lost := LOST.search(line)) is not None:
        count = f"{lost[2]} events" if lost[2] else "events"
        return bad_line(path, number, line, f"{INCOMPLETE} CPU {lost[1]} lost {count} here")
    if PERF_LOST.search(line):
        return bad_line(path, number, line, f"{INCOMPLETE} perf lost events here")
    return bad_line(path, number, line, "a line of ftrace, trace-cmd report, or perf script")


FIELD = re.compile(r"\b(ntb|bits|ctx|vector|tasklet|qp)=(-?(?:0x)?[0-9a-fA-F]{1,32})\b")
VECTOR_DIGITS = 10  # of a signed 32-bit number

# kernel/trace/trace_output.c, trace_print_lat_fmt(): need_resched() is TIF_NEED_RESCHED, not the
# lazy flag ('l', 'L') and not PREEMPT_NEED_RESCHED alone ('p').
NEED_RESCHED = frozenset("NnBb")
CONTEXTS = {
    "h": Context.HARDIRQ,
    "z": Context.HARDIRQ,
    "H": Context.SOFTIRQ,
    "Z": Context.SOFTIRQ,
    "s": Context.SOFTIRQ,
    ".": Context.TASK,
}


class EventKind(Enum):
    """The probes of a recording; a member's value is the event's name in the trace."""

    RING = "peer_db_set"
    DB_EVENT = "db_event"
    SCHEDULE = "tasklet_schedule"
    RUN = "rxc_db"
    ENTRY = "tasklet_entry"
    EXIT = "tasklet_exit"


KINDS = {kind.value: kind for kind in EventKind}
# The field that an event counts, and the one that tells whose it is ("" where none does).
FIELDS = {
    EventKind.RING: ("bits", "ntb"),
    EventKind.DB_EVENT: ("vector", "ctx"),
    EventKind.SCHEDULE: ("tasklet", ""),
    EventKind.RUN: ("qp", ""),
    EventKind.ENTRY: ("tasklet", ""),
    EventKind.EXIT: ("tasklet", ""),
}
KERNELS_OWN = (
    EventKind.ENTRY,
    EventKind.EXIT,
)  # print any driver's tasklet, by its name where it has one


class TraceEvent(NamedTuple):
    """One probe hit: line number, seconds, CPU, pid, and what the flags column says.

    `value` is the field that the event counts, `owner` whose it is (0 where that is not known).
    Without a flags column `context` is HARDIRQ and `need_resched` is False.
    """

    line: int
    time: float
    cpu: int
    pid: int
    context: Context
    need_resched: bool
    kind: EventKind
    value: int
    owner: int


def read_trace(path: Path, facts: TraceText) -> Iterator[TraceEvent]:
    """Yield the probe hits of a recording in order, filling `facts`; InputError: as `each_event`,
    or a value out of range."""
    for event in each_event(path, facts):
        kind = KINDS.get(event.name)
        hit = None if kind is None else _hit(path, event, kind)
        if hit is not None:
            yield hit


def _hit(path: Path, event: Event, kind: EventKind) -> TraceEvent | None:
    """Return the probe hit of an event; None: of a tasklet that the kernel knows by name."""
    found = dict(FIELD.findall(event.body))
    counted, owned = FIELDS[kind]
    if counted not in found and kind in KERNELS_OWN:
        return None
    owner = found.get(owned)
    return TraceEvent(
        line=event.line,
        time=event.time,
        cpu=event.cpu,
        pid=event.pid,
        context=CONTEXTS.get(event.context, Context.HARDIRQ),
        need_resched=event.flags[1:2] in NEED_RESCHED,
        kind=kind,
        value=_number(path, event.line, counted, found.get(counted, "")),
        owner=0 if owner is None else _number(path, event.line, "owner", owner),
    )


def _number(path: Path, number: int, name: str, text: str) -> int:
    """Return the value of a field: a vector is a decimal number, all others are hexadecimal."""
    if name == "vector":
        if not text.isdecimal() or len(text) > VECTOR_DIGITS:
            raise bad_line(path, number, f"{name}={text}", "a vector number, 0 or more")
        return int(text)
    try:
        value = int(text, 16)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 64:
        raise bad_line(path, number, f"{name}={text}", "a hexadecimal number of 64 bits")
    return value
