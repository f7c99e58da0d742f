# SPDX-License-Identifier: BSD-3-Clause
"""What a trace shows: doorbell events, the tasklets that they wake, and handlers, counted."""

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ntbbench.capture.events import Event, TraceText, read_events
from ntbbench.capture.lines import bad_line
from ntbbench.capture.measured import Handler, Traced, Woken
from ntbbench.capture.point import Qp
from ntbbench.capture.tasklets import QP_SIZE_MAX
from ntbbench.capture.whole import read_lines
from ntbbench.errors import InputError

CALLBACK = "ntb_transport_doorbell_callback"
SCHEDULE = "__tasklet_schedule"
RUN = "ntb_transport_rxc_db"
# The names that a recording's own probes have; any other probe is known by its function.
PROBES = {"db_event": CALLBACK, "tasklet_schedule": SCHEDULE, "rxc_db": RUN}
SYMBOL = re.compile(r"\((\w+)\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?(?: \[\w+\])?\)")
RETURNED = re.compile(r"\([^()]* <- ")
FIELD = re.compile(r"\b(\w+)=((?:0x)?[0-9a-fA-F]{1,16})\b")
HANDLER = re.compile(r"irq=(\d{1,10}) name=(.{0,200})")
SOFTIRQ = re.compile(r"vec=\d{1,2} \[action=(\w{1,20})\]")
OF_TRANSPORT = re.compile(rf"tasklet=(\S+) function={RUN}\b")
FULL_CPU = re.compile(r"CPU(\d{1,5}) dropped \d{1,20}")
KEYS_MAX = 1 << 16  # distinct tasklets or handlers; no machine has more


@dataclass
class Tally:
    """Counts while the trace goes by. Tasklets and QPs are known by their address."""

    db_events: int | None = None
    vectors: Counter[str] = field(default_factory=Counter)
    doorbell: Counter[int] = field(default_factory=Counter)
    other: Counter[int] = field(default_factory=Counter)
    entered: Counter[int] = field(default_factory=Counter)  # tasklet_entry of ntb_transport
    runs: Counter[int] = field(default_factory=Counter)  # rxc_db, by QP
    handlers: Counter[tuple[int, str, int]] = field(default_factory=Counter)
    softirqs: Counter[str] = field(default_factory=Counter)
    has_schedules: bool = False
    ringing: dict[int, tuple[int, str]] = field(default_factory=dict)  # CPU -> pid, context

    def keys(self) -> int:
        """Return how many different things are counted."""
        addresses = len(self.doorbell) + len(self.other) + len(self.entered) + len(self.runs)
        names = len(self.vectors) + len(self.handlers) + len(self.softirqs)
        return addresses + names + len(self.ringing)


def read_traced(
    path: Path,
    source: str,
    qps: tuple[Qp, ...],
    cautions: list[str],
    full_cpus: Collection[int] = (),
) -> Traced:
    """Count the trace at `path`.

    Parameters
    ----------
    qps : give addresses their qp_num, where the capture has them.
    full_cpus : whose buffers were full before the trace ended. Only what came before the first of
        them was full is counted: up to there no event of any CPU is missing.

    Raises
    ------
    InputError : as `read_events`, or more addresses than a machine can have.
    """
    end = _end_of(path, full_cpus, cautions)
    facts, tally, counted = TraceText(), Tally(), 0
    for event in read_events(path, facts):
        if event.time <= end:
            _count(path, tally, event)
            counted += 1
    if facts.started:
        cautions.append(
            f"{path}: a CPU's buffer starts later than the others': its first events may be lost"
        )
    return Traced(
        source=source,
        format=facts.format,
        events=counted,
        db_events=tally.db_events,
        db_events_per_vector=dict(sorted(tally.vectors.items(), key=lambda item: _key(item[0]))),
        woken=_woken(tally, qps),
        handlers=_handlers(tally.handlers),
        softirqs=dict(sorted(tally.softirqs.items())),
    )


def read_full_cpus(path: Path) -> list[int]:
    """Return the CPUs that the file beside a trace names as full; none: no such file.

    Raises
    ------
    InputError : another line than `CPU1 dropped 20`.
    """
    if not path.is_file():
        return []
    cpus = []
    for number, line in read_lines(path):
        match = FULL_CPU.fullmatch(line.rstrip("\n"))
        if match is None:
            raise bad_line(path, number, line, "CPU1 dropped 20, as capture writes")
        cpus.append(int(match[1]))
    return cpus


def _end_of(path: Path, full_cpus: Collection[int], cautions: list[str]) -> float:
    """Return the time up to which the trace holds the events of every CPU."""
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


def _key(text: str) -> tuple[int, str]:
    return len(text), text


def _count(path: Path, tally: Tally, event: Event) -> None:
    kind = _probe(event)
    if kind == SCHEDULE:
        _scheduled(tally, event)
    elif event.name != "softirq_raise":  # tasklet_schedule() itself raises the softirq
        tally.ringing.pop(event.cpu, None)
    if kind == CALLBACK:
        tally.db_events = (tally.db_events or 0) + 1
        tally.ringing[event.cpu] = (event.pid, event.context)
        vector = dict(FIELD.findall(event.body)).get("vector")
        if vector is not None:
            tally.vectors[str(int(vector, 16 if "x" in vector else 10))] += 1
    elif kind == RUN and (qp := _address(event, "qp")) is not None:
        tally.runs[qp] += 1
    elif event.name == "tasklet_entry" and (match := OF_TRANSPORT.match(event.body)):
        address = _hex(match[1])
        if address is not None:
            tally.entered[address] += 1
    elif event.name == "irq_handler_entry" and (match := HANDLER.match(event.body)):
        tally.handlers[int(match[1]), match[2].strip(), event.cpu] += 1
    elif event.name == "softirq_entry" and (match := SOFTIRQ.match(event.body)):
        tally.softirqs[match[1]] += 1
    if tally.keys() > KEYS_MAX:
        raise InputError(f"{path}:{event.line}", KEYS_MAX, "fewer different addresses or handlers")


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


def _scheduled(tally: Tally, event: Event) -> None:
    tally.has_schedules = True
    address = _address(event, "tasklet")
    if address is not None:
        ringing = tally.ringing.get(event.cpu) == (event.pid, event.context)
        (tally.doorbell if ringing else tally.other)[address] += 1


def _address(event: Event, name: str) -> int | None:
    fields = dict(FIELD.findall(event.body))
    text = fields.get(name, fields.get("arg1"))
    return None if text is None else _hex(text)


def _hex(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None


def _woken(tally: Tally, qps: tuple[Qp, ...]) -> list[Woken]:
    """Return one record a QP where `qps` tell which is which, else one a tasklet or QP address."""
    tasklets = set(tally.entered) | set(tally.doorbell)
    starts = {qp.ptr: qp for qp in qps} or dict.fromkeys(tally.runs)
    offset = _offset(tasklets, starts)
    rows = []
    if offset is not None:
        for ptr, qp in sorted(starts.items()):
            at = ptr + offset
            if at in tally.entered or at in tally.doorbell or ptr in tally.runs:
                rows.append(_one(tally, ptr, at, None if qp is None else qp.qp_num))
        return rows
    return [_one(tally, at, at, None) for at in sorted(tasklets or set(tally.runs))]


def _offset(tasklets: set[int], starts: Mapping[int, object]) -> int | None:
    """Return the one distance at which every QP's tasklet lies behind its start, if there is."""
    hits: Counter[int] = Counter()
    low = sorted(starts)
    for at in list(tasklets)[:256]:
        hits.update(at - ptr for ptr in low[:256] if 0 < at - ptr < QP_SIZE_MAX)
    return max(hits, key=lambda distance: (hits[distance], -distance)) if hits else None


def _one(tally: Tally, ptr: int, at: int, qp_num: int | None) -> Woken:
    runs = None
    if tally.runs or tally.entered:
        runs = max(tally.runs[ptr], tally.entered[at])  # a probe can miss what the other shows
    known = tally.has_schedules
    return Woken(
        address=hex(ptr),
        qp_num=qp_num,
        doorbell=tally.doorbell[at] if known and tally.db_events is not None else None,
        other=tally.other[at] if known else None,
        runs=runs,
    )


def _handlers(counts: Counter[tuple[int, str, int]]) -> list[Handler]:
    by_irq: dict[tuple[int, str], dict[str, int]] = {}
    for (irq, name, cpu), count in sorted(counts.items()):
        by_irq.setdefault((irq, name), {})[str(cpu)] = count
    return [Handler(irq=irq, name=name, per_cpu=cpus) for (irq, name), cpus in by_irq.items()]
