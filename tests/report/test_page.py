# SPDX-License-Identifier: BSD-3-Clause
"""The frame of every HTML report: tables that sort and filter, text that stays text."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import report_records
from pages import OpenPage
from playwright.sync_api import Browser, Page

from ntbbench.report import page
from ntbbench.report.page import Cell, Column, Facts, Notes, Section, Table

NAMES = ["b10", "b9", "", "A2", "b10", "z"]
NUMBERS = [3.0, -1.5, None, 10.25, 2.0, 1e9]

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(*blocks: page.Block, title: str = "a title") -> Path:
        path = tmp_path / "page.html"
        section = Section("A section", blocks, name="section", intro="An intro.")
        path.write_text(page.render(page.Page(title, ("a line",), (section,))))
        return path

    return written


def table(names: Sequence[str], numbers: Sequence[float | None]) -> Table:
    rows = tuple(
        (Cell(name), Cell("", None) if number is None else Cell(f"{number:.3g}", number))
        for name, number in zip(names, numbers, strict=True)
    )
    return Table("numbers", (Column("name"), Column("number", "a hint")), rows)


def shown(opened: Page, column: int) -> list[str]:
    return opened.locator(f"#numbers tbody tr:visible td:nth-child({column})").all_inner_texts()


def sort_state(opened: Page) -> list[str | None]:
    return [header.get_attribute("aria-sort") for header in opened.locator("#numbers th").all()]


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
    count = opened.locator("#numbers output")
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
    count = opened.locator("#numbers output")
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


@pytest.mark.parametrize("text", report_records.HOSTILE)
def test_every_text_is_escaped(write: Write, text: str) -> None:
    blocks = (
        Table("t", (Column(text, text),), ((Cell(text),),)),
        Facts(((text, text),)),
        Notes(((text, (text,)),)),
    )
    whole = write(*blocks, title=text).read_text()
    body = whole[: whole.rindex("<script>")]  # the page's own script comes last
    for mark in ("<img", "<b>", "</script>", "&amp;amp; %{x} <", "\x1b", "\x07", "\u202e", "\r"):
        assert mark not in body


def test_hostile_texts_are_shown_as_they_are(write: Write, open_page: OpenPage) -> None:
    texts = report_records.HOSTILE
    opened = open_page(write(Notes(tuple((text, ()) for text in texts)), title=texts[0]))
    assert opened.title() == texts[0]
    shown_texts = opened.locator("#section li").all_inner_texts()
    assert shown_texts == [page.printable(text) for text in texts]


def test_a_script_that_is_not_ours_does_not_run(write: Write, browser: Browser) -> None:
    """The page's policy names our scripts by their hashes: the second line of defence."""
    path = write(Facts((("name", "value"),)))
    whole = path.read_text()
    path.write_text(whole.replace("An intro.", "<script>document.title='owned'</script>"))
    opened = browser.new_page()
    refused: list[str] = []
    opened.on("console", lambda message: refused.append(message.text))
    opened.goto(path.as_uri())
    assert opened.title() == "a title"
    assert "Content Security Policy" in " ".join(refused)
    opened.close()


def test_a_page_without_figures_holds_no_plotly(write: Write) -> None:
    assert len(write(Facts((("name", "value"),))).read_text()) < 20_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>x</b> & %{y}", "&lt;b&gt;x&lt;/b&gt; &amp; %{y}"),
        ("a\nb\x1b", "a\\nb\\x1b"),
        ("x" * 30, "x" * 27 + "\u2026"),
    ],
)
def test_plotly_labels_are_no_markup(text: str, expected: str) -> None:
    assert page.label(text) == expected


def test_hover_texts_are_folded() -> None:
    assert (
        page.hover("a <b>", "x" * 130) == f"a &lt;b&gt;<br>{'x' * 60}<br>{'x' * 60}<br>{'x' * 10}"
    )
