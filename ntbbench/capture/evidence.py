# SPDX-License-Identifier: BSD-3-Clause
"""One capture out of a measured record: interrupts by vector, runs by QP, what else speaks."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ntbbench.capture.measured import MEASURED_SCHEMA, DeviceFacts, Measured, QpRuns, Traced
from ntbbench.capture.ntb_lines import ACTIONS
from ntbbench.capture.whole import read_small
from ntbbench.errors import InputError

BIT = re.compile(r"(?:doorbell bit|vector) (\d{1,3})")
Bounds = tuple[int | None, int | None]


class _Header(msgspec.Struct):
    schema: str


@dataclass(frozen=True)
class Evidence:
    """What one capture says. `per_vector` is None where vectors are not told apart.

    `active_qps` is None where neither counters of ntb_transport nor a trace show any QP.
    """

    capture: str
    actions: frozenset[str]
    active_qps: tuple[int, ...] | None
    interrupts: int | None
    per_vector: dict[int, int] | None
    runs: dict[int, Bounds]
    rx_pkts: dict[int, int]
    link_interrupts: int
    has_netdev: bool
    full_budget: int
    devices: tuple[DeviceFacts, ...]
    cautions: list[str] = field(default_factory=list)


def load_measured(path: Path) -> Measured:
    """Read what `ntbbench ingest` wrote.

    Raises
    ------
    InputError : the file cannot be read, is no whole JSON, or of another schema.
    """
    text = read_small(path)
    bad = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
    try:
        schema = msgspec.json.decode(text, type=_Header).schema
    except bad as error:
        raise InputError(str(path), "MEASURED.json", f"no result of ingest: {error}") from None
    if schema != MEASURED_SCHEMA:
        raise InputError(str(path), schema, f"schema {MEASURED_SCHEMA!r}, as ingest writes")
    try:
        return msgspec.json.decode(text, type=Measured)
    except bad as error:
        raise InputError(str(path), schema, f"damaged: {error}") from None


def find_evidence(measured: Measured) -> list[Evidence]:
    """Return the evidence of each capture that has runs, interrupts or interrupt lines of NTB."""
    captures = dict.fromkeys(source.capture for source in measured.sources)
    found = [_evidence(measured, capture) for capture in captures]
    return [one for one in found if one.runs or one.interrupts or one.actions]


def _evidence(measured: Measured, capture: str) -> Evidence:
    names = {source.name for source in measured.sources if source.capture == capture}
    lines = [irq for irq in measured.interrupts if irq.source in names and irq.slot is not None]
    listed = [qp for qp in measured.qps if qp.source in names]
    qps = [qp for qp in listed if qp.link != "down"]
    traces = [trace for trace in measured.traces if trace.source in names]
    cautions: list[str] = []
    doorbells = [irq for irq in lines if irq.is_doorbell]
    interrupts: int | None = None
    per_vector: dict[int, int] | None = None
    runs = _runs_of_stats(qps)
    traced = (None, None) if runs else _of_trace(traces)
    if traced[0] is not None:  # the runs are the trace's, which need not cover the same time
        interrupts, per_vector = traced
    elif doorbells and all(irq.total is not None for irq in doorbells):
        interrupts = sum(irq.at_least for irq in doorbells)
        slots = [(BIT.match(irq.role), irq.at_least) for irq in doorbells]
        if all(match for match, _ in slots):
            per_vector = {int(match[1]): count for match, count in slots if match}
    elif not doorbells:
        interrupts, per_vector = _of_trace(traces)
    runs = runs or _runs_of_traces(traces, cautions)
    packets: Counter[int] = Counter()
    for qp in qps:
        packets[qp.qp_num] += qp.rx_pkts or 0
    split = [irq.action.split(",") for irq in lines]
    return Evidence(
        capture=capture,
        actions=frozenset(part.strip() for parts in split for part in parts) & ACTIONS.keys(),
        active_qps=tuple(sorted(runs)) if runs or listed else None,
        interrupts=interrupts,
        per_vector=per_vector,
        runs=runs,
        rx_pkts=dict(packets),
        link_interrupts=sum(irq.at_least for irq in lines if not irq.is_doorbell),
        has_netdev=any(c.name == "combined" and c.source in names for c in measured.counts),
        full_budget=sum(
            qp.runs_high - qp.runs_low
            for qp in qps
            if qp.runs_high is not None and qp.runs_low is not None
        ),
        devices=tuple(device for device in measured.devices if device.source in names),
        cautions=cautions,
    )


def _of_trace(traces: list[Traced]) -> tuple[int | None, dict[int, int] | None]:
    for trace in traces:
        if trace.db_events is not None:
            vectors = {int(key): count for key, count in trace.db_events_per_vector.items()}
            whole = sum(vectors.values()) == trace.db_events
            return trace.db_events, vectors if whole else None
    return None, None


def _runs_of_stats(qps: list[QpRuns]) -> dict[int, Bounds]:
    """Return runs by qp_num; the devices of one machine together, None where one is not known."""
    runs: dict[int, Bounds] = {}
    for qp in qps:
        old = runs.get(qp.qp_num, (0, 0))
        new = (qp.runs_low, qp.runs_high)
        low, high = (
            None if a is None or b is None else a + b for a, b in zip(old, new, strict=True)
        )
        runs[qp.qp_num] = (low, high)
    return runs


def _runs_of_traces(traces: list[Traced], cautions: list[str]) -> dict[int, Bounds]:
    runs: dict[int, Bounds] = {}
    for trace in traces:
        known = [woken for woken in trace.woken if woken.runs is not None]
        numbered = all(woken.qp_num is not None for woken in known)
        if known and not numbered:
            cautions.append("QPs are numbered in the order of their addresses: the trace has none")
        for index, woken in enumerate(known):
            runs[index if woken.qp_num is None else woken.qp_num] = (woken.runs, woken.runs)
    return runs
