# SPDX-License-Identifier: BSD-3-Clause
"""The HTML report, opened in a real browser: numbers read from the page are the result's."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import report_records
from pages import OpenPage, silent_page
from playwright.sync_api import Browser, Page
from rendered import rendered

from ntbbench.dispatch.records import OkPoint, SweepResult, UnavailablePoint
from ntbbench.report.document import Document
from ntbbench.report.figures import style
from ntbbench.report.views.sweep import document
from ntbbench.report.views.sweep_pivot import groups_of

STORY = report_records.story()
# plotly keeps its copy of the data, with typed arrays for lists of numbers.
READ_HEATMAPS = """
() => Array.from(document.querySelectorAll('[id^="heatmap-"]'), plot => plot.data.map(trace => ({
  name: trace.name, x: Array.from(trace.x), y: Array.from(trace.y),
  z: Array.from(trace.z, row => Array.from(row)), hover: trace.hovertext,
})))
"""
READ_CURVES = """
prefix => Array.from(document.querySelectorAll(`[id^="${prefix}"]`), plot => plot.data
  .filter(trace => trace.showlegend === false)
  .map(trace => ({
    name: trace.name, x: Array.from(trace.x), y: Array.from(trace.y),
    above: Array.from(trace.error_y.array), below: Array.from(trace.error_y.arrayminus),
    drawn: trace.error_y.visible,
  })))
"""


def written(folder: Path, result: SweepResult) -> Path:
    path = folder / "report.html"
    path.write_text(rendered(result, "html"))
    return path


@pytest.fixture(scope="module")
def story_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("story"), STORY)


@pytest.fixture(scope="module")
def story_page(browser: Browser, story_file: Path) -> Iterator[Page]:
    """The page for the tests that only read."""
    with silent_page(browser, story_file) as page:
        yield page


def column(page: Page, number: int) -> list[str]:
    rows = page.get_by_role("region", name="All points").locator("tbody tr:visible")
    return rows.locator(f"td:nth-child({number})").all_inner_texts()


def headers(page: Page) -> list[str]:
    return page.get_by_role("region", name="All points").locator("th").all_inner_texts()


def test_heatmaps_hold_every_point(story_page: Page) -> None:
    plots = story_page.evaluate(READ_HEATMAPS)
    groups = groups_of(STORY.points)
    assert len(plots) == len(groups) == 5
    seen = 0
    for traces, group in zip(plots, groups, strict=True):
        names = ["fallback", "unavailable", "per-vector", "unavailable"]
        assert [trace["name"] for trace in traces] == names
        for measured, refused, dispatch in (
            (traces[0], traces[1], "fallback"),
            (traces[2], traces[3], "per-vector"),
        ):
            for row in (row for row in group.rows if row.dispatch == dispatch):
                line = measured["y"].index(str(row.doorbells))
                for queues, point in row.cells.items():
                    at = measured["x"].index(str(queues))
                    seen += 1
                    if isinstance(point, OkPoint):
                        assert measured["z"][line][at] == point.amplification
                        assert refused["z"][line][at] is None
                    else:
                        assert measured["z"][line][at] is None
                        assert refused["z"][line][at] == 0
                        said = refused["hover"][line][at].replace("<br>", " ")
                        assert isinstance(point, UnavailablePoint)
                        assert point.reason in said
    assert seen == len(STORY.points)


def test_heatmaps_share_one_colour_scale(story_page: Page) -> None:
    ranges = story_page.evaluate(
        """() => Array.from(document.querySelectorAll('[id^="heatmap-"]'), plot =>
           [plot._fullLayout.coloraxis.cmin, plot._fullLayout.coloraxis.cmax,
            JSON.stringify(plot._fullLayout.coloraxis.colorscale)])"""
    )
    assert len(ranges) == 5
    assert all(found == ranges[0] for found in ranges)
    assert ranges[0][:2] == [1, 8]


def test_curves_hold_amplification_and_cost(story_page: Page) -> None:
    amplification = story_page.evaluate(READ_CURVES, "curve-")
    costs = story_page.evaluate(READ_CURVES, "cost-")
    for group, lines, cost_lines in zip(groups_of(STORY.points), amplification, costs, strict=True):
        assert len(lines) == len(cost_lines) == len(group.rows)
        for row, line, cost in zip(group.rows, lines, cost_lines, strict=True):
            points = [point for point in row.cells.values() if isinstance(point, OkPoint)]
            assert line["name"] == cost["name"] == row.dispatch
            assert line["x"] == cost["x"] == [point.queues for point in points]
            assert line["y"] == [point.amplification for point in points]
            timings = [point.ns_per_dispatch for point in points]
            assert cost["y"] == [timing.median for timing in timings]
            assert cost["above"] == pytest.approx([t.high - t.median for t in timings])
            assert cost["below"] == pytest.approx([t.median - t.low for t in timings])
            assert cost["drawn"] is True


def test_every_plot_is_drawn(story_page: Page) -> None:
    plots = story_page.locator(".plot")
    assert plots.count() == 2 + 3 * 5
    assert story_page.locator(".plot > .plot-container .main-svg").count() >= plots.count()
    # The numbers stand in the cells, and the marks of what is unavailable.
    texts = story_page.locator("#heatmap-1 .heatmap-label").all_text_contents()
    assert texts.count("8.00") == 1
    assert texts.count("n/a") == 6


def test_a_hovered_grey_cell_tells_its_reason(story_page: Page) -> None:
    cell = story_page.locator("#heatmap-0 .heatmap-label", has_text="n/a").first
    cell.scroll_into_view_if_needed()
    box = cell.bounding_box()
    assert box is not None
    story_page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    shown = story_page.locator("#heatmap-0 .hoverlayer")
    shown.locator("text").first.wait_for()
    assert "ENOSPC: 4 queues requested, 3 possible" in " ".join(shown.all_text_contents())


def test_table_holds_every_point(story_page: Page) -> None:
    names = headers(story_page)
    assert column(story_page, 1) == [point.hardware for point in STORY.points]
    asked = column(story_page, names.index("queues asked") + 1)
    assert asked == [str(point.queues_requested) for point in STORY.points]
    cells = story_page.evaluate(
        """number => Array.from(
             document.querySelectorAll('[aria-label="All points"] tbody tr'), row =>
             row.cells[number].dataset.value)""",
        names.index("median (ns)"),
    )
    for point, cell in zip(STORY.points, cells, strict=True):
        if isinstance(point, OkPoint):
            assert float(cell) == point.ns_per_dispatch.median  # the full precision
        else:
            assert cell is None
    status = column(story_page, names.index("status") + 1)
    assert [text.removeprefix("unavailable: ") for text in status] == [
        point.reason if isinstance(point, UnavailablePoint) else "ok" for point in STORY.points
    ]


def test_hostile_names_stay_text(tmp_path: Path, open_page: OpenPage) -> None:
    result = report_records.hostile()
    page = open_page(written(tmp_path, result))
    assert page.title() == "ntbbench sweep"
    assert page.locator("img, main b, main i, main a").count() == 0
    shown = page.locator("body").inner_text()
    for text in report_records.HOSTILE:
        plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
        assert re.sub(r"\s+", " ", plain) in re.sub(r"\s+", " ", shown)
    names = page.locator("#overview-amplification .ytick").all_text_contents()
    assert names[0] == "</script><script>document.t…"
    assert "<b>bold</b> &amp; %{x} <ext…" in names


@pytest.mark.parametrize("width", [420, 1400])  # a phone; what it opens with, at the end
def test_page_fits_the_screen(story_page: Page, width: int) -> None:
    story_page.set_viewport_size({"width": width, "height": 900})
    story_page.wait_for_function(
        """() => Array.from(document.querySelectorAll('.plot'), plot =>
             Math.abs(plot.querySelector('.main-svg').getBoundingClientRect().width
                      - plot.clientWidth) < 2).every(Boolean)"""
    )
    assert story_page.evaluate("document.documentElement.scrollWidth") <= width
    outside = story_page.evaluate(
        """() => Array.from(document.querySelectorAll('.plot text'))
             .filter(text => text.textContent.trim())
             .map(text => [text.textContent, text.getBoundingClientRect(),
                           text.closest('.plot').getBoundingClientRect()])
             .filter(([, box, plot]) => box.left < plot.left - 1 || box.right > plot.right + 1
                                        || box.top < plot.top - 1 || box.bottom > plot.bottom + 1)
             .map(([name]) => name)"""
    )
    assert outside == []


def figure_names(found: Document) -> list[str]:
    assert found.figures is not None
    return [figure.name for section in found.figures() for figure in section.figures]


def test_counts_only_have_no_cost() -> None:
    found = document(report_records.story(timed=False))
    assert "heatmap-4" in figure_names(found)
    assert not any("cost" in name for name in figure_names(found))


def test_nothing_available_is_still_a_page(tmp_path: Path, open_page: OpenPage) -> None:
    page = open_page(written(tmp_path, report_records.result([report_records.unavailable()])))
    assert page.locator(".plot").count() == 0
    assert "ENOSPC: Q queues requested" in page.locator("details").inner_text()


def test_more_doorbell_counts_than_symbols_are_told() -> None:
    points = [report_records.ok(doorbells=d, queues=q) for d in range(3, 12) for q in (1, 2)]
    found = document(report_records.result(points))
    assert found.figures is not None
    captions = [figure.caption for section in found.figures() for figure in section.figures]
    assert any(text.endswith("Drawn are 4 of the doorbell counts.") for text in captions)


def test_the_same_device_twice_is_told_apart() -> None:
    """A device of fixed size gives the same point for every value of an axis: all are kept."""
    points = [report_records.ok("ntb_hw_amd", doorbells=15, vectors=15)] * 3
    (group,) = groups_of(points)
    assert [style.row_name(group, row) for row in group.rows] == ["15", "15 (2)", "15 (3)"]
    rows = [report_records.ok(doorbells=8, vectors=v) for v in (1, 4)]
    (group,) = groups_of(rows)
    assert [style.row_name(group, row) for row in group.rows] == ["8, 1 vector", "8, 4 vectors"]


def test_plotly_is_inlined_once() -> None:
    text = rendered(STORY, "html")
    assert len(re.findall(r"\* plotly\.js v", text)) == 1
    assert not re.search(r"<(?:script|img|iframe)[^>]* src=|<link[^>]* href=\"(?!data:)", text)
