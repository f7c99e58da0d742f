# SPDX-License-Identifier: BSD-3-Clause
"""The pages of a history and of a calibration: a curve per metric, a bar per benchmark."""

from pathlib import Path

import pytest
from golden_cases import INPUTS
from pages import OpenPage

from ntbbench.cli.main import main

READ = """name => document.getElementById(name).data.map(
  trace => ({ x: Array.from(trace.x), y: Array.from(trace.y) }))"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "page.html"


def test_a_curve_has_the_values_of_its_metric(page: Path, open_page: OpenPage) -> None:
    store = str(INPUTS / "history.sqlite")
    assert main(["history", "show", "--store", store, "--html", str(page)]) == 0
    opened = open_page(page)
    (curve,) = opened.evaluate(READ, "track-0")
    assert curve["x"] == list(range(10))
    assert [round(value, 4) for value in curve["y"][:3]] == [1.0006, 1.0202, 1.04]
    assert "test_scan" in opened.locator("figcaption").first.inner_text()


def test_floors_stand_beside_their_thresholds(page: Path, open_page: OpenPage, capsys) -> None:
    runs = [str(INPUTS / f"bench-{number}.json") for number in range(4)]
    assert (
        main(["calibrate", *runs, "-o", str(page.with_suffix(".toml")), "--html", str(page)]) == 0
    )
    floors, thresholds = open_page(page).evaluate(READ, "floors")
    assert floors["x"] == sorted(floors["x"], reverse=True)
    assert all(
        floor <= threshold for floor, threshold in zip(floors["x"], thresholds["x"], strict=True)
    )
