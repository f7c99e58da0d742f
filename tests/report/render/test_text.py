# SPDX-License-Identifier: BSD-3-Clause
"""A terminal's report: at most 80 columns of ASCII whatever the names and numbers; a mail's, 75."""

import pytest
from documents import DOCUMENTS, plain
from hypothesis import given, settings

from ntbbench.report.document import Cell, Column, Deferred, Document, Notes, Table, words
from ntbbench.report.render import renderer


def lines_of(document: Document, name: str = "text") -> list[str]:
    return renderer(name)(document).splitlines()


@pytest.mark.parametrize(("name", "width"), [("text", 80), ("mail", 75)])
@given(DOCUMENTS)
@settings(max_examples=40)
def test_any_document_fits(name: str, width: int, document: Document) -> None:
    text = renderer(name)(document)
    assert text.endswith("\n")
    for line in text.removesuffix("\n").split("\n"):
        assert len(line) <= width
        assert line.isascii()
        assert line.isprintable()
        assert line == line.rstrip()


def wide(columns: int) -> Table:
    """A table of numbers named by two columns; the second row has a number in the first alone."""
    heads = [Column("name", align="left"), Column("size")]
    heads += [Column(f"at {at}", head=f"@{at}") for at in range(columns)]
    first = words("one", 1, *(1000 + at for at in range(columns)))
    second = [*words("two", 2, 2000), *[Cell("-")] * (columns - 1)]
    return Table("Title: and more", heads, [first, second], ["a note"], keys=2)


def test_a_table_too_wide_is_cut_and_its_keys_begin_each_part() -> None:
    lines = lines_of(plain(wide(24)))
    titles = [line for line in lines if line.startswith("Title")]
    assert titles == ["Title: and more", *["Title, continued"] * (len(titles) - 1)]
    assert len(titles) > 1
    shown = " ".join(lines).split()
    assert [word for word in shown if word in {str(1000 + at) for at in range(24)}] == [
        str(1000 + at) for at in range(24)
    ]
    assert sum(line.split()[:2] == ["one", "1"] for line in lines) == len(titles)
    assert shown.count("two") == 1, "a row without a number has been shown already"
    assert lines[-1] == "  a note"


def test_heads_stand_on_the_rule_and_groups_before_their_rows() -> None:
    columns = [Column("name", align="left"), Column("n", head="long\nhead")]
    rows = [words("a", 1), words("b", 22), words("c", 3)]
    table = Table("T", columns, rows, groups=[("first", 2), ("none", 0), ("second", 1)])
    assert lines_of(plain(table))[2:] == [
        "T",
        "          long",
        "    name  head",
        "    ----------",
        "  first",
        "    a        1",
        "    b       22",
        "  second",
        "    c        3",
    ]


def test_words_are_folded_and_a_table_without_heads_has_no_rule() -> None:
    rows = [words("key", "word " * 30), words("other", "x")]
    lines = lines_of(plain(Table("", [Column("", align="left")] * 2, rows)))[1:]
    assert lines[0] == f"key    {('word ' * 14).strip()}"
    assert lines[-1] == "other  x"
    assert not any("--" in line for line in lines)


def test_a_page_s_table_is_neither_shown_nor_made() -> None:
    def never() -> list[list[Cell]]:
        raise AssertionError

    large = Table("All", [Column("a")], Deferred(never), shown="page")
    assert lines_of(plain(large, Notes("", [("a note", ["below"])]))) == [
        *("An answer", "a note", "  below")
    ]


def test_warnings_of_one_kind_are_counted() -> None:
    document = plain(warnings=[("c: do it", [f"m{n}" for n in range(9)]), ("whole", ["all"])])
    assert lines_of(document)[1:] == [
        "",
        "Warnings",
        "  c: do it",
        *("    m0", "    m1", "    m2", "    and 6 more, in the JSON"),
        "  whole",
        "    all",
    ]


def test_facts_are_brief() -> None:
    facts = {"cpu": {"model": "Some CPU", "flags": ["sse"] * 40}, "governor": None, "dirty": True}
    document = plain(facts=facts)
    assert lines_of(document)[2:] == [
        "Environment",
        "  cpu: model Some CPU; flags 40 entries, in the JSON",
        "  governor: none",
        "  dirty: yes",
    ]
    assert lines_of(document, "mail") == ["An answer"]
