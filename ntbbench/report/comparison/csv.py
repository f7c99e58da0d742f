# SPDX-License-Identifier: BSD-3-Clause
"""CSV, a row a comparison: unscaled numbers, in the order of the input.

What the policy ignores stands below them, with the verdict `ignored` and its reason alone.
"""

import csv
import io
from collections.abc import Sequence

from ntbbench.compare.records import Comparison, Report
from ntbbench.report.comparison import wording

PLAIN = (
    "metric",
    "base",
    "candidate",
    "kind",
    "verdict",
    "reason",
    "unit",
    "better",
    "threshold",
    "ratio",
    "ratio_low",
    "ratio_high",
    "p_value",
    "p_adjusted",
    "n_base",
    "n_candidate",
    "minimal_detectable_effect",
    "runs_needed",
    "base_value",
    "candidate_value",
    "missing",
)
SUMMARY = ("mean", "minimum", "maximum", "median", "sd", "outliers")
FORMULA = ("=", "+", "-", "@")  # what a spreadsheet would execute


def render(report: Report) -> str:
    """Return the report as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    sides = [f"{side}_{name}" for side in ("base", "candidate") for name in SUMMARY]
    writer.writerow([*PLAIN, *sides, "warnings"])
    whole = [warning.code for warning in report.warnings]
    for comparison in report.comparisons:
        writer.writerow(row(comparison, whole))
    for item in report.ignored:
        known = {"metric": item.metric, "verdict": "ignored", "reason": item.reason}
        plain = [cell(known.get(name)) for name in PLAIN]
        writer.writerow([*plain, *("" for _ in sides), ""])
    return text.getvalue()


def row(comparison: Comparison, whole: Sequence[str]) -> list[object]:
    """Return the cells of one comparison; `whole` are the warnings of whole results."""
    cells = [cell(getattr(comparison, name)) for name in PLAIN]
    for side in (comparison.base_summary, comparison.candidate_summary):
        cells += ["" if side is None else cell(getattr(side, name)) for name in SUMMARY]
    codes = dict.fromkeys((*whole, *(warning.code for warning in comparison.warnings)))
    return [*cells, " ".join(codes)]


def cell(value: object) -> object:
    """Return a cell; text that a spreadsheet would take for a formula gets an apostrophe."""
    if not isinstance(value, str):
        return "" if value is None else value
    text = wording.visible(value)
    return f"'{text}" if text.startswith(FORMULA) else text
