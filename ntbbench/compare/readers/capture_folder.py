# SPDX-License-Identifier: BSD-3-Clause
"""A capture of a real machine as a side of a comparison: interrupts, runs, packets, per packet.

A count is exact where every source says so, else it has the bounds that `ingest` gives it. What
the two captures were asked for differs as a rule: packets are a load, and per packet the costs of
two loads compare.
"""

from collections.abc import Iterator

import numpy as np

from ntbbench.capture.ingest import ingest, is_capture
from ntbbench.capture.records import Amplification, Measured, QpRuns
from ntbbench.compare.readers.checked import samples_of
from ntbbench.compare.readers.content import Content, ResultReader
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError
from ntbbench.core.fields import Better

SOURCE = "capture"
Ends = tuple[float, float | None]
NOT_KNOWN = "not known: see `ntbbench ingest`"


def recognises(content: Content) -> bool:
    """Return whether a folder holds a part of a capture by its name."""
    return content.path.is_dir() and is_capture(content.path)


def read(content: Content, label: str) -> Variant:
    """Return the side that a capture is.

    InputError: a file of it is damaged, or nothing of NTB is in it.
    """
    measured = ingest([content.path])
    if measured.errors:
        raise InputError("input", content.where, f"a whole capture: {measured.errors[0]}")
    variant = Variant(label, SOURCE, {}, context=_context(measured))
    packets = _packets(measured.qps)
    for metric, ends, better, per_packet in _counts(measured):
        _add(variant, metric, ends, better, packets if better == "lower" else None)
        if per_packet and packets and ends is not None:
            low, high = ends
            each = low / packets, None if high is None else high / packets
            _add(variant, f"{metric} per packet", each, better, None)
    if packets is not None:
        variant.series["packets received"] = Series(
            metric="packets received", kind="exact", better="higher", value=packets, is_load=True
        )
    for metric, samples in _rates(measured):
        variant.series[metric] = Series(
            metric=metric, kind="noisy", unit="bit/s", better="higher",
            samples=samples_of(samples, content.where, metric),
        )  # fmt: skip
    if not variant.series:
        allowed = "a capture with NTB interrupts, counters or a trace"
        raise InputError("input", content.where, allowed)
    return variant


def _context(measured: Measured) -> dict[str, str]:
    """Return what was recorded: told where it differs, and no reason to refuse."""
    context = {}
    for interval in measured.intervals:
        if interval.seconds is not None:
            context["duration"] = f"{interval.seconds:.0f} s"
        context["command"] = interval.command or "none"
        context["kernel"] = interval.kernel
    return context


def _packets(qps: list[QpRuns]) -> int | None:
    """Return the packets that all QPs received; None: of one that is up it is not known."""
    counts = [qp.rx_pkts for qp in qps if qp.link != "down"]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def _counts(measured: Measured) -> Iterator[tuple[str, Ends | None, Better, bool]]:
    """Yield each count: its name, bounds (None: not known), direction, whether each packet's."""
    yield "doorbell interrupts", _interrupts(measured), "lower", True
    up = [qp for qp in measured.qps if qp.link != "down"]
    if up:
        yield "runs", _sum([(qp.runs_low, qp.runs_high) for qp in up]), "lower", True
    for qp in up:
        name = f"{qp.device} QP {qp.qp_num}:runs".strip()  # what stands before the last : groups
        yield name, None if qp.runs_low is None else (qp.runs_low, qp.runs_high), "lower", False
    for quantity, row in _tightest(measured.amplification).items():
        yield f"{quantity} per interrupt", (row.low, row.high), "lower", False
    if measured.transmits:
        refused = [
            (qp.tx_ring_full, qp.tx_ring_full) for qp in measured.transmits if qp.link == "up"
        ]
        yield "sends refused, ring full", _sum(refused), "lower", False


def _interrupts(measured: Measured) -> Ends | None:
    lines = [irq for irq in measured.interrupts if irq.is_doorbell]
    if lines and all(irq.total is not None for irq in lines):
        high = sum(irq.at_least for irq in lines)
        return high - sum(irq.at_least for irq in lines if irq.is_upper_bound), high
    events = [trace.db_events for trace in measured.traces if trace.db_events]
    return (events[0], events[0]) if not lines and events else None


def _sum(ends: list[tuple[int | None, int | None]]) -> Ends | None:
    lows = [low for low, _ in ends if low is not None]
    highs = [high for _, high in ends if high is not None]
    if len(lows) < len(ends):
        return None
    return sum(lows), sum(highs) if len(highs) == len(ends) else None


def _tightest(rows: list[Amplification]) -> dict[str, Amplification]:
    """Return the row of each quantity whose bounds are the narrowest."""
    found: dict[str, Amplification] = {}
    for row in sorted(rows, key=lambda r: np.inf if r.high is None else r.high - r.low):
        found.setdefault(row.quantity, row)
    return found


def _rates(measured: Measured) -> Iterator[tuple[str, list[float]]]:
    found: dict[str, list[float]] = {}
    for rate in measured.throughput:
        name = " ".join(filter(None, ("throughput", rate.tool, rate.what, rate.direction)))
        found.setdefault(name, []).append(rate.bits_per_second)
    yield from found.items()


def _add(
    variant: Variant, metric: str, ends: Ends | None, better: Better, served: int | None
) -> None:
    """Add a count with its bounds, or that it is not known."""
    if ends is None:
        variant.unknown[metric] = NOT_KNOWN
        return
    low, high = ends
    variant.series[metric] = Series(
        metric=metric, kind="exact", better=better, value=low, served=served,
        per_packet=served is not None, bounds=None if low == high else ends,
    )  # fmt: skip


READER = ResultReader(recognises, read)
