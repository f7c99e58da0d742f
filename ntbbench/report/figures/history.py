# SPDX-License-Identifier: BSD-3-Clause
"""Values over commits, and the noise floors of a calibration."""

from collections.abc import Sequence

import plotly.graph_objects as go

from ntbbench.compare.calibrate import Floor
from ntbbench.compare.history import Finding
from ntbbench.compare.history_store import Track
from ntbbench.compare.statistics.changepoints import StepChange
from ntbbench.report.document import Section
from ntbbench.report.figures.style import framed
from ntbbench.report.page import LABEL_MAX, Figure, hover, label
from ntbbench.report.views.comparison_words import apart, scale_of

TRACKS = 60  # figures of a page
FLOORS = 40  # bars
COLOUR, OTHER = "#0072b2", "#d55e00"


def track_sections(found: Sequence[Track], changes: Sequence[Finding] = ()) -> list[Section]:
    """Return a curve for each metric that changed at all; a page holds so many.

    Parameters
    ----------
    changes : steps and drifts, whose levels are drawn over the curves.
    """
    numbers = [track for track in found if _moves(track)]
    figures = [
        Figure(
            f"track-{at}",
            _caption(track),
            _curve(track, [f.change for f in changes if f.change.metric == track.metric]),
        )
        for at, track in enumerate(numbers[:TRACKS])
    ]
    left = len(numbers) - len(figures)
    intro = f"{left} more are in the table." if left else ""
    return [Section("Curves", figures, intro, "curves")] if figures else []


def _moves(track: Track) -> bool:
    values = [value for value in track.values if not isinstance(value, str)]
    return len(values) == len(track.values) > 1 and len(set(values)) > 1


def _caption(track: Track) -> str:
    better = {"lower": "lower is better", "higher": "higher is better"}.get(track.better, "")
    return f"{track.metric}{f': {better}' if better else ''}"


def _curve(track: Track, changes: Sequence[StepChange]) -> go.Figure:
    values = [float(value) for value in track.values]
    factor, unit = scale_of([abs(value) for value in values], track.unit)
    scaled = [value / factor for value in values]
    commits = [label(name, LABEL_MAX) for name in track.labels]
    figure = go.Figure(
        go.Scatter(
            x=list(range(len(scaled))),
            y=scaled,
            mode="lines+markers",
            line={"color": COLOUR},
            text=[
                hover(name, f"{value:.5g} {unit}")
                for name, value in zip(track.labels, scaled, strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    if changes:
        places, levels = _levels(changes, len(scaled))
        figure.add_trace(
            go.Scatter(
                x=places,
                y=[None if level is None else level / factor for level in levels],
                mode="lines",
                line={"color": OTHER, "width": 3},
                hoverinfo="skip",
            )
        )
        figure.update_layout(showlegend=False)
    step = max(1, len(commits) // 12)
    figure.update_xaxes(
        title_text="commit", tickvals=list(range(0, len(commits), step)), ticktext=commits[::step]
    )
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(title_text=unit or "value", zeroline=False)
    return framed(figure, 280)


def _levels(
    changes: Sequence[StepChange], commits: int
) -> tuple[list[int | None], list[float | None]]:
    """Return the levels between the steps of a metric, each a line of its own, or its drift."""
    first = changes[0]
    if first.kind == "drift":
        return [0, commits - 1], [first.before, first.after]
    starts = [0, *(step.index for step in changes)]
    ends = [*(step.index - 1 for step in changes), commits - 1]
    places: list[int | None] = []
    levels: list[float | None] = []
    parts = zip(starts, ends, (first.before, *(step.after for step in changes)), strict=True)
    for start, end, level in parts:
        places += [start, end, None]
        levels += [level, level, None]
    return places, levels


def floor_sections(floors: Sequence[Floor]) -> list[Section]:
    """Return how much each benchmark wanders between runs, beside the threshold that it gets."""
    ordered = sorted(floors, key=lambda floor: -floor.noise_floor)[:FLOORS]
    if not ordered:
        return []
    names = [label(name) for name in apart([floor.metric for floor in ordered])]
    places = list(range(len(names)))
    figure = go.Figure()
    for title, colour, values in (
        ("noise floor", COLOUR, [floor.noise_floor for floor in ordered]),
        ("threshold", OTHER, [floor.threshold for floor in ordered]),
    ):
        shares = [100 * value for value in values]
        figure.add_trace(
            go.Bar(x=shares, y=places, name=title, orientation="h", marker={"color": colour})
        )
    figure.update_yaxes(tickvals=places, ticktext=names, autorange="reversed")
    figure.update_xaxes(title_text="change between two runs of the same thing, %")
    figure = framed(figure, 140 + 34 * len(names))
    figure.update_layout(legend={"orientation": "h", "y": 1, "yanchor": "bottom"}, margin_t=40)
    caption = "How far each benchmark wanders, and the change from which the gate would believe it."
    return [Section("Noise", [Figure("floors", caption, figure, wide=True)], name="noise")]
