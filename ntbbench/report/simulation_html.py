# SPDX-License-Identifier: BSD-3-Clause
"""A grid of simulated points as one self-contained HTML page."""

from collections.abc import Mapping, Sequence

from ntbbench.datapath.records import (
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
from ntbbench.report.simulation_cells import DASH, ONE, RATE_UNITS, UNITS, Unit, plain, unit_of

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
            f"Throughput of {protocol} over queues: payload, mean and 95 % interval. Curves stand "
            "a little beside each other, so that intervals of the same value show.",
            figures.over_queues(points, lambda p: p.throughput_bps, "", RATE_UNITS),
            wide=True,
        )
    ]
    for name, title in LATENCIES:
        curves.append(
            Figure(
                f"latency-{name}-{protocol}",
                f"Latency of {protocol} over queues: {title}, from send to delivery.",
                figures.over_queues(points, _latency(name), title, UNITS),
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
    """Return the table of every number; what is of one kind has one unit, in the column's head."""
    names = [name for name, _ in named_estimates(points[0])]
    units = _units(points)
    columns = [Column(axis) for axis in AXES]
    for name in names:
        title, unit = _title(name), f", {units[name].name}" if units[name].name else ""
        columns += [
            Column(f"{title}{unit}", f"mean over the replications; {name}_mean of the CSV"),
            Column(f"{title} low{unit}", f"lower end of the 95 % interval of {title}"),
            Column(f"{title} high{unit}", f"upper end of the 95 % interval of {title}"),
        ]
    columns += [Column(name, "of all replications together") for name in (*RATIOS, *COUNTS)]
    return Table("points-table", tuple(columns), tuple(_row(point, units) for point in points))


def _row(point: OkSimulation, units: Mapping[str, Unit]) -> tuple[Cell, ...]:
    cells = [Cell(point.protocol), Cell(point.dispatch), Cell(point.affinity)]
    cells.append(Cell(str(point.queues), point.queues))
    for name, value in named_estimates(point):
        cells += [_cell(end, units[name]) for end in ends_of(value)]
    for name in (*RATIOS, *COUNTS):
        cells.append(_cell(getattr(point, name), ONE))
    return tuple(cells)


def _units(points: Sequence[OkSimulation]) -> dict[str, Unit]:
    """Return the unit of every estimate: one for all latencies, one for all CPU times."""
    pairs = [pair for point in points for pair in named_estimates(point)]
    units = {name: ONE for name, _ in pairs}
    for part, allowed in (("throughput", RATE_UNITS), ("latency", UNITS), ("cpu_seconds", UNITS)):
        family = [name for name in units if part in name]
        unit = unit_of((value for name, value in pairs if name in family), allowed)
        units.update(dict.fromkeys(family, unit))
    return units


def _title(name: str) -> str:
    """Return how an estimate is called beside its unit: no unit of the record in its name."""
    name = name.replace("throughput_bps", "throughput").replace("p999", "p99.9")
    name = name.replace("sender_cpu_seconds", "sender CPU").replace("cpu_seconds_", "CPU ")
    return name.replace("latency_", "latency ")


def _cell(value: float | None, unit: Unit) -> Cell:
    if value is None:
        return Cell(DASH)
    return Cell(str(value) if isinstance(value, int) else plain(value / unit.size), value)
