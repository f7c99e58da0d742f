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
from ntbbench.report.views.simulation_points import (
    ABOUT,
    AXES,
    COUNTS,
    CPU_HEADS,
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
from ntbbench.report.wording import RATES, facts, plural, quantity

COUNTS_NOTE = (
    "drops, stops on a full ring: per replication, with the half width of the 95 % interval, or "
    "the interval where that is wider than the mean"
)
MICRO = 1e-6
SPENT = tuple(kind for kind in CPU_KINDS if kind != "idle")
CPU_COLUMNS = (
    Column("busy", "share of the CPU time of all CPUs that is not idle", "busy"),
    *(
        Column(
            f"CPU {CPU_KINDS[kind][0]} per packet (us)", "mean over the replications", f"{head}\nus"
        )
        for kind, head in zip(CPU_KINDS, CPU_HEADS, strict=True)
        if kind != "idle"
    ),
)
MANY = 0.5  # of all wakeups
MASK, SPREAD, BOTH = ("per-vector", "single"), ("fallback", "spread"), ("per-vector", "spread")
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
        tone="bad" if any(p.missed or p.misrouted for p in points) else "",
        sheet=lambda: sheet(result.points),
        figures=(lambda: _figures(points)) if points else None,
    )


def _figures(points: Sequence[OkSimulation]) -> Sequence[Section]:
    from ntbbench.report.figures.simulation import sections  # noqa: PLC0415  # plotly is slow

    return sections(points)


def _verdict(result: SimulationResult, points: Sequence[OkSimulation]) -> str:
    """Return what mask and affinity give, and which point is the fastest."""
    if not points:
        name = result.scenario.get("name", "?")
        return f"{name}: the device can give none of the points: nothing simulated."
    protocols = dict.fromkeys(point.protocol for point in points)
    said = _mask_or_affinity(points)
    parts = [
        _fastest([p for p in points if p.protocol == protocol], tells_gain=not said)
        for protocol in protocols
    ]
    lost = sum(point.missed > 0 or point.misrouted > 0 for point in points)
    missed = f"{plural(lost, 'point')} missed or misrouted doorbells. " if lost else ""
    return f"{missed}{said}{'; '.join(parts)}."


def _mask_or_affinity(points: Sequence[OkSimulation]) -> str:
    """Return what mask, spreading and both give with most queues, over neither."""
    found: dict[tuple[int, str], dict[tuple[str, str], float]] = {}
    for point, ratio in gains(points):
        same = found.setdefault((point.queues, point.protocol), {})
        same[point.dispatch, point.affinity] = ratio.mean
    whole = {key: of for key, of in found.items() if {MASK, SPREAD, BOTH} <= of.keys()}
    if not whole:
        return ""
    queues, protocol = max(whole, key=lambda key: key[0])
    mask, spreading, both = (whole[queues, protocol][key] for key in (MASK, SPREAD, BOTH))
    return (
        f"Mask and spread interrupts together give {both:.2f} times the throughput "
        f"({protocol}, {plural(queues, 'queue')}), the mask alone {mask:.2f}, "
        f"spreading alone {spreading:.2f}. "
    )


def _fastest(points: Sequence[OkSimulation], *, tells_gain: bool) -> str:
    """Return which point of a protocol is the fastest, and what it cannot be told from."""
    best = max(points, key=lambda point: point.throughput_bps.mean)
    how = f"{best.dispatch}, {best.affinity}, {plural(best.queues, 'queue')}"
    found = f"{best.protocol} is fastest with {how}: {quantity(best.throughput_bps.mean, RATES)}"
    gain = next((ratio.mean for point, ratio in gains(points) if point is best), None)
    found += (
        f", {gain:.2f} times that of {', '.join(NEITHER)}"
        if gain is not None and tells_gain
        else ""
    )
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
        yield _waste(points)
    if asked.get("note"):
        yield f"Scenario: {asked['note']}."
    if not result.complete:
        yield f"{_unfinished(result, points)}; go on with: ntbbench simulate --resume FILE"


def _waste(points: Sequence[OkSimulation]) -> str:
    """Return in words what wakeups of the wrong QPs cost, where they cost most."""
    worst = max(points, key=_wasted)
    where = f"{worst.dispatch}, {worst.affinity}, {plural(worst.queues, 'queue')}"
    calls, wakeups = worst.amplification, worst.effective_amplification
    merged = 1 - wakeups / calls if calls and wakeups is not None else 0.0
    merging = f"; {merged:.0%} of the wakeups merge" if merged >= MANY else ""
    share = f"{_wasted(worst):.1%} of the busy CPU time"
    return f"Empty runs and spinning take at most {share} ({where}{merging})."


def _wasted(point: OkSimulation) -> float:
    """Return the share of the receiver's busy CPU time that moves no packet."""
    spent = {kind: value.mean for kind, value in point.cpu_seconds.items() if kind != "idle"}
    busy = sum(spent.values())
    return (spent["empty_softirq"] + spent["spinning"]) / busy if busy else 0.0


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
    latencies = {f"latency_{name}": mean for name in QUANTILES}
    yield measured_table(
        "Throughput (payload) and latency from a packet's send to its delivery",
        points,
        {"throughput_bps": mean_and_interval, **latencies},
        notes=["intervals of all numbers: --format csv, --format json, --html"],
    )
    yield points_table(
        "Mask or affinity?", [Column("gain", GAIN), INTERVAL], [*_gains(points)], [GAINS_NOTE]
    )
    yield points_table(
        "CPU time of the receiver",
        CPU_COLUMNS,
        [(point, [*_cpu(point)]) for point in points],
        ["useful, empty: softirq time in runs that found a packet, that found none"],
        "terminal",
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


def _cpu(point: OkSimulation) -> Iterator[Cell]:
    """Yield the busy share of the CPUs, then the CPU time per packet of each kind."""
    spent = {kind: value.mean for kind, value in point.cpu_seconds.items()}
    whole = sum(spent.values())
    yield number(1 - spent["idle"] / whole if whole else None, ".1%")
    packets = point.estimates["packets"]
    count = packets.mean if packets is not None else 0.0
    for kind in SPENT:
        value = spent[kind] / count / MICRO if count else None
        yield number(value, ".3f" if value is not None and value < 10 else ".1f")


def _gains(points: Sequence[OkSimulation]) -> Iterator[tuple[OkSimulation, Sequence[Cell]]]:
    for point, ratio in gains(points):
        interval = "one run" if ratio.low is None else f"{ratio.low:.2f}-{ratio.high:.2f}"
        yield point, (number(ratio.mean, ".2f"), Cell(interval))
