# SPDX-License-Identifier: BSD-3-Clause
"""The medians and counts of a result, which a comparison takes for its base."""

from ntbbench.compare.readers.baseline import Baseline, BaselineMetric
from ntbbench.report.document import Cell, Document, Sheet, number
from ntbbench.report.views.comparison_words import exact_text, quantity
from ntbbench.report.views.record_tables import field_table
from ntbbench.report.wording import plural

COLUMNS = ("metric", "kind", "value", "unit", "n")
LOST = (
    "As a base: exact metrics are gated as ever. A median is one sample, so changes of noisy ones "
    "are shown and not tested: `gate` exits 3 for them unless its policy says "
    '`gate_on = "exact"`.'
)


def document(result: Baseline) -> Document:
    """Return the report of a baseline."""
    medians = sum(one.kind == "noisy" for one in result.metrics)
    exact = plural(len(result.metrics) - medians, "exact metric")
    shown = ("metric", "value", "n") if medians else ("metric", "value")
    return Document(
        title="ntbbench show --medians",
        verdict=f"{exact} and {plural(medians, 'median')} of {result.label} ({result.source})",
        record=result,
        lines=[LOST] if medians else [],
        blocks=[
            field_table("Metrics", BaselineMetric, shown, result.metrics, value=_value, n=_samples)
        ],
        facts=result.environment,
        sheet=lambda: Sheet(
            COLUMNS, ([getattr(one, name) for name in COLUMNS] for one in result.metrics)
        ),
    )


def _value(one: BaselineMetric) -> Cell:
    if one.kind == "exact" or not isinstance(one.value, int | float):
        return Cell(exact_text(one.value))
    return Cell(quantity(one.value, one.unit), one.value)


def _samples(one: BaselineMetric) -> Cell:
    return number(one.n or None)
