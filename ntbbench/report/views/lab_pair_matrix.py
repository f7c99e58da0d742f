# SPDX-License-Identifier: BSD-3-Clause
"""A matrix of the pair: what became of the doorbells of each pair of drivers, by slots."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ntbbench.core.fields import declared
from ntbbench.lab.pair.records import OK, UNAVAILABLE, PairPoint, PairResult
from ntbbench.report.document import Block, Cell, Column, Document, Notes, Table, column, words
from ntbbench.report.views import lab_pair_points as pair
from ntbbench.report.views.lab_pair_axes import asked_cells, differing, named, title
from ntbbench.report.views.lab_pair_judged import (
    AGREES,
    BOUNDED,
    DIED,
    DISAGREES,
    NOT_RUN,
    between,
    difference,
    judgement,
    kind_of_points,
    qp_counts,
    qps_hint,
    runs_per_doorbell,
    slots_text,
)
from ntbbench.report.wording import plural

DIFFERS = "DIFFERS"
MATCHES = {
    AGREES: AGREES,
    BOUNDED: BOUNDED,
    DISAGREES: DIFFERS,
    DIED: DIFFERS,
    NOT_RUN: "-",
}
# After those of the drivers, the slots and the QPs.
COLUMNS = (
    Column("measured", "what becomes of the doorbells on the kernel", align="left"),
    Column("model", "what becomes of them in the model", align="left"),
    Column(pair.PER_DOORBELL.title, pair.PER_DOORBELL.hint, "per doorbell"),
    Column("match", pair.LABELS["agrees"].definition, align="left"),
)
# What becomes of doorbells: explained where it is shown.
VERDICTS = {
    "link-down": "the QPs differ, and the transport link never comes up",
    "missed": "a rung queue is not woken",
    "misrouted": "another queue than the rung one is woken",
    "fallback": "every doorbell runs all queues",
    "per-vector": "every doorbell runs its own queue",
    "works": "with one QP, fallback and per-vector cannot be told apart",
    "failed": "the guest panicked, hung or gave up",
}
OF_A_QP = (
    Column("QP", "qp_num, of the receiver"),
    column(PairPoint, "doorbells_per_qp"),
    column(PairPoint, "runs_per_qp"),
    pair.PREDICTED,
    Column("difference", "of the runs and what the model allows"),
    Column("slot", "that its doorbell rang: bit + 2 of any version; MSI n is slot n - 1"),
)


@dataclass(frozen=True)
class MatrixRow:
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
    match: str

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The row as it is shown."""
        low, high = self.slots
        slots = str(low) if low == high else f"{low}-{high}"
        texts = (self.ep, self.rc, slots, self.qps, self.measured, self.model, self.runs)
        return (*words(*texts), Cell(self.match, strong=self.match == DIFFERS))


def document(result: PairResult) -> Document:
    """Return the report of a matrix: a table a direction and number of windows."""
    points = named(result.points)
    differences = Notes("Differences", [(line, ()) for line in _differences(points)])
    details = [pair.points_table(points, brief=False), _qps(points), _legend(points)]
    return pair.report(result, [*_tables(points), differences], details)


def _tables(points: Sequence[PairPoint]) -> Iterator[Table]:
    """Yield a table for each direction and number of windows."""

    def of_table(point: PairPoint) -> tuple[str, int, str]:
        return point.direction, point.mw_count, point.doorbell

    def of_pair(point: PairPoint) -> tuple[str, str]:
        return point.ep_driver, point.rc_driver

    order = {pair: n for n, pair in enumerate(dict.fromkeys(map(of_pair, points)))}
    kinds = {kind: n for n, kind in enumerate(dict.fromkeys(map(of_table, points)))}
    ordered = sorted(points, key=lambda p: (kinds[of_table(p)], order[of_pair(p)], p.ep_slots))
    for (direction, windows, doorbell), found in groupby(ordered, of_table):
        how = f", {doorbell}" if direction == "rc-to-ep" else ""
        name = f"{direction}, {plural(windows, 'window')}{how}"
        yield Table(name, _columns(points), [row.cells for row in _rows(list(found))], keys=2)


def _columns(points: Sequence[PairPoint]) -> list[Column]:
    kind = kind_of_points(points)
    about = declared(kind)["ep_slots"]
    return [
        column(kind, "ep_driver"),
        column(kind, "rc_driver"),
        Column(about.title, about.definition, align="left"),
        Column("QPs", qps_hint(points), align="left"),
        *COLUMNS,
    ]


def _rows(points: list[PairPoint]) -> list[MatrixRow]:
    rows: list[MatrixRow] = []
    for point in points:
        row = _row(point)
        last = rows[-1] if rows else None
        follows = last is not None and point.ep_slots == last.slots[1] + 1
        if last is not None and follows and replace(last, slots=row.slots) == row:
            rows[-1] = replace(last, slots=(last.slots[0], row.slots[1]))
        else:
            rows.append(row)
    return rows


def _row(point: PairPoint) -> MatrixRow:
    ratio = runs_per_doorbell(point)
    return MatrixRow(
        ep=point.ep_driver,
        rc=point.rc_driver,
        slots=(point.ep_slots, point.ep_slots),
        qps=qp_counts(point),
        measured=point.verdict or "-" if point.status == OK else point.status,
        model=point.predicted_verdict if point.status != UNAVAILABLE else "-",
        runs="-" if ratio is None else f"{ratio:.2f}",
        match=MATCHES[judgement(point)],
    )


def _differences(points: Sequence[PairPoint]) -> Iterator[str]:
    """Yield each point in which model and kernel differ, and in what."""
    run = [point for point in points if point.status != UNAVAILABLE]
    wrong = [point for point in run if not point.agrees]
    if run and not wrong:
        which = "" if len(run) == len(points) else " that was run"
        bounded = sum(judgement(point) == BOUNDED for point in run)
        only = f"; {plural(bounded, 'point')} of {len(run)} only within bounds" if bounded else ""
        yield f"Model and kernel differ in no cell{which}{only}."
    for point in wrong:
        where = title(point, ("ep_driver", "rc_driver", "ep_slots", "mw_count"))
        yield f"{where}: {'; '.join(filter(None, [point.cause, *point.notes]))}"


def _qps(points: Sequence[PairPoint]) -> Table:
    """Return each QP of a point whose link is up, beside what the model says of its runs."""
    axes = differing(points)
    kind = kind_of_points(points)
    names = [column(kind, name) for name in ("direction", *axes)]
    rows = [(*asked_cells(point, axes), *cells) for point in points for cells in _qp_cells(point)]
    return Table("QPs", [*names, *OF_A_QP], rows, shown="page")


def _qp_cells(point: PairPoint) -> Iterator[tuple[Cell, ...]]:
    bounds = zip(point.least_runs_per_qp, point.most_runs_per_qp, strict=True)
    counts = zip(point.doorbells_per_qp, point.runs_per_qp, bounds, strict=True)
    for qp_num, (rung, runs, bound) in enumerate(counts):
        slot = slots_text(point.slots_per_bit.get(str(qp_num), [])) or "-"
        allowed = Cell(between(*bound), bound[0])
        yield *words(qp_num, rung, runs), allowed, difference(runs, *bound), Cell(slot)


def _legend(points: Sequence[PairPoint]) -> Block:
    used = {word for p in points for word in (p.verdict, p.predicted_verdict, p.status)}
    lines = [f"{word}: {meaning}" for word, meaning in VERDICTS.items() if word in used]
    return pair.legend(points, ["ep_slots"], f"QPs: {qps_hint(points)}", *lines)
