# SPDX-License-Identifier: BSD-3-Clause
"""CSV: every number at full precision, every text unchanged; each report says how it quotes."""

import csv
import io

import pytest
from documents import plain
from hypothesis import assume, given
from hypothesis import strategies as st
from report_records import HOSTILE

from ntbbench.core.errors import InputError
from ntbbench.report.document import Quoting, Sheet
from ntbbench.report.render.csv_rows import render

VALUES = (
    st.none() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(HOSTILE)
)


@pytest.mark.parametrize("quoting", ["texts", "rows", "needed"])
@given(st.lists(st.lists(VALUES, min_size=2, max_size=2)))
def test_values_come_back_unchanged(quoting: Quoting, rows: list[list[object]]) -> None:
    # A lone carriage return gets no quotes where none are asked for.
    assume(quoting != "needed" or not any("\r" in str(value) for row in rows for value in row))
    text = render(plain(sheet=lambda: Sheet(["a b", "c,d"], rows, quoting)))
    head, *body = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert head == ["a b", "c,d"]
    assert body == [["" if value is None else str(value) for value in row] for row in rows]


@pytest.mark.parametrize(
    ("quoting", "lines"),
    [
        ("texts", ['"a","b c"', '"x",1.5', '"",""']),
        ("rows", ["a,b c", '"x",1.5', '"",""']),
        ("needed", ["a,b c", "x,1.5", ","]),
    ],
)
def test_quotes(quoting: Quoting, lines: list[str]) -> None:
    sheet = Sheet(["a", "b c"], [["x", 1.5], [None, ""]], quoting)
    assert render(plain(sheet=lambda: sheet)).splitlines() == lines


def test_a_report_without_rows_has_none() -> None:
    with pytest.raises(InputError, match="--format: 'csv': a format of `a title`"):
        render(plain())
