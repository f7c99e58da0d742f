# SPDX-License-Identifier: BSD-3-Clause
"""A page in a browser: tables that sort and filter, text that stays text."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import report_records
from documents import plain
from pages import OpenPage
from playwright.sync_api import Browser, Page

from ntbbench.report import page
from ntbbench.report.document import Block, Cell, Column, Details, Drawing, Notes, Table, number
from ntbbench.report.render import html

NAMES = ["b10", "b9", "", "A2", "b10", "z"]
NUMBERS = [3.0, -1.5, None, 10.25, 2.0, 1e9]

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the page of a document; every table on it has a filter."""
    monkeypatch.setattr(html, "FEW_ROWS", 0)

    def written(*blocks: Block, **more: object) -> Path:
        path = tmp_path / "page.html"
        path.write_text(html.render(plain(*blocks, **more)))
        return path

    return written


def table(names: Sequence[str], numbers: Sequence[float | None]) -> Table:
    rows = [
        (Cell(name), Cell("") if value is None else number(value, ".3g"))
        for name, value in zip(names, numbers, strict=True)
    ]
    return Table("Numbers", (Column("name", align="left"), Column("number", "a hint")), rows)


def shown(opened: Page, column: int) -> list[str]:
    rows = opened.locator("#part-0-table tbody tr:visible")
    return rows.locator(f"td:nth-child({column})").all_inner_texts()


def sort_state(opened: Page) -> list[str | None]:
    heads = opened.locator("#part-0-table th").all()
    return [head.get_attribute("aria-sort") for head in heads]


def test_a_click_sorts_numbers_by_size(write: Write, open_page: OpenPage) -> None:
    opened = open_page(write(table(NAMES, NUMBERS)))
    assert sort_state(opened) == ["none", "none"]
    button = opened.get_by_role("button", name="number")
    button.click()
    assert sort_state(opened) == ["none", "ascending"]
    assert shown(opened, 2) == ["-1.5", "2", "3", "10.2", "1e+09", ""]
    assert shown(opened, 1) == ["b9", "b10", "b10", "A2", "z", ""]  # rows stay whole
    button.click()
    assert sort_state(opened) == ["none", "descending"]
    assert shown(opened, 2) == ["1e+09", "10.2", "3", "2", "-1.5", ""]  # empty cells last


def test_the_keyboard_sorts_texts_with_numbers_in_them(write: Write, open_page: OpenPage) -> None:
    opened = open_page(write(table(NAMES, NUMBERS)))
    opened.get_by_label("Filter").focus()
    opened.keyboard.press("Tab")  # the table that scrolls
    opened.keyboard.press("Tab")  # its first header
    opened.keyboard.press("Enter")
    assert sort_state(opened) == ["ascending", "none"]
    assert shown(opened, 1) == ["A2", "b9", "b10", "b10", "z", ""]
    assert shown(opened, 2)[2:4] == ["3", "2"]  # equal rows keep their order
    opened.keyboard.press("Space")
    assert sort_state(opened) == ["descending", "none"]
    assert shown(opened, 1) == ["z", "b10", "b10", "b9", "A2", ""]


def test_a_filter_wants_every_word(write: Write, open_page: OpenPage) -> None:
    opened = open_page(write(table(NAMES, NUMBERS)))
    count = opened.locator("#part-0-table output")
    assert count.inner_text() == "6 of 6 rows"
    opened.get_by_label("Filter").fill("B10 3")
    assert shown(opened, 1) == ["b10"]
    assert count.inner_text() == "1 of 6 rows"
    opened.get_by_role("button", name="name").click()
    assert shown(opened, 1) == ["b10"]
    opened.get_by_label("Filter").fill("")
    assert len(shown(opened, 1)) == 6


def test_a_long_table_shows_its_first_rows(write: Write, open_page: OpenPage) -> None:
    numbers = [float(number) for number in range(640)]
    opened = open_page(write(table([f"n{number:.0f}" for number in numbers], numbers)))
    count = opened.locator("#part-0-table output")
    assert len(shown(opened, 1)) == page.ROWS_SHOWN
    assert count.inner_text() == f"the first {page.ROWS_SHOWN} of 640 rows"
    opened.get_by_role("button", name="number").click()
    opened.get_by_role("button", name="number").click()
    assert shown(opened, 2)[:2] == ["639", "638"]  # what is sorted is the whole table
    opened.get_by_label("Filter").fill("n63")
    assert count.inner_text() == "11 of 640 rows"
    opened.get_by_label("Filter").fill("")
    opened.get_by_role("button", name="Show all").click()
    assert len(shown(opened, 1)) == 640
    assert opened.get_by_role("button", name="Show all").count() == 0


def test_a_small_table_has_no_filter_and_a_group_heads_every_row(
    tmp_path: Path, open_page: OpenPage
) -> None:
    columns = [Column("name", align="left"), Column("n")]
    rows = [(Cell("a"), number(1)), (Cell("b", strong=True), number(2)), (Cell("c"), Cell("-"))]
    small = Table("T", columns, rows, ["a note"], [("first", 2), ("second", 1)])
    never = Table("Never", columns, rows, shown="terminal")
    path = tmp_path / "page.html"
    path.write_text(html.render(plain(Details("more", [small, never]), Details("none", [never]))))
    opened = open_page(path)
    assert not opened.get_by_label("Filter").is_visible()
    texts = [row.locator("td").all_inner_texts() for row in opened.locator("tbody tr").all()]
    assert texts == [["first", "a", "1"], ["first", "b", "2"], ["second", "c", "-"]]
    assert opened.locator("strong").all_inner_texts() == ["b"]
    assert opened.locator("details").count() == 1
    opened.locator("summary").click()
    assert not opened.get_by_text("a note").is_visible()


def test_large_tables_come_after_the_warnings_of_which_some_are_shown(
    write: Write, open_page: OpenPage
) -> None:
    large = Table("All", [Column("a")], [(number(1),)], shown="page")
    opened = open_page(
        write(large, Notes("List", [("x", ())]), warnings=[("w", [f"m{n}" for n in range(50)])])
    )
    assert opened.locator("h2").all_inner_texts() == ["List", "Warnings", "All"]
    assert opened.locator("nav a").all_inner_texts() == ["List", "Warnings", "All"]
    messages = opened.locator("#part-1 ul ul li").all_inner_texts()
    assert messages == [*(f"m{n}" for n in range(20)), "and 30 more, in the JSON"]


@pytest.mark.parametrize("text", report_records.HOSTILE)
def test_every_text_is_escaped(write: Write, text: str) -> None:
    blocks = (
        Table(text, (Column(text, text),), ((Cell(text),),), [text], [(text, 1)]),
        Notes(text, ((text, (text,)),)),
        Details(text, [Drawing(text, [text])]),
    )
    whole = write(*blocks, title=text, verdict=text, lines=[text], facts={text: text}).read_text()
    body = whole[: whole.rindex("<script>")]  # the page's own script comes last
    for mark in ("<img", "<b>", "</script>", "&amp;amp; %{x} <", "\x1b", "\x07", "\u202e", "\r"):
        assert mark not in body


def test_hostile_texts_are_shown_as_they_are(write: Write, open_page: OpenPage) -> None:
    texts = report_records.HOSTILE
    opened = open_page(write(Notes("", [(text, ()) for text in texts]), title=texts[0]))
    assert opened.title() == texts[0]
    assert opened.locator("li").all_inner_texts() == [page.printable(text) for text in texts]


def test_a_script_that_is_not_ours_does_not_run(write: Write, browser: Browser) -> None:
    """The page's policy names our scripts by their hashes: the second line of defence."""
    path = write(lines=["An intro."])
    whole = path.read_text()
    path.write_text(whole.replace("An intro.", "<script>document.title='owned'</script>"))
    opened = browser.new_page()
    refused: list[str] = []
    opened.on("console", lambda message: refused.append(message.text))
    opened.goto(path.as_uri())
    assert opened.title() == "a title"
    assert "Content Security Policy" in " ".join(refused)
    opened.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>x</b> & %{y}", "&lt;b&gt;x&lt;/b&gt; &amp; %{y}"),
        ("a\nb\x1b", "a\\nb\\x1b"),
        ("x" * 30, "x" * 27 + "\u2026"),
    ],
)
def test_plotly_texts_are_no_markup_and_folded(text: str, expected: str) -> None:
    assert page.label(text) == expected
    folded = f"a &lt;b&gt;<br>{'x' * 60}<br>{'x' * 60}<br>{'x' * 10}"
    assert page.hover("a <b>", "x" * 130) == folded
