# SPDX-License-Identifier: BSD-3-Clause
"""A sweep for a terminal or a mail: plain ASCII, never wider than 80 columns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from textwrap import wrap

from tabulate import tabulate

from ntbbench.dispatch.records import OkPoint, Point, SweepResult
from ntbbench.report import sweep_wording as sweeps
from ntbbench.report import wording
from ntbbench.report.cautions import cautions_of
from ntbbench.report.pivot import Group, Row, by_reason, groups_of, queue_counts, refusals_of
from ntbbench.report.wording import ascii_only

WIDTH = 80
GAP = 2  # tabulate puts two spaces between columns
INDENT = "  "  # of a row below the title of its group
LABEL_HEADERS = ("dispatch", "door-\nbells", "vec-\ntors")
DISPATCH_MAX = 10  # the longest is `per-vector`
MESSAGES_MAX = 3  # of one kind of warning
UNAVAILABLE = "-"
NOT_ASKED = ""

LEGEND = "Q: ntb_netdev queues asked for; -: unavailable, see below"
LEGEND_FAR = "; +-3x: three medians away"

# What a cell of a pivot shows of a measured point.
Show = Callable[[OkPoint], str]


def render(result: SweepResult) -> str:
    """Return the result as text: summary, tables, what was unavailable, warnings, environment."""
    groups = groups_of(result.points)
    blocks = [_head(result)]
    if sweeps.ok_points(result.points):
        blocks.append(_summary(groups))
        blocks += _pivot(f"Wakeup amplification: {sweeps.AMPLIFICATION}", groups, _amplification)
    if sweeps.timed(result.points):
        title = "Cost: ns a dispatch, median and the farther end of its 95 % interval"
        blocks += _pivot(title, groups, _cost)
    blocks += [_refused(result.points), _lost(result.points), _warnings(result)]
    blocks.append(_environment(result))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _head(result: SweepResult) -> list[str]:
    lines = [
        *_folded(f"ntbbench sweep, {sweeps.headline(result)}"),
        *_folded(sweeps.setup(result)),
    ]
    if (hint := sweeps.unfinished(result)) is not None:
        lines += _folded(hint)
    return lines


def _summary(groups: Sequence[Group]) -> list[str]:
    """Return, for each device and dispatch, the measured point with most queues."""
    best = [[group.best(dispatch) for dispatch in group.dispatches] for group in groups]
    points = [point for row in best for point in row if point is not None]
    headers = [
        *("dispatch", "Q", "door-\nbells", "vec-\ntors"),
        *("amplif-\nication", "effec-\ntive", "spuri-\nous"),
        *(["ns a dispatch\n(95 % interval)"] if sweeps.timed(points) else []),
    ]
    rows = [_summary_row(point, len(headers)) for point in points]
    members = [sum(point is not None for point in row) for row in best]
    lines = _folded("Summary: each device at the most queues that it gave")
    lines += _table(headers, rows, [group.title for group in groups], members)
    lines += _folded(
        "Q: ntb_netdev queues; amplification, effective: tasklet_schedule() calls and tasklets put "
        "on a list, an interrupt; spurious: share of those tasklets' runs that found no packet"
    )
    return lines


def _summary_row(point: OkPoint, width: int) -> list[str]:
    timing = sweeps.timing_of(point)
    cells = [
        _dispatch(point.dispatch),
        str(point.queues),
        str(point.doorbells),
        str(point.vectors),
        wording.number(point.amplification),
        wording.number(point.effective_amplification),
        wording.percent(point.spurious_ratio),
        "not timed" if timing is None else sweeps.interval(timing),
    ]
    return cells[:width]


def _pivot(title: str, groups: Sequence[Group], show: Show) -> Iterator[list[str]]:
    """Yield the tables of one quantity: as many queue columns in each as fit."""
    counts = queue_counts(groups)
    cells = [show(point) for g in groups for r in g.rows for point in _measured(r)]
    column = max(len(f"Q={counts[-1]}"), *map(len, cells), 1) + GAP
    step = max(1, (WIDTH - _label_width(groups)) // column)
    for start in range(0, len(counts), step):
        chosen = counts[start : start + step]
        if start == 0:
            far = any(cell.endswith("x") for cell in cells)
            lines = _folded(title) + _folded(LEGEND + (LEGEND_FAR if far else ""))
            kept = groups
        else:  # a row without a number has been told already, and its reason is below
            lines = _folded(f"{title.partition(':')[0]}, continued")
            kept = _with_numbers(groups, chosen)
        if kept:
            yield lines + _pivot_table(kept, chosen, show)


def _with_numbers(groups: Sequence[Group], counts: Sequence[int]) -> list[Group]:
    """Return the groups and rows that were measured at any of these queue counts."""
    kept: list[Group] = []
    for group in groups:
        rows = [r for r in group.rows if any(p.queues_requested in counts for p in _measured(r))]
        if rows:
            kept.append(replace(group, rows=tuple(rows)))
    return kept


def _label_width(groups: Sequence[Group]) -> int:
    """Return how many columns the labels of a pivot's rows take."""
    rows = [row for group in groups for row in group.rows]
    texts = [_labels(row) for row in rows]
    texts.append([header.partition("\n")[0] for header in LABEL_HEADERS])
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return len(INDENT) + sum(widths) + GAP * (len(widths) - 1)


def _pivot_table(groups: Sequence[Group], counts: Sequence[int], show: Show) -> list[str]:
    rows: list[list[str]] = []
    titles: list[str] = []
    members: list[int] = []
    for group in groups:
        chosen = [row for row in group.rows if any(count in row.cells for count in counts)]
        last = ""
        for row in chosen:
            cells = [_cell(row.cells.get(count), show) for count in counts]
            name, *sizes = _labels(row)
            rows.append([name if row.dispatch != last else "", *sizes, *cells])
            last = row.dispatch
        titles.append(group.title)
        members.append(len(chosen))
    return _table([*LABEL_HEADERS, *(f"Q={count}" for count in counts)], rows, titles, members)


def _table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    titles: Sequence[str],
    members: Sequence[int],
) -> list[str]:
    """Return a table whose rows stand below the title of their group; `members` rows in each."""
    tops, bottoms = zip(*(header.partition("\n")[::2] for header in headers), strict=True)
    lines = tabulate(
        [tops, bottoms, *rows],
        tablefmt="plain",  # its header would pad every column by two more
        disable_numparse=True,
        colalign=("left", *["right"] * (len(headers) - 1)),
    ).splitlines()
    lines = [INDENT + line for line in lines]
    start = len(lines) - len(rows)
    result = [*lines[:start], INDENT + "-" * (max(map(len, lines)) - len(INDENT))]
    for title, count in zip(titles, members, strict=True):
        if count:
            result += _folded(title)
        result += lines[start : start + count]
        start += count
    return [line.rstrip() for line in result]


def _refused(points: Sequence[Point]) -> list[str]:
    refusals = refusals_of(points)
    lines = ["Unavailable"] if refusals else []
    for reason, members in by_reason(refusals):
        lines += _folded(reason, indent=2)
        for refusal in members:
            lines += _folded(str(refusal), indent=4, hanging=2)
    return lines


def _lost(points: Sequence[Point]) -> list[str]:
    """Return the points with lost doorbells; one line when there is none, as there should be."""
    lost = sweeps.lost(points)
    if not lost:
        return _folded("Missed doorbells: 0, misrouted: 0") if sweeps.ok_points(points) else []
    lines = ["MISSED OR MISROUTED DOORBELLS (a QP slept although its doorbell rang)"]
    for p in lost:
        where = f"{p.hardware}, {p.dispatch}, doorbells {p.doorbells}, vectors {p.vectors}"
        counts = f"queues {p.queues}: missed {p.missed}, misrouted {p.misrouted}"
        lines += _folded(f"{where}, {counts}", indent=2, hanging=2)
    return lines


def _warnings(result: SweepResult) -> list[str]:
    lines = ["Warnings"] if result.warnings else []
    for group in cautions_of(result):
        lines += _folded(f"{group.code}: {group.remedy}", indent=2, hanging=2)
        for message in group.head(MESSAGES_MAX):
            lines += _folded(message, indent=4, hanging=2)
    return lines


def _environment(result: SweepResult) -> list[str]:
    lines = ["Environment"]
    for line in wording.brief_facts(result.environment):
        lines += _folded(line, indent=2, hanging=2)
    return lines


def _labels(row: Row) -> list[str]:
    return [_dispatch(row.dispatch), str(row.doorbells), str(row.vectors)]


def _measured(row: Row) -> list[OkPoint]:
    return sweeps.ok_points(row.cells.values())


def _cell(point: Point | None, show: Show) -> str:
    if point is None:
        return NOT_ASKED
    return show(point) if isinstance(point, OkPoint) else UNAVAILABLE


def _amplification(point: OkPoint) -> str:
    return wording.number(point.amplification)


def _cost(point: OkPoint) -> str:
    timing = sweeps.timing_of(point)
    return "not timed" if timing is None else sweeps.spread(timing)


def _dispatch(name: str) -> str:
    return ascii_only(name)[:DISPATCH_MAX]


def _folded(text: str, indent: int = 0, hanging: int = 0) -> list[str]:
    """Return `text` as ASCII lines of at most WIDTH columns."""
    lines = wrap(
        ascii_only(text),
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_on_hyphens=False,
    )
    return [line.rstrip() for line in lines]
