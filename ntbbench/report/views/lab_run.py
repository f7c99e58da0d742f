# SPDX-License-Identifier: BSD-3-Clause
"""A lab run: what the real kernel did, beside what the model predicts."""

from collections.abc import Iterator, Sequence

from msgspec.structs import fields

from ntbbench.core.fields import declared, plain_type
from ntbbench.lab.records import LabPoint, LabResult, NetdevResult
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
from ntbbench.report.views.record_tables import PER_QP, beside, qp_sheet
from ntbbench.report.wording import plural

LABELS = declared(LabPoint)
# Columns of the summary that are fields; what only a reader needs stands between them.
ASKED = ("vectors", "db_read", "doorbells_rung", "events", "tasklet_schedules")
RUNS = ("runs_per_qp", "predicted_runs_per_qp")
PER_DOORBELL = Column("runs per doorbell", "of all receive tasklets", "per door-\nbell")
FACTS = ("kernel", "kernel_version", "kernel_source", "ntb_source", "accelerator")


def document(result: LabResult) -> Document:
    """Return the report of a lab run."""
    return Document(
        title="ntbbench lab run",
        verdict=verdict_of(result),
        record=result,
        blocks=[
            _summary(result),
            *(Details(_title(p), [*_blocks(p)], attention=not p.agrees) for p in result.points),
        ],
        warnings=[(warning, ()) for warning in result.warnings],
        facts=facts_of(result, FACTS) | result.environment,
        ran=True,
        sheet=lambda: _sheet(result),
        checks=lambda: [_check(point) for point in result.points],
    )


def facts_of(result: LabResult | NetdevResult, names: Sequence[str]) -> dict[str, str]:
    """Return declared fields of a result by their titles."""
    labels = declared(type(result))
    return {labels[name].title: getattr(result, name) for name in names}


def verdict_of(result: LabResult) -> str:
    """Return in one sentence what was run and how many points agree."""
    agreed = sum(point.agrees for point in result.points)
    return (
        f"The model agrees in {agreed} of {plural(len(result.points), 'point')}: {system(result)}"
    )


def system(result: LabResult | NetdevResult) -> str:
    """Return which kernel ran, and where its NTB files are from if not from the kernel itself."""
    tree = f", its NTB files from --source {result.source_tree}" if result.source_tree else ""
    return f"Linux {result.kernel} ({result.kernel_source}, {result.accelerator}){tree}"


def _conclusion(point: LabPoint) -> str:
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
        Cell(_conclusion(point), strong=not point.agrees),
    ]


def _title(point: LabPoint) -> str:
    vectors = plural(point.vectors, "vector") if point.vectors else "no vector callbacks"
    qps = ", ".join(map(str, point.sending_qps))
    order = "in turn" if point.order == "turn" else "together"
    return (
        f"{vectors}, db_read {point.db_read}: {plural(point.packets, 'packet')} each by QP {qps} "
        f"of {point.queues}, {order}, {point.gap_us} us apart: {_conclusion(point)}"
    )


def _blocks(point: LabPoint) -> Iterator[Block]:
    runs, predicted = (getattr(point, name) for name in RUNS)
    schedules = point.predicted_tasklet_schedules
    rows = [
        (LABELS["doorbells_rung"].title, point.doorbells_rung, None),
        (LABELS["events"].title, point.events, None),
        (LABELS["packets_received"].title, point.packets_received, _sent(point)),
        (LABELS["tasklet_schedules"].title, point.tasklet_schedules, schedules),
        ("tasklet runs", sum(runs), sum(predicted)),
    ]
    pairs = enumerate(zip(runs, predicted, strict=True))
    yield beside("measured", [*rows, *((f"  runs of QP {qp}", *pair) for qp, pair in pairs)])
    events = ", ".join(f"{vector}: {count}" for vector, count in point.events_per_vector.items())
    lines = [f"events by vector: {events}"]
    if not point.spaced:
        bounds = zip(point.least_runs_per_qp, point.most_runs_per_qp, strict=True)
        shown = ", ".join(f"QP {qp}: {low} .. {high}" for qp, (low, high) in enumerate(bounds))
        lines.append(f"runs that any order of these doorbells allows: {shown}")
    yield Notes("", [(line, ()) for line in (*lines, *point.notes)])


def _sent(point: LabPoint) -> int:
    return point.packets * len(point.sending_qps)


def _sheet(result: LabResult) -> Sheet:
    names = [f.name for f in fields(LabPoint)]
    shared = [name for name in names if plain_type(LabPoint, name) in (int, str, bool)]
    return qp_sheet(result.points, shared, [name for name in names if name.endswith(PER_QP)])


def _check(point: LabPoint) -> Check:
    """Return a point as a test: no packet lost, the runs of each QP, and what the model says."""
    runs, predicted = (getattr(point, name) for name in RUNS)
    allowed = (predicted, predicted)
    if not point.spaced:
        allowed = (point.least_runs_per_qp, point.most_runs_per_qp)
    return Check(
        point.name,
        None,
        checks=[
            packets_check(_sent(point), point.doorbells_rung, point.packets_received),
            *run_checks(runs, *allowed),
            Check("the model agrees", point.agrees, diagnostics=point.notes),
        ],
        diagnostics=[
            f"tasklet runs {sum(runs)}, predicted {sum(predicted)}",
            f"runs per doorbell {sum(runs) / max(point.doorbells_rung, 1):.2f}",
        ],
    )


def packets_check(sent: int, rung: int, received: int) -> Check:
    """Return the test that each packet rang once and arrived."""
    counts = f"{sent} packets sent, {rung} doorbells rung, {received} packets received"
    return Check("no packet is lost", sent == rung == received, diagnostics=[counts])


def run_checks(runs: Sequence[int], least: Sequence[int], most: Sequence[int]) -> Iterator[Check]:
    """Yield for each QP the test that its runs lie within what is allowed."""
    for qp_num, (count, low, high) in enumerate(zip(runs, least, most, strict=True)):
        allowed = f"{low}" if low == high else f"{low} to {high}"
        about = f"{count} runs, {allowed} allowed"
        yield Check(f"runs of QP {qp_num}", low <= count <= high, diagnostics=[about])
