# SPDX-License-Identifier: BSD-3-Clause
"""A session on two hosts: the verdict by block, every cell with its numbers, how it was run."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ntbbench.board.board_records import BoardCell, BoardResult, BoardRun
from ntbbench.board.session import board_judged
from ntbbench.compare.readers.board_blocks import board_variants
from ntbbench.compare.records import Report
from ntbbench.core.units import duration_text
from ntbbench.report.document import (
    Block,
    Column,
    Document,
    Section,
    Sheet,
    Table,
    Tone,
    words,
)
from ntbbench.report.views import board_tables as tables
from ntbbench.report.views import comparison
from ntbbench.report.views import comparison_words as say
from ntbbench.report.views.ab import TONES, WHY, change
from ntbbench.report.wording import plural

SIDES = ("rc", "ep")


def document(result: BoardResult) -> Document:
    """Return the report of a session, by the policy that it ran with."""
    report = board_judged(result)
    blocks = plural(max((run.block for run in result.runs), default=0), "block")
    restored = "" if result.restored else "; NOT RESTORED"
    verdict = f"{_answer(report, result)}; {blocks}, {WHY[result.stopped]}{restored}"
    own: list[Block] = [
        _cells(result),
        tables.beside(result),
        tables.movable(result, report),
        tables.latency(result),
        *_queues(result),
        _drift(result),
        _raw(result),
    ]
    if report is None:
        return Document(
            title="ntbbench board",
            verdict=verdict,
            record=result,
            lines=[*_lines(result)],
            blocks=own,
            warnings=[*_warnings(result), *tables.control_warnings(result, report)],
            sheet=lambda: _sheet(result),
            figures=lambda: _figures(result),
        )
    whole = comparison.document(report, board_variants(result))
    return replace(
        whole,
        title="ntbbench board",
        verdict=verdict,
        tone=_tone(report),
        record=result,
        lines=[*_lines(result), *whole.lines],
        blocks=[*whole.blocks, *own],
        warnings=[*whole.warnings, *_warnings(result), *tables.control_warnings(result, report)],
        sheet=lambda: _sheet(result),
        figures=lambda: [*(whole.figures() if whole.figures else ()), *_figures(result)],
    )


def _answer(report: Report | None, result: BoardResult) -> str:
    if report is None:
        return f"{plural(len(result.runs), 'run')}, nothing to compare"
    if len(report.comparisons) == 1:
        (only,) = report.comparisons
        return f"{only.metric} {only.verdict}: {change(only)}"
    return say.answer(report)


def _tone(report: Report) -> Tone:
    verdicts = {one.verdict for one in report.comparisons}
    return "bad" if "regressed" in verdicts else TONES.get(next(iter(verdicts), ""), "fair")


def _lines(result: BoardResult) -> Iterator[str]:
    if note := result.board.get("how", {}).get("note"):
        yield f"note: {note}"
    for side in SIDES:
        table = result.board.get(side, {})
        drivers = result.drivers.get(side, {})
        kernel = drivers.get("kernel", "a kernel that is not known")
        modules = ", ".join(f"{k} {v}" for k, v in drivers.items() if k != "kernel")
        told = f"; {modules}" if modules else ""
        yield f"{side}: {table.get('host')} {table.get('netdev')}, {kernel}{told}"
    for one in result.board.get("variants", ()):
        yield f"variant {one['name']}: {_loads(one)}"
    took = duration_text(round(result.seconds), 1)
    yield f"each variant once a block, order drawn, seed {result.seed}, {took}"
    yield from dict.fromkeys(f"command: {run.command}" for run in result.runs)


def _loads(one: Mapping[str, object]) -> str:
    modules = one.get("modules") or ()
    assert isinstance(modules, Sequence)
    told = [f"insmod {path}" for path in modules]
    told += [str(one[side]) for side in SIDES if one.get(side)]
    return "; ".join(told) or "as found"


def _values(result: BoardResult) -> dict[tuple[int, str, str], list[float]]:
    """Return the numbers of each cell and variant, in the order of the blocks."""
    found: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    for run in sorted(result.runs, key=lambda run: run.block):
        for one in run.measures if run.block > 0 else ():
            found[run.cell, one.name, run.variant].append(one.value)
    return found


def _cells(result: BoardResult) -> Table:
    """Return a row for each number of each cell: the median of each variant and its interval."""
    values = _values(result)
    units = {one.name: one.unit for run in result.runs for one in run.measures}
    variants = [one["name"] for one in result.board.get("variants", ())]
    rows = []
    for cell, name in sorted(dict.fromkeys(key[:2] for key in values), key=lambda key: key[0]):
        scale, unit = tables.UNITS.get(units[name], (1.0, units[name]))
        told = [tables.median(values.get((cell, name, one), []), scale) for one in variants]
        rows.append((result.cells[cell].label, (*words(tables.with_unit(name, unit)), *told)))
    columns = [Column("number", align="left")]
    columns += [Column(f"{name} ({tables.PER} %)") for name in variants]
    return Table("Medians", columns, **tables.grouped(rows))


def _queues(result: BoardResult) -> Iterator[Table]:
    """Yield where the flows lay: the share of each queue."""
    columns = [Column(title, align="left") for title in ("cell", "variant")]
    columns += [Column("block"), Column("packets by queue (%)", align="left"), Column("starts")]
    rows = []
    for run in result.runs:
        whole = sum(run.packets_per_queue)
        if len(run.packets_per_queue) > 1 and whole:
            shares = " ".join(f"{100 * count / whole:.0f}" for count in run.packets_per_queue)
            label = result.cells[run.cell].label
            rows.append(words(label, run.variant, run.block, shares, run.starts))
    yield Table("Placement of the flows", columns, rows, keys=2, detail=True)


def _moved(result: BoardResult) -> Iterator[tuple[BoardRun, float]]:
    """Yield each run with its first number, over the median of its cell and variant."""
    timed = [run for run in result.runs if run.block > 0 and run.measures]
    values: dict[tuple[int, str], list[float]] = defaultdict(list)
    for run in timed:
        values[run.cell, run.variant].append(run.measures[0].value)
    middles = {key: float(np.median(found)) for key, found in values.items()}
    for run in timed:
        middle = middles[run.cell, run.variant]
        if middle:
            yield run, run.measures[0].value / middle


def _drift(result: BoardResult) -> Table:
    """Return how the board moved, block by block."""
    by_block: dict[int, list[float]] = defaultdict(list)
    for run, ratio in _moved(result):
        by_block[run.block].append(ratio)
    rows = [
        words(block, f"{100 * (float(np.median(ratios)) - 1):+.1f}", _hottest(result, block))
        for block, ratios in sorted(by_block.items())
    ]
    columns = [Column("block"), Column("first number against the session (%)"), Column("Celsius")]
    return Table("Drift", columns, rows, detail=True)


def _figures(result: BoardResult) -> list[Section]:
    from ntbbench.report.figures.drift import drift_sections  # noqa: PLC0415 -- loads plotly

    return drift_sections(
        [
            (run.started, ratio, run.variant, _where(run, result.cells[run.cell]))
            for run, ratio in _moved(result)
        ]
    )


def _hottest(result: BoardResult, block: int) -> str:
    found = [max(r.celsius.values()) for r in result.runs if r.block == block and r.celsius]
    return f"{max(found):.0f}" if found else "-"


def _raw(result: BoardResult) -> Table:
    columns = [Column("block"), Column("variant", align="left"), Column("cell", align="left")]
    columns += [Column("number", align="left"), Column("value"), Column("unit", align="left")]
    rows = [words(*row) for row in _rows(result)]
    return Table("Raw runs", columns, rows, keys=3, shown="page", detail=True)


def _rows(result: BoardResult) -> Iterator[list[object]]:
    for run in result.runs:
        for one in run.measures:
            cell = result.cells[run.cell].label
            yield [run.block, run.variant, cell, one.name, one.value, one.unit]


def _sheet(result: BoardResult) -> Sheet:
    return Sheet(["block", "variant", "cell", "number", "value", "unit"], _rows(result))


def _warnings(result: BoardResult) -> Iterator[tuple[str, list[str]]]:
    found: dict[str, list[str]] = defaultdict(list)
    for run in result.runs:
        for caution in run.cautions if run.block > 0 else ():
            found[caution].append(_where(run, result.cells[run.cell]))
    yield from found.items()
    if not result.restored and result.complete:
        yield "the hosts were not seen as they were found", ["ntbbench board restore BOARD.toml"]


def _where(run: BoardRun, cell: BoardCell) -> str:
    return f"block {run.block}, {run.variant}, {cell.label}"
