# SPDX-License-Identifier: BSD-3-Clause
"""The pull request's report: tables that GitHub reads, and names that start no markup."""

import html
import re

import pytest
import report_records
from report_records import ok, result, timing, unavailable

from ntbbench.report import markdown
from ntbbench.report.wording import printable

# A cell ends at a pipe that no backslash escapes.
PIPE = re.compile(r"(?<!\\)\|")


def tables(text: str) -> list[list[list[str]]]:
    """Return the tables of a document, each a list of rows of cells, the header first."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("|"):
            if not inside:
                found.append([])
            cells = [cell.strip() for cell in PIPE.split(line)[1:-1]]
            if not all(re.fullmatch(":?-+:?", cell) for cell in cells):
                found[-1].append(cells)
        inside = line.startswith("|")
    return found


def shown(cell: str) -> str:
    """Return what a reader of the rendered page sees: escapes and entities resolved."""
    return html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell))


def test_summary_tells_the_story() -> None:
    summary = tables(markdown.render(report_records.story()))[0]
    assert summary[0][:6] == [
        "hardware", "dispatch", "queues", "doorbells", "vectors", "amplification",
    ]  # fmt: skip
    found = {(row[0], row[1]): row[5] for row in summary[1:]}
    assert found["ntb_hw_epf-v4", "per-vector"] == "**1.00**"
    assert found["ntb_hw_epf-v4", "fallback"] == "**8.00**"
    assert found["ntb_hw_epf-legacy", "per-vector"] == "**8.00**"
    assert summary[1][-1] == "22.5 (22.0-23.1)"


def test_pivots_hold_every_point() -> None:
    _, amplification, cost = tables(markdown.render(report_records.story()))
    assert amplification[0][4:] == ["1 queue", "2 queues", "4 queues", "8 queues"]
    assert len(amplification) == len(cost) == 1 + 5 * 2 * 3
    cells = [cell for row in amplification[1:] for cell in row[4:]]
    assert (len(cells), cells.count("n/a")) == (120, 30)
    assert cost[1][4:] == ["5.54 (5.43-5.71)", "7.94 (7.78-8.18)", "n/a", "n/a"]


@pytest.mark.parametrize("text", report_records.HOSTILE)
def test_hostile_names_stay_one_cell_and_text(text: str) -> None:
    found = markdown.render(
        result(
            [
                ok(text, ns=timing(1.0), workload=text),
                unavailable(text, reason=text, workload=text),
            ],
            environment={text: text},
        )
    )
    assert found.isascii()
    assert all(line.isprintable() for line in found.split("\n"))
    rows = [row for table in tables(found) for row in table]
    assert {len(row) for row in tables(found)[0]} == {9}
    assert shown(rows[1][0]) == printable(text)
    assert not re.search(r"<(?!/?(?:details|summary)>)", found)
    assert f"- {printable(text)}" in [shown(line) for line in found.split("\n")]


def test_what_github_would_link_is_broken() -> None:
    escaped = markdown.escaped("@user #12 http://example.org www.example.org a_b _c_ CPU @ 2 GHz")
    assert escaped == (
        "&#64;user &#35;12 http&#58;//example.org www&#46;example.org a_b \\_c\\_ CPU @ 2 GHz"
    )


@pytest.mark.parametrize("text", ["- a", "+ a", "# a", "1. a", "12) a", "=== a"])
def test_a_list_item_starts_no_block(text: str) -> None:
    found = markdown.render(result([unavailable(reason=text)]))
    line = next(line for line in found.split("\n") if shown(line) == f"- {text}")
    assert re.match(r"- (\\|\d+\\)", line)


def test_lost_doorbells_and_interruption_are_told() -> None:
    found = markdown.render(result([ok(missed=7, misrouted=1)], complete=False))
    assert ["generic", "fallback", "4", "16", "16", "7", "1"] in tables(found)[-1]
    assert "--resume" in found
    assert "Missed" not in markdown.render(report_records.story())
