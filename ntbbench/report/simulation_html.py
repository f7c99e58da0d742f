# SPDX-License-Identifier: BSD-3-Clause
"""A grid of simulated points as one self-contained HTML page."""

from collections.abc import Sequence

from ntbbench.measure.simulation_records import (
    Estimate,
    OkSimulation,
    SimulationResult,
    UnavailableSimulation,
)
from ntbbench.report import page, wording
from ntbbench.report import simulation_figures as figures
from ntbbench.report.page import Cell, Column, Facts, Figure, Notes, Page, Section, Table
from ntbbench.report.simulation import (
    COUNTS,
    DASH_NOTE,
    RATIOS,
    ends_of,
    gains_table,
    head,
    named_estimates,
    ok_points,
)
from ntbbench.report.simulation_cells import DASH

MBIT = 1e-6  # Mbit/s in a bit/s
MS = 1e3  # milliseconds in a second
AXES = ("protocol", "dispatch", "affinity", "queues")
LATENCIES = (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"))


def render_html(result: SimulationResult) -> str:
    """Return the result as one self-contained HTML page."""
    return page.render(simulation_page(result))


def simulation_page(result: SimulationResult) -> Page:
    """Return the page: curves by protocol, CPU time, distributions, all points."""
    points = ok_points(result.points)
    parts: list[Section] = []
    for protocol in dict.fromkeys(point.protocol for point in points):
        parts += _protocol(protocol, [p for p in points if p.protocol == protocol])
    parts += _gains(result)
    refused = [p for p in result.points if isinstance(p, UnavailableSimulation)]
    if refused:
        rows = tuple(
            (f"{p.protocol} {p.dispatch} {p.affinity} Q={p.queues}", (p.reason,)) for p in refused
        )
        parts.append(Section("Unavailable points", (Notes(rows),), name="unavailable"))
    if points:
        table = _table(points)
        dashed = any(cell.text == DASH for row in table.rows for cell in row)
        parts.append(Section("All points", (table,), name="points", intro=DASH_NOTE * dashed))
    for title, record in (("Environment", result.environment), ("Scenario", result.scenario)):
        facts = Facts(tuple(wording.facts(record)))
        parts.append(Section(title, (facts,), name=title.lower()))
    return Page("ntbbench simulate", tuple(head(result)), tuple(parts))


def _protocol(protocol: str, points: Sequence[OkSimulation]) -> list[Section]:
    """Return the sections of one protocol."""
    drawn = [p for p in points if p.queues == max(point.queues for point in points)]
    curves = [
        Figure(
            f"throughput-{protocol}",
            f"Throughput of {protocol} over queues: payload, mean and 95 % interval.",
            figures.over_queues(points, lambda p: p.throughput_bps, "Mbit/s", MBIT),
            wide=True,
        )
    ]
    for name, title in LATENCIES:
        curves.append(
            Figure(
                f"latency-{name}-{protocol}",
                f"Latency of {protocol} over queues: {title}, from send to delivery.",
                figures.over_queues(points, _latency(name), f"{title}, ms", MS),
            )
        )
    bars = Figure(
        f"cpu-{protocol}",
        f"CPU time of the receiver with {protocol}, by kind.",
        figures.cpu_bars(points),
        wide=True,
    )
    caption = (
        f"Latency of {protocol} with {wording.plural(drawn[0].queues, 'queue')}: the share of "
        "packets that is later."
    )
    if len(drawn) > figures.LINES_MAX:
        caption += f" Drawn are the first {figures.LINES_MAX} points."
    tails = Figure(f"distribution-{protocol}", caption, figures.distributions(drawn), wide=True)
    return [Section(protocol.upper(), (*curves, bars, tails), name=protocol)]


def _gains(result: SimulationResult) -> list[Section]:
    """Return the section that answers whether the mask or the affinity helps."""
    table = gains_table(result)
    if not table.rows:
        return []
    columns = tuple(Column(header) for header in table.headers)
    rows = tuple(tuple(Cell(cell) for cell in row) for row in table.rows)
    block = Table("gains-table", columns, rows)
    intro = f"{table.title[18:]}; {' '.join(table.notes)}."
    return [Section("Mask or affinity?", (block,), name="gains", intro=intro)]


def _latency(name: str) -> "figures.Read":
    def read(point: OkSimulation) -> Estimate | None:
        value: Estimate | None = getattr(point.latency, name)
        return value

    return read


def _table(points: Sequence[OkSimulation]) -> Table:
    columns = [Column(axis) for axis in AXES]
    for name, _ in named_estimates(points[0]):
        unit = f", {_unit(name)}" if _unit(name) else ""
        columns += [
            Column(f"{name}{unit}", "mean over the replications"),
            Column(f"{name} low{unit}", f"lower end of {name}'s 95 % interval"),
            Column(f"{name} high{unit}", f"upper end of {name}'s 95 % interval"),
        ]
    columns += [Column(name, "of all replications together") for name in (*RATIOS, *COUNTS)]
    return Table("points-table", tuple(columns), tuple(_row(point) for point in points))


def _row(point: OkSimulation) -> tuple[Cell, ...]:
    cells = [Cell(point.protocol), Cell(point.dispatch), Cell(point.affinity)]
    cells.append(Cell(str(point.queues), point.queues))
    for _, value in named_estimates(point):
        cells += [_cell(end) for end in ends_of(value)]
    for name in (*RATIOS, *COUNTS):
        cells.append(_cell(getattr(point, name)))
    return tuple(cells)


def _unit(name: str) -> str:
    """Return the unit of an estimate; counts and ratios have none."""
    if name == "throughput_bps":
        return "bit/s"
    return "s" if name.startswith("latency_") or "cpu_seconds" in name else ""


def _cell(value: float | None) -> Cell:
    if value is None:
        return Cell(DASH)
    return Cell(str(value) if isinstance(value, int) else f"{value:.5g}", value)
