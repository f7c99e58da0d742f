# SPDX-License-Identifier: BSD-3-Clause
"""The reference pages say what the code declares: `make reference` writes them anew."""

import pytest
from reference_pages import FOLDER, pages


@pytest.mark.parametrize("name", pages())
def test_page_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[name]


def test_there_is_no_other_page() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(pages())
