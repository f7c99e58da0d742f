# SPDX-License-Identifier: BSD-3-Clause
"""Results of `lab pair` in every format, whichever of run, matrix and check they are of."""

from collections.abc import Callable, Mapping

from ntbbench.lab.pair.records import CHECK, MATRIX, RUN, PairResult
from ntbbench.report import pair, pair_check, pair_matrix

Render = Callable[[PairResult], str]
TEXTS: Mapping[str, Render] = {
    RUN: pair.render_text,
    MATRIX: pair_matrix.render_text,
    CHECK: pair_check.render_text,
}
MARKDOWNS: Mapping[str, Render] = {
    RUN: pair.render_markdown,
    MATRIX: pair_matrix.render_markdown,
    CHECK: pair_check.render_markdown,
}


def render_text(result: PairResult) -> str:
    """Return the result as plain ASCII of at most 80 columns."""
    return TEXTS[result.kind](result)


def render_markdown(result: PairResult) -> str:
    """Return the result as Markdown."""
    return MARKDOWNS[result.kind](result)


def render_html(result: PairResult) -> str:
    """Return the result as one self-contained HTML page."""
    from ntbbench.report.pair_html import render_html as page  # noqa: PLC0415  # plotly takes long

    return page(result)


# `--format NAME` of lab pair.
FORMATS: Mapping[str, Render] = {
    "text": render_text,
    "md": render_markdown,
    "csv": pair.render_csv,
    "json": pair.render_json,
    "html": render_html,
}
