# SPDX-License-Identifier: BSD-3-Clause
"""Amplification out of what a capture measured, with the bounds that its sources allow."""

from dataclasses import dataclass

from ntbbench.capture.measured import Amplification, Irq, Measured, QpRuns, Traced

RUNS, WAKEUPS = "runs", "doorbell wakeups"
ABOVE = (
    "runs by any cause (doorbell, race check, buffer repost, full budget, link): "
    "the doorbell's own wakeups are at most this"
)
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
        _of_trace(measured, trace)
    if interrupts is None and not lines:
        traced = next((t for t in traces if t.db_events), None)
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


def _of_trace(measured: Measured, trace: Traced) -> None:
    if not trace.db_events:
        return
    runs = [woken.runs for woken in trace.woken]
    wakeups = [woken.doorbell for woken in trace.woken]
    for quantity, counts, note in (
        (WAKEUPS, wakeups, "exact: calls that set SCHED; merged calls leave no trace"),
        (RUNS, runs, "exact: runs by any cause, each one in the trace"),
    ):
        known = [count for count in counts if count is not None]
        if known and len(known) == len(counts):
            total = sum(known)
            ratio = total / trace.db_events
            measured.amplification.append(
                Amplification(
                    quantity=quantity,
                    interrupts=trace.db_events,
                    count_low=total,
                    count_high=total,
                    low=ratio,
                    high=ratio,
                    sources=[trace.source],
                    note=note,
                )
            )


def _of_maps(measured: Measured, names: set[str]) -> None:
    """Add the ratio of @wake to @events where a bpftrace program counted both."""
    for source in sorted(names):
        counts = [count for count in measured.counts if count.source == source]
        events = sum(count.value for count in counts if count.name == "@events")
        for name, quantity in (("@wake", WAKEUPS), ("@runs", RUNS)):
            values = [count.value for count in counts if count.name == name]
            if events > 0 and values:
                measured.amplification.append(
                    Amplification(
                        quantity=quantity,
                        interrupts=events,
                        count_low=sum(values),
                        count_high=sum(values),
                        low=sum(values) / events,
                        high=sum(values) / events,
                        sources=[source],
                        note=f"exact, as the program counts {name} and @events",
                    )
                )
