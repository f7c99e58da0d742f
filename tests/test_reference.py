# SPDX-License-Identifier: BSD-3-Clause
"""The reference pages say what the code declares: `make reference` writes them anew."""

import pytest
from reference_pages import FOLDER, SHELL, pages
from shell_files import shell_files


@pytest.mark.parametrize("name", pages())
def test_page_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[name]


def test_there_is_no_other_page() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(pages())


@pytest.mark.parametrize("name", shell_files())
def test_the_man_page_and_the_completions_are_up_to_date(name: str) -> None:
    assert (SHELL / name).read_text(encoding="utf-8") == shell_files()[name]
