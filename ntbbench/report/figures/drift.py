# SPDX-License-Identifier: BSD-3-Clause
"""How a board moved over a session: every run beside the median of its cell and variant."""

from collections.abc import Sequence

import plotly.graph_objects as go

from ntbbench.report.document import Section
from ntbbench.report.figures.style import framed
from ntbbench.report.page import Figure, hover

COLOURS = ("#0072b2", "#d55e00", "#007a59", "#56606a")
Moved = tuple[float, float, str, str]  # seconds, share of the median, variant, words


def drift_sections(moved: Sequence[Moved]) -> list[Section]:
    """Return the figure; [] of fewer than two runs."""
    if len(moved) < 2:
        return []
    figure = go.Figure()
    for place, variant in enumerate(dict.fromkeys(one[2] for one in moved)):
        own = [one for one in moved if one[2] == variant]
        figure.add_trace(
            go.Scatter(
                x=[one[0] / 60 for one in own],
                y=[100 * (one[1] - 1) for one in own],
                mode="markers",
                name=variant,
                marker={"color": COLOURS[place % len(COLOURS)]},
                text=[hover(one[2], one[3]) for one in own],
                hovertemplate="%{text}<br>%{y:+.2f} %<extra></extra>",
            )
        )
    figure.update_xaxes(title_text="minutes", zeroline=False)
    figure.update_yaxes(title_text="against the median, %")
    caption = "Each run's first number against the median of its cell and variant."
    return [Section("Drift over the session", [Figure("drift", caption, framed(figure, 320))])]
