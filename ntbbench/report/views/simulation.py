# SPDX-License-Identifier: BSD-3-Clause
"""A grid of simulated points: throughput, latency, CPU time, wakeups; mask or affinity."""

from collections.abc import Iterator, Sequence
from math import prod

from ntbbench.datapath.records import (
    CPU_KINDS,
    QUANTILES,
    OkSimulation,
    SimulationResult,
    UnavailableSimulation,
)
from ntbbench.datapath.summary import NEITHER, gains, paired_ratio
from ntbbench.report.document import (
    Cell,
    Column,
    Document,
    Section,
    Table,
    column,
    number,
    words,
)
from ntbbench.report.quantities import RATES, quantity
from ntbbench.report.views.simulation_points import (
    ABOUT,
    AXES,
    COUNTS,
    INTERVAL,
    RATIOS,
    mean,
    mean_and_interval,
    measured_table,
    measures,
    points_table,
    sheet,
    spread,
    three_numbers,
)
from ntbbench.report.wording import facts, plural

COUNTS_NOTE = (
    "drops, stops on a full ring: per replication, with the half width of the 95 % interval, or "
    "the interval where that is wider than the mean"
)
GAIN = f"times the throughput of {', '.join(NEITHER)}, with as many queues"
GAINS_NOTE = (
    f"gain: {GAIN}; ratios of the same replication, so with the same flow hashes; 95 %: Student's "
    "t of these ratios, not cut at what is possible: of few replications it may exceed the number "
    "of queues"
)


def document(result: SimulationResult) -> Document:
    """Return the report of a simulation."""
    points = [point for point in result.points if isinstance(point, OkSimulation)]
    return Document(
        title="ntbbench simulate",
        verdict=_verdict(result, points),
        lines=[*_lines(result, points)],
        record=result,
        blocks=[*_blocks(result, points)],
        warnings=[(f"{caution.message}: {caution.remedy}", ()) for caution in result.warnings],
        facts=result.environment,
        sheet=lambda: sheet(result.points),
        figures=(lambda: _figures(points)) if points else None,
    )


def _figures(points: Sequence[OkSimulation]) -> Sequence[Section]:
    from ntbbench.report.figures.simulation import sections  # noqa: PLC0415  # plotly is slow

    return sections(points)


def _verdict(result: SimulationResult, points: Sequence[OkSimulation]) -> str:
    """Return in one sentence which point is the fastest, and what mask and affinity give it."""
    if not points:
        name = result.scenario.get("name", "?")
        return f"{name}: the device can give none of the points: nothing simulated."
    protocols = dict.fromkeys(point.protocol for point in points)
    parts = [_fastest([p for p in points if p.protocol == protocol]) for protocol in protocols]
    lost = sum(point.missed > 0 or point.misrouted > 0 for point in points)
    missed = f"{plural(lost, 'point')} missed doorbells. " if lost else ""
    return f"{missed}{'; '.join(parts)}."


def _fastest(points: Sequence[OkSimulation]) -> str:
    """Return which point of a protocol is the fastest, and what it cannot be told from."""
    best = max(points, key=lambda point: point.throughput_bps.mean)
    how = f"{best.dispatch}, {best.affinity}, {plural(best.queues, 'queue')}"
    found = f"{best.protocol} is fastest with {how}: {quantity(best.throughput_bps.mean, RATES)}"
    gain = next((ratio.mean for point, ratio in gains(points) if point is best), None)
    found += f", {gain:.2f} times that of {', '.join(NEITHER)}" if gain is not None else ""
    ratios = [paired_ratio(best, point) for point in points if point is not best]
    alike = sum(one is not None and one.low is not None and one.low <= 1 for one in ratios)
    return found + (f" ({plural(alike, 'other point')} may be as fast)" if alike else "")


def _lines(result: SimulationResult, points: Sequence[OkSimulation]) -> Iterator[str]:
    """Yield what was simulated, in a few sentences."""
    refused = len(result.points) - len(points)
    counted = f"{plural(len(result.points), 'point')}: {len(points)} ok"
    counted += f", {refused} unavailable" if refused else ""
    asked = result.scenario
    how = asked.get("run", {})
    runs = max((len(point.replications) for point in points), default=0)
    if runs:
        most = "" if result.complete else "up to "
        counted += (
            f"; {asked.get('name', '?')}, placement {how.get('placement', '?')}, "
            f"{most}{plural(runs, 'replication')} of {how.get('duration', '?')}, "
            f"seed {how.get('seed', '?')}"
        )
    yield f"{counted}."
    if points:
        yield "Simulated, not measured; means over replications and their 95 % intervals."
    if asked.get("note"):
        yield f"Scenario: {asked['note']}."
    if not result.complete:
        yield f"{_unfinished(result, points)}; go on with: ntbbench simulate --resume FILE"


def _unfinished(result: SimulationResult, points: Sequence[OkSimulation]) -> str:
    """Return how many replications there are of how many; a point not begun is not in the result.

    A scenario that was edited by hand may not say how many they would be.
    """
    done = sum(len(point.replications) for point in points)
    asked = result.scenario
    grid = prod(len(asked.get(axis, ())) for axis in AXES)
    possible = grid - (len(result.points) - len(points))
    total = possible * asked.get("run", {}).get("replications", 0)
    if total <= done:
        return f"not finished: {plural(done, 'replication')}"
    return f"not finished: {done} of {plural(total, 'replication')}, {plural(grid, 'point')}"


def _blocks(result: SimulationResult, points: Sequence[OkSimulation]) -> Iterator[Table]:
    first = measures(points[0]) if points else {}
    latencies = {f"latency_{name}": mean for name in QUANTILES}
    yield measured_table(
        "Throughput (payload) and latency from a packet's send to its delivery",
        points,
        {"throughput_bps": mean_and_interval, **latencies},
        notes=["intervals of all numbers: --format csv, --format json, --html"],
    )
    yield measured_table(
        "CPU time of the receiver per replication, all CPUs",
        points,
        {f"cpu_seconds_{kind}": mean for kind in CPU_KINDS},
        notes=["useful, empty: softirq time in runs that found a packet, that found none"],
    )
    meaning = "; ".join(f"{ABOUT[name].head}: {ABOUT[name].definition}" for name in RATIOS)
    yield measured_table(
        "Wakeups",
        points,
        {f"{name}_a_replication": spread for name in ("drops", "ring_full_stops")},
        totals=dict(zip(RATIOS, (".2f", ".2f", ".1%"), strict=True)),
        notes=[f"{meaning}; {COUNTS_NOTE}"],
    )
    causes = dict.fromkeys(c for point in points for c, n in point.wakeups_by_cause.items() if n)
    if causes:
        by_cause = {f"wakeups_{cause}_a_replication": spread for cause in causes}
        yield measured_table("Wakeups by cause, per replication", points, by_cause)
    yield points_table(
        "Mask or affinity?", [Column("gain", GAIN), INTERVAL], [*_gains(points)], [GAINS_NOTE]
    )
    names = ("missed", "misrouted")
    yield points_table(
        "Missed or misrouted doorbells",
        [column(OkSimulation, name) for name in names],
        [
            (point, words(*(getattr(point, name) for name in names)))
            for point in points
            if point.missed or point.misrouted
        ],
    )
    yield points_table(
        "Unavailable points",
        [column(UnavailableSimulation, "reason")],
        [(p, words(p.reason)) for p in result.points if isinstance(p, UnavailableSimulation)],
    )
    totals = dict.fromkeys(RATIOS, ".5g") | dict.fromkeys(COUNTS, "d")
    everything = dict.fromkeys(first, three_numbers)
    yield measured_table("All points", points, everything, totals=totals, shown="page")
    columns = [Column("key", align="left"), Column("value", align="left")]
    rows = [words(*row) for row in facts(result.scenario)]
    yield Table("Scenario", columns, rows, shown="page")


def _gains(points: Sequence[OkSimulation]) -> Iterator[tuple[OkSimulation, Sequence[Cell]]]:
    for point, ratio in gains(points):
        interval = "one run" if ratio.low is None else f"{ratio.low:.2f}-{ratio.high:.2f}"
        yield point, (number(ratio.mean, ".2f"), Cell(interval))
