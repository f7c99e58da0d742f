# SPDX-License-Identifier: BSD-3-Clause
"""The figures of a sweep: an overview of all devices, then heatmaps and curves of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ntbbench.core.fields import declared
from ntbbench.dispatch.records import OkPoint, Point, UnavailablePoint
from ntbbench.report.document import Section
from ntbbench.report.figures import sweep_curves as curves
from ntbbench.report.figures.style import INK, framed, point_hover, row_name
from ntbbench.report.page import Figure, hover, label
from ntbbench.report.views.sweep_pivot import Group, Row, ok_points, timed

# ColorBrewer's YlOrBr, safe for readers with a colour vision deficiency, without its darkest
# steps: dark text has a contrast of at least 5 on all of it. The ideal is light.
HEAT_SCALE = ("#fff7bc", "#fee391", "#fec44f", "#fe9929", "#ec7014")
GREY = "#d8d8d8"
REFUSED = "unavailable"
GAP = 2  # px
CELL_HEIGHT = 34  # px of a heatmap's row,
HEAT_HEIGHT = 520  # less where there are so many that all of them would be higher than this,
CELL_HEIGHT_MIN = 10  # but not less than that
PANEL_CELLS_MAX = 12  # cells side by side in a third of the page
MARK_CELLS_MAX = 24  # cells side by side with a mark in the unavailable ones
TEXT_CELLS_MAX = 48  # cells side by side with numbers in them, and gaps between


@dataclass(frozen=True)
class HeatRange:
    """The ends of the colour scale that all heatmaps of a page share."""

    low: float
    high: float


def sections(groups: Sequence[Group], points: Sequence[Point]) -> list[Section]:
    """Return the overview and the devices of a sweep with a measured point."""
    scale = heat_range(points)
    intro = (
        "One colour scale for all heatmaps. Grey: unavailable; the reason is shown when the "
        "pointer rests on the cell. Empty: not asked."
    )
    alike: dict[object, list[Group]] = {}
    for group in groups:
        alike.setdefault(_pattern(group), []).append(group)
    devices = [_device(at, same, scale) for at, same in enumerate(alike.values())]
    return [_overview(groups, points), Section("Devices", (), intro, "devices"), *devices]


def _overview(groups: Sequence[Group], points: Sequence[Point]) -> Section:
    labels = declared(OkPoint)
    intro = f"Amplification: {labels['amplification'].definition}."
    caption = "Wakeup amplification of each device at the most queues that it gave."
    figures = [Figure("overview-amplification", caption, curves.bars(groups, curves.AMPLIFICATION))]
    if timed(points):
        intro += f" Cost: {labels['ns_per_dispatch'].definition}."
        caption = "What a dispatch costs there: median (95 % interval), ns."
        figures.append(Figure("overview-cost", caption, curves.bars(groups, curves.COST)))
    return Section("Overview", figures, intro, "overview")


def _pattern(group: Group) -> object:
    """Return what the heatmaps and the curve of a device show: devices alike in it share them."""
    return tuple(
        (
            row.dispatch,
            row_name(group, row),
            tuple(
                (count, point.amplification if isinstance(point, OkPoint) else point.reason)
                for count, point in row.cells.items()
            ),
        )
        for row in group.rows
    )


def _device(at: int, alike: Sequence[Group], scale: HeatRange) -> Section:
    """Return the figures of devices with one pattern; each that was timed has its own cost."""
    group, names = alike[0], ", ".join(one.title for one in alike)
    caption = f"{names}: amplification over queues and doorbells, by dispatch."
    plot = heatmaps(group, scale)
    figures = [Figure(f"heatmap-{at}", caption, plot, wide=is_wide(group))]
    if group.measured():
        figures.append(_curve(f"curve-{at}", group, curves.AMPLIFICATION))
    figures += [
        _curve(f"cost-{at}-{number}", one, curves.COST)
        for number, one in enumerate(alike)
        if timed(one.measured())
    ]
    return Section(names, figures)


def _curve(name: str, group: Group, quantity: curves.Quantity) -> Figure:
    caption = f"{group.title}: {quantity.title} over queues, by dispatch and doorbells."
    drawn = curves.symbols_of(group)
    if any(row_name(group, row) not in drawn for row in group.rows):
        caption += f" Drawn are {len(drawn)} of the doorbell counts."
    return Figure(name, caption, curves.curves(group, quantity))


def heat_range(points: Sequence[Point]) -> HeatRange:
    """Return the range of the amplification of all points, at least 1 .. 2."""
    values = [point.amplification for point in ok_points(points)]
    return HeatRange(min([1.0, *values]), max([2.0, *values]))


def heatmaps(group: Group, scale: HeatRange) -> go.Figure:
    """Return one device's amplification over queues x doorbells, a panel per dispatch mode."""
    counts = group.queue_counts
    names = list(dict.fromkeys(row_name(group, row) for row in group.rows))
    panels = group.dispatches
    titles = [label(dispatch) for dispatch in panels]
    figure = make_subplots(
        cols=len(panels), subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.04
    )
    for column, dispatch in enumerate(panels, start=1):
        rows = {row_name(group, row): row for row in group.rows if row.dispatch == dispatch}
        grid = [[_at(rows.get(name), count) for count in counts] for name in names]
        for cells in (_measured_cells(dispatch, grid), _refused_cells(grid)):
            cells.update(x=[str(count) for count in counts], y=names)
            figure.add_trace(cells, row=1, col=column)
    wide = len(counts) * len(panels)
    if wide > MARK_CELLS_MAX:
        figure.update_traces(selector={"name": REFUSED}, texttemplate=None)
    if wide > TEXT_CELLS_MAX:
        figure.update_traces(texttemplate=None, xgap=0, ygap=0)
    figure.update_xaxes(type="category", showgrid=False, title_text="queues")
    figure.update_yaxes(type="category", showgrid=False)
    figure.update_yaxes(title_text="doorbells", row=1, col=1)
    cell = max(CELL_HEIGHT_MIN, min(CELL_HEIGHT, HEAT_HEIGHT // len(names)))
    figure = framed(figure, cell * len(names) + 170)
    figure.update_layout(coloraxis=_colour_axis(scale), margin_t=36)  # the panels' titles
    return figure


def is_wide(group: Group) -> bool:
    """Tell whether the heatmaps of one device need more than a third of the page."""
    return len(group.queue_counts) * len(group.dispatches) > PANEL_CELLS_MAX


def _at(row: Row | None, queues: int) -> Point | None:
    return None if row is None else row.cells.get(queues)


def _measured_cells(dispatch: str, grid: Sequence[Sequence[Point | None]]) -> go.Heatmap:
    return go.Heatmap(
        name=label(dispatch),
        z=[[p.amplification if isinstance(p, OkPoint) else None for p in row] for row in grid],
        hovertext=[[point_hover(p) if isinstance(p, OkPoint) else "" for p in row] for row in grid],
        coloraxis="coloraxis",
        texttemplate="%{z:.2f}",
        textfont={"color": INK},
        hovertemplate="%{hovertext}<extra></extra>",
        hoverongaps=False,
        xgap=GAP,
        ygap=GAP,
    )


def _refused_cells(grid: Sequence[Sequence[Point | None]]) -> go.Heatmap:
    refused = [[p if isinstance(p, UnavailablePoint) else None for p in row] for row in grid]
    return go.Heatmap(
        name=REFUSED,
        z=[[None if p is None else 0 for p in row] for row in refused],
        text=[["" if p is None else "n/a" for p in row] for row in refused],
        hovertext=[["" if p is None else _refused_hover(p) for p in row] for row in refused],
        colorscale=[[0, GREY], [1, GREY]],
        showscale=False,
        texttemplate="%{text}",  # a constant would be written over every other cell as well
        textfont={"color": INK},
        hovertemplate="%{hovertext}<extra></extra>",
        hoverongaps=False,
        xgap=GAP,
        ygap=GAP,
    )


def _colour_axis(scale: HeatRange) -> go.layout.Coloraxis:
    return go.layout.Coloraxis(
        colorscale=list(HEAT_SCALE),
        cmin=scale.low,
        cmax=scale.high,
        colorbar={
            "orientation": "h",
            "thickness": 8,
            "len": 0.7,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "outlinewidth": 0,
        },
    )


def _refused_hover(point: UnavailablePoint) -> str:
    return hover(
        f"{point.hardware}, {point.dispatch}, {point.doorbells} doorbells",
        f"unavailable: {point.queues_requested} queues asked, {point.queues} created",
        point.reason,
    )
