# SPDX-License-Identifier: BSD-3-Clause
"""Which port of a recording receives, and which tasklet is which QP's."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ntbbench.capture.readers.doorbell_point import Qp
from ntbbench.capture.readers.ftrace import Kind, TraceEvent
from ntbbench.core.errors import InputError

# struct ntb_transport_qp has 0x238 bytes in 6.12; debugging options make it a few times as large.
QP_SIZE_MAX = 1 << 13


@dataclass(frozen=True)
class Tasklets:
    """The QPs of the receiving port by address, and where in them the receive tasklet lies.

    `offset` is None when the trace holds no tasklet of theirs.
    """

    port: int
    qps: tuple[Qp, ...]  # by qp_num
    offset: int | None

    def by_qp(self) -> dict[int, int]:
        """Return address of the QP -> qp_num."""
        return {qp.ptr: qp.qp_num for qp in self.qps}

    def by_tasklet(self) -> dict[int, int]:
        """Return address of the tasklet -> qp_num."""
        if self.offset is None:
            return {}
        return {qp.ptr + self.offset: qp.qp_num for qp in self.qps}


def find_tasklets(folder: Path, qps: Sequence[Qp], events: Sequence[TraceEvent]) -> Tasklets:
    """Find the receiving port and its tasklets from the addresses in `state` and in the trace.

    The offset depends on the kernel and its options: it is the distance that a tasklet's entry has
    from the QP that rxc_db is then called with, or else the one distance that most scheduled
    tasklets have from a QP's start. Tasklets at any other place belong to other drivers.

    Raises
    ------
    InputError : no port or both ports receive, or the trace's QPs are not those of `state`.
    """
    offset = _offset(qps, events)
    port = _receiving_port(folder, qps, events, offset)
    own = sorted((qp for qp in qps if qp.port == port), key=lambda qp: qp.qp_num)
    return Tasklets(port=port, qps=tuple(own), offset=offset)


def _offset(qps: Sequence[Qp], events: Sequence[TraceEvent]) -> int | None:
    for distances in (_entry_distances(qps, events), _schedule_distances(qps, events)):
        if distances:
            return min(distances, key=lambda d: (-distances[d], d))
    return None


def _entry_distances(qps: Sequence[Qp], events: Iterable[TraceEvent]) -> Counter[int]:
    """Count the distances from rxc_db's QP back to the tasklet that was entered before it."""
    known = {qp.ptr for qp in qps}
    entered: dict[int, int] = {}  # by CPU
    distances: Counter[int] = Counter()
    for event in events:
        if event.kind is Kind.ENTRY:
            entered[event.cpu] = event.value
        elif event.kind is Kind.EXIT:
            entered.pop(event.cpu, None)
        elif event.kind is Kind.RUN and event.cpu in entered and event.value in known:
            distance = entered.pop(event.cpu) - event.value
            if 0 < distance < QP_SIZE_MAX:
                distances[distance] += 1
    return distances


def _schedule_distances(qps: Sequence[Qp], events: Iterable[TraceEvent]) -> Counter[int]:
    """Count the distances from each scheduled or entered tasklet back to the QP that holds it."""
    starts = sorted(qp.ptr for qp in qps)
    strides = [after - before for before, after in pairwise(starts)]
    size = min([QP_SIZE_MAX, *strides])
    hits = Counter(e.value for e in events if e.kind in (Kind.SCHEDULE, Kind.ENTRY))
    distances: Counter[int] = Counter()
    for tasklet, count in hits.items():
        for start in starts:
            if 0 < tasklet - start < size:
                distances[tasklet - start] += count
    return distances


def _receiving_port(
    folder: Path, qps: Sequence[Qp], events: Sequence[TraceEvent], offset: int | None
) -> int:
    """Return the one port whose tasklets the trace shows, or whose QPs counted received packets."""
    port_of = {qp.ptr: qp.port for qp in qps}
    if offset is not None:
        port_of |= {qp.ptr + offset: qp.port for qp in qps}
    kinds = (Kind.RUN, Kind.SCHEDULE, Kind.ENTRY)
    seen = Counter(port_of.get(event.value) for event in events if event.kind in kinds)
    ports = {port for port in seen if port is not None}
    if not ports and any(event.kind is Kind.RUN for event in events):
        raise InputError(str(folder / "state"), "ptr", "no rxc_db in the trace is of these QPs")
    if not ports:
        ports = {qp.port for qp in qps if qp.rx}
    if len(ports) != 1:
        shown = ", ".join(map(str, sorted(ports))) or "none"
        raise InputError(
            str(folder), f"receiving ports: {shown}", "one port sends and the other receives"
        )
    return ports.pop()
