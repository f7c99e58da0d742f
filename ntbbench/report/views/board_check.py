# SPDX-License-Identifier: BSD-3-Clause
"""What a board has and lacks, a line each with the remedy."""

from ntbbench.board.board_records import BoardCheck, BoardFinding
from ntbbench.report.document import Cell, Check, Document, Sheet, Table, Tone, column
from ntbbench.report.wording import plural

TONES: dict[str, Tone] = {"ok": "good", "note": "fair", "missing": "bad"}
NAMES = ("side", "what", "ready", "told", "remedy")


def document(check: BoardCheck) -> Document:
    """Return the report of a check."""
    missing = [one for one in check.findings if one.ready == "missing"]
    notes = sum(one.ready == "note" for one in check.findings)
    beside = f"; {plural(notes, 'note')}" if notes else ""
    answer = f"{plural(len(missing), 'thing')} missing" if missing else "ready"
    wanting = [one for one in check.findings if one.remedy]
    return Document(
        title="ntbbench board check",
        verdict=f"{answer}{beside}; nothing was changed",
        tone="bad" if missing else "good",
        record=check,
        blocks=[
            _table("What to do", wanting, detail=False),
            _table("What there is", check.findings, detail=bool(wanting)),
        ],
        sheet=lambda: Sheet(NAMES, ([getattr(f, n) for n in NAMES] for f in check.findings)),
        checks=lambda: [_check(one) for one in check.findings],
    )


def _table(title: str, findings: list[BoardFinding], *, detail: bool) -> Table:
    rows = [
        tuple(
            Cell(getattr(one, name), tone=TONES[one.ready] if name == "ready" else "")
            for name in NAMES
        )
        for one in findings
    ]
    return Table(title, [column(BoardFinding, n) for n in NAMES], rows, keys=2, detail=detail)


def _check(one: BoardFinding) -> Check:
    name = f"{one.side}: {one.what}"
    return Check(name, one.ready != "missing", one.remedy or one.told, notable=one.ready == "note")
