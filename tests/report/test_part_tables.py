# SPDX-License-Identifier: BSD-3-Clause
"""Reports of tests that ran part by part: neighbours that came to the same are one row."""

import pytest

from ntbbench.lab.ep.records import SKIPPED, EpPart
from ntbbench.lab.selftest.records import FAILED, PASSED
from ntbbench.report.views.lab_ep import TESTS


def parts(controller: str, *told: tuple[str, str, str]) -> list[EpPart]:
    return [
        EpPart(controller=controller, name=name, status=status, reason=reason)
        for name, status, reason in told
    ]


def rows(found: list[EpPart], table: int = 0) -> list[tuple[str, ...]]:
    return [tuple(cell.text for cell in row) for row in [*TESTS.tables(found)][table].rows]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["b.BAR0.T", "b.BAR1.T"], ["b.BAR{0,1}.T"]),
        (["b.READ_TEST", "b.WRITE_TEST"], ["b.{READ,WRITE}_TEST"]),
        (["b.MSI", "b.MSIX"], ["b.MSI{,X}"]),
        (["b.BAR0.T", "b.BAR1.T", "b.BAR1.U"], ["b.BAR{0,1}.T", "b.BAR1.U"]),
        (["b.BAR0.T", "c.BAR1.T"], ["b.BAR0.T", "c.BAR1.T"]),
        (["b.T", "b.BAR0.T"], ["b.T", "b.BAR0.T"]),
        (["ports", "perf"], ["ports", "perf"]),
    ],
)
def test_names_that_differ_in_one_word_are_written_as_one(names, expected) -> None:
    found = parts("plain", *((name, PASSED, "") for name in names))
    assert [row[0] for row in rows(found)] == expected


def test_what_failed_comes_first_and_other_reasons_stay_apart() -> None:
    found = parts(
        "plain",
        ("b.BAR0.T", SKIPPED, "BAR is reserved"),
        ("b.BAR1.T", SKIPPED, "BAR is disabled"),
        ("b.BAR2.T", FAILED, "EIO"),
    )
    assert rows(found) == [
        ("b.BAR2.T", "FAILED", "EIO"),
        ("b.BAR0.T", SKIPPED, "BAR is reserved"),
        ("b.BAR1.T", SKIPPED, "BAR is disabled"),
    ]


def test_several_controllers_are_columns_and_tell_their_reasons_below() -> None:
    same = (("b.BAR0.T", PASSED, ""), ("b.BAR1.T", PASSED, ""))
    failed = (("b.BAR0.T", PASSED, ""), ("b.BAR1.T", FAILED, "EIO"))
    found = [*parts("plain", *same), *parts("align=64K", *failed)]
    assert rows(found) == [("b.BAR1.T", PASSED, "FAILED"), ("b.BAR0.T", PASSED, PASSED)]
    assert rows(found, 1) == [("b.BAR1.T", "align=64K", "EIO")]
