# SPDX-License-Identifier: BSD-3-Clause
"""A lab run: what the real kernel did, beside what the model predicts."""

from collections.abc import Iterator

from msgspec.structs import fields

from ntbbench.core.fields import declared, plain_type
from ntbbench.lab.loopback.records import LabPoint, LabResult
from ntbbench.report.document import (
    Block,
    Cell,
    Check,
    Column,
    Details,
    Document,
    Notes,
    Sheet,
    Table,
    column,
    number,
    words,
)
from ntbbench.report.views.sheets import PER_QP, qp_sheet
from ntbbench.report.wording import plural

LABELS = declared(LabPoint)
# Columns of the summary that are fields; what only a reader needs stands between them.
ASKED = ("vectors", "db_read", "doorbells_rung", "events", "tasklet_schedules")
RUNS = ("runs_per_qp", "predicted_runs_per_qp")
PER_DOORBELL = Column("runs per doorbell", "of all receive tasklets", "per door-\nbell")
MEASURED = (
    Column("", align="left"),
    Column("measured"),
    Column("predicted"),
    Column("difference"),
)
FACTS = ("kernel", "kernel_version", "kernel_source", "ntb_source", "accelerator")


def document(result: LabResult) -> Document:
    """Return the report of a lab run."""
    return Document(
        title="ntbbench lab run",
        verdict=verdict_of(result),
        record=result,
        blocks=[_summary(result), *map(_details, result.points)],
        warnings=[(warning, ()) for warning in result.warnings],
        facts={declared(LabResult)[name].title: getattr(result, name) for name in FACTS}
        | result.environment,
        sheet=lambda: _sheet(result),
        checks=lambda: [_check(point) for point in result.points],
    )


def verdict_of(result: LabResult) -> str:
    """Return in one sentence what was run and how many points agree."""
    agreed = sum(point.agrees for point in result.points)
    return (
        f"The model agrees in {agreed} of {plural(len(result.points), 'point')}: "
        f"Linux {result.kernel} ({result.kernel_source}, {result.accelerator})"
        f"{tree(result.source_tree)}"
    )


def tree(source_tree: str) -> str:
    """Return where the NTB files are from if not from the kernel itself."""
    return f", its NTB files from --source {source_tree}" if source_tree else ""


def conclusion(point: LabPoint) -> str:
    """Return what the comparison says of a point."""
    if not point.agrees:
        return "DISAGREES"
    return "agrees" if not any(point.difference_per_qp) else "in bounds"


def _summary(result: LabResult) -> Table:
    columns = [*(column(LabPoint, name) for name in (*ASKED, *RUNS)), PER_DOORBELL]
    return Table(
        "Points",
        [*columns, Column("verdict", LABELS["agrees"].definition, align="left")],
        [_row(point) for point in result.points],
        [f"{name}: {LABELS[name].definition}" for name in ("vectors", "db_read")],
        keys=2,
    )


def _row(point: LabPoint) -> list[Cell]:
    runs, predicted = (sum(getattr(point, name)) for name in RUNS)
    return [
        *words(*(getattr(point, name) for name in ASKED), runs, predicted),
        number(runs / max(point.doorbells_rung, 1), ".2f"),
        Cell(conclusion(point), strong=not point.agrees),
    ]


def _details(point: LabPoint) -> Details:
    return Details(_title(point), [*_blocks(point)])


def _title(point: LabPoint) -> str:
    """Return what a point is of, in one line."""
    vectors = plural(point.vectors, "vector") if point.vectors else "no vector callbacks"
    qps = ", ".join(map(str, point.sending_qps))
    order = "in turn" if point.order == "turn" else "together"
    return (
        f"{vectors}, db_read {point.db_read}: {plural(point.packets, 'packet')} each by QP {qps} "
        f"of {point.queues}, {order}, {point.gap_us} us apart: {conclusion(point)}"
    )


def _blocks(point: LabPoint) -> Iterator[Block]:
    sent = point.packets * len(point.sending_qps)
    rows = [
        _measured(LABELS["doorbells_rung"].title, point.doorbells_rung, None),
        _measured(LABELS["events"].title, point.events, None),
        _measured(LABELS["packets_received"].title, point.packets_received, sent),
        _measured(
            LABELS["tasklet_schedules"].title,
            point.tasklet_schedules,
            point.predicted_tasklet_schedules,
        ),
        _measured("tasklet runs", *(sum(getattr(point, name)) for name in RUNS)),
    ]
    pairs = zip(point.runs_per_qp, point.predicted_runs_per_qp, strict=True)
    rows += [_measured(f"  runs of QP {qp}", *counts) for qp, counts in enumerate(pairs)]
    yield Table("", MEASURED, rows)
    events = ", ".join(f"{vector}: {count}" for vector, count in point.events_per_vector.items())
    lines = [f"events by vector: {events}"]
    if not point.spaced:
        bounds = zip(point.least_runs_per_qp, point.most_runs_per_qp, strict=True)
        shown = ", ".join(f"QP {qp}: {low} .. {high}" for qp, (low, high) in enumerate(bounds))
        lines.append(f"runs that any order of these doorbells allows: {shown}")
    yield Notes("", [(line, ()) for line in (*lines, *point.notes)])


def _measured(name: str, measured: int, predicted: int | None) -> tuple[Cell, ...]:
    if predicted is None:
        return words(name, measured, "", "")
    difference = measured - predicted
    return (*words(name, measured, predicted), number(difference, "+d" if difference else "d"))


def _sheet(result: LabResult) -> Sheet:
    names = [f.name for f in fields(LabPoint)]
    shared = [name for name in names if plain_type(LabPoint, name) in (int, str, bool)]
    return qp_sheet(result.points, shared, [name for name in names if name.endswith(PER_QP)])


def _check(point: LabPoint) -> Check:
    runs, predicted = (sum(getattr(point, name)) for name in RUNS)
    counts = f"runs {runs}, predicted {predicted}, doorbells {point.doorbells_rung}"
    ratio = f"runs per doorbell {runs / max(point.doorbells_rung, 1):.2f}"
    return Check(point.name, point.agrees, diagnostics=[counts, ratio, *point.notes])
