# SPDX-License-Identifier: BSD-3-Clause
"""Figures of simulated points: curves over queues, stacked CPU time, latency distributions."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import plotly.graph_objects as go

from ntbbench.core.fields import declared
from ntbbench.datapath.records import CPU_KINDS, QUANTILES, Estimate, Latency, OkSimulation
from ntbbench.datapath.replicate import decoded
from ntbbench.report.document import Section, number
from ntbbench.report.figures.style import BOTTOM, OTHER_STYLE, STYLES, framed
from ntbbench.report.page import Figure, hover, label
from ntbbench.report.wording import RATES, TIMES, Unit, plain, plural, quantity, unit_of

NS = 1e9  # nanoseconds in a second
# An affinity has a symbol and a dash, a dispatch its colour.
AFFINITIES = {"single": ("circle-open", "solid"), "spread": ("square-open", "dash")}
OTHER_AFFINITY = ("diamond-open", "dot")
# Size of the symbol and width of the line, of the first dispatch, the second, ..: where curves are
# the same, each later and smaller one lies inside those before.
INSIDE = ((15, 4.5), (9, 2.0), (4, 1.0))
BESIDE = 0.006  # of the axis, from one line to the next: some 6 px of a wide page
MARGIN = 0.08  # of the axis, on either side of the queue counts that were run
KIND_COLOURS = {
    "hardirq": "#bd5300",
    "useful_softirq": "#0072b2",
    "empty_softirq": "#d6a400",
    "spinning": "#b5179e",
    "kthread": "#56606a",
    "idle": "#d8dee4",
}
BAR_HEIGHT = 24  # px
LINES_MAX = 12  # distributions in one figure: more would hide each other
PERCENTILE_TICKS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)

Read = Callable[[OkSimulation], Estimate | None]


def sections(points: Sequence[OkSimulation]) -> list[Section]:
    """Return the figures of each protocol."""
    protocols = dict.fromkeys(point.protocol for point in points)
    return [
        Section(name.upper(), _figures(name, [p for p in points if p.protocol == name]), name=name)
        for name in protocols
    ]


def _figures(protocol: str, points: Sequence[OkSimulation]) -> list[Figure]:
    """Return curves over the queues, then CPU time, then the latencies of the most queues."""
    most = max(point.queues for point in points)
    largest = [point for point in points if point.queues == most]
    caption = (
        f"Latency of {protocol} with {plural(most, 'queue')}: the share of packets that is later."
    )
    if len(largest) > LINES_MAX:
        caption += f" Drawn are the first {LINES_MAX} points."
    return [
        Figure(
            f"throughput-{protocol}",
            f"Throughput of {protocol} over queues: payload, mean and 95 % interval. Curves stand "
            "a little beside each other, so that intervals of the same value show.",
            over_queues(points, lambda point: point.throughput_bps, "", RATES),
            wide=True,
        ),
        *(_latency(protocol, points, name) for name in QUANTILES),
        Figure(
            f"cpu-{protocol}",
            f"CPU time of the receiver with {protocol}, by kind.",
            cpu_bars(points),
            wide=True,
        ),
        Figure(f"distribution-{protocol}", caption, distributions(largest), wide=True),
    ]


def _latency(protocol: str, points: Sequence[OkSimulation], name: str) -> Figure:
    def read(point: OkSimulation) -> Estimate | None:
        value: Estimate | None = getattr(point.latency, name)
        return value

    title = declared(Latency)[name].title
    caption = f"Latency of {protocol} over queues: {title}, from send to delivery."
    return Figure(f"latency-{name}-{protocol}", caption, over_queues(points, read, title, TIMES))


def over_queues(
    points: Sequence[OkSimulation], read: Read, title: str, units: tuple[Unit, ...]
) -> go.Figure:
    """Return one quantity over the queue count, a line a dispatch and affinity.

    Each line stands a little beside the one before, so that of equal lines the intervals show.

    Parameters
    ----------
    points : of one protocol.
    read : the quantity, with its interval, which is drawn where there is one; None: not there.
    title : of the axis, without the unit; may be empty.
    units : that the quantity may have; the largest value decides.
    """
    figure = go.Figure()
    unit = unit_of((value.mean for value in map(read, points) if value is not None), units)
    dispatches = list(dict.fromkeys(point.dispatch for point in points))
    run = sorted({point.queues for point in points})
    margin = max(1.0, MARGIN * (run[-1] - run[0]))
    low, high = run[0] - margin, run[-1] + margin
    keys = list(dict.fromkeys((point.dispatch, point.affinity) for point in points))
    for key, beside in zip(keys, places_beside(len(keys), run, high - low), strict=True):
        line = sorted(
            (point for point in points if (point.dispatch, point.affinity) == key),
            key=lambda point: point.queues,
        )
        values = [(point, value) for point in line if (value := read(point)) is not None]
        if values:
            inside = INSIDE[min(dispatches.index(key[0]), len(INSIDE) - 1)]
            figure.add_trace(_curve(values, unit.size, beside, inside))
    figure.update_xaxes(title_text="queues", range=[low, high], tickvals=run, zeroline=False)
    axis = ", ".join(part for part in (title, unit.name) if part)
    figure.update_yaxes(title_text=axis, rangemode="tozero")
    return _with_legend(figure, 380)


def _with_legend(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(legend=BOTTOM, showlegend=True)
    figure = framed(figure, height)
    figure.update_layout(margin_b=110)
    return figure


def places_beside(lines: int, run: Sequence[int], width: float) -> list[float]:
    """Return how far beside its queue count each line stands, the middle one at 0.

    Parameters
    ----------
    run : the queue counts, ascending; two neighbours' lines must not meet.
    width : of the axis.
    """
    nearest = min((b - a for a, b in pairwise(run)), default=width)
    step = min(BESIDE * width, nearest / 2 / lines)
    return [(number - (lines - 1) / 2) * step for number in range(lines)]


def _curve(
    found: Sequence[tuple[OkSimulation, Estimate]],
    unit: float,
    beside: float,
    inside: tuple[int, float],
) -> go.Scatter:
    line, values = zip(*found, strict=True)
    colour, _ = STYLES.get(line[0].dispatch, OTHER_STYLE)
    symbol, dash = AFFINITIES.get(line[0].affinity, OTHER_AFFINITY)
    size, width = inside
    above = [0.0 if v.high is None else (v.high - v.mean) / unit for v in values]
    below = [0.0 if v.low is None else (v.mean - v.low) / unit for v in values]
    return go.Scatter(
        x=[point.queues + beside for point in line],
        y=[value.mean / unit for value in values],
        error_y={
            "type": "data",
            "array": above,
            "arrayminus": below,
            "visible": any([*above, *below]),
            "thickness": 1.5,
            "color": colour,
        },
        name=label(f"{line[0].dispatch}, {line[0].affinity}"),
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": width},
        marker={
            "symbol": symbol,
            "size": size,
            "color": colour,
            "line": {"width": 2, "color": colour},
        },
        hovertext=[_hover(point) for point in line],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def cpu_bars(points: Sequence[OkSimulation]) -> go.Figure:
    """Return the CPU time of each point as one bar, its kinds stacked."""
    figure = go.Figure()
    places = list(range(len(points)))
    for kind, (title, _) in CPU_KINDS.items():
        times = [point.cpu_seconds[kind].mean for point in points]
        figure.add_trace(
            go.Bar(
                orientation="h",
                y=places,
                x=times,
                name=title,
                marker={"color": KIND_COLOURS[kind]},
                hovertext=[
                    hover(point.name, f"{title} {quantity(spent, TIMES, 4)} per replication")
                    for point, spent in zip(points, times, strict=True)
                ],
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    names = [label(point.name, 40) for point in points]
    figure.update_yaxes(tickvals=places, ticktext=names, autorange="reversed")
    figure.update_xaxes(title_text="CPU seconds per replication, all CPUs of the receiver")
    legend = {**BOTTOM, "traceorder": "normal"}
    figure.update_layout(barmode="stack", bargap=0.25, showlegend=True, legend=legend)
    return framed(figure, BAR_HEIGHT * len(points) + 130)


def distributions(points: Sequence[OkSimulation]) -> go.Figure:
    """Return the share of packets later than a latency, both axes logarithmic."""
    figure = go.Figure()
    for point in points[:LINES_MAX]:
        values, shares = _tail(point.latency.histogram)
        colour, _ = STYLES.get(point.dispatch, OTHER_STYLE)
        _, dash = AFFINITIES.get(point.affinity, OTHER_AFFINITY)
        figure.add_trace(
            go.Scatter(
                x=[value * 1e6 for value in values],
                y=shares,
                name=label(f"{point.dispatch}, {point.affinity}"),
                mode="lines",
                line={"color": colour, "dash": dash, "width": 1.5, "shape": "hv"},
                hovertext=[
                    hover(point.name, f"{100 * share:.4g} % later than {quantity(value, TIMES, 4)}")
                    for value, share in zip(values, shares, strict=True)
                ],
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    ticks = [1 - percentile / 100 for percentile in PERCENTILE_TICKS]
    names = ["all", *(f"p{percentile:g}" for percentile in PERCENTILE_TICKS[1:])]
    figure.update_xaxes(type="log", title_text="latency, us")
    figure.update_yaxes(
        type="log", title_text="share of packets that is later", tickvals=ticks, ticktext=names
    )
    return _with_legend(figure, 400)


def _tail(histogram: str) -> tuple[list[float], list[float]]:
    """Return latencies in seconds, and the share of packets above each, of an HDR histogram."""
    found = decoded(histogram)
    total = found.get_total_count()
    values: list[float] = []
    shares: list[float] = []
    above = total
    for item in found.get_recorded_iterator():
        if not values:
            values.append(found.get_lowest_equivalent_value(item.value_iterated_to) / NS)
            shares.append(1.0)
        above -= item.count_added_in_this_iter_step
        values.append(item.value_iterated_to / NS)
        # A logarithmic axis has no 0: the slowest packet stands at half a packet.
        shares.append(max(above, 0.5) / total)
    return values, shares


def _hover(point: OkSimulation) -> str:
    rate, unit = point.throughput_bps, unit_of([point.throughput_bps.mean], RATES)
    interval = "one run"
    if rate.low is not None and rate.high is not None:
        interval = f"{plain(rate.low / unit.size)}-{plain(rate.high / unit.size)}"
    means = [getattr(point.latency, name) for name in QUANTILES]
    latencies = [quantity(None if one is None else one.mean, TIMES, 4) for one in means]
    titles = [declared(Latency)[name].title for name in QUANTILES]
    return hover(
        point.name,
        f"{plain(rate.mean / unit.size)} {unit.name} ({interval})",
        ", ".join(map(" ".join, zip(titles, latencies, strict=True))),
        f"amplification {number(point.amplification, '.4g').text}, "
        f"effective {number(point.effective_amplification, '.4g').text}",
    )
