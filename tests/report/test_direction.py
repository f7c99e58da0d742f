# SPDX-License-Identifier: BSD-3-Clause
"""Every output says of every metric which way is better: -5 % is good or bad news."""

import json
import re

import numpy as np
import pytest
from compare_data import samples

from ntbbench.compare.compare import compare
from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Better, Report
from ntbbench.compare.series import Series, Variant
from ntbbench.report.comparison import FORMATS
from ntbbench.report.comparison.html import render as render_html

WAYS: tuple[Better, ...] = ("lower", "higher", "none")


def variants() -> list[Variant]:
    """A noisy metric better lower, another better higher, and three counts, all changed."""
    sides = []
    for label, factor in (("a", 1.0), ("b", 1.2)):
        values = np.array(samples(int(factor * 10), 8, 100 * factor))
        series = {
            f"t-{way}": Series(metric=f"t-{way}", kind="noisy", better=way, samples=values)
            for way in WAYS[:2]
        } | {
            f"n-{way}": Series(metric=f"n-{way}", kind="exact", better=way, value=int(10 * factor))
            for way in WAYS
        }
        series["word"] = Series(metric="word", kind="exact", better="higher", value=label, rank=1)
        sides.append(Variant(label, "csv", series))
    return sides


@pytest.fixture(scope="module")
def report() -> Report:
    base, candidate = variants()
    return compare(base, [candidate], Policy())


@pytest.mark.parametrize("name", ["text", "mail", "github"])
def test_the_direction_stands_beside_each_metric(report: Report, name: str) -> None:
    text = FORMATS[name](report)
    assert text.count("lower is better") == 2
    assert text.count("higher is better") == 2
    assert text.count("any change is worse") == 1


def test_markdown_has_a_column_for_the_direction(report: Report) -> None:
    rows = [line.split(" | ") for line in FORMATS["md"](report).splitlines() if "`t-" in line]
    assert {(row[1], row[3]) for row in rows} == {("`t-lower`", "lower"), ("`t-higher`", "higher")}


def test_json_always_has_direction_and_unit(report: Report) -> None:
    found = json.loads(FORMATS["json"](report))["comparisons"]
    assert {c["metric"]: c["better"] for c in found if c["metric"] != "word"} == {
        metric: metric[2:] for metric in ("t-lower", "t-higher", "n-lower", "n-higher", "n-none")
    }
    assert {c["unit"] for c in found} == {""}


def test_the_page_has_a_column_for_the_direction(report: Report) -> None:
    page = render_html(report, tuple(variants()))
    for way in WAYS[:2]:
        row = re.search(rf"<tr>(?:(?!</tr>).)*t-{way}.*?</tr>", page, re.DOTALL)
        assert row is not None
        assert re.search(rf"<td[^>]*>(<div>)?\s*{way}\s*(</div>)?</td>", row[0])


def test_what_is_missing_has_no_direction() -> None:
    base, candidate = variants()
    candidate.series.pop("t-lower")
    report = compare(base, [candidate], Policy())
    assert "missing       t-lower\n" in FORMATS["text"](report)
