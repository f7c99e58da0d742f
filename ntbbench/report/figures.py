# SPDX-License-Identifier: BSD-3-Clause
"""The figures of a sweep: heatmaps and curves of one device, bars over all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ntbbench.measure.records import OkPoint, Point, UnavailablePoint
from ntbbench.report import wording
from ntbbench.report.page import hover, label
from ntbbench.report.pivot import Group, Row

# Viridis grows in lightness evenly, also to readers with a colour vision deficiency, and has no
# grey, which is the unavailable cells'; reversed, the ideal is light and amplification dark.
HEAT_SCALE = "Viridis_r"
GREY = "#d8d8d8"
INK = "#1b1f24"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'
# Okabe and Ito's palette; every dispatch has a dash of its own as well.
STYLES = {
    "fallback": ("#d55e00", "solid"),
    "per-vector": ("#0072b2", "dash"),
    "msi": ("#009e73", "dot"),
}
OTHER_STYLE = ("#56606a", "dashdot")
SYMBOLS = ("circle-open", "square-open", "diamond-open", "triangle-up-open")
CURVES_MAX = len(SYMBOLS)  # of one dispatch: more would hide each other
CELL_HEIGHT = 34  # px of a heatmap's row
BAR_HEIGHT = 18  # px


@dataclass(frozen=True)
class Reading:
    """A number that is drawn, and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Quantity:
    """What a curve or a bar shows; `read` gives None where a point does not have it."""

    title: str  # of the axis, with the unit
    read: Callable[[OkPoint], Reading | None]


@dataclass(frozen=True)
class HeatRange:
    """The ends of the colour scale that all heatmaps of a page share."""

    low: float
    high: float


def _read_amplification(point: OkPoint) -> Reading:
    return Reading(point.amplification, point.amplification, point.amplification)


def _read_cost(point: OkPoint) -> Reading | None:
    timing = wording.timing_of(point)
    return None if timing is None else Reading(timing.median, timing.low, timing.high)


AMPLIFICATION = Quantity("amplification", _read_amplification)
COST = Quantity("ns a dispatch", _read_cost)


def heat_range(points: Sequence[Point]) -> HeatRange:
    """Return the range of the amplification of all points, at least 1 .. 2."""
    values = [point.amplification for point in wording.ok_points(points)]
    return HeatRange(min([1.0, *values]), max([2.0, *values]))


def heatmaps(group: Group, scale: HeatRange) -> go.Figure:
    """Return one device's amplification over queues x doorbells, a panel a dispatch mode."""
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
        where = {"x": [str(count) for count in counts], "y": names}
        figure.add_trace(_refused_cells(grid, **where), row=1, col=column)
        figure.add_trace(_measured_cells(grid, **where), row=1, col=column)
    figure.update_xaxes(type="category", showgrid=False, title_text="queues")
    figure.update_yaxes(type="category", showgrid=False)
    figure.update_yaxes(title_text="doorbells", row=1, col=1)
    figure = _framed(figure, CELL_HEIGHT * len(names) + 170)
    figure.update_layout(coloraxis=_colour_axis(scale), margin_t=36)  # the panels' titles
    return figure


def curves(group: Group, quantity: Quantity) -> go.Figure:
    """Return one quantity over the queue count, a line a dispatch mode and doorbell count."""
    figure = go.Figure()
    for row, symbol in chosen_rows(group):
        points = sorted(wording.ok_points(row.cells.values()), key=lambda p: p.queues)
        found = [(point, quantity.read(point)) for point in points]
        known = [(point, reading) for point, reading in found if reading is not None]
        if known:
            figure.add_trace(_curve(group, row, symbol, known))
    figure.update_xaxes(title_text="queues", rangemode="tozero")
    figure.update_yaxes(title_text=quantity.title, rangemode="tozero")
    title = {"text": "dispatch, doorbells", "side": "top"}
    figure.update_layout(showlegend=True, legend_title=title)
    return _framed(figure, 370)


def bars(groups: Sequence[Group], quantity: Quantity) -> go.Figure:
    """Return one quantity of every device at its most queues, a bar a dispatch mode."""
    figure = go.Figure()
    dispatches = list(dict.fromkeys(d for group in groups for d in group.dispatches))
    for dispatch in dispatches:
        found = [(at, group.title, group.best(dispatch)) for at, group in enumerate(groups)]
        known = [(at, title, p, quantity.read(p)) for at, title, p in found if p is not None]
        figure.add_trace(_bars(dispatch, [(at, t, p, r) for at, t, p, r in known if r is not None]))
    # Numbered positions, not categories: two long names that are cut alike stay two devices.
    ticks = [label(group.title) for group in groups]
    figure.update_yaxes(tickvals=list(range(len(groups))), ticktext=ticks, autorange="reversed")
    figure.update_xaxes(title_text=quantity.title, rangemode="tozero")
    figure.update_layout(barmode="group", bargap=0.25)
    return _framed(figure, BAR_HEIGHT * (len(dispatches) + 1) * len(groups) + 130)


def chosen_rows(group: Group) -> list[tuple[Row, str]]:
    """Return the rows that the curves show, with their symbols: the ends and some in between."""
    chosen: list[tuple[Row, str]] = []
    for dispatch in group.dispatches:
        rows = [row for row in group.rows if row.dispatch == dispatch]
        count = min(CURVES_MAX, len(rows))
        picks = [round(step * (len(rows) - 1) / max(1, count - 1)) for step in range(count)]
        chosen += [(rows[pick], symbol) for pick, symbol in zip(picks, SYMBOLS, strict=False)]
    return chosen


def row_name(group: Group, row: Row) -> str:
    """Return how a row is called beside its group and dispatch: its doorbells, and what it needs.

    The vectors are told where rows differ in them alone, the repeat where in nothing at all.
    """
    vectors: dict[tuple[str, int], set[int]] = {}
    for other in group.rows:
        vectors.setdefault((other.dispatch, other.doorbells), set()).add(other.vectors)
    name = str(row.doorbells)
    if any(len(found) > 1 for found in vectors.values()):
        name += f", {wording.plural(row.vectors, 'vector')}"
    return f"{name} ({row.repeat + 1})" if row.repeat else name


def _at(row: Row | None, queues: int) -> Point | None:
    return None if row is None else row.cells.get(queues)


def _measured_cells(grid: list[list[Point | None]], x: list[str], y: list[str]) -> go.Heatmap:
    return go.Heatmap(
        x=x,
        y=y,
        z=[[p.amplification if isinstance(p, OkPoint) else None for p in row] for row in grid],
        text=[[_heat_hover(p) if isinstance(p, OkPoint) else "" for p in row] for row in grid],
        coloraxis="coloraxis",
        texttemplate="%{z:.2f}",
        hovertemplate="%{text}<extra></extra>",
        hoverongaps=False,
        xgap=2,
        ygap=2,
    )


def _refused_cells(grid: list[list[Point | None]], x: list[str], y: list[str]) -> go.Heatmap:
    refused = [[p if isinstance(p, UnavailablePoint) else None for p in row] for row in grid]
    return go.Heatmap(
        x=x,
        y=y,
        z=[[None if p is None else 0 for p in row] for row in refused],
        text=[["" if p is None else _refused_hover(p) for p in row] for row in refused],
        colorscale=[[0, GREY], [1, GREY]],
        showscale=False,
        texttemplate="n/a",
        textfont={"color": INK},
        hovertemplate="%{text}<extra></extra>",
        hoverongaps=False,
        xgap=2,
        ygap=2,
    )


def _colour_axis(scale: HeatRange) -> go.layout.Coloraxis:
    return go.layout.Coloraxis(
        colorscale=HEAT_SCALE,
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


def _heat_hover(point: OkPoint) -> str:
    return hover(
        f"{point.hardware}, {point.dispatch}",
        f"{point.queues} queues, {point.doorbells} doorbells, {point.vectors} vectors",
        f"amplification {point.amplification:.4g}, effective {point.effective_amplification:.4g}",
        _cost_line(point),
    )


def _refused_hover(point: UnavailablePoint) -> str:
    return hover(
        f"{point.hardware}, {point.dispatch}, {point.doorbells} doorbells",
        f"unavailable: {point.queues_requested} queues asked, {point.queues} created",
        point.reason,
    )


def _cost_line(point: OkPoint) -> str:
    timing = wording.timing_of(point)
    return "not timed" if timing is None else f"{wording.interval(timing)} ns a dispatch"


def _curve(
    group: Group, row: Row, symbol: str, known: Sequence[tuple[OkPoint, Reading]]
) -> go.Scatter:
    colour, dash = STYLES.get(row.dispatch, OTHER_STYLE)
    return go.Scatter(
        x=[point.queues for point, _ in known],
        y=[reading.value for _, reading in known],
        error_y=_errors([reading for _, reading in known]),
        name=f"{label(row.dispatch)}, {row_name(group, row)}",
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 1.5},
        marker={"symbol": symbol, "size": 9, "line": {"width": 2}},
        text=[_heat_hover(point) for point, _ in known],
        hovertemplate="%{text}<extra></extra>",
    )


def _bars(dispatch: str, known: Sequence[tuple[int, str, OkPoint, Reading]]) -> go.Bar:
    readings = [reading for *_, reading in known]
    return go.Bar(
        orientation="h",
        y=[at for at, *_ in known],
        x=[reading.value for reading in readings],
        error_x=_errors(readings),
        name=label(dispatch),
        marker={"color": STYLES.get(dispatch, OTHER_STYLE)[0]},
        texttemplate="%{x:.3~r}",
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        text=[_heat_hover(point) for _, _, point, _ in known],
        hovertext=[_heat_hover(point) for _, _, point, _ in known],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _errors(readings: Sequence[Reading]) -> dict[str, object]:
    above = [reading.high - reading.value for reading in readings]
    below = [reading.value - reading.low for reading in readings]
    return {
        "type": "data",
        "array": above,
        "arrayminus": below,
        "visible": any([*above, *below]),
        "thickness": 1.5,
        "color": INK,
    }


def _framed(figure: go.Figure, height: int) -> go.Figure:
    """Return `figure` in the page's look."""
    figure.update_layout(
        template="none",
        height=height,
        autosize=True,
        margin={"l": 50, "r": 12, "t": 12, "b": 48},
        font={"family": FONT, "size": 12, "color": INK},
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0},
        hoverlabel={"align": "left", "font": {"family": FONT}},
    )
    figure.update_xaxes(automargin=True, fixedrange=True, linecolor="#8c959f", title_standoff=6)
    figure.update_yaxes(automargin=True, fixedrange=True, linecolor="#8c959f", title_standoff=6)
    figure.update_xaxes(gridcolor="#eaeef2")
    figure.update_yaxes(gridcolor="#eaeef2")
    return figure
