# SPDX-License-Identifier: BSD-3-Clause
"""A pair run as one self-contained HTML page."""

from collections.abc import Iterator

from ntbbench.lab.pair.records import CHECK, MATRIX, OK, PairPoint, PairResult
from ntbbench.report import page, pair_check, pair_matrix
from ntbbench.report.page import Cell, Column, Facts, Notes, Page, Section, Table
from ntbbench.report.pair_words import (
    NOTE,
    allowed_runs,
    between,
    headline,
    judgement,
    named,
    patches_text,
    qp_counts,
    title,
    warned,
)

COLUMNS = (
    Column("direction"),
    Column("EP", "driver of the endpoint, pci-epf-vntb"),
    Column("EP patches", "patches of the series found in its source"),
    Column("RC", "driver of the root complex, ntb_hw_epf"),
    Column("RC patches", "patches of the series found in its source"),
    Column("slots", "db_count of the endpoint: link and reserved slot included"),
    Column("windows", "memory windows"),
    Column("doorbell", "how rings reach the endpoint"),
    Column("link"),
    Column("QPs", "qp_count that ntb_transport computed on EP and RC"),
    Column("doorbells", "peer_db_set() calls of the sender"),
    Column("MSIs", "raised towards the root complex"),
    Column("events", "calls of the receiver's doorbell callback"),
    Column("sent", "packets"),
    Column("received", "packets"),
    Column("runs", "of all receive tasklets of the receiver"),
    Column("runs predicted"),
    Column("runs per QP"),
    Column("predicted per QP"),
    Column("verdict", "what became of the doorbells, measured; empty for a burst"),
    Column("model", "whether the counts are what the model says"),
)


def render_html(result: PairResult) -> str:
    """Return the result as one self-contained HTML page."""
    sections = list(_of_kind(result))
    table = Table("pair-points", COLUMNS, tuple(_cells(point) for point in result.points))
    sections.append(Section("Points", (table,), name="points", intro=NOTE))
    told = ((title(point), _notes(point)) for point in named(result).points)
    notes = [(name, lines) for name, lines in told if lines]
    notes += [(warning, ()) for warning in result.warnings]
    if notes:
        sections.append(Section("Notes", (Notes(tuple(notes)),), name="notes"))
    facts = {
        "kernel": result.kernel,
        "asked for": result.kernel_source,
        "accelerator": result.accelerator,
        "deterministic": "yes" if result.deterministic else "no",
        **result.environment,
    }
    sections.append(Section("Environment", (Facts(tuple(facts.items())),), name="environment"))
    return page.render(Page("ntbbench lab pair", (headline(result),), tuple(sections)))


def _of_kind(result: PairResult) -> Iterator[Section]:
    """Yield what only a matrix or a check has."""
    if result.kind == MATRIX:
        columns = tuple(Column(title) for title in pair_matrix.HEADERS)
        intro = pair_matrix.NOTE
        for number, (name, rows) in enumerate(pair_matrix.tables(named(result))):
            cells = tuple(tuple(Cell(text) for text in row.cells) for row in rows)
            table = Table(f"matrix-{number}", columns, cells)
            yield Section(name, (table,), name=f"of-{number}", intro=intro)
            intro = ""
    if result.kind == CHECK:
        told = tuple(
            (pair_check.place(found), (found.line, pair_check.seen(found)))
            for found in result.findings
        )
        intro = f"{pair_check.headline(result)}. {pair_check.NOTE}"
        yield Section("Findings", (Notes(told),) if told else (), name="findings", intro=intro)


def _notes(point: PairPoint) -> tuple[str, ...]:
    cause = (point.cause,) if point.cause else ()
    return (*cause, *point.notes, *warned(point))


def _cells(point: PairPoint) -> tuple[Cell, ...]:
    counts: list[int | None] = [
        point.doorbells_rung,
        point.msis_raised if point.direction == "ep-to-rc" else None,
        point.events,
        point.packets_sent,
        point.packets_received,
        sum(point.runs_per_qp),
    ]
    measured = point.status == OK
    up = measured and point.link == "up"
    if not up:
        counts = [None] * len(counts)
    low, high = allowed_runs(point)
    bounds = zip(point.least_runs_per_qp, point.most_runs_per_qp, strict=True)
    return (
        Cell(point.direction),
        Cell(point.ep_driver),
        Cell(patches_text(point.ep_patches)),
        Cell(point.rc_driver),
        Cell(patches_text(point.rc_patches)),
        _number(point.ep_slots),
        _number(point.mw_count),
        Cell(point.doorbell),
        Cell(point.link if measured else "-"),
        Cell(qp_counts(point.ep_qp_count, point.rc_qp_count) if measured else "-"),
        *(_number(count) for count in counts),
        Cell(between(low, high), low) if up else _number(None),
        Cell(", ".join(map(str, point.runs_per_qp)) or "-"),
        Cell(", ".join(between(*bound) for bound in bounds) or "-"),
        Cell(point.verdict or "-"),
        Cell(judgement(point)),
    )


def _number(count: int | None) -> Cell:
    return Cell("-") if count is None else Cell(str(count), count)
