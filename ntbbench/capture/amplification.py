# SPDX-License-Identifier: BSD-3-Clause
"""Wakeups and runs per doorbell interrupt, with the bounds that a capture's sources allow."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ntbbench.capture.measured_records import Amplification, Count, Irq, Measured, QpRuns, Traced

RUNS, WAKEUPS = "runs", "doorbell wakeups"
ABOVE = (
    "runs by any cause (doorbell, race check, buffer repost, full budget, link): "
    "the doorbell's own wakeups are at most this"
)
EXACT_WAKEUPS = "exact: calls that set SCHED; merged calls leave no trace"
EXACT_RUNS = "exact: runs by any cause, each one in the trace"
EXACT_MAP = "exact, as the program counts {} and @events"
LEAST_MAP = "at least: {} is a lower bound: a map was full or cleared, or a helper failed"
MANY = "; runs of all devices together"
BEYOND = "; the snapshots cover more than the trace"
NOT_KNOWN = "interrupts of a doorbell line are not known: no amplification from them"


class Interrupts(NamedTuple):
    """The doorbell interrupts of a capture, between `low` and `high`, and where they are from."""

    low: int
    high: int
    source: str
    note: str


def amplifications(found: Measured, capture: str) -> None:
    """Add the amplification of one capture, or a caution that says why there is none."""
    lines = [irq for irq in found.interrupts if irq.is_doorbell]
    interrupts = None
    if any(line.total is None for line in lines):
        found.cautions.append(f"{capture}: {NOT_KNOWN}")
    else:
        interrupts = _of_lines(lines) if lines else _of_traces(found.traces)
    for trace in found.traces:
        found.amplification.extend(_of_trace(trace, found.qps))
    if found.qps:
        why = "no doorbell interrupt was counted" if lines else "no source of interrupts"
        row = _of_stats(found.qps, interrupts) if interrupts and interrupts.high else why
        if isinstance(row, str):
            found.cautions.append(f"{capture}: {row}: no amplification from the stats")
        else:
            found.amplification.append(row)
    for source in sorted({count.source for count in found.counts}):
        _of_maps(found, [count for count in found.counts if count.source == source])


def at_most(line: Irq) -> str:
    """Return why not all interrupts of a line need be doorbells."""
    shared = f"is shared with {', '.join(line.others)}" if line.others else "may be link events"
    return f"doorbells are at most the interrupts of line {line.label}, which {shared}"


def _of_lines(lines: list[Irq]) -> Interrupts:
    doubtful = [line for line in lines if line.is_upper_bound and line.at_least]
    high = sum(line.at_least for line in lines)
    low = high - sum(line.at_least for line in doubtful)
    return Interrupts(low, high, lines[0].source, "; ".join([ABOVE, *map(at_most, doubtful)]))


def _of_traces(traces: list[Traced]) -> Interrupts | None:
    """Return the doorbell events of the first trace that counters may be held against.

    They cover more than a trace that is cut: no runs of theirs fit its doorbells.
    """
    for trace in traces:
        if trace.db_events and not trace.is_cut and not trace.has_lost:
            return Interrupts(trace.db_events, trace.db_events, trace.source, ABOVE + BEYOND)
    return None


def _of_stats(qps: list[QpRuns], interrupts: Interrupts) -> Amplification | str:
    """Return the runs of all QPs per interrupt, or why they are not known."""
    up = [qp for qp in qps if qp.link != "down"]
    lows = [qp.runs_low for qp in up if qp.runs_low is not None]
    highs = [qp.runs_high for qp in up if qp.runs_high is not None]
    if len(lows) < len(up) or not up:
        return "the runs of a QP are not known"
    many = MANY if len({qp.device for qp in up}) > 1 else ""
    high = sum(highs) if len(highs) == len(up) else None
    sources = [interrupts.source, up[0].source]
    return _row(RUNS, interrupts[:2], (sum(lows), high), sources, interrupts.note + many)


def _row(
    quantity: str,
    interrupts: tuple[int, int],
    counts: tuple[int, int | None],
    sources: list[str],
    note: str,
) -> Amplification:
    (least, most), (low, high) = interrupts, counts
    return Amplification(
        quantity=quantity,
        interrupts=most,
        interrupts_low=least if least < most else None,
        count_low=low,
        count_high=high,
        low=low / most,
        high=high / least if high is not None and least else None,
        sources=sources,
        note=note,
    )


def _of_trace(trace: Traced, qps: list[QpRuns]) -> Iterator[Amplification]:
    """Yield what a trace shows; exact where its bounds are one number."""
    events = trace.db_events
    if not events:
        return
    absent = _absent(trace, qps)
    for quantity, low, high, doubts, exact in (
        (WAKEUPS, trace.wakeups_low, trace.wakeups_high, trace.wakeups_doubts, EXACT_WAKEUPS),
        (RUNS, trace.runs_low, trace.runs_high, trace.runs_doubts, EXACT_RUNS),
    ):
        if low is not None:
            most = None if absent else high
            why = "; ".join([*doubts, *absent])
            note = f"{'at least' if most is None else 'between these'}: {why}" if why else exact
            yield _row(quantity, (events, events), (low, most), [trace.source], note)


def _absent(trace: Traced, qps: list[QpRuns]) -> list[str]:
    ran = {(qp.device, qp.qp_num) for qp in qps if qp.runs_low}
    numbers = [woken.qp_num for woken in trace.woken]
    if None in numbers:
        more = len(ran) > len(numbers)
        return [f"{len(ran)} QPs ran by their counters, the trace has {len(numbers)}"] * more
    absent = sorted({qp_num for _, qp_num in ran} - {*numbers})
    return [f"QP {qp_num} ran by its counters and is not in the trace" for qp_num in absent]


def _of_maps(found: Measured, counts: Sequence[Count]) -> None:
    """Add @wake and @runs per @events where a bpftrace program counted them.

    With a lower bound of the events a ratio has no bounds.
    """
    events = [count for count in counts if count.name == "@events"]
    interrupts = sum(count.value for count in events)
    for name, quantity in (("@wake", WAKEUPS), ("@runs", RUNS)):
        entries = [count for count in counts if count.name == name]
        if interrupts <= 0 or not entries:
            continue
        source = entries[0].source
        if any(count.is_lower_bound for count in events):
            why = f"@events is a lower bound: no amplification from {name}"
            found.cautions.append(f"{source}: {why}")
            continue
        total = sum(count.value for count in entries)
        is_least = any(count.is_lower_bound for count in entries)
        note = (LEAST_MAP if is_least else EXACT_MAP).format(name)
        high = None if is_least else total
        row = _row(quantity, (interrupts, interrupts), (total, high), [source], note)
        found.amplification.append(row)
