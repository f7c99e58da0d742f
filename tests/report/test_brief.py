# SPDX-License-Identifier: BSD-3-Clause
"""A text without -v: a screen that begins with the answer and names what it leaves out."""

import re
from dataclasses import replace

import pytest
from documents import DOCUMENTS, plain
from hypothesis import given, settings
from hypothesis import strategies as st
from report_records import ok

from ntbbench.cli.output import is_coloured
from ntbbench.report.document import Cell, Column, Notes, Table, words
from ntbbench.report.render import brief, text
from ntbbench.report.views.sweep import verdict_of

COLUMNS = (Column("what", align="left"), Column("number"))
LONG = Table("Numbers: all of them", COLUMNS, [words("n", n) for n in range(100)])
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@given(DOCUMENTS, st.booleans())
@settings(max_examples=60)
def test_any_document_fits_a_screen_and_begins_with_its_answer(document, colour: bool) -> None:
    document = replace(document, lines=(), verdict="An answer", tone="bad")
    lines = brief.render(document, colour=colour).splitlines()
    plain_lines = [ESCAPES.sub("", line) for line in lines]
    assert plain_lines[0] == "An answer"
    assert max(map(len, plain_lines)) <= 80
    tail = sum(len(text_of) > 60 for text_of, _ in document.warnings)
    assert len(lines) <= brief.LINES + 8 * tail  # a warning is never cut
    assert (plain_lines == lines) == (not colour)


def test_a_long_table_is_cut_and_says_so() -> None:
    printed = brief.render(plain(LONG, Notes("Later", [("a line", ())] * 30)))
    shown = re.findall(r"^  n +(\d+)$", printed, re.MULTILINE)
    assert shown == [str(n) for n in range(len(shown))]
    assert f"... and {100 - len(shown)} more with -v" in printed
    assert "-v adds: Later" in printed
    assert text.render(plain(LONG)).count("\n  n ") == 100


def test_what_was_asked_for_is_whole() -> None:
    document = plain(LONG, whole=True)
    assert brief.render(document) == text.render(document)


def test_detail_is_named_and_what_is_brief_stands_in_its_place() -> None:
    short = Notes("In short", [("one line", ())], shown="brief")
    document = plain(short, Notes("At length", [("a sentence", ())], detail=True))
    assert "one line" in brief.render(document)
    assert "a sentence" not in brief.render(document)
    assert "-v adds: At length" in brief.render(document)
    assert "one line" not in text.render(document)
    assert "a sentence" in text.render(document)


def test_a_colour_says_nothing_that_words_do_not() -> None:
    document = plain(Table("", COLUMNS, [[Cell("regressed", tone="bad"), Cell("1")]]), tone="good")
    coloured = text.render(document, colour=True)
    assert "\x1b[31mregressed\x1b[0m" in coloured
    assert coloured.startswith("\x1b[1;32mAn answer\x1b[0m")
    assert ESCAPES.sub("", coloured) == text.render(document)


@pytest.mark.parametrize(
    ("color", "terminal", "environment", "wanted"),
    [
        ("auto", True, {}, True),
        ("auto", True, {"NO_COLOR": "1"}, False),
        ("auto", True, {"TERM": "dumb"}, False),
        ("auto", False, {}, False),
        ("always", False, {"NO_COLOR": "1"}, True),
        ("never", True, {}, False),
    ],
)
def test_when_there_are_colours(color, terminal, environment, wanted, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_coloured(color) == wanted


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (
            [ok("ntb_hw_epf-v4"), ok("ntb_hw_epf-v4", "per-vector", fan_out=1)],
            "Per-vector masks wake 1 QP per doorbell instead of 4 (ntb_hw_epf-v4, 4 queues, 16",
        ),
        (
            [ok("x-legacy", "per-vector"), ok("x-v4", "per-vector", fan_out=2, vectors=14)],
            "x-v4 wakes 2 QPs per doorbell, x-legacy 4 (per-vector, 4 queues, 16 doorbells).",
        ),
        # A real device goes before the generic one, however much that gains.
        (
            [
                *(ok(name, queues=n) for name, n in (("generic", 8), ("board", 2))),
                *(
                    ok(name, "per-vector", queues=n, fan_out=1)
                    for name, n in (("generic", 8), ("board", 2))
                ),
            ],
            "instead of 2 (board, 2 queues",
        ),
        ([ok(), ok("other")], "A doorbell schedules 4 tasklets (1 is ideal) in 2 points"),
        ([ok(), ok(dispatch="per-vector", queues=2)], "A doorbell schedules 2 to 4 tasklets"),
    ],
)
def test_a_sweep_says_what_the_masks_gain(points, said: str) -> None:
    assert said in verdict_of(points)
