# SPDX-License-Identifier: BSD-3-Clause
"""The analysis of the series as text, Markdown, JSON and an HTML page."""

from collections.abc import Callable, Mapping
from textwrap import wrap

import msgspec
from tabulate import tabulate

from ntbbench.pair.series.analysis import PatchesResult
from ntbbench.report import page
from ntbbench.report.patch_tables import PatchTable, tables, verdict_lines

WIDTH = 80


def text(result: PatchesResult) -> str:
    """Return the analysis as plain ASCII text of at most 80 columns."""
    blocks = [_fold(headline(result)), "\n".join(_fold(line) for line in verdict_lines(result))]
    for table in tables(result):
        drawn = tabulate(
            table.rows,
            table.headers,
            tablefmt="simple",
            disable_numparse=True,
            maxcolwidths=list(table.widths),
        )
        lines = "\n".join(line.rstrip() for line in drawn.splitlines())
        blocks.append(f"{_fold(table.title)}\n{_fold(table.intro)}\n\n{lines}")
    return "\n\n".join(blocks) + "\n"


def markdown(result: PatchesResult) -> str:
    """Return the analysis as Markdown."""
    blocks = [f"### {headline(result)}", "\n".join(f"- {line}" for line in verdict_lines(result))]
    for table in tables(result):
        blocks += [f"#### {table.title}", table.intro, markdown_table(table)]
    return "\n\n".join(blocks) + "\n"


def markdown_table(table: PatchTable) -> str:
    """Return one table as Markdown."""
    return tabulate(table.rows, table.headers, tablefmt="github", disable_numparse=True)


def as_json(result: PatchesResult) -> str:
    """Return the analysis as JSON."""
    return msgspec.json.format(msgspec.json.encode(result)).decode() + "\n"


def html(result: PatchesResult) -> str:
    """Return the analysis as one self-contained HTML page."""
    sections = tuple(
        page.Section(table.title, (_page_table(table),), name=table.name, intro=table.intro)
        for table in tables(result)
    )
    lines = (headline(result), *verdict_lines(result))
    return page.render(page.Page("ntbbench patches", lines, sections))


def headline(result: PatchesResult) -> str:
    """Return the setting in words."""
    return (
        f"ntbbench patches: {result.ep_slots} slots, {result.rc_vectors} vectors, "
        f"{result.mw_count} windows, doorbell {result.doorbell}"
    )


def _page_table(table: PatchTable) -> page.Table:
    columns = tuple(page.Column(header) for header in table.headers)
    body = tuple(tuple(page.Cell(value) for value in row) for row in table.rows)
    return page.Table(f"{table.name}-table", columns, body)


def _fold(words: str) -> str:
    return "\n".join(wrap(words, WIDTH, break_on_hyphens=False))


FORMATS: Mapping[str, Callable[[PatchesResult], str]] = {
    "text": text,
    "md": markdown,
    "json": as_json,
    "html": html,
}
