# SPDX-License-Identifier: BSD-3-Clause
"""A sweep's report and its page in a real browser: no point, reason or warning is lost."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import report_records
from pages import OpenPage, silent_page
from playwright.sync_api import Browser, Page
from rendered import rendered
from report_records import ok, result, timing, unavailable

from ntbbench.dispatch.records import Caution, OkPoint, SweepResult, UnavailablePoint
from ntbbench.report.document import Table
from ntbbench.report.figures import style
from ntbbench.report.views.sweep import document, verdict_of
from ntbbench.report.views.sweep_pivot import Group, groups_of

FORMATS = ("text", "mail", "md", "csv", "json", "html")


def lines_of(found: SweepResult) -> list[str]:
    return rendered(found, "text").splitlines()


def block(lines: list[str], title: str) -> list[str]:
    """Return the lines from the one that starts with `title` to the next empty one."""
    start = next(at for at, line in enumerate(lines) if line.startswith(title))
    end = next((at for at in range(start, len(lines)) if not lines[at]), len(lines))
    return lines[start:end]


def table(found: SweepResult, title: str) -> Table:
    (one,) = (
        block
        for block in document(found).blocks
        if isinstance(block, Table) and block.title.startswith(title)
    )
    return one


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([ok(), ok(fan_out=1)], "schedules 1 to 4 tasklets (1 is ideal) in 2 points; no"),
        ([ok(), unavailable()], "4 tasklets (1 is ideal) in 1 point; none is missed; 1"),
        ([ok(missed=3), ok()], "in 2 points; 1 point MISSED OR MISROUTED DOORBELLS"),
        ([unavailable()], "No point was measured; 1 point unavailable"),
        ([], "No point was measured"),
    ],
)
def test_the_answer_comes_first(points: list[OkPoint | UnavailablePoint], words: str) -> None:
    assert words in verdict_of(points)
    assert rendered(result(points), "text").split("\n")[0] in verdict_of(points)


def test_an_interval_of_several_medians_says_so() -> None:
    wild = msgspec.structs.replace(timing(10.0), low=9.0, high=42.0)
    cost = block(lines_of(result([ok(ns=wild)])), "Cost")
    assert any(line.endswith("10.0 +-3x") for line in cost)
    assert "+-3x: three medians away" in " ".join(" ".join(cost).split())


def test_merging_keeps_every_unavailable_point() -> None:
    points = [
        unavailable("a", "fallback", 4, 4, reason="r"),
        unavailable("a", "fallback", 4, 8, reason="r"),
        unavailable("a", "fallback", 8, 8, reason="r"),
        unavailable("a", "msi", 8, 8, reason="r"),
        unavailable("b", "msi", 8, 8, reason="r"),
    ]
    assert block(lines_of(result(points)), "Unavailable")[1:] == [
        "  r",
        "    a: fallback; doorbells/vectors 4/4; queues asked 4,8, created 1",
        "    a: fallback, msi; doorbells/vectors 8/8; queues asked 8, created 1",
        "    b: msi; doorbells/vectors 8/8; queues asked 8, created 1",
    ]


def test_lost_doorbells_are_a_table_and_an_interrupted_sweep_says_how_to_go_on() -> None:
    lost = rendered(result([ok(missed=5, misrouted=2), ok(queues=8)], complete=False), "text")
    assert "Go on with: ntbbench sweep --resume" in " ".join(lost.split())
    _, title, rest = lost.partition("Missed or misrouted doorbells: a QP slept although")
    words = rest.split()
    at = words.index("generic")
    assert title and words[at : at + 7] == ["generic", "fallback", "4", "16", "16", "5", "2"]


def test_warnings_of_one_kind_are_grouped() -> None:
    cautions = [Caution(code="c", message=f"m{n}", remedy="do it", point=0) for n in range(9)]
    cautions.append(Caution(code="stale", message="no such point", remedy="nothing", point=99))
    point = "generic, fallback, doorbells 16, vectors 16, queues 4: m"
    assert list(document(result([ok()], warnings=cautions)).warnings) == [
        ("c: do it", [f"{point}{n}" for n in range(9)]),
        ("stale: nothing", ["no such point"]),
    ]


def test_circumstances_that_differ_are_in_the_title() -> None:
    points = [ok(workload=w, drain=d) for w in ("uniform", "zipf:s=1.1") for d in (1, 8)]
    pivot = table(result([*points, ok("ntb_hw_amd")]), "Amplification")
    assert ("generic, workload zipf:s=1.1, drain 8", 1) in pivot.groups
    assert ("ntb_hw_amd", 1) in pivot.groups
    assert len(table(result([ok("ntb_hw_idt")] * 3), "Amplification").rows) == 3  # equal points


def rows_of(found: SweepResult) -> list[dict[str, str]]:
    text = rendered(found, "csv")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_every_scalar_field_is_a_column_of_the_csv() -> None:
    third = 1 / 3
    point = ok(ns=timing(3.25), amplification=third, interrupts=10**12)
    (row,) = rows_of(result([point]))
    for name, value in msgspec.structs.asdict(point).items():
        if not isinstance(value, list) and name != "ns_per_dispatch":
            assert row.pop(name) == ("" if value is None else str(value)), name
    assert row == {
        "status": "ok",
        "reason": "",
        "ns_per_dispatch_median": "3.25",
        "ns_per_dispatch_low": str(timing(3.25).low),
        "ns_per_dispatch_high": str(timing(3.25).high),
        "ns_per_dispatch_samples": "5",
    }


def test_hostile_texts_come_back_from_the_csv_and_the_json() -> None:
    hostile = report_records.hostile()
    rows = rows_of(hostile)
    assert [row["workload"] for row in rows] == [
        f"'{point.workload}" if point.workload[0] in "=@" else point.workload  # no formula
        for point in hostile.points
    ]
    assert msgspec.json.decode(rendered(hostile, "json"), type=SweepResult) == hostile


# --- the page ------------------------------------------------------------------------------------

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


def written(folder: Path, found: SweepResult) -> Path:
    (folder / "report.html").write_text(rendered(found, "html"))
    return folder / "report.html"


@pytest.fixture(scope="module")
def story_page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page for the tests that only read."""
    with silent_page(browser, written(tmp_path_factory.mktemp("story"), STORY)) as page:
        yield page


def alike() -> list[list[Group]]:
    """Return the devices of the page: those with the same amplification share their figures."""
    found: dict[str, list[Group]] = {}
    for group in groups_of(STORY.points):
        cells = [
            (
                row.dispatch,
                row.doorbells,
                count,
                getattr(p, "amplification", getattr(p, "reason", 0)),
            )
            for row in group.rows
            for count, p in row.cells.items()
        ]
        found.setdefault(str(cells), []).append(group)
    return list(found.values())


def test_heatmaps_hold_every_point(story_page: Page) -> None:
    plots = story_page.evaluate(READ_HEATMAPS)
    shared = alike()
    assert len(plots) == len(shared) < sum(map(len, shared)) == 5
    seen = 0
    drawn = [(traces, group) for traces, same in zip(plots, shared, strict=True) for group in same]
    for traces, group in drawn:
        names = ["fallback", "unavailable", "per-vector", "unavailable"]
        assert [trace["name"] for trace in traces] == names
        for row in group.rows:
            measured, refused = traces[:2] if row.dispatch == "fallback" else traces[2:]
            line = measured["y"].index(str(row.doorbells))
            for queues, point in row.cells.items():
                at = measured["x"].index(str(queues))
                seen += 1
                cells = (measured["z"][line][at], refused["z"][line][at])
                if isinstance(point, OkPoint):
                    assert cells == (point.amplification, None)
                else:
                    assert cells == (None, 0)
                    assert point.reason in refused["hover"][line][at].replace("<br>", " ")
    assert seen == len(STORY.points)


def test_curves_hold_amplification_and_cost(story_page: Page) -> None:
    amplification = story_page.evaluate(READ_CURVES, "curve-")
    costs = story_page.evaluate(READ_CURVES, "cost-")
    shared = alike()
    lines_of_each = [amplification[at] for at, same in enumerate(shared) for _ in same]
    groups = [group for same in shared for group in same]
    for group, lines, cost_lines in zip(groups, lines_of_each, costs, strict=True):
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
    assert plots.count() == 2 + 2 * len(alike()) + 5  # bars; map and curve; the cost of each
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


def test_hostile_names_stay_text(tmp_path: Path, open_page: OpenPage) -> None:
    page = open_page(written(tmp_path, report_records.hostile()))
    assert page.title() == "ntbbench sweep"
    assert page.locator("img, main b, main i, main a").count() == 0
    shown = page.locator("body").inner_text()
    for text in report_records.HOSTILE:
        plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
        assert re.sub(r"\s+", " ", plain) in re.sub(r"\s+", " ", shown)
    names = page.locator("#overview-amplification .ytick").all_text_contents()
    assert names[0] == "</script><script>document.t…"
    assert "<b>bold</b> &amp; %{x} <ext…" in names


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_names_and_nothing_at_all_have_every_format(name: str) -> None:
    end = "</html>" if name == "html" else "\n"
    assert rendered(report_records.hostile(), name).endswith(end)
    assert rendered(result([]), name).endswith(end)


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


def test_nothing_available_is_still_a_page(tmp_path: Path, open_page: OpenPage) -> None:
    page = open_page(written(tmp_path, result([unavailable()])))
    assert page.locator(".plot").count() == 0
    assert "ENOSPC: Q queues requested" in page.locator("details").inner_text()


def test_counts_alone_have_no_figure_of_cost() -> None:
    figures = document(report_records.story(timed=False)).figures
    assert figures is not None
    names = [figure.name for section in figures() for figure in section.figures]
    assert f"heatmap-{len(alike()) - 1}" in names
    assert not any("cost" in name for name in names)


def test_more_doorbell_counts_than_symbols_are_told() -> None:
    points = [ok(doorbells=d, queues=q) for d in range(3, 12) for q in (1, 2)]
    found = document(result(points))
    assert found.figures is not None
    captions = [figure.caption for section in found.figures() for figure in section.figures]
    assert any(text.endswith("Drawn are 4 of the doorbell counts.") for text in captions)


def test_the_same_device_twice_is_told_apart() -> None:
    """A device of fixed size gives the same point for every value of an axis: all are kept."""
    points = [ok("ntb_hw_amd", doorbells=15, vectors=15)] * 3
    (group,) = groups_of(points)
    assert [style.row_name(group, row) for row in group.rows] == ["15", "15 (2)", "15 (3)"]
    rows = [ok(doorbells=8, vectors=v) for v in (1, 4)]
    (group,) = groups_of(rows)
    assert [style.row_name(group, row) for row in group.rows] == ["8, 1 vector", "8, 4 vectors"]
