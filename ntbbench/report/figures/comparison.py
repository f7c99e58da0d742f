# SPDX-License-Identifier: BSD-3-Clause
"""Figures of a comparison: intervals, distributions, verdicts over queues and doorbells."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import plotly.graph_objects as go

from ntbbench.compare.records import Comparison, Report
from ntbbench.compare.series import Series, Variant
from ntbbench.report.document import Section
from ntbbench.report.page import Figure, hover, label
from ntbbench.report.views import comparison_words as say

# Told apart without red and green (Okabe and Ito), and by their names in the hover and legend.
COLOURS = {
    "improved": "#009e73",
    "equivalent": "#d9d9d9",
    "inconclusive": "#56b4e9",
    "missing": "#f0e442",
    "regressed": "#d55e00",
}
ORDER = tuple(COLOURS)  # from best to worst, the codes of the heatmap
MARGIN = {"t": 30, "b": 40, "l": 40, "r": 20}
AXIS = 44  # characters of a name
SAMPLES = 400  # shown of a side; more are thinned evenly
GROUPS = 24
INTERVALS = 60
DISTRIBUTIONS = 24
FENCE = 3  # interquartile ranges beyond the quartiles


def sections(
    report: Report, ordered: Sequence[Comparison], sides: Sequence[Variant]
) -> list[Section]:
    """Return the figures of `ordered`, the gravest first; those of single metrics come last."""
    known = [c for c in ordered if c.kind == "noisy" and c.ratio_low and c.ratio_high]
    caption = "Change of each noisy metric with its 95 % interval; shaded: within the threshold."
    if len(known) > INTERVALS:
        caption += f" The {INTERVALS} most severe of {len(known)}."
    drawn = [Figure("interval-plot", caption, intervals(known[:INTERVALS]))] if known else []
    maps = [
        Figure(f"heatmap-{number}", f"{group}: the worst verdict of each cell", figure)
        for number, (group, figure) in enumerate(heatmaps(report))
    ]
    found = (
        Section("Intervals", drawn, name="intervals", below=True),
        Section("Distributions", distributions(ordered, sides), name="distributions", below=True),
        Section("Verdicts over queues and doorbells", maps, name="heatmaps", below=True),
    )
    return [section for section in found if section.figures]


def distributions(ordered: Sequence[Comparison], sides: Sequence[Variant]) -> list[Figure]:
    """Return the samples of the most severe noisy metrics; none of a result without samples."""
    by_label = {side.label: side for side in sides}
    found = []
    noisy = [c for c in ordered if c.kind == "noisy" and not c.missing] if sides else []
    for number, c in enumerate(noisy[:DISTRIBUTIONS]):
        pair = [(label, by_label[label].series[c.metric]) for label in (c.base, c.candidate)]
        caption = f"{c.metric}: {c.verdict}, {say.change_of(c)}"
        found.append(Figure(f"distribution-{number}", caption, distribution(pair)))
    return found


def intervals(comparisons: Sequence[Comparison]) -> go.Figure:
    """Return the change of each metric with its interval, the first on top."""
    figure = go.Figure()
    for state, colour in COLOURS.items():
        rows = [(i, c) for i, c in enumerate(comparisons) if say.state(c) == state]
        if not rows:
            continue
        change = [percent(c.ratio) for _, c in rows]
        low = [percent(c.ratio_low) for _, c in rows]
        high = [percent(c.ratio_high) for _, c in rows]
        figure.add_scatter(
            x=change,
            y=[i for i, _ in rows],
            name=state,
            mode="markers",
            marker={"color": colour, "size": 9, "line": {"width": 1, "color": "#333"}},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [h - x for h, x in zip(high, change, strict=True)],
                "arrayminus": [x - b for x, b in zip(change, low, strict=True)],
                "color": "#333",
            },
            text=[hover(c.metric, c.candidate, state, say.change_of(c)) for _, c in rows],
            hovertemplate="%{text}<extra></extra>",
        )
    for i, c in enumerate(comparisons):
        figure.add_shape(
            type="rect",
            x0=percent(1 / (1 + c.threshold)),
            x1=percent(1 + c.threshold),
            y0=i - 0.5,
            y1=i + 0.5,
            fillcolor="#eee",
            line_width=0,
            layer="below",
        )
    figure.add_vline(x=0, line={"color": "#333", "width": 1})
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(comparisons))),
        ticktext=names(comparisons),
        autorange="reversed",
        automargin=True,
    )
    figure.update_xaxes(title="change of the median, %", automargin=True)
    figure.update_layout(height=110 + 30 * len(comparisons), template="plotly_white", margin=MARGIN)
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1, "yanchor": "bottom"})
    return figure


def names(comparisons: Sequence[Comparison]) -> list[str]:
    """Return names for an axis: without what all have in common at either end."""
    several = len({c.candidate for c in comparisons}) > 1
    whole = [c.metric + (f" ({c.candidate})" if several else "") for c in comparisons]
    return [label(name, AXIS) for name in say.apart(whole)]


def percent(ratio: float | None) -> float:
    """Return the change in per cent of a ratio that is known."""
    return 0.0 if ratio is None else (ratio - 1) * 100


def distribution(sides: Sequence[tuple[str, Series]]) -> go.Figure:
    """Return the samples of both sides as boxes with every point beside them.

    The axis spans what lies inside Tukey's outer fences of either side: a single wild sample would
    squeeze the boxes to lines. How many lie beyond is said.
    """
    figure = go.Figure()
    known = [series.samples for _, series in sides if series.samples is not None]
    quarters = [np.quantile(samples, [0.25, 0.75]) for samples in known]
    low = min(q[0] - FENCE * (q[1] - q[0]) for q in quarters)
    high = max(q[1] + FENCE * (q[1] - q[0]) for q in quarters)
    inside = [samples[(samples >= low) & (samples <= high)] for samples in known]
    beyond = sum(map(len, known)) - sum(map(len, inside))
    largest = [float(series.samples.max()) for _, series in sides if series.samples is not None]
    factor, unit = say.scale_of(largest, sides[0][1].unit)
    for (name, series), colour in zip(sides, ("#0072b2", "#d55e00"), strict=True):
        if series.samples is None:
            continue
        step = max(1, -(-len(series.samples) // SAMPLES))
        figure.add_box(
            x=(series.samples[::step] / factor).tolist(),
            name=label(name),
            boxpoints="all",
            jitter=0.6,
            pointpos=0,
            marker={"color": colour, "size": 5, "opacity": 0.6},
            line={"width": 1},
        )
    more = f" ({beyond} beyond the axis)" if beyond else ""
    figure.update_xaxes(title=f"{unit}{more}", automargin=True)
    if beyond:
        ends = min(s.min() for s in inside) / factor, max(s.max() for s in inside) / factor
        margin = (ends[1] - ends[0]) / 20 or abs(ends[0]) / 20
        figure.update_xaxes(range=[ends[0] - margin, ends[1] + margin])
    figure.update_yaxes(automargin=True)
    figure.update_layout(height=190, showlegend=False, template="plotly_white", margin=MARGIN)
    return figure


def heatmaps(report: Report) -> Iterator[tuple[str, go.Figure]]:
    """Yield, for each group of points, the worst verdict over queues and doorbells."""
    groups: dict[str, dict[tuple[int, int], list[Comparison]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for comparison in report.comparisons:
        place = report.places.get(comparison.metric.rpartition(":")[0])
        if place is not None:
            groups[place.group][place.queues, place.doorbells].append(comparison)
    worst_first = sorted(
        groups.items(),
        key=lambda item: -max(_severity(c) for cell in item[1].values() for c in cell),
    )
    for group, cells in worst_first[:GROUPS]:
        yield group, heatmap(cells)


def _severity(comparison: Comparison) -> int:
    return ORDER.index(say.state(comparison))


def heatmap(cells: dict[tuple[int, int], list[Comparison]]) -> go.Figure:
    """Return one map; a cell is improved only if nothing in it is worse than equivalent."""
    queues = sorted({q for q, _ in cells})
    doorbells = sorted({d for _, d in cells})
    values = np.full((len(queues), len(doorbells)), np.nan)
    texts = [["" for _ in doorbells] for _ in queues]
    for (q, d), found in cells.items():
        place = queues.index(q), doorbells.index(d)
        states = {say.state(c) for c in found}
        worst = max(states, key=ORDER.index)
        shown = "improved" if worst == "equivalent" and "improved" in states else worst
        values[place] = ORDER.index(shown)
        changed = [c for c in found if say.state(c) == shown and shown != "equivalent"]
        lines = [f"{c.metric.rpartition(':')[2]}: {say.change_of(c)}" for c in changed[:6]]
        texts[place[0]][place[1]] = hover(f"{q} queues, {d} doorbells: {shown}", *lines)
    steps = [(i + side) / len(ORDER) for i in range(len(ORDER)) for side in (0, 1)]
    scale = [[at, COLOURS[ORDER[i // 2]]] for i, at in enumerate(steps)]
    figure = go.Figure(
        go.Heatmap(
            z=[[None if np.isnan(v) else v for v in line] for line in values.tolist()],
            x=[str(d) for d in doorbells],
            y=[str(q) for q in queues],
            text=texts,
            hovertemplate="%{text}<extra></extra>",
            zmin=-0.5,
            zmax=len(ORDER) - 0.5,
            colorscale=scale,
            colorbar={"tickvals": list(range(len(ORDER))), "ticktext": list(ORDER)},
            xgap=2,
            ygap=2,
        )
    )
    figure.update_xaxes(title="doorbells", type="category", automargin=True)
    figure.update_yaxes(title="queues", type="category", automargin=True)
    height = 90 + 32 * max(4, len(queues))
    figure.update_layout(height=height, template="plotly_white", margin=MARGIN)
    return figure
