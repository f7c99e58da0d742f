# SPDX-License-Identifier: BSD-3-Clause
"""A sweep as one HTML file: what the tables hold, drawn, and every point to sort and filter."""

from collections.abc import Sequence

from ntbbench.dispatch.records import OkPoint, Point, SweepResult
from ntbbench.report import curves, heatmap, page, sweep_wording, wording
from ntbbench.report.cautions import cautions_of
from ntbbench.report.look import row_name
from ntbbench.report.page import Cell, Column, Facts, Figure, Notes, Page, Section, Table
from ntbbench.report.pivot import Group, by_reason, groups_of, refusals_of

MESSAGES_MAX = 20  # of one kind of warning

# What every point has, what a measured one has besides, in the order of the columns.
ASKED = (
    Column("hardware"),
    Column("dispatch"),
    Column("queues asked", "ntb_netdev queues asked for"),
    Column("queues created", "ntb_netdev queues that exist after the request"),
    Column("doorbells"),
    Column("vectors"),
)
COUNTED = (
    Column("amplification", sweep_wording.AMPLIFICATION),
    Column("effective", "tasklets put on a list an interrupt"),
    Column("expected", "the amplification by the analytic law"),
    Column("spurious ratio", "share of those tasklets' runs that found no packet"),
    Column("interrupts"),
    Column("scan iterations", "iterations of the bit loop"),
    Column("schedule calls", "tasklet_schedule() calls"),
    Column("wakeups", "calls that put the tasklet on a list"),
    Column("merged", "calls on a tasklet that was on a list already"),
    Column("missed", "rung bits whose QP was not scheduled: must be 0"),
)
TIMED = (
    Column("ns", sweep_wording.COST),
    Column("low", "lower end of the 95 % interval, ns"),
    Column("high", "upper end of the 95 % interval, ns"),
)
STATUS = Column("status", "ok, or why the device cannot give the queues")
WORKLOAD = Column("workload")


def render(result: SweepResult) -> str:
    """Return the result as one self-contained HTML page."""
    return page.render(sweep_page(result))


def sweep_page(result: SweepResult) -> Page:
    """Return the page of a sweep: overview, devices, unavailable points, warnings, all points."""
    groups = groups_of(result.points)
    parts: list[Section] = []
    if sweep_wording.ok_points(result.points):
        parts.append(_overview(groups, result.points))
        parts += _devices(groups, result.points)
    parts += [*_refused(result), *_lost(result), *_warnings(result)]
    parts.append(Section("All points", (_points_table(result.points),), name="points"))
    facts = Facts(tuple(wording.facts(result.environment)))
    asked = Facts(tuple(wording.facts(result.scenario)))
    parts.append(Section("Environment", (facts,), name="environment"))
    parts.append(Section("Scenario", (asked,), name="scenario"))
    lines = [sweep_wording.headline(result), sweep_wording.setup(result)]
    if (hint := sweep_wording.unfinished(result)) is not None:
        lines.append(hint)
    return Page("ntbbench sweep", tuple(lines), tuple(parts))


def _overview(groups: Sequence[Group], points: Sequence[Point]) -> Section:
    blocks = [
        Figure(
            "overview-amplification",
            "Wakeup amplification of each device at the most queues that it gave.",
            curves.bars(groups, curves.AMPLIFICATION),
        )
    ]
    if sweep_wording.timed(points):
        blocks.append(
            Figure(
                "overview-cost",
                "What a dispatch costs there: median (95 % interval), ns.",
                curves.bars(groups, curves.COST),
            )
        )
    intro = f"Amplification: {sweep_wording.AMPLIFICATION}. Cost: {sweep_wording.COST}."
    return Section("Overview", tuple(blocks), name="overview", intro=intro)


def _devices(groups: Sequence[Group], points: Sequence[Point]) -> list[Section]:
    scale = heatmap.heat_range(points)
    intro = (
        "One colour scale for all heatmaps. Grey: unavailable; the reason is shown when the "
        "pointer rests on the cell. Empty: not asked."
    )
    parts = [Section("Devices", (), name="devices", intro=intro)]
    for at, group in enumerate(groups):
        blocks = [_heat_figure(at, group, scale)]
        if any(sweep_wording.ok_points(row.cells.values()) for row in group.rows):
            blocks.append(_curve_figure(f"curve-{at}", group, curves.AMPLIFICATION))
        if sweep_wording.timed(point for row in group.rows for point in row.cells.values()):
            blocks.append(_curve_figure(f"cost-{at}", group, curves.COST))
        parts.append(Section(group.title, tuple(blocks)))
    return parts


def _heat_figure(at: int, group: Group, scale: heatmap.HeatRange) -> Figure:
    caption = f"{group.title}: amplification over queues and doorbells, by dispatch."
    plot = heatmap.heatmaps(group, scale)
    return Figure(f"heatmap-{at}", caption, plot, wide=heatmap.is_wide(group))


def _curve_figure(name: str, group: Group, quantity: curves.Quantity) -> Figure:
    caption = f"{group.title}: {quantity.title} over queues, by dispatch and doorbells."
    drawn = curves.symbols_of(group)
    if any(row_name(group, row) not in drawn for row in group.rows):
        caption += f" Drawn are {len(drawn)} of the doorbell counts."
    return Figure(name, caption, curves.curves(group, quantity))


def _refused(result: SweepResult) -> list[Section]:
    reasons = by_reason(refusals_of(result.points))
    rows = tuple((reason, tuple(map(str, refusals))) for reason, refusals in reasons)
    return [Section("Unavailable points", (Notes(rows),), name="unavailable")] if rows else []


def _lost(result: SweepResult) -> list[Section]:
    lost = sweep_wording.lost(result.points)
    if not lost:
        return []
    columns = (*ASKED, Column("missed"), Column("misrouted"))
    rows = tuple((*_asked(p), _count(p.missed), _count(p.misrouted)) for p in lost)
    intro = "A QP slept although its doorbell rang."
    table = Table("lost-table", columns, rows)
    return [Section("Missed or misrouted doorbells", (table,), name="lost", intro=intro)]


def _warnings(result: SweepResult) -> list[Section]:
    rows = tuple(
        (f"{group.code}: {group.remedy}", tuple(group.head(MESSAGES_MAX)))
        for group in cautions_of(result)
    )
    return [Section("Warnings", (Notes(rows),), name="warnings")] if rows else []


def _points_table(points: Sequence[Point]) -> Table:
    numbers = (*COUNTED, *(TIMED if sweep_wording.timed(points) else ()))
    rows = tuple(_row(point, len(numbers)) for point in points)
    return Table("points-table", (*ASKED, STATUS, *numbers, WORKLOAD), rows)


def _row(point: Point, width: int) -> tuple[Cell, ...]:
    """Return the cells of a point; `width` is how many columns its numbers take."""
    if isinstance(point, OkPoint):
        status, numbers = "ok", [*_counted(point), *_timed(point)][:width]
    else:
        status, numbers = f"unavailable: {point.reason}", [Cell("")] * width
    return (*_asked(point), Cell(status), *numbers, Cell(point.workload))


def _asked(point: Point) -> tuple[Cell, ...]:
    counts = (point.queues_requested, point.queues, point.doorbells, point.vectors)
    names = Cell(point.hardware), Cell(point.dispatch)
    return (*names, *map(_count, counts))


def _counted(point: OkPoint) -> list[Cell]:
    ratios = (
        point.amplification,
        point.effective_amplification,
        point.expected_amplification,
        point.spurious_ratio,
    )
    counts = (
        point.interrupts,
        point.scan_iterations,
        point.schedule_calls,
        point.wakeups,
        point.merged,
        point.missed,
    )
    cells = [Cell(f"{ratio:.4g}", ratio) for ratio in ratios]
    return [*cells, *map(_count, counts)]


def _timed(point: OkPoint) -> list[Cell]:
    timing = sweep_wording.timing_of(point)
    if timing is None:
        return [Cell("")] * len(TIMED)
    values = (timing.median, timing.low, timing.high)
    return [Cell(wording.nanoseconds(value), value) for value in values]


def _count(value: int) -> Cell:
    return Cell(str(value), value)
