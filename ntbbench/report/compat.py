# SPDX-License-Identifier: BSD-3-Clause
"""The matrix of prefixes as text, Markdown, JSON and an HTML page with a coloured grid."""

from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap

import msgspec
import plotly.graph_objects as go
from tabulate import tabulate

from ntbbench.pair.drivers.hazards import Hazard
from ntbbench.pair.series.prefix_matrix import Cell, CompatResult, Exhaustive, rows
from ntbbench.pair.series.verdict import Verdict
from ntbbench.report import page
from ntbbench.report.broken import GROUP_HEADERS, grouped

WIDTH = 80
DIRECTION_TITLES = {"ep-to-rc": "EP rings RC", "rc-to-ep": "RC rings EP"}
SHORT = {
    Verdict.LINK_DOWN: "LINK DOWN",
    Verdict.MISSED: "MISSED",
    Verdict.MISROUTED: "MISROUTE",
    Verdict.FALLBACK: "fall",
    Verdict.PER_VECTOR: "vec",
}
COLOURS = {
    Verdict.LINK_DOWN: "#5b4b8a",
    Verdict.MISSED: "#b3261e",
    Verdict.MISROUTED: "#e07a1f",
    Verdict.FALLBACK: "#f2d16b",
    Verdict.PER_VECTOR: "#3d8b57",
}
LETTERS = {
    Hazard.SLEEPS: "S",
    Hazard.OUT_OF_RANGE: "O",
    Hazard.MISREAD: "V",
    Hazard.WRONG_BIT: "B",
}
VERDICT_WORDS = (
    "vec: per-vector, works; fall: fallback, works, wakes all; the number is the amplification: "
    "tasklet_schedule() calls a doorbell interrupt."
)
HAZARD_WORDS = "; ".join(f"{letter}: {hazard}" for hazard, letter in LETTERS.items()) + "."
ROW_WORDS = (
    "Rows: patches of the endpoint's half (1-7) that are applied, columns: of the root complex's "
    "(8-12); root-fix: the rejected alternative, bit 0 in slot 1."
)


def text(result: CompatResult) -> str:
    """Return the matrix as plain ASCII text of at most 80 columns."""
    blocks = [_fold(headline(result)), _fold(ROW_WORDS)]
    for direction, title in DIRECTION_TITLES.items():
        blocks.append(f"{title}: verdict\n{_matrix(result, direction, verdict_text, 'simple')}")
        blocks.append(f"{title}: hazards\n{_matrix(result, direction, hazard_text, 'simple')}")
    blocks += [_fold(VERDICT_WORDS), _fold(HAZARD_WORDS)]
    if isinstance(result.exhaustive, Exhaustive):
        found = result.exhaustive
        blocks.append(_fold(exhaustive_line(found)))
        blocks.append(tabulate(grouped(found.regressions), GROUP_HEADERS, tablefmt="simple"))
    return "\n\n".join(blocks) + "\n"


def markdown(result: CompatResult) -> str:
    """Return the matrix as Markdown tables."""
    blocks = [f"### {headline(result)}", ROW_WORDS]
    for direction, title in DIRECTION_TITLES.items():
        blocks += [f"**{title}**: verdict", _matrix(result, direction, verdict_text, "github")]
        blocks += [f"**{title}**: hazards", _matrix(result, direction, hazard_text, "github")]
    blocks += [VERDICT_WORDS, HAZARD_WORDS]
    if isinstance(result.exhaustive, Exhaustive):
        found = result.exhaustive
        blocks.append(exhaustive_line(found))
        blocks.append(tabulate(grouped(found.regressions), GROUP_HEADERS, tablefmt="github"))
    return "\n\n".join(blocks) + "\n"


def as_json(result: CompatResult) -> str:
    """Return the result as JSON."""
    return msgspec.json.format(msgspec.json.encode(result)).decode() + "\n"


def html(result: CompatResult) -> str:
    """Return the matrix as one self-contained HTML page."""
    sections = [
        page.Section(
            title,
            (_grid(result, direction, title),),
            name=direction,
            intro=ROW_WORDS,
        )
        for direction, title in DIRECTION_TITLES.items()
    ]
    sections.append(page.Section("All cells", (_cells_table(result.cells),), name="cells"))
    if isinstance(result.exhaustive, Exhaustive):
        found = result.exhaustive
        table = _text_table("broken", GROUP_HEADERS, grouped(found.regressions))
        sections.append(
            page.Section(
                "Other settings", (table,), name="exhaustive", intro=exhaustive_line(found)
            )
        )
    lines = (headline(result), VERDICT_WORDS)
    return page.render(page.Page("ntbbench compat", lines, tuple(sections)))


def headline(result: CompatResult) -> str:
    """Return the setting in words."""
    return (
        f"ntbbench compat: {result.ep_slots} slots, {result.rc_vectors} vectors, "
        f"{result.mw_count} windows, doorbell {result.doorbell}"
    )


def exhaustive_line(found: Exhaustive) -> str:
    """Return what the search over all settings found, in words."""
    return (
        f"All settings (3..32 slots, 4..32 vectors, 1..4 windows, 3 doorbell modes, both "
        f"directions): {found.settings}; 0/0 works in {found.working}; in "
        f"{len(found.regressions)} of those, cells of other prefixes do not; with one root-fix "
        f"side {found.root_fix_cells} cells do not."
    )


def verdict_text(cell: Cell) -> str:
    """Return a cell's verdict in at most nine characters."""
    verdict = Verdict(cell.verdict)
    works = verdict in (Verdict.FALLBACK, Verdict.PER_VECTOR) and cell.amplification is not None
    return f"{SHORT[verdict]} {cell.amplification:.4g}" if works else SHORT[verdict]


def hazard_text(cell: Cell) -> str:
    """Return a cell's hazards as letters."""
    return "".join(LETTERS[Hazard(hazard)] for hazard in cell.hazards) or "-"


def _matrix(
    result: CompatResult, direction: str, show: Callable[[Cell], str], tablefmt: str
) -> str:
    cells = {(c.ep, c.rc): c for c in result.cells if c.direction == direction}
    body = [[str(ep), *(show(cells[ep, rc]) for rc in rows("rc"))] for ep in rows("ep")]
    headers = ["EP/RC", *map(str, rows("rc"))]
    return tabulate(body, headers, tablefmt=tablefmt, disable_numparse=True)


def _grid(result: CompatResult, direction: str, title: str) -> page.Figure:
    cells = {(c.ep, c.rc): c for c in result.cells if c.direction == direction}
    order = list(Verdict)
    grid = [[cells[ep, rc] for rc in rows("rc")] for ep in rows("ep")]
    top = len(order) - 1
    heatmap = go.Heatmap(
        z=[[order.index(Verdict(cell.verdict)) for cell in row] for row in grid],
        x=[f"RC {name}" for name in rows("rc")],
        y=[f"EP {name}" for name in rows("ep")],
        text=[[verdict_text(cell) for cell in row] for row in grid],
        customdata=[[page.hover(_hover_text(cell)) for cell in row] for row in grid],
        texttemplate="%{text}",
        hovertemplate="%{y}, %{x}<br>%{customdata}<extra></extra>",
        zmin=0,
        zmax=top,
        colorscale=[[rank / top, COLOURS[verdict]] for rank, verdict in enumerate(order)],
        showscale=False,
        xgap=2,
        ygap=2,
    )
    figure = go.Figure(heatmap)
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(height=430, margin={"l": 90, "r": 20, "t": 56, "b": 16})
    figure.update_xaxes(side="top")
    return page.Figure(f"grid-{direction}", f"{title}: the verdict on each pair", figure)


def _hover_text(cell: Cell) -> str:
    counts = f"{cell.verdict}; {cell.missed} of {cell.cases} missed, {cell.misrouted} misrouted"
    return f"{counts}; hazards: {', '.join(cell.hazards) or 'none'}"


def _cells_table(cells: Sequence[Cell]) -> page.Table:
    names = ("direction", "EP", "RC", "verdict", "amplification", "missed", "misrouted", "cases")
    columns = tuple(page.Column(name) for name in (*names, "hazards"))
    return page.Table("cells-table", columns, tuple(_cell_row(cell) for cell in cells))


def _cell_row(cell: Cell) -> tuple[page.Cell, ...]:
    amplification = cell.amplification
    return (
        *(page.Cell(str(value)) for value in (cell.direction, cell.ep, cell.rc, cell.verdict)),
        page.Cell("-" if amplification is None else f"{amplification:.4g}", amplification),
        *(page.Cell(str(n), n) for n in (cell.missed, cell.misrouted, cell.cases)),
        page.Cell(", ".join(cell.hazards)),
    )


def _text_table(name: str, headers: Sequence[str], body: Sequence[Sequence[str]]) -> page.Table:
    columns = tuple(page.Column(header.replace("\n", " ")) for header in headers)
    return page.Table(name, columns, tuple(tuple(page.Cell(v) for v in row) for row in body))


def _fold(words: str) -> str:
    return "\n".join(wrap(words, WIDTH, break_on_hyphens=False))


FORMATS: Mapping[str, Callable[[CompatResult], str]] = {
    "text": text,
    "md": markdown,
    "json": as_json,
    "html": html,
}
