# SPDX-License-Identifier: BSD-3-Clause
"""Reader of ftrace's text: the probes of a doorbell recording, line by line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple, TextIO

from ntbbench.core.errors import InputError
from ntbbench.core.text_file import bad_line, open_text
from ntbbench.ntb.loopback import Context

# comm-pid [(tgid)] [cpu] [flags] seconds: event: body; comm may hold blanks and dashes.
LINE = re.compile(
    r"\s*(?P<comm>\S.*?)-(?P<pid>\d{1,10})\s+(?:\(\s*[-\d]+\)\s+)?\[(?P<cpu>\d{1,5})\]\s+"
    r"(?:\(\s*[-\d]+\)\s+)?(?:(?P<flags>[^\s:]{3,6})\s+)?(?P<time>\d{1,12}\.\d{1,9}):\s+"
    r"(?:\w+:)?(?P<event>\w+):(?:\s+(?P<body>.*))?$"
)
HEADER = re.compile(r"#\s*entries-in-buffer/entries-written:\s*(\d{1,18})/(\d{1,18})")
# What the kernel and trace-cmd print in the place of events that were lost; not always how many.
LOST = re.compile(r"CPU:?\s*(\d+)\s*\[(?:LOST\s+)?(?:(\d+)\s+)?EVENTS?(?:\s+DROPPED)?\]")
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


class Kind(Enum):
    """The probes of a recording; a member's value is the event's name in the trace."""

    RING = "peer_db_set"
    DB_EVENT = "db_event"
    SCHEDULE = "tasklet_schedule"
    RUN = "rxc_db"
    ENTRY = "tasklet_entry"
    EXIT = "tasklet_exit"


class Probe(NamedTuple):
    """An event's kind, the field that it counts, the one that tells whose it is (or None)."""

    kind: Kind
    field: str
    owner: str | None
    is_ours: bool  # False: the kernel's own event, which prints any driver's tasklet


PROBES = {
    probe.kind.value: probe
    for probe in (
        Probe(Kind.RING, "bits", "ntb", True),
        Probe(Kind.DB_EVENT, "vector", "ctx", True),
        Probe(Kind.SCHEDULE, "tasklet", None, True),
        Probe(Kind.RUN, "qp", None, True),
        Probe(Kind.ENTRY, "tasklet", None, False),
        Probe(Kind.EXIT, "tasklet", None, False),
    )
}


class TraceEvent(NamedTuple):
    """One probe hit: line number, seconds, CPU, pid, and what the flags column says.

    `value` is the field that `PROBES` names, `owner` whose it is (0 where that is not told).
    Without a flags column `context` is HARDIRQ and `need_resched` is False.
    """

    line: int
    time: float
    cpu: int
    pid: int
    context: Context
    need_resched: bool
    kind: Kind
    value: int
    owner: int


@dataclass
class TraceFacts:
    """What the reader learned beside the events; complete once the events are consumed.

    `entries` is what the header says is in the buffer (None: no header), `lines` the event lines
    that were read, `flags` whether the flags column is there.
    """

    entries: int | None = None
    lines: int = 0
    flags: bool = False


def read_trace(path: Path, facts: TraceFacts) -> Iterator[TraceEvent]:
    """Yield the probe hits of the ftrace text at `path` in order, filling `facts`.

    Raises
    ------
    InputError : no such file, a line that is no ftrace text, a value out of range, or a buffer that
        lost events: counts taken from it would be wrong.

    Source: Linux 6.12.95, kernel/trace/trace.c (print_event_info, print_trace_fmt),
    kernel/trace/trace_output.c (trace_print_context, trace_print_lat_fmt).
    """
    with open_text(path) as file:
        yield from _events(path, file, facts)


def _events(path: Path, file: TextIO, facts: TraceFacts) -> Iterator[TraceEvent]:
    for number, text in enumerate(file, 1):
        line = text.rstrip()
        if line.startswith("#"):
            _read_header(path, number, line, facts)
        elif line:
            match = LINE.match(line)
            if match is None:
                raise _not_a_line(path, number, text)
            facts.lines += 1
            if match["flags"] is not None:
                facts.flags = True
            probe = PROBES.get(match["event"])
            event = None if probe is None else _event(path, number, match, probe)
            if event is not None:
                yield event


def _read_header(path: Path, number: int, line: str, facts: TraceFacts) -> None:
    match = HEADER.match(line)
    if match is None:
        return
    entries, written = int(match[1]), int(match[2])
    if entries < written:
        lost = f"{written - entries} of {written} events were overwritten"
        reason = f"the recording is incomplete: {lost}; a larger buffer_size_kb keeps them"
        raise bad_line(path, number, line, reason)
    facts.entries = entries


def _not_a_line(path: Path, number: int, text: str) -> InputError:
    if (lost := LOST.search(text)) is not None:
        count = f"{lost[2]} events" if lost[2] else "events"
        return bad_line(
            path, number, text, f"the recording is incomplete: CPU {lost[1]} lost {count} here"
        )
    if not text.endswith("\n"):
        return bad_line(path, number, text, "the recording is incomplete: cut off within this line")
    return bad_line(path, number, text, "an ftrace line: comm-pid [cpu] flags seconds: event: ...")


def _event(path: Path, number: int, match: re.Match[str], probe: Probe) -> TraceEvent | None:
    """Return the event of a line, or None if it is of a tasklet that the kernel knows by name."""
    found = dict(FIELD.findall(match["body"] or ""))
    if probe.field not in found and not probe.is_ours:
        return None
    flags, owner = match["flags"], found.get(probe.owner)
    return TraceEvent(
        line=number,
        time=float(match["time"]),
        cpu=int(match["cpu"]),
        pid=int(match["pid"]),
        context=CONTEXTS.get(flags[2], Context.HARDIRQ) if flags else Context.HARDIRQ,
        need_resched=flags is not None and flags[1] in NEED_RESCHED,
        kind=probe.kind,
        value=_number(path, number, probe.field, found.get(probe.field, "")),
        owner=0 if owner is None else _number(path, number, "owner", owner),
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
