# SPDX-License-Identifier: BSD-3-Clause
"""A sweep for a pull request: GitHub's Markdown, the summary in sight and the rest folded."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

from tabulate import tabulate

from ntbbench.dispatch.records import OkPoint, Point, SweepResult
from ntbbench.report import sweep_wording, wording
from ntbbench.report.cautions import cautions_of
from ntbbench.report.pivot import Group, by_reason, groups_of, queue_counts, refusals_of

MESSAGES_MAX = 3  # of one kind of warning
# What would start markup, a mention, an issue number or a link. An underscore inside a word
# (ntb_hw_epf) starts nothing and stays readable.
MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
BLOCK = re.compile(r"^(\d*)([-+=#.)])")  # at the start of a line: a list, a heading
LINKS = re.compile(r"@(?=\w)|#(?=\d)|(?<=www)\.|:(?=//)", re.IGNORECASE)

Show = Callable[[OkPoint], str]


def render(result: SweepResult) -> str:
    """Return the result as Markdown, ASCII only: other characters as numeric entities."""
    groups = groups_of(result.points)
    blocks = [_head(result)]
    if sweep_wording.ok_points(result.points):
        blocks += [_summary(groups), _pivot("Wakeup amplification", groups, _amplification)]
    if sweep_wording.timed(result.points):
        blocks.append(_folded("Cost of a dispatch, ns (95 % interval)", _pivot("", groups, _cost)))
    blocks += [*_refused(result.points), *_lost(result.points), *_warnings(result)]
    facts = [_item(line) for line in wording.brief_facts(result.environment)]
    blocks.append(_folded("Environment", "\n".join(facts)))
    return "\n\n".join(blocks) + "\n"


def escaped(text: str) -> str:
    """Return `text` so that Markdown shows it as it is, on one line and inside a table cell."""
    text = escape(MARKUP.sub(r"\\\g<0>", wording.printable(text)), quote=False)
    text = LINKS.sub(lambda match: f"&#{ord(match[0])};", text)
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _head(result: SweepResult) -> str:
    lines = [
        f"### ntbbench sweep, {sweep_wording.headline(result)}",
        escaped(sweep_wording.setup(result)),
        f"Amplification: {sweep_wording.AMPLIFICATION}.",
    ]
    if (hint := sweep_wording.unfinished(result)) is not None:
        lines.append(f"**{escaped(hint)}**")
    return "\n\n".join(lines)


def _summary(groups: Sequence[Group]) -> str:
    headers = ["hardware", "dispatch", "queues", "doorbells", "vectors", "amplification"]
    headers += ["effective", "spurious runs", "ns a dispatch (95 % interval)"]
    best = [(g.title, g.best(dispatch)) for g in groups for dispatch in g.dispatches]
    rows = [_summary_row(title, point) for title, point in best if point is not None]
    return _table(headers, rows, "llrrrrrrr")


def _summary_row(title: str, point: OkPoint) -> list[str]:
    return [
        escaped(title),
        escaped(point.dispatch),
        *(str(value) for value in (point.queues, point.doorbells, point.vectors)),
        f"**{_amplification(point)}**",
        wording.number(point.effective_amplification),
        wording.percent(point.spurious_ratio),
        _cost(point),
    ]


def _pivot(title: str, groups: Sequence[Group], show: Show) -> str:
    counts = queue_counts(groups)
    headers = ["hardware", "dispatch", "doorbells", "vectors"]
    headers += [wording.plural(count, "queue") for count in counts]
    rows: list[list[str]] = []
    for group in groups:
        labels = (escaped(group.title), "")
        for row in group.rows:
            first = labels[0], escaped(row.dispatch) if row.dispatch != labels[1] else ""
            cells = [_cell(row.cells.get(count), show) for count in counts]
            rows.append([*first, str(row.doorbells), str(row.vectors), *cells])
            labels = "", row.dispatch
    table = _table(headers, rows, "ll" + "r" * (len(headers) - 2))
    return f"**{title}** (n/a: unavailable)\n\n{table}" if title else table


def _refused(points: Sequence[Point]) -> Iterator[str]:
    lines: list[str] = []
    for reason, refusals in by_reason(refusals_of(points)):
        lines.append(_item(reason))
        lines += ["  " + _item(str(refusal)) for refusal in refusals]
    if lines:
        yield _folded("Unavailable points", "\n".join(lines))


def _lost(points: Iterable[Point]) -> Iterator[str]:
    headers = ["hardware", "dispatch", "queues", "doorbells", "vectors", "missed", "misrouted"]
    rows = [
        [escaped(p.hardware), escaped(p.dispatch)]
        + [str(value) for value in (p.queues, p.doorbells, p.vectors, p.missed, p.misrouted)]
        for p in sweep_wording.lost(points)
    ]
    if rows:
        title = "**Missed or misrouted doorbells** (a QP slept although its doorbell rang)"
        yield f"{title}\n\n{_table(headers, rows, 'llrrrrr')}"


def _warnings(result: SweepResult) -> Iterator[str]:
    lines: list[str] = []
    for group in cautions_of(result):
        lines.append(_item(f"{group.code}: {group.remedy}"))
        lines += ["  " + _item(message) for message in group.head(MESSAGES_MAX)]
    if lines:
        yield "\n".join(["**Warnings**", "", *lines])


def _item(text: str) -> str:
    return "- " + BLOCK.sub(r"\1\\\2", escaped(text))


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    names = {"l": "left", "r": "right"}
    aligned = tuple(names[letter] for letter in align)
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True, colalign=aligned)


def _cell(point: Point | None, show: Show) -> str:
    if point is None:
        return ""
    return show(point) if isinstance(point, OkPoint) else "n/a"


def _amplification(point: OkPoint) -> str:
    return wording.number(point.amplification)


def _cost(point: OkPoint) -> str:
    timing = sweep_wording.timing_of(point)
    return "not timed" if timing is None else sweep_wording.interval(timing)
