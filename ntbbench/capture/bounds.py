# SPDX-License-Identifier: BSD-3-Clause
"""Amplification out of what a capture measured, with the bounds that its sources allow."""

from dataclasses import dataclass

from ntbbench.capture.measured_records import Amplification, Count, Irq, Measured, QpRuns, Traced

RUNS, WAKEUPS = "runs", "doorbell wakeups"
ABOVE = (
    "runs by any cause (doorbell, race check, buffer repost, full budget, link): "
    "the doorbell's own wakeups are at most this"
)
EXACT_WAKEUPS = "exact: calls that set SCHED; merged calls leave no trace"
EXACT_RUNS = "exact: runs by any cause, each one in the trace"
MANY = "; runs of all devices together"
BEYOND = "; the snapshots cover more than the trace"


@dataclass(frozen=True)
class Interrupts:
    """The doorbell interrupts of a capture, between `low` and `high`, and where they are from."""

    low: int
    high: int
    sources: list[str]
    note: str


def amplifications(measured: Measured, capture: str) -> None:
    """Add the amplification of one capture, or a caution that says why there is none."""
    names = {source.name for source in measured.sources if source.capture == capture}
    lines = [i for i in measured.interrupts if i.source in names and i.is_doorbell]
    qps = [qp for qp in measured.qps if qp.source in names]
    traces = [trace for trace in measured.traces if trace.source in names]
    interrupts = _of_lines(measured, capture, lines)
    for trace in traces:
        _of_trace(measured, trace, qps)
    if interrupts is None and not lines:
        # The counters cover more than a trace that is cut: no runs of theirs fit its doorbells.
        whole = [t for t in traces if t.db_events and not t.is_cut and not t.has_lost]
        traced = next(iter(whole), None)
        if traced is not None:
            events = traced.db_events or 0
            interrupts = Interrupts(events, events, [traced.source], ABOVE + BEYOND)
    if qps:
        _of_stats(measured, capture, qps, interrupts, has_lines=bool(lines))
    _of_maps(measured, names)


def _of_lines(measured: Measured, capture: str, lines: list[Irq]) -> Interrupts | None:
    """Return the doorbell interrupts of the NTB lines; None: none, or not all are known."""
    if any(line.total is None for line in lines):
        measured.cautions.append(
            f"{capture}: interrupts of a doorbell line are not known: no amplification from them"
        )
        return None
    if not lines:
        return None
    doubtful = [line for line in lines if line.is_upper_bound and line.at_least]
    high = sum(line.at_least for line in lines)
    low = high - sum(line.at_least for line in doubtful)
    why = "; ".join(map(at_most, doubtful))
    return Interrupts(low, high, [lines[0].source], f"{ABOVE}; {why}" if why else ABOVE)


def at_most(line: Irq) -> str:
    """Return why not all interrupts of a line need be doorbells."""
    shared = f"is shared with {', '.join(line.others)}" if line.others else "may be link events"
    return f"doorbells are at most the interrupts of line {line.label}, which {shared}"


def _of_stats(
    measured: Measured,
    capture: str,
    qps: list[QpRuns],
    interrupts: Interrupts | None,
    *,
    has_lines: bool,
) -> None:
    up = [qp for qp in qps if qp.link != "down"]
    lows = [qp.runs_low for qp in up if qp.runs_low is not None]
    highs = [qp.runs_high for qp in up if qp.runs_high is not None]
    if interrupts is None or not interrupts.high:
        why = "no doorbell interrupt was counted" if has_lines else "no source of interrupts"
        measured.cautions.append(f"{capture}: {why}: no amplification from the stats")
        return
    if len(lows) < len(up) or not up:
        measured.cautions.append(
            f"{capture}: the runs of a QP are not known: no amplification from the stats"
        )
        return
    low, high = sum(lows), sum(highs) if len(highs) == len(up) else None
    many = MANY if len({qp.device for qp in up}) > 1 else ""
    measured.amplification.append(
        Amplification(
            quantity=RUNS,
            interrupts=interrupts.high,
            interrupts_low=interrupts.low if interrupts.low < interrupts.high else None,
            count_low=low,
            count_high=high,
            low=low / interrupts.high,
            high=high / interrupts.low if high is not None and interrupts.low else None,
            sources=[*interrupts.sources, up[0].source],
            note=interrupts.note + many,
        )
    )


def _of_trace(measured: Measured, trace: Traced, qps: list[QpRuns]) -> None:
    """Add what a trace shows; exact where its bounds are one number."""
    if not trace.db_events:
        return
    absent = _absent(trace, qps)
    for quantity, low, high, doubts, exact in (
        (WAKEUPS, trace.wakeups_low, trace.wakeups_high, trace.wakeups_doubts, EXACT_WAKEUPS),
        (RUNS, trace.runs_low, trace.runs_high, trace.runs_doubts, EXACT_RUNS),
    ):
        if low is None:
            continue
        most = None if absent else high
        why = "; ".join([*doubts, *absent])
        note = f"{'at least' if most is None else 'between these'}: {why}" if why else exact
        measured.amplification.append(
            Amplification(
                quantity=quantity,
                interrupts=trace.db_events,
                count_low=low,
                count_high=most,
                low=low / trace.db_events,
                high=None if most is None else most / trace.db_events,
                sources=[trace.source],
                note=note,
            )
        )


def _absent(trace: Traced, qps: list[QpRuns]) -> list[str]:
    """Return which QPs ran by their counters and are not in the trace, or how many."""
    ran = {(qp.device, qp.qp_num) for qp in qps if qp.runs_low}
    numbers = [woken.qp_num for woken in trace.woken]
    if None in numbers:
        more = len(ran) > len(numbers)
        return [f"{len(ran)} QPs ran by their counters, the trace has {len(numbers)}"] * more
    absent = sorted({qp_num for _, qp_num in ran} - {*numbers})
    return [f"QP {qp_num} ran by its counters and is not in the trace" for qp_num in absent]


def _of_maps(measured: Measured, names: set[str]) -> None:
    """Add the ratio of @wake to @events where a bpftrace program counted both."""
    for source in sorted(names):
        counts = [count for count in measured.counts if count.source == source]
        events = [count for count in counts if count.name == "@events"]
        interrupts = sum(count.value for count in events)
        if interrupts <= 0:
            continue
        for name, quantity in (("@wake", WAKEUPS), ("@runs", RUNS)):
            entries = [count for count in counts if count.name == name]
            if entries:
                _of_map(measured, (quantity, name), events, entries)


def _of_map(
    measured: Measured, what: tuple[str, str], events: list[Count], entries: list[Count]
) -> None:
    """Add one map's ratio; with a lower bound of the events it has no bounds of its own."""
    quantity, name = what
    interrupts, total = (sum(count.value for count in counts) for counts in (events, entries))
    is_least = any(count.is_lower_bound for count in entries)
    if any(count.is_lower_bound for count in events):
        text = f"{events[0].source}: @events is a lower bound: no amplification from {name}"
        measured.cautions.append(text)
        return
    measured.amplification.append(
        Amplification(
            quantity=quantity,
            interrupts=interrupts,
            count_low=total,
            count_high=None if is_least else total,
            low=total / interrupts,
            high=None if is_least else total / interrupts,
            sources=[entries[0].source],
            note=f"at least: {name} is a lower bound: a map was full or cleared, or a helper failed"
            if is_least
            else f"exact, as the program counts {name} and @events",
        )
    )
