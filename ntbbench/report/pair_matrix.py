# SPDX-License-Identifier: BSD-3-Clause
"""A matrix of the pair: what became of the doorbells of each pair of drivers, by slots."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

from tabulate import tabulate

from ntbbench.lab.pair.records import OK, UNAVAILABLE, PairPoint, PairResult
from ntbbench.report.markdown import escaped
from ntbbench.report.pair_words import (
    AGREES,
    BOUNDED,
    DIED,
    DISAGREES,
    NOT_RUN,
    WIDTH,
    fitting,
    headline,
    judgement,
    named,
    short_name,
    untried,
)
from ntbbench.report.wording import ascii_only, folded, plural

HEADERS = ("EP", "RC", "slots", "QPs", "measured", "model", "runs/bell", "match")
DIFFERS = "DIFFERS"
MATCHES = {AGREES: AGREES, BOUNDED: BOUNDED, DISAGREES: DIFFERS, DIED: DIFFERS, NOT_RUN: "-"}
NOTE = """\
slots: db_count of the endpoint, link and reserved slot included. QPs: qp_count that ntb_transport \
computed on EP and RC. measured, model: what becomes of the doorbells, on the kernel and in the \
model. link-down: the QPs differ, and the transport link never comes up; missed: a \
rung queue is not woken; misrouted: another one is; fallback: every doorbell runs all queues; \
per-vector: it runs its own. With one QP the last two cannot be told apart: works. failed: the \
guest panicked, hung or gave up. runs/bell: receive tasklet runs a doorbell, measured. match: \
whether QPs, verdict and every count are as the model says; in bounds: where doorbells meet, as in \
a burst, it only bounds the counts, and no verdict is measured."""


@dataclass(frozen=True)
class Row:
    """Points of one pair of drivers and one number of windows that differ in their slots alone.

    `slots` are the first and the last of the db_counts in a row.
    """

    ep: str
    rc: str
    slots: tuple[int, int]
    qps: str
    measured: str
    model: str
    runs: str
    verdict: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as it is shown."""
        low, high = self.slots
        slots = str(low) if low == high else f"{low}-{high}"
        names = (ascii_only(self.ep), ascii_only(self.rc))
        return (*names, slots, self.qps, self.measured, self.model, self.runs, self.verdict)


def render_text(result: PairResult) -> str:
    """Return the matrix as plain ASCII of at most 80 columns."""
    result = named(result)
    blocks = [folded(headline(result))]
    for title, rows in tables(result):
        names = [name for row in rows for name in row.cells[:2]]
        lines = fitting(partial(_table, rows), names).splitlines()
        indent = "  " if max(map(len, lines)) <= WIDTH - 2 else ""
        blocks.append("\n".join([folded(title), *(indent + line for line in lines)]))
    blocks += ["\n".join(_differences(result, folded)), *map(folded, untried(result))]
    blocks += ["\n".join(folded(warning) for warning in result.warnings)] * bool(result.warnings)
    return "\n\n".join([*(block for block in blocks if block), folded(NOTE)]) + "\n"


def _table(rows: list[Row], width: int) -> str:
    cells = [(*(short_name(name, width) for name in r.cells[:2]), *r.cells[2:]) for r in rows]
    table = tabulate(cells, HEADERS, "simple", disable_numparse=True)
    return "\n".join(line.rstrip() for line in table.splitlines())


def render_markdown(result: PairResult) -> str:
    """Return the matrix as Markdown: a table a direction and number of windows."""
    result = named(result)
    lines = ["### ntbbench lab pair matrix", "", escaped(headline(result)), ""]
    for title, rows in tables(result):
        cells = [[escaped(cell) for cell in row.cells] for row in rows]
        table = tabulate(cells, HEADERS, "pipe", disable_numparse=True)
        lines += [f"#### {escaped(title)}", "", table, ""]
    lines += [f"- {escaped(line)}" for line in [*_differences(result, str), *untried(result)]]
    return "\n".join(lines).rstrip() + "\n"


def tables(result: PairResult) -> Iterator[tuple[str, list[Row]]]:
    """Yield a title and its rows for each direction and number of windows."""

    def of_table(point: PairPoint) -> tuple[str, int, str]:
        return point.direction, point.mw_count, point.doorbell

    def of_pair(point: PairPoint) -> tuple[str, str]:
        return point.ep_driver, point.rc_driver

    order = {pair: n for n, pair in enumerate(dict.fromkeys(map(of_pair, result.points)))}
    kinds = {kind: n for n, kind in enumerate(dict.fromkeys(map(of_table, result.points)))}
    ordered = sorted(
        result.points, key=lambda p: (kinds[of_table(p)], order[of_pair(p)], p.ep_slots)
    )
    for (direction, windows, doorbell), points in groupby(ordered, of_table):
        how = f", {doorbell}" if direction == "rc-to-ep" else ""
        yield f"{direction}, {plural(windows, 'window')}{how}", _rows(list(points))


def _rows(points: list[PairPoint]) -> list[Row]:
    rows: list[Row] = []
    for point in points:
        row = _row(point)
        last = rows[-1] if rows else None
        follows = last is not None and point.ep_slots == last.slots[1] + 1
        if last is not None and follows and replace(last, slots=row.slots) == row:
            rows[-1] = replace(last, slots=(last.slots[0], row.slots[1]))
        else:
            rows.append(row)
    return rows


def _row(point: PairPoint) -> Row:
    up = point.link == "up"
    runs = "-"
    if up and point.doorbells_rung:
        runs = f"{sum(point.runs_per_qp) / point.doorbells_rung:.2f}"
    qps = (point.ep_qp_count, point.rc_qp_count)
    return Row(
        ep=point.ep_driver,
        rc=point.rc_driver,
        slots=(point.ep_slots, point.ep_slots),
        qps="/".join("-" if count is None else str(count) for count in qps),
        measured=point.verdict or "-" if point.status == OK else point.status,
        model=point.predicted_verdict if point.status != UNAVAILABLE else "-",
        runs=runs,
        verdict=MATCHES[judgement(point)],
    )


def _differences(result: PairResult, shown: Callable[[str], str]) -> Iterator[str]:
    """Yield each point in which model and kernel differ, and in what."""
    run = [point for point in result.points if point.status != UNAVAILABLE]
    differing = [point for point in run if not point.agrees]
    if run and not differing:
        which = "" if len(run) == len(result.points) else " that was run"
        bounded = sum(judgement(point) == BOUNDED for point in run)
        only = f"; {plural(bounded, 'point')} of {len(run)} only within bounds" if bounded else ""
        yield shown(f"Model and kernel differ in no cell{which}{only}.")
    for point in differing:
        where = (
            f"{point.direction}, EP {point.ep_driver}, RC {point.rc_driver}, "
            f"{point.ep_slots} slots, {plural(point.mw_count, 'window')}"
        )
        told = "; ".join([*([point.cause] if point.cause else []), *point.notes])
        yield shown(f"{where}: {told}")
