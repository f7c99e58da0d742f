# SPDX-License-Identifier: BSD-3-Clause
"""A pair run as one self-contained HTML page."""

from collections.abc import Callable, Iterator

from ntbbench.lab.pair.records import CHECK, MATRIX, OK, PairPoint, PairResult
from ntbbench.report import page, pair_check, pair_matrix
from ntbbench.report.page import Cell, Column, Facts, Notes, Page, Section, Table
from ntbbench.report.pair_words import (
    NOTE,
    allowed_runs,
    between,
    difference,
    has_counts,
    headline,
    judgement,
    named,
    outside,
    patches_text,
    slots_text,
    title,
    untried,
    warned,
)

QP_NOTE = """\
Each QP of a point whose link is up, beside what the model says of it: the runs of its receive \
tasklet, whichever doorbell woke it."""


def _number(count: int | None) -> Cell:
    return Cell("-") if count is None else Cell(str(count), count)


def _traffic(point: PairPoint) -> Cell:
    return Cell(f"{point.flows} x {point.packets}, {point.gap_us} us")


# Of what every point of one boot shares; a column where points differ in it, else said once.
SETTINGS: tuple[tuple[Column, Callable[[PairPoint], Cell]], ...] = (
    (
        Column("EP", "driver of the endpoint, pci-epf-vntb"),
        lambda point: Cell(point.ep_driver),
    ),
    (
        Column("RC", "driver of the root complex, ntb_hw_epf"),
        lambda point: Cell(point.rc_driver),
    ),
    (
        Column("slots", "db_count of the endpoint: link and reserved slot included"),
        lambda point: _number(point.ep_slots),
    ),
    (Column("windows", "memory windows"), lambda point: _number(point.mw_count)),
    (
        Column("queues", "max_num_clients of ntb_transport; unset: all QPs"),
        lambda point: Cell("unset") if point.queues is None else _number(point.queues),
    ),
    (Column("doorbell", "how rings reach the endpoint"), lambda point: Cell(point.doorbell)),
    (Column("traffic", "flows x packets, and the gap between two packets"), _traffic),
)
DRIVERS = 2  # the first of them, which are told with their patches
COUNTS = (
    Column("link"),
    Column("QPs", "qp_count that ntb_transport computed on EP and RC"),
    Column("doorbells", "peer_db_set() calls of the sender"),
    Column("MSIs", "raised towards the root complex"),
    Column("events", "calls of the receiver's doorbell callback"),
    Column("sent", "packets"),
    Column("received", "packets"),
    Column("runs", "of all receive tasklets of the receiver"),
    Column("predicted", "runs that the model allows"),
    Column("verdict", "what became of the doorbells, measured; empty for a burst"),
    Column("model", "whether the counts are what the model says"),
)
OF_A_QP = (
    Column("QP", "qp_num, of the receiver"),
    Column("doorbells", "that rang for it"),
    Column("runs", "of its receive tasklet"),
    Column("predicted", "runs that the model allows"),
    Column("difference", "of the runs and what the model allows"),
    Column("slot", "that its doorbell rang: bit + 2 of any version; MSI n is slot n - 1"),
)
DIRECTION = Column("direction")


def render_html(result: PairResult) -> str:
    """Return the result as one self-contained HTML page."""
    shown = named(result)
    sections = [*_of_kind(result), *_measured(shown.points)]
    told = ((title(point), _notes(point)) for point in shown.points)
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
    found = [pair_check.headline(result)] if result.kind == CHECK else []
    lines = tuple(dict.fromkeys([*found, headline(result), *untried(result)]))
    return page.render(Page(f"ntbbench lab pair {result.kind}", lines, tuple(sections)))


def _measured(points: list[PairPoint]) -> Iterator[Section]:
    """Yield what points share, a table of them, and one of their QPs.

    A column for what is the same in every row would push the last ones off the page.
    """
    differ = [(c, cell) for c, cell in SETTINGS if len({cell(point) for point in points}) > 1]
    same = [(c, cell) for c, cell in SETTINGS[DRIVERS:] if (c, cell) not in differ]
    shared = [(column.title, cell(point).text) for column, cell in same for point in points[:1]]
    facts = Facts((*_patches(points), *shared))

    def setting(point: PairPoint) -> tuple[Cell, ...]:
        return (Cell(point.direction), *(cell(point) for _, cell in differ))

    columns = (DIRECTION, *(column for column, _ in differ))
    rows = tuple((*setting(point), *_counts(point)) for point in points)
    table = Table("pair-points", (*columns, *COUNTS), rows)
    yield Section("Points", (facts, table), name="points", intro=NOTE)
    of_qps = tuple((*setting(point), *cells) for point in points for cells in _qps(point))
    if of_qps:
        table = Table("pair-qps", (*columns, *OF_A_QP), of_qps)
        yield Section("QPs", (table,), name="qps", intro=QP_NOTE)


def _patches(points: list[PairPoint]) -> Iterator[tuple[str, str]]:
    """Yield what each driver behaves as; of one that was not observed, its patches."""
    told: dict[str, str] = {}
    for point in points:
        for side, driver, words, patches in (
            ("EP", point.ep_driver, point.ep_behaves, point.ep_patches),
            ("RC", point.rc_driver, point.rc_behaves, point.rc_patches),
        ):
            known = f"patches of the series: {patches_text(patches)}"
            told[f"{side} {driver}"] = f"behaves as: {words}" if words else known
    yield from sorted(told.items())


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
        shown = (Notes(told),) if told else ()
        yield Section("Findings", shown, name="findings", intro=pair_check.NOTE)


def _notes(point: PairPoint) -> tuple[str, ...]:
    cause = (point.cause,) if point.cause else ()
    return (*cause, *point.notes, *warned(point))


def _counts(point: PairPoint) -> tuple[Cell, ...]:
    counts: list[int | None] = [
        point.doorbells_rung,
        point.msis_raised if point.direction == "ep-to-rc" else None,
        point.events,
        point.packets_sent,
        point.packets_received,
        sum(point.runs_per_qp),
    ]
    measured, up = point.status == OK, has_counts(point)
    if not up:
        counts = [None] * len(counts)
    qps = (point.ep_qp_count, point.rc_qp_count)
    return (
        Cell(point.link if measured else point.status),
        Cell("/".join("-" if count is None else str(count) for count in qps)),
        *(_number(count) for count in counts),
        _allowed(*allowed_runs(point)) if up else _number(None),
        Cell(point.verdict or "-"),
        Cell(judgement(point)),
    )


def _qps(point: PairPoint) -> Iterator[tuple[Cell, ...]]:
    """Yield the cells of each QP of a point that was measured."""
    bounds = zip(point.least_runs_per_qp, point.most_runs_per_qp, strict=True)
    counts = zip(point.doorbells_per_qp, point.runs_per_qp, bounds, strict=True)
    for qp_num, (rung, runs, bound) in enumerate(counts):
        cells = (_number(qp_num), _number(rung), _number(runs), _allowed(*bound))
        slot = Cell(slots_text(point.slots_per_bit.get(str(qp_num), [])) or "-")
        yield *cells, Cell(difference(runs, *bound), float(outside(runs, *bound))), slot


def _allowed(low: int, high: int) -> Cell:
    return Cell(between(low, high), low)
