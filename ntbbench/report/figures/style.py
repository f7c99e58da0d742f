# SPDX-License-Identifier: BSD-3-Clause
"""Colours, dashes, labels and the frame that figures share."""

import plotly.graph_objects as go

from ntbbench.dispatch.records import OkPoint
from ntbbench.report.page import hover
from ntbbench.report.views.sweep_pivot import Group, Row, interval, timing_of
from ntbbench.report.wording import plural

INK = "#1b1f24"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'
# The hues of Okabe and Ito's palette, dark enough for white text; a dash of its own for each too.
STYLES = {
    "fallback": ("#bd5300", "solid"),
    "per-vector": ("#0072b2", "dash"),
    "msi": ("#007a59", "dot"),
}
OTHER_STYLE = ("#56606a", "dashdot")
# A legend at the figure's lower edge, where no height of a plot moves it onto the axis' title.
BOTTOM = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0}


def row_name(group: Group, row: Row) -> str:
    """Return how a row is called beside its group and dispatch: its doorbells, and what it needs.

    With the vectors where rows differ in them alone, with the repeat where in nothing at all.
    """
    vectors: dict[tuple[str, int], set[int]] = {}
    for other in group.rows:
        vectors.setdefault((other.dispatch, other.doorbells), set()).add(other.vectors)
    name = str(row.doorbells)
    if any(len(found) > 1 for found in vectors.values()):
        name += f", {plural(row.vectors, 'vector')}"
    return f"{name} ({row.repeat + 1})" if row.repeat else name


def point_hover(point: OkPoint) -> str:
    """Return what is shown when the pointer rests on a measured point."""
    timing = timing_of(point)
    cost = "not timed" if timing is None else f"{interval(timing)} ns per dispatch"
    return hover(
        f"{point.hardware}, {point.dispatch}",
        f"{point.queues} queues, {point.doorbells} doorbells, {point.vectors} vectors",
        f"amplification {point.amplification:.4g}, effective {point.effective_amplification:.4g}",
        cost,
    )


def framed(figure: go.Figure, height: int) -> go.Figure:
    """Return `figure` in the page's look."""
    figure.update_layout(
        template="none",
        height=height,
        autosize=True,
        margin={"l": 50, "r": 12, "t": 12, "b": 72},
        font={"family": FONT, "size": 12, "color": INK},
        hoverlabel={"align": "left", "font": {"family": FONT}},
    )
    figure.update_xaxes(automargin=True, fixedrange=True, linecolor="#8c959f", title_standoff=6)
    figure.update_yaxes(automargin=True, fixedrange=True, linecolor="#8c959f", title_standoff=6)
    # 10000 us is no "10k us".
    figure.update_xaxes(exponentformat="none", separatethousands=True)
    figure.update_yaxes(exponentformat="none", separatethousands=True)
    figure.update_xaxes(gridcolor="#eaeef2")
    figure.update_yaxes(gridcolor="#eaeef2")
    return figure
