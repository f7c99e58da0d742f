# SPDX-License-Identifier: BSD-3-Clause
"""Two records compared."""

from pathlib import Path
from typing import Any

import pytest
from compare_data import written
from compare_runs import Ran


@pytest.fixture
def sides(tmp_path: Path):
    """Return a call that writes the records of both sides and returns their files."""

    def run(base: dict[str, Any], new: dict[str, Any]) -> list[str]:
        return [written(tmp_path / "a.json", base), written(tmp_path / "b.json", new)]

    return run


@pytest.fixture
def gated(ntbbench, sides):
    """Return a call that gates one record against another, with the report as JSON."""

    def run(base: dict[str, Any], new: dict[str, Any], *options: object) -> Ran:
        return ntbbench("gate", *sides(base, new), "--format", "json", *options)

    return run
