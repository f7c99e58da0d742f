# SPDX-License-Identifier: BSD-3-Clause
"""A grid of simulated points in every text format: throughput, latency, CPU time, wakeups."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec

from ntbbench.datapath.mask_or_affinity import gains
from ntbbench.datapath.records import (
    CPU_KINDS,
    Counts,
    Estimate,
    OkSimulation,
    SimulationPoint,
    SimulationResult,
    UnavailableSimulation,
)
from ntbbench.report.plain import (
    Table,
    csv_text,
    folded,
    json_text,
    markdown_tables,
    text_tables,
)
from ntbbench.report.simulation_cells import (
    DASH,
    interval,
    rate_cells,
    ratio,
    short,
    spread,
    tight,
)
from ntbbench.report.simulation_unfinished import unfinished
from ntbbench.report.wording import plural

DASH_NOTE = f"{DASH}: not defined, for no replication counted a packet, interrupt or wakeup of it"
AXES = ("protocol", "dispatch", "affinity", "queues")
AXIS_HEADERS = ("proto", "dispatch", "affinity", "Q")
COUNTS = Counts.__struct_fields__
WAKEUPS_NOTE = (
    "ampl., eff.: tasklet_schedule() calls and wakeups an interrupt; spur.: share of those "
    "wakeups' runs that found no packet; drops, stops on a full ring: a "
    "replication, with the half width of the 95 % interval, or the interval where that is wider "
    "than the mean"
)
GAINS_NOTE = (
    "ratios of the same replication, so with the same flow hashes; 95 %: Student's t of these "
    "ratios, not cut at what is possible: of few replications it may exceed the number of queues"
)
LONG = 100.0  # seconds of CPU time
RATIOS = ("amplification", "effective_amplification", "spurious_ratio")


def render_text(result: SimulationResult) -> str:
    """Return the result as plain ASCII of at most 80 columns."""
    lines = [line for text in head(result) for line in folded(text, "")]
    return "\n".join([*lines, "", *text_tables(tables(result))]).rstrip() + "\n"


def render_markdown(result: SimulationResult) -> str:
    """Return the result as Markdown."""
    body = markdown_tables(tables(result), [])
    return "\n\n".join(["## ntbbench simulate", *head(result)[1:], body]).rstrip() + "\n"


def render_csv(result: SimulationResult) -> str:
    """Return one row a point: axes, status, every estimate with its interval, every count."""
    headers = [*SimulationAxesNames, "status", "reason"]
    for name in _estimate_names(result):
        headers += [f"{name}_mean", f"{name}_low", f"{name}_high"]
    headers += [*COUNTS, *RATIOS]
    return csv_text(headers, [_csv_row(result, point) for point in result.points])


def render_json(result: SimulationResult) -> str:
    """Return the result as JSON: the keys and values of the saved file, indented."""
    return json_text(msgspec.json.encode(result))


# `--format NAME` of simulate, and of show for its results.
FORMATS: Mapping[str, Callable[[SimulationResult], str]] = {
    "text": render_text,
    "md": render_markdown,
    "csv": render_csv,
    "json": render_json,
}

SimulationAxesNames = ("queues", "dispatch", "affinity", "protocol", "placement", "hardware")


def ok_points(points: Sequence[SimulationPoint]) -> list[OkSimulation]:
    """Return the points that were simulated."""
    return [point for point in points if isinstance(point, OkSimulation)]


def head(result: SimulationResult) -> list[str]:
    """Return what was simulated, in a few sentences."""
    points = result.points
    refused = len(points) - len(ok_points(points))
    counted = f"{plural(len(points), 'point')}: {len(points) - refused} ok"
    counted += f", {refused} unavailable" if refused else ""
    asked = result.scenario
    how = asked.get("run", {})
    runs = max((len(p.replications) for p in ok_points(points)), default=0)
    most = "" if result.complete else "up to "
    ran = (
        f"{asked.get('name', '?')}, placement {how.get('placement', '?')}, "
        f"{most}{plural(runs, 'replication')} of {how.get('duration', '?')}, "
        f"seed {how.get('seed', '?')}. Simulated, not measured; means over replications and "
        "their 95 % intervals."
    )
    if result.complete and not runs:
        ran = (
            f"{asked.get('name', '?')}: the device can give none of the points: nothing simulated."
        )
    lines = [f"ntbbench simulate, {counted}", ran]
    if asked.get("note"):
        lines.append(f"Scenario: {asked['note']}.")
    if not result.complete:
        lines.append(f"{unfinished(result)}; go on with: ntbbench simulate --resume FILE")
    lines += [f"{caution.message}: {caution.remedy}" for caution in result.warnings]
    return lines


def tables(result: SimulationResult) -> list[Table]:
    """Return the tables of a result; a point is one row of each."""
    points = ok_points(result.points)
    found = [
        Table(
            "Throughput (payload) and latency from a packet's send to its delivery",
            (*AXIS_HEADERS, "Mbit/s", "95 %", "p50", "p99", "p99.9"),
            [(*_axes(p), *rate_cells(p.throughput_bps), *_latency_cells(p)) for p in points],
            ["intervals of all numbers: --format csv, --format json, --html"],
        ),
        _cpu_times(points),
        Table(
            "Wakeups",
            (*AXIS_HEADERS, "ampl.", "eff.", "spur.", "drops", "stops"),
            [(*_axes(p), *_wakeup_cells(p)) for p in points],
            [WAKEUPS_NOTE],
        ),
        _causes(points),
        gains_table(result),
        *_exceptions(result),
    ]
    return [_with_legend(table) for table in found]


def _with_legend(table: Table) -> Table:
    """Return the table with a word on its dashes, if it has any."""
    if not any(cell == DASH for row in table.rows for cell in row):
        return table
    return replace(table, notes=[*table.notes, DASH_NOTE])


def gains_table(result: SimulationResult) -> Table:
    """Return what the mask and the affinity give, as times the throughput without either."""
    rows = [
        (*_axes(gain.point), f"{gain.ratio.mean:.2f}x", interval(gain.ratio, "{:.2f}".format))
        for gain in gains(result)
    ]
    return Table(
        "Mask or affinity? Throughput over that of fallback, single, with as many queues",
        (*AXIS_HEADERS, "gain", "95 %"),
        rows,
        [GAINS_NOTE],
    )


def _cpu_times(points: Sequence[OkSimulation]) -> Table:
    """Return the CPU time by kind, in seconds where milliseconds would have too many digits."""
    times = [[point.cpu_seconds[kind].mean for kind in CPU_KINDS] for point in points]
    seconds = any(spent >= LONG for row in times for spent in row)
    unit, size = ("s", 1.0) if seconds else ("ms", 1e-3)
    return Table(
        f"CPU time of the receiver, {unit} a replication, all CPUs",
        (*AXIS_HEADERS, "hardirq", "useful", "empty", "spin", "kthr.", "idle"),
        [
            (*_axes(point), *(short(spent / size) for spent in row))
            for point, row in zip(points, times, strict=True)
        ],
        ["useful, empty: softirq time in runs that found a packet, that found none"],
    )


def _causes(points: Sequence[OkSimulation]) -> Table:
    """Return the wakeups of each cause that there is, a replication."""
    causes = dict.fromkeys(c for point in points for c, n in point.wakeups_by_cause.items() if n)
    rows = [
        (*_axes(p), *(spread(p.estimates[f"wakeups_{cause}"]) for cause in causes))
        for p in points
        if causes
    ]
    return Table("Wakeups by cause, a replication", (*AXIS_HEADERS, *causes), rows)


def _exceptions(result: SimulationResult) -> list[Table]:
    """Return the tables of what should not be; they are empty, and left out, where it is not."""
    lost = [p for p in ok_points(result.points) if p.missed or p.misrouted]
    refused = [p for p in result.points if isinstance(p, UnavailableSimulation)]
    return [
        Table(
            "Missed or misrouted doorbells",
            (*AXIS_HEADERS, "missed", "misrouted"),
            [(*_axes(p), str(p.missed), str(p.misrouted)) for p in lost],
        ),
        Table(
            "Unavailable points",
            (*AXIS_HEADERS, "reason"),
            [(*_axes(p), p.reason) for p in refused],
        ),
    ]


def _axes(point: SimulationPoint) -> tuple[str, ...]:
    return tuple(str(getattr(point, axis)) for axis in AXES)


def _latency_cells(point: OkSimulation) -> tuple[str, ...]:
    latency = point.latency
    values = (latency.p50, latency.p99, latency.p999)
    return tuple(DASH if value is None else tight(value.mean) for value in values)


def _wakeup_cells(point: OkSimulation) -> tuple[str, ...]:
    return (
        ratio(point.amplification, ".2f"),
        ratio(point.effective_amplification, ".2f"),
        ratio(point.spurious_ratio, ".1%"),
        spread(point.estimates["drops"]),
        spread(point.estimates["ring_full_stops"]),
    )


def _estimate_names(result: SimulationResult) -> list[str]:
    return list(dict.fromkeys(n for p in ok_points(result.points) for n, _ in named_estimates(p)))


def named_estimates(point: OkSimulation) -> list[tuple[str, Estimate | None]]:
    """Return every estimate of a point by the name that CSV gives it."""
    return [
        ("throughput_bps", point.throughput_bps),
        ("latency_p50", point.latency.p50),
        ("latency_p99", point.latency.p99),
        ("latency_p999", point.latency.p999),
        *((f"cpu_seconds_{kind}", value) for kind, value in point.cpu_seconds.items()),
        ("sender_cpu_seconds", point.sender_cpu_seconds),
        *((f"{name}_a_replication", value) for name, value in point.estimates.items()),
    ]


def _csv_row(result: SimulationResult, point: SimulationPoint) -> list[object]:
    row: list[object] = [getattr(point, axis) for axis in SimulationAxesNames]
    names = _estimate_names(result)
    if isinstance(point, UnavailableSimulation):
        return [
            *row, "unavailable", point.reason,
            *[None] * (3 * len(names) + len(COUNTS) + len(RATIOS)),
        ]  # fmt: skip
    row += ["ok", None]
    found = dict(named_estimates(point))
    for name in names:
        row += ends_of(found[name])
    return [*row, *(getattr(point, name) for name in (*COUNTS, *RATIOS))]


def ends_of(value: Estimate | None) -> list[float | None]:
    """Return the mean and the ends of the interval; None where there is none."""
    return [None, None, None] if value is None else [value.mean, value.low, value.high]
