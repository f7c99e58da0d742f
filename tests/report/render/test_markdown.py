# SPDX-License-Identifier: BSD-3-Clause
"""A pull request's report: tables that GitHub reads, and names that start no markup."""

import html
import re

import pytest
from documents import DOCUMENTS, plain
from hypothesis import given, settings
from report_records import HOSTILE

from ntbbench.report.document import Column, Details, Document, Notes, Table, words
from ntbbench.report.render.markdown import escaped, render
from ntbbench.report.wording import printable

# A cell ends at a pipe that no backslash escapes.
PIPE = re.compile(r"(?<!\\)\|")


def shown(cell: str) -> str:
    """Return what a reader of the rendered page sees: escapes and entities resolved."""
    return html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell))


@given(DOCUMENTS)
@settings(max_examples=40)
def test_any_document_is_ascii_without_foreign_markup(document: Document) -> None:
    text = render(document)
    assert text.isascii()
    assert all(line.isprintable() for line in text.split("\n"))
    outside = re.sub(r"^```$.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"<(?!/?(?:details|summary)>)", outside)
    lines = [line for line in outside.split("\n") if line.startswith("| ")]
    assert all(line.endswith(" |") for line in lines)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_one_cell_and_text(text: str) -> None:
    table = Table("T", [Column(text, align="left"), Column("n")], [words(text, 1)])
    lines = render(plain(table, Notes(text, [(text, [text])]))).split("\n")
    heads, rule, row = (
        [cell.strip() for cell in PIPE.split(line)[1:-1]] for line in lines if line.startswith("|")
    )
    assert [shown(cell) for cell in heads] == [printable(text), "n"]
    assert all(re.fullmatch(":?-+:?", cell) for cell in rule)
    assert [shown(cell) for cell in row] == [printable(text), "1"]
    assert f"- {printable(text)}" in [shown(line) for line in lines]


def test_what_github_would_link_is_broken() -> None:
    text = escaped("@user #12 http://example.org www.example.org a_b _c_ CPU @ 2 GHz")
    assert text == (
        "&#64;user &#35;12 http&#58;//example.org www&#46;example.org a_b \\_c\\_ CPU @ 2 GHz"
    )


@pytest.mark.parametrize("text", ["- a", "+ a", "# a", "1. a", "12) a", "=== a"])
def test_a_list_item_starts_no_block(text: str) -> None:
    found = render(plain(Notes("", [(text, ())])))
    line = next(line for line in found.split("\n") if shown(line) == f"- {text}")
    assert re.match(r"- (\\|\d+\\)", line)


def test_groups_head_their_first_row_and_details_are_folded() -> None:
    columns = [Column("name", align="left"), Column("number")]
    rows = [words("a", 1), words("b", 2), words("c", 3)]
    table = Table("", columns, rows, ["a note"], [("first", 2), ("second", 1)])
    assert render(plain(Details("more", [table]))).splitlines()[4:] == [
        "<details><summary>more</summary>",
        "",
        "|        | name | number |",
        "| :----- | :--- | -----: |",
        "| first  | a    |      1 |",
        "|        | b    |      2 |",
        "| second | c    |      3 |",
        "",
        "- a note",
        "",
        "</details>",
    ]
