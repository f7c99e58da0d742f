# SPDX-License-Identifier: BSD-3-Clause
"""The probe hits of a recording: rings, doorbell events, schedules and runs, with their context."""

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from ntbbench.capture.readers.trace_events import Event, TraceText, each_event, vector_of
from ntbbench.core.text_file import bad_line
from ntbbench.ntb.loopback import Context

FIELD = re.compile(r"\b(ntb|bits|ctx|vector|tasklet|qp)=(-?(?:0x)?[0-9a-fA-F]{1,32})\b")

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
        need_resched=event.resched in NEED_RESCHED,
        kind=kind,
        value=_number(path, event.line, counted, found.get(counted, "")),
        owner=0 if owner is None else _number(path, event.line, "owner", owner),
    )


def _number(path: Path, number: int, name: str, text: str) -> int:
    """Return the value of a field, which but for a vector is hexadecimal."""
    if name == "vector":
        return vector_of(path, number, text)
    try:
        value = int(text, 16)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 64:
        raise bad_line(path, number, f"{name}={text}", "a hexadecimal number of 64 bits")
    return value
