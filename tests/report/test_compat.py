# SPDX-License-Identifier: BSD-3-Clause
"""The compat page in a real browser: the coloured grid shows what the cells say."""

import csv
from pathlib import Path

import pytest
from pages import OpenPage
from rendered import rendered

from ntbbench.pair.records import BrokenCell, Regression
from ntbbench.pair.search import exhaustive
from ntbbench.pair.setting import DIRECTIONS, VNTB_ENDS, Setting
from ntbbench.pair.verdict import Verdict, compat, rows
from ntbbench.report.views.compat import SHOWN, folded_settings, heading

READ_GRID = """
() => Array.from(document.querySelectorAll("#part-0-table tbody tr"), row =>
  Array.from(row.cells, cell => [cell.innerText, cell.className.replace("right ", ""),
                                 getComputedStyle(cell).backgroundColor, cell.title]))
"""


@pytest.mark.parametrize("slots", [8, 6])
def test_grid_in_the_browser(open_page: OpenPage, tmp_path: Path, slots: int) -> None:
    result = compat(Setting(ep_slots=slots), exhaustive() if slots == 8 else None)
    path = tmp_path / "compat.html"
    path.write_text(rendered(result, "html"))
    page = open_page(path)
    grid = page.evaluate(READ_GRID)
    places = [(direction, ep) for direction in DIRECTIONS for ep in rows("ep")]
    heads = [(heading(direction, VNTB_ENDS), str(ep)) for direction, ep in places]
    assert [(row[0][0], row[1][0]) for row in grid] == heads
    found = {(c.direction, c.ep, c.rc): c for c in result.cells}
    colours: dict[Verdict, set[str]] = {}
    for place, row in zip(places, grid, strict=True):
        for rc, (text, tone, colour, hint) in zip(rows("rc"), row[2:], strict=True):
            verdict = Verdict(found[*place, rc].verdict)
            assert (text.startswith(SHOWN[verdict][0]), tone) == (True, SHOWN[verdict][1])
            assert all(hazard in hint for hazard in found[*place, rc].hazards)
            colours.setdefault(verdict, set()).add(colour)
    assert {*colours} == {cell.verdict for cell in result.cells}
    assert len(colours) == len(set.union(*colours.values()))
    last = page.locator(".table").last
    assert last.locator("tbody tr").count() == 126
    folded = page.locator("section", has_text="Settings in which 0/0 works").last
    assert folded.locator("tbody tr").count() == (19 if slots == 8 else 0)


def test_csv_has_the_matrix_then_the_broken_cells_of_other_settings() -> None:
    result = compat(Setting(ep_slots=6), exhaustive())
    table = list(csv.DictReader(rendered(result, "csv").splitlines()))
    assert [row["cases"] for row in table[:126]] == [str(cell.cases) for cell in result.cells]
    others = [
        (str(r.ep_slots), r.direction, str(cell.ep), cell.verdict, "")
        for r in result.exhaustive.regressions
        if (r.ep_slots, r.rc_vectors, r.mw_count, r.doorbell) != (6, 16, 4, "poll")
        for cell in r.cells
    ]
    names = ("ep_slots", "direction", "ep", "verdict", "cases")
    assert [tuple(row[name] for name in names) for row in table[126:]] == others


def test_folded_rows_stand_for_every_setting() -> None:
    """Unfolding the ranges of the table gives back what the search found."""
    found = exhaustive().regressions
    assert sum(map(_count, folded_settings(found))) == sum(
        len({cell.verdict for cell in r.cells}) for r in found
    )


def _count(row: tuple[str, ...]) -> int:
    _, slots, vectors, ways, *_ = row
    directions = 2 if ways == "both" else len(ways.split())
    return _size(slots) * _size(vectors) * directions * 3


def _size(text: str) -> int:
    ends = [part.partition("-") for part in text.split(",")]
    return sum(int(high or low) - int(low) + 1 for low, _, high in ends)


def test_modes_are_named_where_not_all_are_meant() -> None:
    cells = [BrokenCell(ep=ep, rc=3, verdict="missed") for ep in (1, 2)]
    broken = Regression(
        direction="rc-to-ep", ep_slots=5, rc_vectors=6, mw_count=4, doorbell="poll", cells=cells
    )
    assert folded_settings([broken]) == [(4, "5", "6", "rc-to-ep (poll)", "1-2/3", "missed")]
