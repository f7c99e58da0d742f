# SPDX-License-Identifier: BSD-3-Clause
"""Which port of a recording receives, and which tasklet is which QP's."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from ntbbench.capture.readers.doorbell_point import Qp
from ntbbench.capture.readers.ftrace import Kind, TraceEvent
from ntbbench.core.errors import InputError

# struct ntb_transport_qp has 0x238 bytes in 6.12; debugging options make it a few times as large.
QP_SIZE_MAX = 1 << 13


class Tasklets:
    """The QPs of the receiving port by qp_num, and their addresses in a trace.

    Parameters
    ----------
    offset : where in a QP the receive tasklet lies; None: the trace holds no tasklet of theirs.
    """

    def __init__(self, port: int, qps: Iterable[Qp], offset: int | None) -> None:
        self.port = port
        self.qps = tuple(sorted(qps, key=lambda qp: qp.qp_num))
        self._by_qp = {qp.ptr: qp.qp_num for qp in self.qps}
        self._by_tasklet = {} if offset is None else {p + offset: q for p, q in self._by_qp.items()}

    def qp_num(self, event: TraceEvent) -> int | None:
        """Return whose schedule or run an event is; None: of another driver, or port."""
        addresses = self._by_qp if event.kind is Kind.RUN else self._by_tasklet
        return addresses.get(event.value)


def find_tasklets(folder: Path, qps: Sequence[Qp], events: Sequence[TraceEvent]) -> Tasklets:
    """Find the receiving port and its tasklets from the addresses in `state` and in the trace.

    The offset depends on the kernel and its options: it is the distance that a tasklet's entry has
    from the QP that rxc_db is then called with, or else the one distance that most scheduled
    tasklets have from a QP's start. Tasklets at any other place belong to other drivers.

    Raises
    ------
    InputError : no port or both ports receive, or the trace's QPs are not those of `state`.
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
    size = min([QP_SIZE_MAX, *(after - before for before, after in pairwise(starts))])
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
    seen = {port_of.get(event.value) for event in events if event.kind in kinds}
    ports = {port for port in seen if port is not None}
    if not ports and any(event.kind is Kind.RUN for event in events):
        raise InputError(str(folder / "state"), "ptr", "no rxc_db in the trace is of these QPs")
    ports = ports or {qp.port for qp in qps if qp.rx}
    if len(ports) != 1:
        shown = ", ".join(map(str, sorted(ports))) or "none"
        raise InputError(
            str(folder), f"receiving ports: {shown}", "one port sends and the other receives"
        )
    return ports.pop()
