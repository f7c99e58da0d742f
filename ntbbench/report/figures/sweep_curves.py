# SPDX-License-Identifier: BSD-3-Clause
"""Curves of a device over the queue count, and bars over all devices."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ntbbench.dispatch.records import OkPoint
from ntbbench.report.figures.style import (
    BOTTOM,
    INK,
    OTHER_STYLE,
    STYLES,
    framed,
    point_hover,
    row_name,
)
from ntbbench.report.page import label
from ntbbench.report.views.sweep_pivot import Group, Row, interval, ok_points, timing_of

# As many curves of one dispatch are drawn: more would hide each other.
SYMBOLS = ("circle-open", "square-open", "diamond-open", "triangle-up-open")
BAR_HEIGHT = 18  # px


@dataclass(frozen=True)
class Reading:
    """A number that is drawn, its interval, and both in words."""

    value: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Quantity:
    """What a curve or a bar shows; `read` gives None where a point does not have it."""

    title: str  # of the axis, with the unit
    read: Callable[[OkPoint], Reading | None]


def _read_amplification(point: OkPoint) -> Reading:
    value = point.amplification
    return Reading(value, value, value, f"{value:.2f}")


def _read_cost(point: OkPoint) -> Reading | None:
    timing = timing_of(point)
    if timing is None:
        return None
    return Reading(timing.median, timing.low, timing.high, interval(timing))


AMPLIFICATION = Quantity("amplification", _read_amplification)
COST = Quantity("ns per dispatch", _read_cost)


def curves(group: Group, quantity: Quantity) -> go.Figure:
    """Return one quantity over the queue count, a line per dispatch mode and doorbell count."""
    figure = go.Figure()
    symbols = symbols_of(group)
    for row in group.rows:
        points = sorted(ok_points(row.cells.values()), key=lambda p: p.queues)
        found = [(point, quantity.read(point)) for point in points]
        known = [(point, reading) for point, reading in found if reading is not None]
        symbol = symbols.get(row_name(group, row))
        if known and symbol is not None:
            figure.add_trace(_curve(row, symbol, known))
    for dispatch in group.dispatches:
        figure.add_trace(_line_key(dispatch))
    for name, symbol in symbols.items():
        figure.add_trace(_symbol_key(name, symbol))
    figure.update_xaxes(title_text="queues", rangemode="tozero")
    figure.update_yaxes(title_text=quantity.title, rangemode="tozero")
    figure.update_layout(
        legend={**BOTTOM, "y": 1, "yanchor": "top"},
        legend2={**BOTTOM, "itemclick": False, "itemdoubleclick": False},
    )
    figure = framed(figure, 360)
    figure.update_layout(margin_t=40, margin_b=110)
    return figure


def bars(groups: Sequence[Group], quantity: Quantity) -> go.Figure:
    """Return one quantity of every device at its most queues, a bar per dispatch mode."""
    figure = go.Figure()
    dispatches = list(dict.fromkeys(d for group in groups for d in group.dispatches))
    for dispatch in dispatches:
        known: list[tuple[int, OkPoint, Reading]] = []
        for at, group in enumerate(groups):
            point = next(reversed(group.best(dispatch)), None)
            reading = None if point is None else quantity.read(point)
            if point is not None and reading is not None:
                known.append((at, point, reading))
        figure.add_trace(_bars(dispatch, known))
    # Numbered positions, not categories: two long names that are cut alike stay two devices.
    ticks = [
        "<br>".join(label(part) for part in (group.hardware, group.circumstances) if part)
        for group in groups
    ]
    figure.update_yaxes(tickvals=list(range(len(groups))), ticktext=ticks, autorange="reversed")
    figure.update_xaxes(title_text=quantity.title, rangemode="tozero")
    figure.update_layout(barmode="group", bargap=0.25, showlegend=True, legend=BOTTOM)
    return framed(figure, BAR_HEIGHT * (len(dispatches) + 1) * len(groups) + 130)


def symbols_of(group: Group) -> Mapping[str, str]:
    """Return the row names that the curves show, with their symbols: the ends and some between."""
    names = list(dict.fromkeys(row_name(group, row) for row in group.rows))
    count = min(len(SYMBOLS), len(names))
    picks = [round(step * (len(names) - 1) / max(1, count - 1)) for step in range(count)]
    return {names[pick]: symbol for pick, symbol in zip(picks, SYMBOLS, strict=False)}


def _curve(row: Row, symbol: str, known: Sequence[tuple[OkPoint, Reading]]) -> go.Scatter:
    colour, dash = STYLES.get(row.dispatch, OTHER_STYLE)
    return go.Scatter(
        x=[point.queues for point, _ in known],
        y=[reading.value for _, reading in known],
        error_y=_errors([reading for _, reading in known], colour),
        name=label(row.dispatch),
        legendgroup=label(row.dispatch),
        showlegend=False,
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 1.5},
        marker={"symbol": symbol, "size": 9, "line": {"width": 2}},
        hovertext=[point_hover(point) for point, _ in known],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _line_key(dispatch: str) -> go.Scatter:
    """Return the legend's entry for a dispatch: a click on it hides or shows its lines."""
    colour, dash = STYLES.get(dispatch, OTHER_STYLE)
    return go.Scatter(
        x=[None],
        y=[None],
        name=label(dispatch),
        legendgroup=label(dispatch),
        mode="lines",
        line={"color": colour, "dash": dash, "width": 2},
    )


def _symbol_key(name: str, symbol: str) -> go.Scatter:
    """Return the second legend's entry for what the symbols tell apart."""
    return go.Scatter(
        x=[None],
        y=[None],
        name=f"doorbells {name}",
        legend="legend2",
        mode="markers",
        marker={"symbol": symbol, "size": 9, "color": INK, "line": {"width": 2}},
    )


def _bars(dispatch: str, known: Sequence[tuple[int, OkPoint, Reading]]) -> go.Bar:
    readings = [reading for _, _, reading in known]
    return go.Bar(
        orientation="h",
        y=[at for at, _, _ in known],
        x=[reading.value for reading in readings],
        name=label(dispatch),
        marker={"color": STYLES.get(dispatch, OTHER_STYLE)[0]},
        text=[reading.text for reading in readings],
        texttemplate="%{text}",
        textposition="auto",
        insidetextanchor="start",
        constraintext="none",
        textangle=0,
        hovertext=[point_hover(point) for _, point, _ in known],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _errors(readings: Sequence[Reading], colour: str) -> dict[str, object]:
    above = [reading.high - reading.value for reading in readings]
    below = [reading.value - reading.low for reading in readings]
    return {
        "type": "data",
        "array": above,
        "arrayminus": below,
        "visible": any([*above, *below]),
        "thickness": 1.5,
        "color": colour,
    }
