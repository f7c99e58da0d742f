# SPDX-License-Identifier: BSD-3-Clause
"""A sweep: wakeup amplification and cost over devices, dispatch modes, sizes and queues."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from ntbbench.core.fields import declared
from ntbbench.dispatch.records import (
    Axes,
    Caution,
    OkPoint,
    Point,
    SweepResult,
    Timing,
    UnavailablePoint,
)
from ntbbench.report.document import (
    Block,
    Cell,
    Column,
    Deferred,
    Details,
    Document,
    Notes,
    Section,
    Sheet,
    Table,
    Tone,
    column,
    number,
    words,
)
from ntbbench.report.views.sweep_pivot import (
    CIRCUMSTANCES,
    Group,
    Refusal,
    by_reason,
    groups_of,
    interval,
    lost_points,
    ok_points,
    queue_counts,
    refusals_of,
    spread,
    timed,
    timing_of,
)
from ntbbench.report.wording import facts, nanoseconds, percent, plural, short

LABELS = declared(OkPoint)
AMPLIFICATION = LABELS["amplification"].definition
COST = LABELS["ns_per_dispatch"].definition
KEYS = ("dispatch", "doorbells", "vectors")  # of a row of a pivot
EXPLAINED = ("queues", "amplification", "effective_amplification", "spurious_ratio")
LOST = ("hardware", "dispatch", "queues", "doorbells", "vectors", "missed", "misrouted")
# Of the table of all points: what was asked, ratios, counts.
ASKED = ("hardware", "dispatch", "queues_requested", "queues", "doorbells", "vectors")
RATIOS = (
    *("amplification", "effective_amplification", "expected_amplification", "spurious_ratio"),
)
COUNTS = ("interrupts", "scan_iterations", "schedule_calls", "wakeups", "merged", "missed")
ENDS = ("median", "low", "high")
TIMING = "ns_per_dispatch"
GENERIC = "generic"
SCALARS = (int, float, str, int | None)

Show = Callable[[OkPoint], Cell]


def document(result: SweepResult) -> Document:
    """Return the report of a sweep."""
    return Document(
        title="ntbbench sweep",
        verdict=verdict_of(result.points),
        record=result,
        lines=Deferred(lambda: _lines(result)),
        blocks=Deferred(lambda: _blocks(result)),
        warnings=Deferred(lambda: _warnings(result)),
        facts=result.environment,
        tone=_tone(result.points),
        sheet=lambda: _sheet(result.points),
        figures=lambda: _figures(result.points),
    )


def _tone(points: Sequence[Point]) -> Tone:
    if lost_points(points):
        return "bad"
    return "good" if ok_points(points) else "fair"


def verdict_of(points: Sequence[Point]) -> str:
    """Return what the masks gain, how many tasklets a doorbell schedules, and what is not known."""
    measured = ok_points(points)
    refused = len(points) - len(measured)
    rest = f"; {plural(refused, 'point')} unavailable" if refused else ""
    if not measured:
        return f"No point was measured{rest}"
    values = [point.amplification for point in measured]
    low, high = short(min(values)), short(max(values))
    lost = len(lost_points(measured))
    missed = f"{plural(lost, 'point')} MISSED OR MISROUTED DOORBELLS" if lost else "none is missed"
    said = gain_of(measured)
    return (
        f"{said}{'. ' if said else ''}A doorbell schedules "
        f"{low if low == high else f'{low} to {high}'} tasklets (1 is ideal) in "
        f"{plural(len(measured), 'point')}; {missed}{rest}"
    )


def gain_of(points: Sequence[OkPoint]) -> str:
    """Return what the masks change where they change most; "" where no two points differ in them.

    The two points differ in the dispatch mode alone, or in the version of the driver alone.
    """
    pairs: dict[tuple[object, ...], dict[str, OkPoint]] = {}
    for point in points:
        same = (point.queues, point.doorbells, *(getattr(point, name) for name in CIRCUMSTANCES))
        pairs.setdefault((point.hardware, point.vectors, *same), {})[point.dispatch] = point
        driver, _, version = point.hardware.rpartition("-")
        pairs.setdefault((driver, point.dispatch, *same), {})[version] = point
    best: tuple[float, ...] = (0,)
    said = ""
    for pair in pairs.values():
        for before, after in (("fallback", "per-vector"), ("legacy", "v4")):
            if before in pair and after in pair and pair[after].amplification:
                gain = pair[before].amplification / pair[after].amplification
                one = pair[after]
                found = (one.hardware != GENERIC, gain, before == "fallback", one.doorbells)
                if gain > 1 and found > best:
                    best, said = found, _gain(before, pair[before], one)
    return said


def _gain(before: str, one: OkPoint, other: OkPoint) -> str:
    was, now = short(one.amplification), short(other.amplification)
    qps = f"{now} QP{'s' * (now != '1')} per doorbell"
    sizes = f"{plural(other.queues, 'queue')}, {plural(other.doorbells, 'doorbell')}"
    if before == "fallback":
        return f"Per-vector masks wake {qps} instead of {was} ({other.hardware}, {sizes})"
    return f"{other.hardware} wakes {qps}, {one.hardware} {was} ({other.dispatch}, {sizes})"


def _lines(result: SweepResult) -> Iterator[str]:
    """Yield what all points have in common, and how to go on with an interrupted sweep."""
    points = result.points
    parts = [f"workload {', '.join(dict.fromkeys(point.workload for point in points))}"]
    if measured := ok_points(points):
        parts.append(f"{_numbers(p.interrupts for p in measured)} interrupts per point")
    parts.append(f"drain {_numbers(p.drain for p in points)}")
    parts.append(f"seed {_numbers(p.seed for p in points)}")
    samples = {len(t.samples) for t in map(timing_of, points) if t is not None}
    parts.append(f"{_numbers(samples)} samples" if samples else "counts only, not timed")
    yield ", ".join(parts)
    if not result.complete:
        yield "Interrupted: the finished points only. Go on with: ntbbench sweep --resume FILE"


def _numbers(values: Iterable[int]) -> str:
    return ",".join(str(value) for value in sorted(set(values)))


def _blocks(result: SweepResult) -> Iterator[Block]:
    points = result.points
    groups = groups_of(points)
    yield _lost(points)
    reasons = by_reason(refusals_of(points))
    if ok_points(points):
        yield _overview(groups)
        yield _summary(groups)
    yield Notes("Unavailable", [(_counted(*reason), ()) for reason in reasons], shown="brief")
    if ok_points(points):
        yield _pivot(f"Amplification: {AMPLIFICATION}", groups, _amplification)
    if timed(points):
        title = "Cost: ns per dispatch, median and the farther end of its 95 % interval"
        yield Details(title, [_pivot("", groups, _cost)], detail=True)
    if reasons:
        rows = [(reason, [str(one) for one in refusals]) for reason, refusals in reasons]
        yield Details("Unavailable points", [Notes("", rows)], detail=True)
    yield _all_points(points)
    asked = [words(name, value) for name, value in facts(result.scenario)]
    heads = (Column("key", align="left"), Column("value", align="left"))
    yield Table("Scenario", heads, asked, shown="page")


def _counted(reason: str, refusals: Sequence[Refusal]) -> str:
    return f"{reason} ({plural(sum(one.points for one in refusals), 'point')})"


def _lost(points: Sequence[Point]) -> Table:
    return Table(
        "Missed or misrouted doorbells: a QP slept although its doorbell rang",
        [column(OkPoint, name) for name in LOST],
        [words(*(getattr(point, name) for name in LOST)) for point in lost_points(points)],
        keys=5,
    )


def _overview(groups: Sequence[Group]) -> Table:
    """Return, for each device, the points with most queues: the dispatch modes side by side."""
    modes = list(dict.fromkeys(mode for group in groups for mode in group.dispatches))
    rows: dict[tuple[str, int, int, int], dict[str, OkPoint]] = {}
    for group in groups:
        for point in (point for mode in modes for point in group.best(mode)):
            key = (group.title, point.queues, point.doorbells, point.vectors)
            rows.setdefault(key, {})[point.dispatch] = point
    keys = [column(OkPoint, name) for name in ("hardware", "queues", "doorbells", "vectors")]
    shows: list[tuple[str, str, Show]] = [("QPs woken per doorbell", "QPs", _amplification)]
    if timed(point for row in rows.values() for point in row.values()):
        shows.append(("ns per dispatch", "ns", _cost))
    columns = [
        Column(f"{title}, {mode}", head="\n".join((mode.replace("-", "-\n"), unit)))
        for title, unit, _ in shows
        for mode in modes
    ]
    cells = [
        [show(row[mode]) if mode in row else Cell("-") for _, _, show in shows for mode in modes]
        for row in rows.values()
    ]
    cells = [[*words(*key), *row] for key, row in zip(rows, cells, strict=True)]
    title = "QPs woken per doorbell (amplification), each device at its most queues"
    return Table(title, [*keys, *columns], cells, keys=4, shown="brief")


def _summary(groups: Sequence[Group]) -> Table:
    """Return, for each device and dispatch, the measured points with most queues."""
    points = [[p for name in group.dispatches for p in group.best(name)] for group in groups]
    columns = [
        *(column(OkPoint, name) for name in ("dispatch", "queues", "doorbells", "vectors")),
        *(column(OkPoint, name) for name in EXPLAINED[1:]),
    ]
    if timed(point for row in points for point in row):
        title = "ns per dispatch (95 % interval)"
        columns.append(Column(title, COST, title.replace(" (", "\n(")))
    explained = [LABELS[name] for name in EXPLAINED]
    return Table(
        "Summary: each device at the most queues that it gave",
        columns,
        [_summary_row(point)[: len(columns)] for row in points for point in row],
        [f"{it.title}{' (Q)' if it.head == 'Q' else ''}: {it.definition}" for it in explained],
        [(group.title, len(row)) for group, row in zip(groups, points, strict=True)],
        shown="terminal",
        detail=True,
    )


def _summary_row(point: OkPoint) -> tuple[Cell, ...]:
    timing = timing_of(point)
    return (
        *words(point.dispatch, point.queues, point.doorbells, point.vectors),
        Cell(f"{point.amplification:.2f}", point.amplification, strong=True),
        number(point.effective_amplification, ".2f"),
        Cell(percent(point.spurious_ratio), point.spurious_ratio),
        Cell("not timed") if timing is None else Cell(interval(timing), timing.median),
    )


def _pivot(title: str, groups: Sequence[Group], show: Show) -> Table:
    """Return a quantity over the queues asked for; a page draws it instead."""
    counts = queue_counts(groups)
    rows = []
    for row in (row for group in groups for row in group.rows):
        cells = [_cell(row.cells.get(count), show) for count in counts]
        rows.append((*words(row.dispatch, row.doorbells, row.vectors), *cells))
    far = "; +-3x: three medians away" if any(c.text.endswith("x") for r in rows for c in r) else ""
    return Table(
        title,
        [
            *(column(OkPoint, name) for name in KEYS),
            *(Column(plural(count, "queue"), head=f"Q={count}") for count in counts),
        ],
        rows,
        [f"queues (Q): {LABELS['queues_requested'].definition}; -: unavailable, see below{far}"],
        [(group.title, len(group.rows)) for group in groups],
        keys=len(KEYS),
        shown="terminal",
    )


def _cell(point: Point | None, show: Show) -> Cell:
    if point is None:
        return Cell("")
    return show(point) if isinstance(point, OkPoint) else Cell("-")


def _amplification(point: OkPoint) -> Cell:
    return Cell(f"{point.amplification:.2f}", point.amplification)


def _cost(point: OkPoint) -> Cell:
    timing = timing_of(point)
    return Cell("not timed") if timing is None else Cell(spread(timing), timing.median)


def _all_points(points: Sequence[Point]) -> Table:
    ends = [column(Timing, name) for name in ENDS] if timed(points) else []
    status = Column("status", "ok, or why the device cannot give the queues", align="left")
    columns = [
        *(column(OkPoint, name) for name in ASKED),
        status,
        *(column(OkPoint, name) for name in (*RATIOS, *COUNTS)),
        *ends,
        column(OkPoint, "workload"),
    ]
    rows = Deferred(lambda: (_point_row(point, len(ends)) for point in points))
    return Table("All points", columns, rows, keys=len(ASKED), shown="page")


def _point_row(point: Point, ends: int) -> tuple[Cell, ...]:
    asked = words(*[getattr(point, name) for name in ASKED])
    if isinstance(point, UnavailablePoint):
        blank = [Cell("")] * (len(RATIOS) + len(COUNTS) + ends)
        return (*asked, Cell(f"unavailable: {point.reason}"), *blank, Cell(point.workload))
    ratios = [number(getattr(point, name), ".4g") for name in RATIOS]
    counts = words(*[getattr(point, name) for name in COUNTS])
    timing = timing_of(point)
    times = [Cell("")] * ends
    if timing is not None:
        values = (timing.median, timing.low, timing.high)
        times = [Cell(nanoseconds(value), value) for value in values]
    return (*asked, Cell("ok"), *ratios, *counts, *times, Cell(point.workload))


def _warnings(result: SweepResult) -> list[tuple[str, list[str]]]:
    """Return the warnings, those that share a remedy together."""
    found: dict[str, list[str]] = {}
    for caution in result.warnings:
        messages = found.setdefault(f"{caution.code}: {caution.remedy}", [])
        messages.append(_message(result.points, caution))
    return list(found.items())


def _message(points: Sequence[Point], caution: Caution) -> str:
    if caution.point is None or not 0 <= caution.point < len(points):
        return caution.message
    point = points[caution.point]
    return (
        f"{point.hardware}, {point.dispatch}, doorbells {point.doorbells}, "
        f"vectors {point.vectors}, queues {point.queues_requested}: {caution.message}"
    )


def _sheet(points: Sequence[Point]) -> Sheet:
    """Return a row a point: every scalar field, and the parts of the timing."""
    asked = Axes.__struct_fields__
    counted = [n for n, it in LABELS.items() if n not in asked and it.type in SCALARS]
    timing = [f"{TIMING}_{part}" for part in (*ENDS, "samples")]
    rows = (_sheet_row(point, asked, counted) for point in points)
    return Sheet([*asked, "status", "reason", *counted, *timing], rows, "rows")


def _sheet_row(point: Point, asked: Sequence[str], counted: Sequence[str]) -> list[object]:
    row = [getattr(point, name) for name in asked]
    if isinstance(point, UnavailablePoint):
        return [*row, "unavailable", point.reason, *[None] * (len(counted) + len(ENDS) + 1)]
    row += ["ok", None, *(getattr(point, name) for name in counted)]
    timing = timing_of(point)
    if timing is None:
        return [*row, *[None] * (len(ENDS) + 1)]
    return [*row, timing.median, timing.low, timing.high, len(timing.samples)]


def _figures(points: Sequence[Point]) -> Sequence[Section]:
    if not ok_points(points):
        return ()
    from ntbbench.report.figures.sweep import sections  # noqa: PLC0415 - plotly

    return sections(groups_of(points), points)
