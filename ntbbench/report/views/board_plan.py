# SPDX-License-Identifier: BSD-3-Clause
"""A session before it is begun: every command that changes something, the order, the time."""

from ntbbench.board.board_records import BoardChange, BoardSchedule, PlannedRun
from ntbbench.core.units import duration_text
from ntbbench.report.document import Document, Sheet, Table, column, words
from ntbbench.report.wording import plural


def document(plan: BoardSchedule) -> Document:
    """Return the report of a plan."""
    took = duration_text(round(plan.seconds), 1)
    changes = [words(one.side, one.when, one.command) for one in plan.changes]
    runs = [words(one.block, one.variant, one.cell) for one in plan.runs]
    return Document(
        title="ntbbench board plan",
        verdict=f"at most {plural(len(plan.runs), 'run')} in {plural(plan.blocks, 'block')}, "
        f"{took} and reloads; {plural(len(plan.changes), 'command')} that may change something",
        record=plan,
        lines=[f"seed {plan.seed}; a setting that has its value already is not set"],
        whole=True,
        blocks=[
            Table(
                "Every command that changes something",
                [column(BoardChange, name) for name in ("side", "when", "command")],
                changes,
                keys=2,
            ),
            Table(
                "Order of runs",
                [column(PlannedRun, name) for name in ("block", "variant", "cell")],
                runs,
                keys=2,
                detail=True,
            ),
        ],
        sheet=lambda: Sheet(
            ["block", "variant", "cell"], ([r.block, r.variant, r.cell] for r in plan.runs)
        ),
    )
