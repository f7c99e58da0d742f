# SPDX-License-Identifier: BSD-3-Clause
"""A lab run as one self-contained HTML page."""

from ntbbench.lab.loopback.records import LabPoint, LabResult
from ntbbench.report import page
from ntbbench.report.lab import NOTE, headline, title, verdict
from ntbbench.report.page import Cell, Column, Facts, Notes, Page, Section, Table

COLUMNS = (
    Column("vectors", "0: no vector callbacks; k: bit b belongs to vector b % k"),
    Column("db_read", "latched: shows a rung bit until db_clear(); zero: always 0"),
    Column("doorbells"),
    Column("events", "calls of the doorbell callback"),
    Column("packets", "received"),
    Column("schedules", "tasklets put on a list, by any cause"),
    Column("schedules predicted"),
    Column("runs", "of all receive tasklets"),
    Column("runs predicted"),
    Column("runs per QP"),
    Column("predicted per QP"),
    Column("verdict"),
)


def render_html(result: LabResult) -> str:
    """Return the result as one self-contained HTML page."""
    table = Table("lab-points", COLUMNS, tuple(_cells(point) for point in result.points))
    sections = [Section("Points", (table,), name="points", intro=" ".join(NOTE.split()))]
    notes = tuple((title(p), tuple(p.notes)) for p in result.points if p.notes)
    notes += tuple((warning, ()) for warning in result.warnings)
    if notes:
        sections.append(Section("Notes", (Notes(notes),), name="notes"))
    facts = {
        "kernel": result.kernel,
        "version": result.kernel_version,
        "asked for": result.kernel_source,
        "NTB sources": result.ntb_source,
        "accelerator": result.accelerator,
        **result.environment,
    }
    sections.append(Section("Environment", (Facts(tuple(facts.items())),), name="environment"))
    return page.render(Page("ntbbench lab", (headline(result),), tuple(sections)))


def _cells(point: LabPoint) -> tuple[Cell, ...]:
    numbers = (
        point.doorbells_rung,
        point.events,
        point.packets_received,
        point.tasklet_schedules,
        point.predicted_tasklet_schedules,
        sum(point.runs_per_qp),
        sum(point.predicted_runs_per_qp),
    )
    lists = (point.runs_per_qp, point.predicted_runs_per_qp)
    return (
        Cell(str(point.vectors), point.vectors),
        Cell(point.db_read),
        *(Cell(str(number), number) for number in numbers),
        *(Cell(", ".join(map(str, runs))) for runs in lists),
        Cell(verdict(point)),
    )
