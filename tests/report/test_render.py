# SPDX-License-Identifier: BSD-3-Clause
"""Renderers: what any document keeps in text, mail, Markdown, CSV, annotations; KTAP's parser."""

import csv
import html
import importlib
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare_data import HOSTILE as HOSTILE_METRICS
from compare_data import noisy_sides, samples
from documents import DOCUMENTS, plain
from golden_cases import INPUTS
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lab_kernel import CACHE
from rendered import rendered
from report_records import HOSTILE

from ntbbench.compare.compare import compare
from ntbbench.compare.policy import Policy
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError
from ntbbench.core.names import printable
from ntbbench.lab.packages.fetch import unpack_files
from ntbbench.lab.pair.sources import fetch_source
from ntbbench.report.document import (
    Cell,
    Check,
    Column,
    Deferred,
    Document,
    Notes,
    Quoting,
    Sheet,
    Table,
    words,
)
from ntbbench.report.registry import kind_of, load_any
from ntbbench.report.render import renderer
from ntbbench.report.render.markdown import escaped


def lines_of(document: Document, name: str = "text") -> list[str]:
    return renderer(name)(document).splitlines()


# --- text and mail -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "width"), [("text", 80), ("mail", 75)])
@given(DOCUMENTS)
@settings(max_examples=40)
def test_any_document_fits(name: str, width: int, document: Document) -> None:
    text = renderer(name)(document)
    assert text.endswith("\n")
    for line in text.removesuffix("\n").split("\n"):
        assert len(line) <= width
        assert line.isascii() and line.isprintable() and line == line.rstrip()


def test_a_table_too_wide_is_cut_and_its_keys_begin_each_part() -> None:
    """The second row has a number in the first part alone."""
    numbers = [str(1000 + at) for at in range(24)]
    heads = [Column("name", align="left"), Column("size")]
    heads += [Column(f"at {at}", head=f"@{at}") for at in range(24)]
    second = [*words("two", 2, 2000), *[Cell("-")] * 23]
    rows = [words("one", 1, *numbers), second]
    lines = lines_of(plain(Table("Title: and more", heads, rows, ["a note"], keys=2)))
    titles = [line for line in lines if line.startswith("Title")]
    assert titles == ["Title: and more", *["Title, continued"] * (len(titles) - 1)]
    shown = " ".join(lines).split()
    assert len(titles) > 1 and [word for word in shown if word in numbers] == numbers
    assert sum(line.split()[:2] == ["one", "1"] for line in lines) == len(titles)
    assert shown.count("two") == 1, "a row without a number has been shown already"
    assert lines[-1] == "  a note"


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
    shown = lines_of(plain(large, Notes("", [("a note", ["below"])])))
    assert shown == ["An answer", "a note", "  below"]


def test_warnings_of_one_kind_are_counted_and_facts_are_brief() -> None:
    warnings = [("c: do it", [f"m{n}" for n in range(9)]), ("whole", ["all"])]
    facts = {"cpu": {"model": "Some CPU", "flags": ["sse"] * 40}, "governor": None, "dirty": True}
    document = plain(warnings=warnings, facts=facts)
    assert lines_of(document)[1:] == [
        *("", "Warnings", "  c: do it"),
        *("    m0", "    m1", "    m2", "    and 6 more, in the JSON"),
        *("  whole", "    all", "", "Environment"),
        "  cpu: model Some CPU; flags 40 entries, in the JSON",
        *("  governor: none", "  dirty: yes"),
    ]


# --- Markdown ------------------------------------------------------------------------------------


def shown(cell: str) -> str:
    """Return what a reader of the rendered page sees: escapes and entities resolved."""
    return html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell))


@given(DOCUMENTS)
@settings(max_examples=40)
def test_any_markdown_is_ascii_without_foreign_markup(document: Document) -> None:
    text = renderer("md")(document)
    assert text.isascii() and all(line.isprintable() for line in text.split("\n"))
    outside = re.sub(r"^```$.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"<(?!/?(?:details(?: open)?|summary)>)", outside)
    lines = [line for line in outside.split("\n") if line.startswith("| ")]
    assert all(line.endswith(" |") for line in lines)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_one_cell_and_text(text: str) -> None:
    table = Table("T", [Column(text, align="left"), Column("n")], [words(text, 1)])
    lines = renderer("md")(plain(table, Notes(text, [(text, [text])]))).split("\n")
    heads, rule, row = (  # a cell ends at a pipe that no backslash escapes
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines
        if line.startswith("|")
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
    lines = lines_of(plain(Notes("", [(text, ())])), "md")
    line = next(line for line in lines if shown(line) == f"- {text}")
    assert re.match(r"- (\\|\d+\\)", line)


def test_markdown_folds_no_point_that_disagrees() -> None:
    found = load_any(INPUTS / "pair-new.json")
    text = renderer("md")(kind_of(found).document(found))
    assert "<details open><summary>ep-to-rc: the model DISAGREES</summary>" in text
    assert "<details><summary>rc-to-ep: the model agrees</summary>" in text


# --- CSV -----------------------------------------------------------------------------------------

VALUES = (
    st.none() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(HOSTILE)
)


@pytest.mark.parametrize("quoting", ["texts", "rows", "needed"])
@given(st.lists(st.lists(VALUES, min_size=2, max_size=2)))
def test_values_come_back_unchanged(quoting: Quoting, rows: list[list[object]]) -> None:
    # A lone carriage return gets no quotes where none are asked for.
    assume(quoting != "needed" or not any("\r" in str(value) for row in rows for value in row))
    text = renderer("csv")(plain(sheet=lambda: Sheet(["a b", "c,d"], rows, quoting)))
    head, *body = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert head == ["a b", "c,d"]
    assert body == [[inert("" if value is None else value) for value in row] for row in rows]


def inert(value: object) -> str:
    """Say what is in a cell: a text that begins like a formula is no formula to a spreadsheet."""
    begins = isinstance(value, str) and value[:1] in {*"=+-@\t\r"} and value[1:2] not in ("", "\n")
    return f"'{value}" if begins else str(value)


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
    assert lines_of(plain(sheet=lambda: sheet), "csv") == lines


def test_a_report_without_rows_has_none() -> None:
    with pytest.raises(InputError, match="--format: 'csv': a format of `a title`"):
        renderer("csv")(plain())


# --- annotations of GitHub -----------------------------------------------------------------------


def annotations(base: Variant, *candidates: Variant) -> list[tuple[str, str, str]]:
    found = []
    for line in rendered(compare(base, candidates, Policy()), "github").splitlines():
        match = re.fullmatch(r"::(error|warning|notice) title=([^:,]*)::(.*)", line)
        assert match is not None, line
        found.append((match[1], match[2].replace("%3A", ":"), match[3]))
    return found


def test_regressions_come_before_what_is_missing_and_the_rest_is_counted() -> None:
    """Twelve metrics that the candidate lacks, and behind them one of each verdict."""
    base, candidate = noisy_sides(
        slow=(samples(1, 8), samples(2, 8, 120.0)),
        open=(samples(3, 8, 100, 20), samples(4, 8, 100, 20)),
        fast=(samples(5, 8), samples(6, 8, 80.0)),
    )
    names = [f"gone{i:02}" for i in range(12)]
    gone = {name: Series(metric=name, kind="noisy", samples=np.ones(8)) for name in names}
    found = annotations(Variant("a", "csv", gone | base.series), candidate)
    errors = [(title, text) for level, title, text in found if level == "error"]
    assert len(errors) == 10 and errors[0][0] == "slow"
    assert all(text.startswith("missing: ") for _, text in errors[1:])
    assert ("warning", "open") in [(level, title) for level, title, _ in found]
    said = "and 3 errors more; the job's summary and the other formats have them"
    assert found[-1] == ("notice", "ntbbench compare", said)


def test_titles_name_the_candidate_where_there_are_several() -> None:
    base, candidate = noisy_sides(slow=(samples(1, 8), samples(2, 8, 120.0)))
    found = annotations(base, candidate, Variant("c", "csv", candidate.series))
    assert {title for level, title, _ in found if level == "error"} == {"slow (b)", "slow (c)"}


def test_a_name_starts_no_other_command() -> None:
    sides = {name: (samples(1, 8), samples(2, 8, 120.0)) for name in HOSTILE_METRICS}
    assert sum(level == "error" for level, *_ in annotations(*noisy_sides(**sides))) == 10


# --- KTAP ----------------------------------------------------------------------------------------

KUNIT = Path("tools/testing/kunit")
FILES = ("kunit_parser.py", "kunit_printer.py")
# What a name or a diagnostic may hold: directives, results, escapes, other scripts.
ODD = ["# SKIP", "- 0", "0", "-", "not ok 7 x", "1..9", "KTAP version 1", "a\n1..3", "\x1b[1m", "#"]
NAMES = st.text(max_size=20) | st.sampled_from(ODD)
LEAVES = st.builds(
    Check,
    name=NAMES,
    ok=st.sampled_from([True, False, None]),
    reason=NAMES,
    diagnostics=st.lists(NAMES, max_size=3),
)


def group(inner: st.SearchStrategy[Check]) -> st.SearchStrategy[Check]:
    checks, said = st.lists(inner, min_size=1, max_size=4), st.lists(NAMES, max_size=2)
    return st.builds(Check, name=NAMES, ok=st.none(), diagnostics=said, checks=checks)


CHECKS = st.recursive(LEAVES, group, max_leaves=12)


def ktap(checks: Sequence[Check], verdict: str = "the answer") -> str:
    return renderer("ktap")(plain(verdict=verdict, checks=lambda: checks))


def leaves(checks: Sequence[Check]) -> Iterator[Check]:
    """Yield the checks that have no subtests."""
    for check in checks:
        yield from leaves(check.checks) if check.checks else [check]


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The parser of Linux 7.3, out of Debian's source of it."""
    folder = tmp_path_factory.mktemp("kunit")
    source = fetch_source(CACHE, "7.3", print, keep=True)
    unpack_files(source.package, tuple(str(KUNIT / name) for name in FILES), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / KUNIT))
        yield importlib.import_module("kunit_parser")
    for name in FILES:
        sys.modules.pop(name.removesuffix(".py"), None)


def held_against_the_parser(parser: Any, text: str, checks: Sequence[Check]) -> None:
    printer = importlib.import_module("kunit_printer").Printer(io.StringIO())
    found = parser.parse_run_tests(text.splitlines(), printer).counts
    wanted = Counter(check.ok for check in leaves(checks))
    counted = (found.passed, found.failed, found.skipped, found.errors)
    assert counted == (wanted[True], wanted[False], wanted[None], 0)


def test_a_small_report_is_as_the_kernel_documents_it() -> None:
    inner = [Check("one", True, diagnostics=["runs 3"]), Check("two", None, "no MSI")]
    first = Check("first # 1", False, diagnostics=["a\nb"])
    assert ktap([first, Check("group", None, checks=inner)]).splitlines() == [
        *("KTAP version 1", "# the answer", "1..2", "# a b", "not ok 1 first No. 1"),
        *("  KTAP version 1", "  # Subtest: group", "  1..2", "  # runs 3", "  ok 1 one"),
        *("  ok 2 two # SKIP no MSI", "ok 2 group"),
    ]


@pytest.mark.guest
@given(checks=st.lists(CHECKS, min_size=1, max_size=5), verdict=NAMES)
def test_the_kernels_parser_counts_what_we_print(
    parser: Any, checks: list[Check], verdict: str
) -> None:
    held_against_the_parser(parser, ktap(checks, verdict), checks)


@pytest.mark.guest
@pytest.mark.parametrize("name", ["lab-run", "pair-run", "pair-matrix", "pair-check"])
def test_the_kernels_parser_reads_every_report(parser: Any, name: str) -> None:
    record = load_any(INPUTS / f"{name}.json")
    document = kind_of(record).document(record)
    assert document.checks is not None
    held_against_the_parser(parser, renderer("ktap")(document), document.checks())
