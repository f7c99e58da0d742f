# SPDX-License-Identifier: BSD-3-Clause
"""Flows over ntb_netdev: doorbells and runs by queue, throughput side by side."""

from msgspec.structs import fields

from ntbbench.core.fields import declared
from ntbbench.lab.records import NetdevPoint, NetdevResult
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
from ntbbench.report.views.lab_run import facts_of, packets_check, run_checks, system
from ntbbench.report.views.record_tables import PER_QP, qp_sheet
from ntbbench.report.wording import plural

FACTS = ("kernel", "kernel_source", "ntb_source", "accelerator", "ping", "queues_asked")
LISTS = tuple(f.name for f in fields(NetdevPoint) if f.name.endswith(PER_QP))
SUMMARY = (
    Column("gap", declared(NetdevPoint)["gap_us"].definition),
    *(column(NetdevPoint, name) for name in ("vectors", "queues")),
    column(NetdevPoint, "packets_sent", "sent"),
    column(NetdevPoint, "packets_received", "received"),
    column(NetdevPoint, "runs_per_event", "runs per\nevent"),
    Column("Mbit/s", declared(NetdevPoint)["bits_per_second"].definition),
    Column("ratio", "throughput over that of the first point of the same pace"),
    Column("verdict", declared(NetdevPoint)["agrees"].definition, align="left"),
)
NOTES = (
    f"runs: {declared(NetdevPoint)['runs_per_qp'].definition}",
    "ratio: throughput over that of the first point of the same pace. The guest's clock counts "
    "instructions where it is emulated: ratios tell what a packet costs, not what a board carries.",
)


def document(result: NetdevResult) -> Document:
    """Return the report of flows over ntb_netdev."""
    rows = [_row(result, point) for point in result.points]
    return Document(
        title="ntbbench lab run --client netdev",
        verdict=verdict_of(result),
        record=result,
        blocks=[Table("Points", SUMMARY, rows, NOTES), *map(_details, result.points)],
        warnings=[(warning, ()) for warning in result.warnings],
        facts=facts_of(result, FACTS),
        ran=True,
        sheet=lambda: _sheet(result),
        checks=lambda: [_check(result, point) for point in result.points],
    )


def verdict_of(result: NetdevResult) -> str:
    """Return in one sentence what was run, how many spaced points agree, and the fast apart."""
    spaced = [point.agrees for point in result.points if point.gap_us]
    fast = [point.agrees for point in result.points if not point.gap_us]
    counts = [f"The model agrees in {sum(spaced)} of {plural(len(spaced), 'spaced point')}"]
    counts += [f"{sum(fast)} of {len(fast)} fast in bounds, their runs not predicted"] * bool(fast)
    return f"{'; '.join(counts)}: UDP over ntb_netdev, {system(result)}"


def _conclusion(point: NetdevPoint) -> str:
    if not point.agrees:
        return "DISAGREES"
    return "agrees" if point.gap_us else "in bounds"


def _row(result: NetdevResult, point: NetdevPoint) -> list[Cell]:
    first = next(other for other in result.points if other.gap_us == point.gap_us)
    return [
        Cell(f"{point.gap_us} us" if point.gap_us else "fast", point.gap_us),
        *words(point.vectors, point.queues, point.packets_sent, point.packets_received),
        number(point.runs_per_event, ".2f"),
        Cell(f"{point.bits_per_second / 1e6:.1f}", point.bits_per_second),
        number(point.bits_per_second / first.bits_per_second, ".3f"),
        Cell(_conclusion(point), strong=not point.agrees),
    ]


def _details(point: NetdevPoint) -> Details:
    shown = [name for name in LISTS if getattr(point, name)]
    if point.checked == "exact":
        shown = [name for name in shown if name not in ("least_runs_per_qp", "most_runs_per_qp")]
    rows = [
        words(qp_num, *(getattr(point, name)[qp_num] for name in shown))
        for qp_num in range(point.active_qps)
    ]
    if point.agrees and not point.gap_us:
        title = f"{point.name}: no packet lost, runs in bounds (not predicted: not spaced)"
    else:
        title = f"{point.name}: {_conclusion(point)}"
    columns = [Column("QP"), *(column(NetdevPoint, name) for name in shown)]
    blocks: list[Block] = [Table("", columns, rows), Notes("", [(n, ()) for n in point.notes])]
    return Details(title, blocks, attention=not point.agrees)


def _sheet(result: NetdevResult) -> Sheet:
    names = [f.name for f in fields(NetdevPoint)]
    shared = [name for name in names if name not in (*LISTS, "notes")]
    return qp_sheet(result.points, shared, LISTS)


def _check(result: NetdevResult, point: NetdevPoint) -> Check:
    """Return a point as a test; queues that the kernel does not give cannot be tested."""
    predicted = point.predicted_runs_per_qp
    least, most = point.least_runs_per_qp, point.most_runs_per_qp
    if predicted is not None:
        least = most = predicted
    checks = [
        Check(
            f"{max(result.queues_asked, 1)} queues",
            point.queues >= result.queues_asked or None,
            f"ntb_netdev of Linux {result.kernel} gave {point.queues}",
        ),
        packets_check(point.packets_sent, sum(point.doorbells_per_qp), point.packets_received),
        *(run_checks(point.runs_per_qp, least, most) if most else ()),
        Check("the model agrees", point.agrees, diagnostics=point.notes),
    ]
    ratio = f"runs per event {point.runs_per_event:.2f}"
    return Check(point.name, None, diagnostics=[ratio], checks=checks)
