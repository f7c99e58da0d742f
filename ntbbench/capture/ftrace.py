# SPDX-License-Identifier: BSD-3-Clause
"""Reader of ftrace's text: the probes of a doorbell recording, line by line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple, TextIO

from ntbbench.capture.lines import bad_line, open_text
from ntbbench.errors import InputError
from ntbbench.model.loopback import Context

# comm-pid [(tgid)] [cpu] [flags] seconds: event: body; comm may hold blanks and dashes.
LINE = re.compile(
    r"\s*(?P<comm>\S.*?)-(?P<pid>\d{1,10})\s+(?:\(\s*[-\d]+\)\s+)?\[(?P<cpu>\d{1,5})\]\s+"
    r"(?:\(\s*[-\d]+\)\s+)?(?:(?P<flags>[^\s:]{3,6})\s+)?(?P<time>\d{1,12}\.\d{1,9}):\s+"
    r"(?:\w+:)?(?P<event>\w+):(?:\s+(?P<body>.*))?$"
)
HEADER = re.compile(r"#\s*entries-in-buffer/entries-written:\s*(\d{1,18})/(\d{1,18})")
LOST = re.compile(r"CPU:?\s*(\d+)\s*\[(?:LOST (\d+) EVENTS?|EVENTS DROPPED)\]")
FIELD = re.compile(r"\b(ntb|bits|ctx|vector|tasklet|qp)=(-?(?:0x)?[0-9a-fA-F]+)\b")
ADDRESS_DIGITS = 16  # of a 64-bit pointer or mask in hexadecimal
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


KINDS = {kind.value: kind for kind in Kind}
# The field that each probe counts, and the one that tells whose it is.
VALUES = {
    Kind.RING: ("bits", "ntb"),
    Kind.DB_EVENT: ("vector", "ctx"),
    Kind.SCHEDULE: ("tasklet", None),
    Kind.RUN: ("qp", None),
    Kind.ENTRY: ("tasklet", None),
    Kind.EXIT: ("tasklet", None),
}
# The kernel's own events print any driver's tasklet, by name if it has one: not ours then.
FOREIGN_POSSIBLE = frozenset({Kind.ENTRY, Kind.EXIT})


class TraceEvent(NamedTuple):
    """One probe hit: line number, seconds, CPU, pid, and what the flags column says.

    `value` is the field that `VALUES` names first, `owner` the second (0 where there is none).
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
    that were read, `flags` whether the flags column is there, `kinds` the probes that hit.
    """

    entries: int | None = None
    lines: int = 0
    flags: bool = False
    kinds: frozenset[Kind] = frozenset()


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
            facts.flags = facts.flags or match["flags"] is not None
            event = _event(path, number, line, match)
            if event is not None:
                facts.kinds |= {event.kind}
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


def _event(path: Path, number: int, line: str, match: re.Match[str]) -> TraceEvent | None:
    """Return the event of a line, or None if it is not one of `Kind`."""
    kind = KINDS.get(match["event"])
    if kind is None:
        return None
    body = match["body"] or ""
    found = dict(FIELD.findall(body))
    name, owner = VALUES[kind]
    if kind in FOREIGN_POSSIBLE and name not in found:
        return None
    flags = match["flags"]
    return TraceEvent(
        line=number,
        time=float(match["time"]),
        cpu=int(match["cpu"]),
        pid=int(match["pid"]),
        context=CONTEXTS.get(flags[2], Context.HARDIRQ) if flags else Context.HARDIRQ,
        need_resched=flags is not None and flags[1] in NEED_RESCHED,
        kind=kind,
        value=_number(path, number, line, name, found.get(name)),
        owner=_number(path, number, line, owner, found[owner]) if owner in found else 0,
    )


def _number(path: Path, number: int, line: str, name: str | None, text: str | None) -> int:
    """Return the value of a field: a vector is a signed decimal, all others are hexadecimal."""
    if text is None:
        raise bad_line(path, number, line, f"the event needs {name}=")
    is_vector = name == "vector"
    digits = text.lower().removeprefix("0x")
    limit = VECTOR_DIGITS if is_vector else ADDRESS_DIGITS
    if not digits.isalnum() or len(digits) > limit or (is_vector and not digits.isdecimal()):
        allowed = "a vector number, 0 or more" if is_vector else "a hexadecimal number of 64 bits"
        raise bad_line(path, number, f"{name}={text}", allowed)
    return int(digits, 10 if is_vector else 16)
