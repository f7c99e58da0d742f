# SPDX-License-Identifier: BSD-3-Clause
"""What a document of iperf3 says and cannot be: impossible losses, totals unlike intervals."""

import math
from typing import NamedTuple

from ntbbench.core.iperf3.iperf3_document import Document, Total

# Codes of the list of warnings of a comparison.
REPEATED, IMPOSSIBLE = "repeated-document", "impossible-loss"
CONTRADICTS, TWICE = "contradicting-totals", "duplicate-keys"
CLOSE = 0.05  # relative: the two ends stop their clocks some milliseconds apart
FAR = 0.5  # of UDP's arrivals: at overload a part is neither lost nor received when the test ends
BUFFERS = 16 << 20  # bytes a TCP stream may hold between sender and receiver, by Linux's defaults


class Doubt(NamedTuple):
    """A code of the list of warnings, and what it is about."""

    code: str
    text: str


def loss(document: Document, way: str) -> tuple[float | None, list[Doubt]]:
    """Return the per cent of the datagrams that did not arrive; None: not known."""
    for name in (f"sum_received{way}", f"sum{way}"):
        total = document.total(name)
        if total is None or (total.lost_percent is None and total.lost_packets is None):
            continue
        percent, lost, packets = total.lost_percent, total.lost_packets or 0.0, total.packets
        if percent is not None and not 0 <= percent <= 100:
            return None, [_impossible(name, f"{percent:.6g} %")]
        if lost < 0 or (packets is not None and lost > packets):
            of = "" if packets is None else f" of {packets:.0f}"
            return None, [_impossible(name, f"{lost:.0f}{of} packets")]
        if percent is None and packets:
            percent = 100 * lost / packets
        return percent, []
    return None, []


def _impossible(name: str, said: str) -> Doubt:
    return Doubt(IMPOSSIBLE, f"end.{name} says {said} lost: the loss is not known")


def doubts(document: Document, way: str) -> list[Doubt]:
    """Return what one way's numbers say and cannot be."""
    found = []
    if document.unclear:
        more = f" and {len(document.unclear) - 1} more keys" if len(document.unclear) > 1 else ""
        text = f"{document.unclear[0]}{more}: there twice, with different values: not known"
        found.append(Doubt(TWICE, text))
    if not document.only_sent(way):
        found += loss(document, way)[1] + contradictions(document, way)
    return found


def contradictions(document: Document, way: str) -> list[Doubt]:
    """Return the totals of a way that its own intervals cannot give."""
    intervals = document.intervals(way)
    if not intervals:
        return []
    mean = mean_rate(intervals)
    is_sent = document.tells_sent(way)
    found = []
    for name in _totals(document, way, is_sent=is_sent):
        total = document.total(name)
        if total is None or total.rate is None:
            continue
        is_other_end = is_sent and name.startswith("sum_received")
        low, high = _of_other_end(document, way, mean, total) if is_other_end else (mean, mean)
        slack = _slack(intervals, total) * max(mean, total.rate)
        if not low - slack <= total.rate <= high + slack:
            said = f"end.{name} says {total.rate / 1e6:.4g} Mbit/s"
            found.append(Doubt(CONTRADICTS, f"{said}, its intervals {mean / 1e6:.4g}"))
    return found


def mean_rate(intervals: list[Total]) -> float:
    """Return the mean of the rates, by the seconds of each where they are told."""
    weights = [total.seconds for total in intervals]
    if not math.fsum(weights):
        weights = [1.0] * len(intervals)
    rates = [total.rate or 0.0 for total in intervals]
    bits = math.fsum(rate * weight for rate, weight in zip(rates, weights, strict=True))
    return bits / math.fsum(weights)


def _totals(document: Document, way: str, *, is_sent: bool) -> list[str]:
    """Return the totals that the intervals say something of; UDP's `sum` is what was sent."""
    received = f"sum_received{way}"
    if not is_sent:
        return [received]
    sent = [f"sum_sent{way}", f"sum{way}"] if document.is_datagrams else [f"sum_sent{way}"]
    return [*sent, received]


def _slack(intervals: list[Total], total: Total) -> float:
    """Return by what share a total may differ: of time without an interval no rate is known."""
    covered = math.fsum(interval.seconds for interval in intervals)
    if not covered or not total.seconds:
        return CLOSE
    mean = mean_rate(intervals)
    fastest = max(interval.rate or 0.0 for interval in intervals)
    burst = fastest / mean if mean else 1.0
    return CLOSE + 2 * burst * abs(total.seconds - covered) / total.seconds


def _of_other_end(document: Document, way: str, mean: float, total: Total) -> tuple[float, float]:
    """Return the rates that may arrive where so much was sent."""
    if document.is_datagrams:
        lost = loss(document, way)[0]
        return (0.0 if lost is None else mean * (1 - lost / 100) * FAR), mean
    streams = document.number("start.test_start.num_streams") or 1
    buffers = max(BUFFERS, 2 * (document.number("start.sock_bufsize") or 0))
    held = 8 * buffers * streams / total.seconds if total.seconds else math.inf
    return mean - held, mean + held
