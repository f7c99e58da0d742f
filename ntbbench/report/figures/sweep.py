# SPDX-License-Identifier: BSD-3-Clause
"""The figures of a sweep: an overview of all devices, then heatmaps and curves of each."""

from collections.abc import Sequence

from ntbbench.core.fields import declared
from ntbbench.dispatch.records import OkPoint, Point
from ntbbench.report.document import Section
from ntbbench.report.figures import sweep_curves as curves
from ntbbench.report.figures import sweep_heatmaps as heatmaps
from ntbbench.report.figures.style import row_name
from ntbbench.report.page import Figure
from ntbbench.report.views.sweep_pivot import Group, timed


def sections(groups: Sequence[Group], points: Sequence[Point]) -> list[Section]:
    """Return the overview and the devices of a sweep with a measured point."""
    scale = heatmaps.heat_range(points)
    intro = (
        "One colour scale for all heatmaps. Grey: unavailable; the reason is shown when the "
        "pointer rests on the cell. Empty: not asked."
    )
    devices = [_device(at, group, scale) for at, group in enumerate(groups)]
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


def _device(at: int, group: Group, scale: heatmaps.HeatRange) -> Section:
    caption = f"{group.title}: amplification over queues and doorbells, by dispatch."
    plot = heatmaps.heatmaps(group, scale)
    figures = [Figure(f"heatmap-{at}", caption, plot, wide=heatmaps.is_wide(group))]
    measured = group.measured()
    if measured:
        figures.append(_curve(f"curve-{at}", group, curves.AMPLIFICATION))
    if timed(measured):
        figures.append(_curve(f"cost-{at}", group, curves.COST))
    return Section(group.title, figures)


def _curve(name: str, group: Group, quantity: curves.Quantity) -> Figure:
    caption = f"{group.title}: {quantity.title} over queues, by dispatch and doorbells."
    drawn = curves.symbols_of(group)
    if any(row_name(group, row) not in drawn for row in group.rows):
        caption += f" Drawn are {len(drawn)} of the doorbell counts."
    return Figure(name, caption, curves.curves(group, quantity))
