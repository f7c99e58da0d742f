# SPDX-License-Identifier: BSD-3-Clause
"""What simulated points measured, as columns and cells of tables, and as rows of the CSV."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from ntbbench.core.fields import declared
from ntbbench.datapath.records import (
    CPU_KINDS,
    QUANTILES,
    Estimate,
    Latency,
    OkSimulation,
    SimulationAxes,
    SimulationCounts,
    SimulationPoint,
)
from ntbbench.report.document import Cell, Column, Sheet, Shown, Table, column, number, words
from ntbbench.report.wording import DIGITS, NO_UNIT, RATES, TIMES, Unit, plain, unit_of

DASH = "-"
AXES = ("protocol", "dispatch", "affinity", "queues")
RATIOS = ("amplification", "effective_amplification", "spurious_ratio")
COUNTS = SimulationCounts.__struct_fields__
ABOUT = declared(OkSimulation)
CPU_HEADS = ("hardirq", "useful", "empty", "spin", "kthr.", "idle")
# What shares a unit, and how many of it the largest value has at least: CPU time is in ms, but in
# s from 100 s on.
FAMILIES = {"throughput": (RATES, 1.0), "latency": (TIMES, 1.0), "CPU": (TIMES[:2], 100.0)}
LEAST = 0.001  # of a narrow column
INTERVAL = Column("95 % interval", "of the mean over the replications", "95 %")
DASH_NOTE = f"{DASH}: not defined, for no replication counted a packet, interrupt or wakeup of it"


class Measure(NamedTuple):
    """An estimate of a point: its name in the CSV, how it is called, and what shares its unit."""

    name: str
    title: str
    head: str
    family: str  # of FAMILIES, or empty: a count or a ratio
    value: Estimate | None


# A way to show a measure in a unit: columns, each with the measure's cell.
Form = Callable[[Measure, Unit], Iterator[tuple[Column, Cell]]]


def measures(point: OkSimulation) -> dict[str, Measure]:
    """Return every estimate of a point by its name, in the order of the CSV."""
    title = ABOUT["throughput_bps"].title
    found = [Measure("throughput_bps", title, "", "throughput", point.throughput_bps)]
    for name in QUANTILES:
        title, value = declared(Latency)[name].title, getattr(point.latency, name)
        found.append(Measure(f"latency_{name}", f"latency {title}", title, "latency", value))
    for (kind, value), head in zip(point.cpu_seconds.items(), CPU_HEADS, strict=True):
        found.append(
            Measure(f"cpu_seconds_{kind}", f"CPU {CPU_KINDS[kind][0]}", head, "CPU", value)
        )
    title = ABOUT["sender_cpu_seconds"].title
    found.append(Measure("sender_cpu_seconds", title, "", "CPU", point.sender_cpu_seconds))
    for name, value in point.estimates.items():
        about = ABOUT.get(name)
        title = about.title if about else name.replace("_", " by ", 1)
        head = (about.head or about.title) if about else name.removeprefix("wakeups_")
        found.append(Measure(f"{name}_a_replication", f"{title} per replication", head, "", value))
    return {one.name: one for one in found}


def points_table(
    title: str,
    columns: Sequence[Column],
    rows: Sequence[tuple[SimulationPoint, Sequence[Cell]]],
    notes: Sequence[str] = (),
    shown: Shown = "everywhere",
) -> Table:
    """Return a table of points: the axes of each, then its cells; a note explains a dash."""
    keys = [column(SimulationAxes, axis) for axis in AXES]
    found = [(*words(*(getattr(point, axis) for axis in AXES)), *cells) for point, cells in rows]
    dashed = any(cell.text == DASH for row in found for cell in row)
    notes = [*notes, *[DASH_NOTE] * dashed]
    return Table(title, [*keys, *columns], found, notes, keys=len(AXES), shown=shown)


def measured_table(
    title: str,
    points: Sequence[OkSimulation],
    forms: Mapping[str, Form],
    *,
    totals: Mapping[str, str] = MappingProxyType({}),
    notes: Sequence[str] = (),
    shown: Shown = "terminal",
) -> Table:
    """Return a table of points: totals by name, each with its format, then measures in forms."""
    rows = [measures(point) for point in points]
    units = {"": NO_UNIT}
    for family, (allowed, least) in FAMILIES.items():
        found = [one.value for row in rows for one in row.values() if one.family == family]
        units[family] = unit_of((value.mean for value in found if value), allowed, least)
    pairs = [
        [pair for name, form in forms.items() for pair in form(row[name], units[row[name].family])]
        for row in rows
    ]
    columns = [column(OkSimulation, name) for name in totals]
    columns += [about for about, _ in pairs[0]] if pairs else []
    cells = [
        [number(getattr(point, name), spec) for name, spec in totals.items()]
        + [cell for _, cell in row]
        for point, row in zip(points, pairs, strict=True)
    ]
    return points_table(title, columns, [*zip(points, cells, strict=True)], notes, shown)


def mean(one: Measure, unit: Unit) -> Iterator[tuple[Column, Cell]]:
    """Show the mean in a narrow column."""
    head = f"{one.head}\n({unit.name})"
    about = Column(f"{one.title} ({unit.name})", "mean over the replications", head)
    yield about, Cell(DASH) if one.value is None else _narrow(one.value.mean, unit)


def mean_and_interval(one: Measure, unit: Unit) -> Iterator[tuple[Column, Cell]]:
    """Show the mean and its interval with as many decimals."""
    about = Column(f"{one.title} ({unit.name})", "mean over the replications", unit.name)
    ends = [None if end is None else end / unit.size for end in _ends(one.value)]
    most = max(end for end in (*ends, 0.0) if end is not None)
    texts = [_fixed(end, most) for end in ends]
    yield about, Cell(texts[0], _ends(one.value)[0])
    yield INTERVAL, Cell("one run" if ends[1] is None else f"{texts[1]}-{texts[2]}")


def spread(one: Measure, _: Unit) -> Iterator[tuple[Column, Cell]]:
    """Show a count with half the width of its interval in percent of it.

    From 100 % on with the interval itself, for its lower end is cut off at 0.
    """
    about = Column(one.title, "mean over the replications", one.head)
    value = one.value
    if value is None:
        yield about, Cell(DASH)
        return
    text = plain(value.mean)
    if value.low is not None and value.high is not None and value.high != value.mean != 0:
        share = (value.high - value.mean) / value.mean
        wide = f" ({plain(value.low, 3)}..{plain(value.high, 3)})"
        text += wide if share > 1 else f" +-{share:.1%}"
    yield about, Cell(text, value.mean)


def three_numbers(one: Measure, unit: Unit) -> Iterator[tuple[Column, Cell]]:
    """Show the mean and both ends, each in a column of its own."""
    name = f" ({unit.name})" if unit.name else ""
    hints = (
        ("", f"mean over the replications; {one.name}_mean of the CSV"),
        (", low", f"lower end of the 95 % interval of {one.title}"),
        (", high", f"upper end of the 95 % interval of {one.title}"),
    )
    for (suffix, hint), end in zip(hints, _ends(one.value), strict=True):
        text = DASH if end is None else plain(end / unit.size)
        yield Column(f"{one.title}{suffix}{name}", hint), Cell(text, end)


def sheet(points: Sequence[SimulationPoint]) -> Sheet:
    """Return one row per point: axes, status, every estimate with its interval, every count."""
    axes = SimulationAxes.__struct_fields__
    first = next((point for point in points if isinstance(point, OkSimulation)), None)
    names = [] if first is None else list(measures(first))
    ends = [f"{name}_{end}" for name in names for end in ("mean", "low", "high")]
    totals = (*COUNTS, *RATIOS)

    def rows() -> Iterator[list[object]]:
        for point in points:
            row: list[object] = [getattr(point, axis) for axis in axes]
            if isinstance(point, OkSimulation):
                estimates = [end for one in measures(point).values() for end in _ends(one.value)]
                yield [*row, "ok", None, *estimates, *(getattr(point, name) for name in totals)]
            else:
                yield [*row, "unavailable", point.reason, *[None] * (len(ends) + len(totals))]

    return Sheet([*axes, "status", "reason", *ends, *totals], rows())


def _ends(value: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if value is None else (value.mean, value.low, value.high)


def _narrow(value: float, unit: Unit) -> Cell:
    """Return a number in five characters, below a hundred thousand: six columns fit beside axes."""
    scaled = value / unit.size
    if 0 < scaled < LEAST / 2:
        return Cell(f"<{LEAST}".replace("0.", "."), value)
    return Cell(f"{scaled:.3f}" if 0 < scaled < 1 else plain(scaled, 3), value)


def _fixed(value: float | None, most: float) -> str:
    """Return a number with the decimals that leave the largest its digits."""
    whole = len(str(int(most))) if most >= 1 else 0
    decimals = max(DIGITS - whole, 0) if most else 0
    return "" if value is None else f"{value:.{decimals}f}"
