# SPDX-License-Identifier: BSD-3-Clause
"""Counts of a trace while it goes by: which schedules a doorbell's callback made, and which not."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ntbbench.capture.readers.run_times import RunTimes
from ntbbench.capture.readers.trace_events import NOT_KNOWN, Event, vector_of
from ntbbench.core.errors import InputError

CALLBACK = "ntb_transport_doorbell_callback"
SCHEDULE = "__tasklet_schedule"
RUN = "ntb_transport_rxc_db"
OF_EVENT = (CALLBACK, "ntb_db_event")
# The names that a recording's own probes have; any other probe is known by its function.
PROBES = {"db_event": CALLBACK, "tasklet_schedule": SCHEDULE, "rxc_db": RUN}
SYMBOL = re.compile(r"\((\w+)\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?(?: \[\w+\])?\)")
RETURNED = re.compile(r"\([^()]* <- ")
FIELD = re.compile(r"\b(\w+)=((?:0x)?[0-9a-fA-F]{1,16})\b")
VECTOR = re.compile(r"\bvector=(\S{0,40})")
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
    which are counted as `other`. `is_bounded`: some event tells where a callback ends. `is_placed`:
    each event has its CPU and pid; else nobody knows which schedules a callback made.
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
    is_placed: bool = True
    cpus: set[int] = field(default_factory=set)
    ringing: dict[int, tuple[int, str]] = field(default_factory=dict)
    cut: dict[int, tuple[int, str]] = field(default_factory=dict)
    times: RunTimes = field(default_factory=RunTimes)

    @property
    def schedules(self) -> int | None:
        """How often any tasklet was put on a list; None: no probe shows it."""
        if not self.has_schedules:
            return None
        return sum(self.doorbell.values()) + sum(self.other.values())

    def count(self, path: Path, event: Event) -> None:
        """Add one event; InputError for more addresses than a machine can have."""
        kind = _probe(event)
        self.is_placed &= NOT_KNOWN not in (event.cpu, event.pid)
        self._end_callbacks(kind, event)
        if kind == SCHEDULE:
            self._scheduled(event)
        self.cpus.add(event.cpu)
        if kind == CALLBACK:
            self.db_events = (self.db_events or 0) + 1
            self.ringing[event.cpu] = (event.pid, event.context)
            self.times.callback(event)
            if (vector := VECTOR.search(event.body)) is not None:
                self.vectors[vector_of(path, event.line, vector[1])] += 1
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
