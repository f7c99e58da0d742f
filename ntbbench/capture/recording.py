# SPDX-License-Identifier: BSD-3-Clause
"""One recording of a real kernel: its files read, checked for completeness, in QP numbers.

The addresses in it tell which port receives, and which tasklet is which QP's.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ntbbench.capture.readers.doorbell_point import (
    LOOP_DOORBELLS,
    PARTS,
    Point,
    Qp,
    read_kernel,
    read_point,
    read_state,
)
from ntbbench.capture.readers.probe_hits import EventKind, TraceEvent, read_trace
from ntbbench.capture.readers.qp_stats import RX_MAX_ENTRY, read_stats
from ntbbench.capture.readers.trace_events import TraceText
from ntbbench.core.errors import InputError
from ntbbench.ntb.loopback import DoorbellEvent, DoorbellLog, LoopDevice, Ring

# struct ntb_transport_qp has 0x238 bytes in 6.12; debugging options make it a few times as large.
QP_SIZE_MAX = 1 << 13


class Tasklets:
    """The QPs of the receiving port by qp_num, and their addresses in a trace.

    `offset`: where in a QP the receive tasklet lies; None: the trace holds no tasklet of theirs
    """

    def __init__(self, port: int, qps: Iterable[Qp], offset: int | None) -> None:
        self.port = port
        self.qps = tuple(sorted(qps, key=lambda qp: qp.qp_num))
        self._by_qp = {qp.ptr: qp.qp_num for qp in self.qps}
        self._by_tasklet = {} if offset is None else {p + offset: q for p, q in self._by_qp.items()}

    def qp_num(self, event: TraceEvent) -> int | None:
        """Return whose schedule or run an event is; None: of another driver, or port."""
        addresses = self._by_qp if event.kind is EventKind.RUN else self._by_tasklet
        return addresses.get(event.value)


def find_tasklets(folder: Path, qps: Sequence[Qp], events: Sequence[TraceEvent]) -> Tasklets:
    """Find the receiving port and its tasklets from the addresses in `state` and in the trace.

    The offset depends on the kernel and its options: it is the distance that a tasklet's entry has
    from the QP that rxc_db is then called with, or else the one distance that most scheduled
    tasklets have from a QP's start. Tasklets at any other place belong to other drivers.

    InputError: no port or both ports receive, or the trace's QPs are not those of `state`.
    """
    distances = _entry_distances(qps, events) or _schedule_distances(qps, events)
    offset = min(distances, key=lambda d: (-distances[d], d), default=None)
    port = _receiving_port(folder, qps, events, offset)
    return Tasklets(port, (qp for qp in qps if qp.port == port), offset)


def _entry_distances(qps: Sequence[Qp], events: Iterable[TraceEvent]) -> Counter[int]:
    known = {qp.ptr for qp in qps}
    entered: dict[int, int] = {}  # by CPU
    distances: Counter[int] = Counter()
    for event in events:
        if event.kind is EventKind.ENTRY:
            entered[event.cpu] = event.value
        elif event.kind is EventKind.EXIT:
            entered.pop(event.cpu, None)
        elif event.kind is EventKind.RUN and event.cpu in entered and event.value in known:
            distance = entered.pop(event.cpu) - event.value
            if 0 < distance < QP_SIZE_MAX:
                distances[distance] += 1
    return distances


def _schedule_distances(qps: Sequence[Qp], events: Iterable[TraceEvent]) -> Counter[int]:
    starts = sorted(qp.ptr for qp in qps)
    size = min([QP_SIZE_MAX, *(after - before for before, after in pairwise(starts))])
    hits = Counter(e.value for e in events if e.kind in (EventKind.SCHEDULE, EventKind.ENTRY))
    distances: Counter[int] = Counter()
    for tasklet, count in hits.items():  # `size` is no more than what two starts are apart
        at = bisect_left(starts, tasklet)
        if at and tasklet - starts[at - 1] < size:
            distances[tasklet - starts[at - 1]] += count
    return distances


def _receiving_port(
    folder: Path, qps: Sequence[Qp], events: Sequence[TraceEvent], offset: int | None
) -> int:
    port_of = {qp.ptr: qp.port for qp in qps}
    if offset is not None:
        port_of |= {qp.ptr + offset: qp.port for qp in qps}
    kinds = (EventKind.RUN, EventKind.SCHEDULE, EventKind.ENTRY)
    seen = {port_of.get(event.value) for event in events if event.kind in kinds}
    ports = {port for port in seen if port is not None}
    if not ports and any(event.kind is EventKind.RUN for event in events):
        raise InputError(str(folder / "state"), "ptr", "no rxc_db in the trace is of these QPs")
    ports = ports or {qp.port for qp in qps if qp.rx}
    if len(ports) != 1:
        shown = ", ".join(map(str, sorted(ports))) or "none"
        raise InputError(
            str(folder), f"receiving ports: {shown}", "one port sends and the other receives"
        )
    return ports.pop()


@dataclass(frozen=True)
class Recording:
    """What a folder holds. `events` are those of the receiving port, tasklets by their qp_num.

    A run shows as one RUN (from rxc_db, tasklet_entry or both) and, where the kernel has the event,
    an EXIT. `has_flags`: the trace has the flags column. `missing_lines`: how many of the lines
    that its header counts are not there. `cautions`: what a reader of the numbers should know.
    """

    folder: Path
    kernel: str | None
    point: Point
    port: int
    qps: tuple[Qp, ...]  # of the receiving port, by qp_num
    device: LoopDevice
    events: tuple[TraceEvent, ...]
    has_flags: bool
    missing_lines: int
    cautions: tuple[str, ...]

    def qp_count(self) -> int:
        """Return how many entries a list by qp_num has."""
        return 1 + max(qp.qp_num for qp in self.qps)

    def doorbell_log(self) -> DoorbellLog:
        """Return what a prediction may see: rings and doorbell events, no schedule and no run."""
        items = (doorbell_item(event) for event in self.events)
        known = tuple(item for item in items if item is not None)
        return DoorbellLog(device=self.device, gap=self.point.gap, items=known)


def doorbell_item(event: TraceEvent) -> Ring | DoorbellEvent | None:
    """Return the ring or the doorbell event of a trace event, or None if it is another."""
    if event.kind is EventKind.RING:
        return Ring(event.time, event.cpu, event.pid, event.value, event.need_resched)
    if event.kind is EventKind.DB_EVENT:
        return DoorbellEvent(
            event.time, event.cpu, event.pid, event.value, event.context, event.need_resched
        )
    return None


def read_recording(folder: Path) -> Recording:
    """Read the recording in `folder`: `point`, `trace`, `state`, and the `stats` if they are there.

    InputError: a file is missing or malformed, or the trace is incomplete.
    """
    for part in PARTS:
        if not (folder / part).is_file():
            allowed = f"no such file; a recording is {', '.join(PARTS)}"
            raise InputError(str(folder), part, allowed)
    point, qps = read_point(folder / "point"), read_state(folder / "state")
    facts = TraceText()
    trace = list(read_trace(folder / "trace", facts))
    if trace and not (facts.has_times and facts.has_places):
        reason = "seconds, a CPU and a pid with each event: a replay needs their order"
        raise InputError(str(folder / "trace"), "no times or CPUs", reason)
    tasklets = find_tasklets(folder, qps, trace)
    for kind in (EventKind.RING, EventKind.DB_EVENT):
        owners = {event.owner for event in trace if event.kind is kind}
        if len(owners) > 1:
            shown = f"{kind.value} of {len(owners)} devices"
            raise InputError(str(folder / "trace"), shown, "one port sends and the other receives")
    events = tuple(_of_port(trace, tasklets))
    return Recording(
        folder=folder,
        kernel=read_kernel(folder),
        point=point,
        port=tasklets.port,
        qps=tasklets.qps,
        device=_device(point, tasklets, events, folder),
        events=events,
        has_flags=facts.has_flags,
        missing_lines=max((facts.entries or 0) - facts.lines, 0),
        cautions=(*_lacking(folder, point, facts, events), *_missed_probes(trace, tasklets)),
    )


def _device(
    point: Point, tasklets: Tasklets, events: Sequence[TraceEvent], folder: Path
) -> LoopDevice:
    rung = [event.value.bit_length() for event in events if event.kind is EventKind.RING]
    stats = read_stats(folder / "after-stats").values()
    entries = (counters[RX_MAX_ENTRY] for counters in stats if RX_MAX_ENTRY in counters)
    return LoopDevice(
        doorbells=max([LOOP_DOORBELLS, *rung, *(qp.qp_num + 1 for qp in tasklets.qps)]),
        vectors=point.vectors,
        active_mask=sum(1 << qp.qp_num for qp in tasklets.qps if qp.is_up),
        db_read_latched=point.db_read_latched,
        rx_max_entry=min(entries, default=None),
    )


def _of_port(trace: Sequence[TraceEvent], tasklets: Tasklets) -> Iterator[TraceEvent]:
    entered: dict[int, int] = {}  # by CPU: the QP whose run has no rxc_db yet
    for event in trace:
        if event.kind in (EventKind.RING, EventKind.DB_EVENT):
            yield event
        elif (qp_num := tasklets.qp_num(event)) is None:
            continue
        elif event.kind is EventKind.RUN and entered.pop(event.cpu, None) == qp_num:
            continue  # its tasklet_entry stands for it
        elif event.kind is EventKind.ENTRY:
            entered[event.cpu] = qp_num
            yield event._replace(kind=EventKind.RUN, value=qp_num)
        else:
            if event.kind is EventKind.EXIT:
                entered.pop(event.cpu, None)
            yield event._replace(value=qp_num)


def _missed_probes(trace: Sequence[TraceEvent], tasklets: Tasklets) -> Iterator[str]:
    own = Counter(event.kind for event in trace if tasklets.qp_num(event) is not None)
    entries, runs = own[EventKind.ENTRY], own[EventKind.RUN]
    if runs and entries and runs != entries:
        yield (
            f"tasklet_entry shows {entries} runs, rxc_db {runs}: a probe missed "
            "some; each run that either shows is counted"
        )


def _lacking(
    folder: Path, point: Point, facts: TraceText, events: Sequence[TraceEvent]
) -> Iterator[str]:
    """Yield cautions on what the trace lacks; raise when that may be something we count."""
    rung = sum(event.value.bit_count() for event in events if event.kind is EventKind.RING)
    expected = point.packets_per_qp * len(point.sending_qps)
    if expected and not rung:
        reason = f"{expected} packets in `point`: without a ring there is nothing to predict from"
        raise InputError(str(folder / "trace"), "no peer_db_set", reason)
    if facts.entries is not None and facts.lines < facts.entries:
        where = f"{facts.lines} of {facts.entries} lines"
        if rung < expected:
            reason = "the recording is incomplete: the trace is cut off"
            raise InputError(str(folder / "trace"), where, reason)
        yield f"the trace holds {where} that its header counts; all doorbells are there"
    if rung != expected:
        yield (
            f"{rung} doorbells for {expected} packets in `point`: "
            "a sender stopped early (ring full), or the recording covers a part"
        )
