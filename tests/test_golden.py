# SPDX-License-Identifier: BSD-3-Clause
"""Every command's output in every format is the one that was reviewed; see golden_cases.py."""

import pytest
from golden_cases import GOLDEN, Case, cases, golden_text
from reference_pages import FOLDER, SHELL, pages
from shell_files import shell_files

CASES = list(cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_output_is_golden(case: Case) -> None:
    """Run `make golden` where a change is meant, and review the diff."""
    expected = (GOLDEN / "expected" / case.name).read_text(encoding="utf-8")
    assert golden_text(case) == expected


def test_every_golden_file_has_a_case() -> None:
    assert {path.name for path in (GOLDEN / "expected").iterdir()} == {case.name for case in CASES}


@pytest.mark.parametrize("name", pages())
def test_reference_page_says_what_the_code_declares(name: str) -> None:
    """`make reference` writes them anew."""
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[name]
    assert {path.name for path in FOLDER.iterdir()} == set(pages())


@pytest.mark.parametrize("name", shell_files())
def test_the_man_page_and_the_completions_are_up_to_date(name: str) -> None:
    assert (SHELL / name).read_text(encoding="utf-8") == shell_files()[name]
