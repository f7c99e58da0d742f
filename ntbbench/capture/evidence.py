# SPDX-License-Identifier: BSD-3-Clause
"""One capture out of a measured record: interrupts by vector, runs by QP, what else speaks."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ntbbench.capture.ingest import at_most
from ntbbench.capture.readers.doorbell_point import NETDEV
from ntbbench.capture.readers.intervals import CARRIER
from ntbbench.capture.readers.irq_lines import ACTIONS, EMBEDDED, actions_of
from ntbbench.capture.records import DeviceFacts, Irq, Measured, QpRuns, Traced, Woken
from ntbbench.capture.tool_records import Clue
from ntbbench.core.names import check_range, parse_int
from ntbbench.ntb.device import low_bits
from ntbbench.ntb.vectormap import DB_BITS_MAX

BIT = re.compile(r"(?:doorbell bit|vector) (\d{1,3})")
NUMBERED = "QPs are numbered in the order of their addresses: the trace has none"
ROWS = ("interrupts", "qps", "traces", "counts", "devices", "clues")
Bounds = tuple[int | None, int | None]


@dataclass(frozen=True)
class Evidence:
    """What one capture says. `per_vector` is None where vectors are not told apart.

    `lines`: by action of the NTB lines, how many one device has; 0: devices differ.
    `active_qps` is None where neither counters of ntb_transport nor a trace show any QP.
    `at_most`: the interrupts hold others than doorbells of this device, or may. `is_embedded`: each
    interrupt stands for every vector.
    """

    capture: str
    lines: Mapping[str, int]
    active_qps: tuple[int, ...] | None
    interrupts: int | None
    per_vector: dict[int, int] | None
    runs: dict[int, Bounds]
    rx_pkts: dict[int, int]
    link_interrupts: int
    has_netdev: bool
    full_budget: int
    devices: tuple[DeviceFacts, ...]
    clues: tuple[Clue, ...] = ()
    at_most: bool = False
    is_embedded: bool = False
    cautions: list[str] = field(default_factory=list)

    @property
    def actions(self) -> frozenset[str]:
        """The actions of the NTB lines, as their drivers name them."""
        return frozenset(self.lines)


def check_measured(measured: Measured, path: Path) -> None:
    """Check what else is computed with: bits of a mask, and what has one.

    InputError: a qp_num, a vector or a mask that no device has.
    """
    woken = (row.qp_num for trace in measured.traces for row in trace.woken)
    for qp_num in (*(qp.qp_num for qp in measured.qps), *woken):
        if qp_num is not None:
            check_range(f"{path}: qp_num", qp_num, 0, DB_BITS_MAX - 1)
    for trace in measured.traces:
        for vector in trace.db_events_per_vector:
            parse_int(f"{path}: db_events_per_vector", vector, 0, DB_BITS_MAX - 1)
    for device in measured.devices:
        for mask in (device.db_valid_mask, device.link_mask, *device.vector_masks):
            parse_int(f"{path}: mask", mask, 0, low_bits(DB_BITS_MAX))


def find_evidence(measured: Measured) -> list[Evidence]:
    """Return the evidence of each capture that has runs, interrupts or interrupt lines of NTB."""
    found = [_evidence(capture, own) for capture, own in _captures(measured)]
    return [one for one in found if one.runs or one.interrupts or one.actions]


def _captures(measured: Measured) -> Iterator[tuple[str, Measured]]:
    for capture in dict.fromkeys(source.capture for source in measured.sources):
        names = {source.name for source in measured.sources if source.capture == capture}
        own = Measured()
        for key in ROWS:
            # a clue's file need not be a source of numbers
            rows = (
                row
                for row in getattr(measured, key)
                if row.source in names or str(Path(row.source).parent) == capture
            )
            getattr(own, key).extend(rows)
        yield capture, own


def _evidence(capture: str, own: Measured) -> Evidence:
    lines = [irq for irq in own.interrupts if irq.slot is not None]
    qps = [qp for qp in own.qps if qp.link != "down"]
    doorbells = [irq for irq in lines if irq.is_doorbell]
    # Of a trace that is cut the interrupts fit its own runs alone: the snapshots cover more.
    is_cut = not doorbells and any(trace.is_cut for trace in own.traces)
    runs = {} if is_cut else _runs_of_stats(qps)
    counted = _counted(doorbells, own.traces, has_stats=bool(runs))
    cautions = [at_most(line) for line in counted.doubtful]
    runs = runs or _runs_of_traces(own.traces, cautions)
    packets: Counter[int] = Counter()
    for qp in qps:
        packets[qp.qp_num] += qp.rx_pkts or 0
    budgets = [(qp.runs_low, qp.runs_high) for qp in qps]
    return Evidence(
        capture=capture,
        lines=_lines_by_action(lines),
        active_qps=tuple(sorted(runs)) if runs or own.qps else None,
        interrupts=counted.interrupts,
        per_vector=counted.per_vector,
        runs=runs,
        rx_pkts=dict(packets),
        # is_link None: an older file has no such field
        link_interrupts=sum(
            irq.at_least for irq in lines if not irq.is_doorbell and irq.is_link is not False
        ),
        has_netdev=any(count.name in {"combined", CARRIER} for count in own.counts)
        or any(device.client == NETDEV for device in own.devices),
        full_budget=sum(
            high - low for low, high in budgets if low is not None and high is not None
        ),
        devices=tuple(own.devices),
        clues=tuple(own.clues),
        at_most=bool(counted.doubtful),
        is_embedded=any(device.is_embedded for device in own.devices)
        or any(irq.role == EMBEDDED for irq in doorbells),
        cautions=cautions,
    )


def _lines_by_action(lines: list[Irq]) -> dict[str, int]:
    """Return how many lines a device of each action has; a slot 0 begins another device."""
    sizes: dict[str, list[int]] = {}
    for irq in lines:
        for action in actions_of(irq.action):
            if action not in ACTIONS:
                continue
            own = sizes.setdefault(action, [])
            if irq.slot == 0 or not own:
                own.append(0)
            own[-1] += 1
    return {action: own[0] if len({*own}) == 1 else 0 for action, own in sizes.items()}


class _Counted(NamedTuple):
    """Interrupts and what they are told apart by; `doubtful`: lines that hold others too."""

    interrupts: int | None = None
    per_vector: dict[int, int] | None = None
    doubtful: tuple[Irq, ...] = ()


def _counted(doorbells: list[Irq], traces: list[Traced], *, has_stats: bool) -> _Counted:
    traced = _of_trace(traces)
    if not doorbells or (not has_stats and traced.interrupts is not None):
        return traced  # the runs are the trace's, which need not cover the time of the snapshots
    if any(irq.total is None for irq in doorbells):
        return _Counted()
    vectors: Counter[int] = Counter()
    for irq in doorbells:
        if (match := BIT.match(irq.role)) is not None:
            vectors[int(match[1])] += irq.at_least  # of several devices together
    return _Counted(
        sum(irq.at_least for irq in doorbells),
        dict(vectors) if all(BIT.match(irq.role) for irq in doorbells) else None,
        tuple(irq for irq in doorbells if irq.is_upper_bound and irq.at_least),
    )


def _of_trace(traces: list[Traced]) -> _Counted:
    """Return the doorbell events of the first trace that has any and is not known to lack some."""
    for trace in traces:
        if trace.db_events is not None and not trace.has_lost:
            vectors = {int(key): count for key, count in trace.db_events_per_vector.items()}
            whole = sum(vectors.values()) == trace.db_events
            return _Counted(trace.db_events, vectors if whole else None)
    return _Counted()


def _runs_of_stats(qps: list[QpRuns]) -> dict[int, Bounds]:
    """Return runs by qp_num; the devices of one machine together, None where one is not known."""
    runs: dict[int, Bounds] = {}
    for qp in qps:
        low, high = runs.get(qp.qp_num, (0, 0))
        runs[qp.qp_num] = (
            None if low is None or qp.runs_low is None else low + qp.runs_low,
            None if high is None or qp.runs_high is None else high + qp.runs_high,
        )
    return runs


def _runs_of_traces(traces: list[Traced], cautions: list[str]) -> dict[int, Bounds]:
    for trace in traces:
        known = [woken for woken in trace.woken if woken.runs is not None]
        if any(woken.qp_num is None for woken in known):
            cautions.append(NUMBERED)
        if known:
            return {
                index if woken.qp_num is None else woken.qp_num: _runs_of(trace, woken)
                for index, woken in enumerate(known)
            }
    return {}


def _runs_of(trace: Traced, woken: Woken) -> Bounds:
    """Return the bounds of the runs that the schedules of a trace made: each makes one."""
    runs, most = woken.runs, woken.runs
    if woken.runs is not None and woken.other is not None:
        scheduled = (woken.doorbell or 0) + woken.other
        runs, most = min(woken.runs, scheduled), max(woken.runs, scheduled)
    is_open = trace.runs_low is not None and trace.runs_high is None
    return runs, None if is_open else most
