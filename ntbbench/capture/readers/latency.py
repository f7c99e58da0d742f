# SPDX-License-Identifier: BSD-3-Clause
"""Summaries of ping and sockperf."""

from pathlib import Path

from ntbbench.capture.readers import Known, Reader
from ntbbench.capture.records import Measured, Throughput
from ntbbench.capture.tool_records import LatencySummary
from ntbbench.core.latency_text import LatencyRun, is_latency, latencies
from ntbbench.core.text_file import read_small


def _latency(path: Path, _known: Known) -> Measured:
    measured = Measured()
    for run in latencies(read_small(path), str(path)):
        if run.bits_per_second is None:
            measured.latencies.append(_row(run, str(path)))
        else:
            rate = Throughput(
                source=str(path), tool=run.tool, what=run.what, bits_per_second=run.bits_per_second
            )
            measured.throughput.append(rate)
    return measured


def _row(run: LatencyRun, source: str) -> LatencySummary:
    return LatencySummary(
        source=source,
        tool=run.tool,
        what=run.what,
        average=run.average,
        least=run.least,
        most=run.most,
        deviation=run.deviation,
        percentiles=run.percentiles,
        samples=run.samples,
        lost_percent=run.lost_percent,
    )


LATENCY = Reader(
    "ping or sockperf",
    "latency: mean, bounds and percentiles; messages without a reply",
    "interrupts and wakeups; where on the way the time was spent",
    _latency,
    begins=is_latency,
)
