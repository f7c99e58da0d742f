# SPDX-License-Identifier: BSD-3-Clause
"""The compat page in a real browser: the coloured grid shows what the cells say."""

from pathlib import Path

import pytest
from pages import OpenPage

from ntbbench.pair.series.prefix_matrix import BrokenCell, Regression, compat, exhaustive, rows
from ntbbench.pair.series.verdict import Verdict
from ntbbench.pair.setting import DIRECTIONS, Setting
from ntbbench.report import compat as report
from ntbbench.report.broken import grouped, ranges

READ_GRID = """
name => { const trace = document.getElementById(name).data[0];
  return {x: Array.from(trace.x), y: Array.from(trace.y), text: trace.text.map(r => Array.from(r)),
          z: Array.from(trace.z, row => Array.from(row))}; }
"""


@pytest.mark.parametrize("slots", [8, 6])
def test_grid_in_the_browser(open_page: OpenPage, tmp_path: Path, slots: int) -> None:
    result = compat(Setting(ep_slots=slots), exhaustive() if slots == 8 else None)
    path = tmp_path / "compat.html"
    path.write_text(report.html(result))
    page = open_page(path)
    for direction in DIRECTIONS:
        grid = page.evaluate(READ_GRID, f"grid-{direction}")
        assert grid["x"] == [f"RC {name}" for name in rows("rc")]
        assert grid["y"] == [f"EP {name}" for name in rows("ep")]
        shown = {
            (ep, rc): list(Verdict)[int(grid["z"][i][j])]
            for i, ep in enumerate(rows("ep"))
            for j, rc in enumerate(rows("rc"))
        }
        cells = [cell for cell in result.cells if cell.direction == direction]
        assert shown == {(cell.ep, cell.rc): Verdict(cell.verdict) for cell in cells}
    assert page.locator("#cells-table tbody tr").count() == 126
    assert page.locator("#broken tbody tr").count() == (19 if slots == 8 else 0)


def test_grouped_rows_stand_for_every_setting() -> None:
    """Unfolding the ranges of the table gives back what the search found."""
    found = exhaustive()
    assert sum(_count(row) for row in grouped(found.regressions)) == sum(
        len({cell.verdict for cell in r.cells}) for r in found.regressions
    )


def _count(row: list[str]) -> int:
    _, slots, vectors, ways, *_ = row
    directions = 2 if ways == "both" else len(ways.split())
    return _size(slots) * _size(vectors) * directions * 3


def _size(text: str) -> int:
    ends = [part.partition("-") for part in text.split(",")]
    return sum(int(high or low) - int(low) + 1 for low, _, high in ends)


def test_modes_are_named_where_not_all_are_meant() -> None:
    (row,) = grouped([_broken(doorbell="poll")])
    assert row == ["4", "5", "6", "rc-to-ep (poll)", "1-2/3", "missed"]


def _broken(doorbell: str) -> Regression:
    cells = [BrokenCell(ep=ep, rc=3, verdict="missed") for ep in (1, 2)]
    return Regression(
        direction="rc-to-ep", ep_slots=5, rc_vectors=6, mw_count=4, doorbell=doorbell, cells=cells
    )


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([3], "3"), ([5, 3, 4], "3-5"), ([1, 3, 4, 4, 9], "1,3-4,9")]
)
def test_ranges(numbers: list[int], text: str) -> None:
    assert ranges(numbers) == text
