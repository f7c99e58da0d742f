# SPDX-License-Identifier: BSD-3-Clause
"""KTAP as the kernel's own parser reads it, and our counts beside the parser's."""

import importlib
import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from golden_cases import INPUTS
from hypothesis import given
from hypothesis import strategies as st
from lab_kernel import CACHE

from ntbbench.lab.packages.fetch import unpack_files
from ntbbench.lab.pair.sources import fetch_source
from ntbbench.report.document import Check, Document
from ntbbench.report.kinds import kind_of, load_any
from ntbbench.report.render.ktap import render

KUNIT = Path("tools/testing/kunit")
FILES = ("kunit_parser.py", "kunit_printer.py")
# What a name or a diagnostic may hold: directives, results, escapes, other scripts.
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "# SKIP",
            "- 0",
            "0",
            "-",
            "not ok 7 x",
            "1..9",
            "KTAP version 1",
            "a\n1..3",
            "\x1b[1m",
            "#",
        ]
    ),
)
LEAVES = st.builds(
    Check,
    name=TEXTS,
    ok=st.sampled_from([True, False, None]),
    reason=TEXTS,
    diagnostics=st.lists(TEXTS, max_size=3),
)
CHECKS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        Check,
        name=TEXTS,
        ok=st.just(None),
        diagnostics=st.lists(TEXTS, max_size=2),
        checks=st.lists(inner, min_size=1, max_size=4),
    ),
    max_leaves=12,
)


class Nothing(msgspec.Struct):
    """A record of no result."""


def report(checks: Sequence[Check], verdict: str = "the answer") -> str:
    """Return checks as KTAP."""
    return render(Document("a report", verdict, Nothing(), checks=lambda: checks))


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


def parsed(parser: Any, text: str) -> Any:
    printer = importlib.import_module("kunit_printer").Printer(io.StringIO())
    return parser.parse_run_tests(text.splitlines(), printer)


def test_a_small_report_is_as_the_kernel_documents_it() -> None:
    inner = [Check("one", True, diagnostics=["runs 3"]), Check("two", None, "no MSI")]
    assert report(
        [Check("first # 1", False, diagnostics=["a\nb"]), Check("group", None, checks=inner)]
    ) == (
        "KTAP version 1\n"
        "# the answer\n"
        "1..2\n"
        "# a b\n"
        "not ok 1 first No. 1\n"
        "  KTAP version 1\n"
        "  # Subtest: group\n"
        "  1..2\n"
        "  # runs 3\n"
        "  ok 1 one\n"
        "  ok 2 two # SKIP no MSI\n"
        "ok 2 group\n"
    )


@pytest.mark.guest
@given(checks=st.lists(CHECKS, min_size=1, max_size=5), verdict=TEXTS)
def test_the_kernels_parser_counts_what_we_print(
    parser: Any, checks: list[Check], verdict: str
) -> None:
    counted = parsed(parser, report(checks, verdict)).counts
    wanted = Counter(check.ok for check in leaves(checks))
    assert (counted.passed, counted.failed) == (wanted[True], wanted[False])
    assert (counted.skipped, counted.errors) == (wanted[None], 0)


@pytest.mark.guest
@pytest.mark.parametrize("name", ["lab-run", "pair-run", "pair-matrix", "pair-check"])
def test_the_kernels_parser_reads_every_report(parser: Any, name: str) -> None:
    record = load_any(INPUTS / f"{name}.json")
    document = kind_of(record).document(record)
    assert document.checks is not None
    found = parsed(parser, render(document)).counts
    wanted = Counter(check.ok for check in leaves(document.checks()))
    assert found.errors == 0
    assert (found.passed, found.failed, found.skipped) == tuple(
        wanted[ok] for ok in (True, False, None)
    )
