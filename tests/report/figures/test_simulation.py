# SPDX-License-Identifier: BSD-3-Clause
"""The page of `ntbbench simulate` in a browser: curves, bars, tables, units."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import silent_page
from playwright.sync_api import Browser, Locator, Page

from ntbbench.cli.main import main
from ntbbench.report.figures.simulation import places_beside

HOSTILE = '</script><b>"bold"</b>'


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("page")
    scenario = folder / "board.toml"
    scenario.write_text(
        f"name = {json.dumps(HOSTILE)}\n[run]\nduration = '5ms'\nwarmup = '1ms'\nreplications = 3\n"
    )
    words = ["--protocol", "tcp,udp", "--queues", "1,2,4", "-o", str(folder / "result.json")]
    words += ["--jobs", "1"]
    assert main(["simulate", str(scenario), *words, "--html", str(folder / "page.html")]) == 0
    return folder / "page.html", json.loads((folder / "result.json").read_bytes())


@pytest.fixture(scope="module")
def page(browser: Browser, result: tuple[Path, dict[str, Any]]) -> Iterator[Page]:
    with silent_page(browser, result[0]) as opened:
        yield opened


READ = """
name => document.getElementById(name).data.map(trace => ({
  name: trace.name, x: Array.from(trace.x), y: Array.from(trace.y),
  above: trace.error_y ? Array.from(trace.error_y.array) : null,
}))
"""


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_curves_hold_every_point(
    page: Page, result: tuple[Path, dict[str, Any]], protocol: str
) -> None:
    points = [point for point in result[1]["points"] if point["protocol"] == protocol]
    for figure, scale in (("throughput", 1e-9), ("latency-p50", 1e3), ("latency-p999", 1e3)):
        traces = page.evaluate(READ, f"{figure}-{protocol}")
        assert len(traces) == 4
        for trace in traces:
            line = [p for p in points if f"{p['dispatch']}, {p['affinity']}" == trace["name"]]
            quantity = [
                p["throughput_bps"] if figure == "throughput" else p["latency"][figure[8:]]
                for p in line
            ]
            assert trace["x"] == pytest.approx([1, 2, 4], abs=0.1)
            assert trace["y"] == pytest.approx([value["mean"] * scale for value in quantity])
            above = [(value["high"] - value["mean"]) * scale for value in quantity]
            assert trace["above"] == pytest.approx(above)


def test_bars_stack_all_the_time(page: Page, result: tuple[Path, dict[str, Any]]) -> None:
    traces = page.evaluate(READ, "cpu-tcp")
    assert len(traces) == 6
    for place in range(12):
        assert sum(trace["x"][place] for trace in traces) == pytest.approx(16 * 5e-3)
    tops = page.evaluate("() => document.getElementById('cpu-tcp')._fullLayout.barmode")
    assert tops == "stack"


def test_distributions_fall_from_all_packets(page: Page) -> None:
    traces = page.evaluate(READ, "distribution-udp")
    assert len(traces) == 4
    for trace in traces:
        assert trace["y"][0] == 1
        assert trace["y"] == sorted(trace["y"], reverse=True)
        assert trace["x"] == sorted(trace["x"])
        assert min(trace["y"]) > 0  # a logarithmic axis


def test_every_plot_is_drawn_and_fits(page: Page) -> None:
    plots = page.locator(".plot")
    assert plots.count() == 2 * 6
    assert page.locator(".plot > .plot-container .main-svg").count() >= plots.count()
    assert page.evaluate("document.documentElement.scrollWidth") <= 1400


def test_axes_have_the_queues_that_were_run_and_readable_units(page: Page) -> None:
    """A grid of one queue count would else be a column at the right edge, under the toolbar."""
    axis = "document.getElementById('throughput-tcp')._fullLayout.xaxis"
    assert page.evaluate("document.getElementById('throughput-tcp').layout.xaxis.tickvals") == [
        1, 2, 4,
    ]  # fmt: skip
    low, high = page.evaluate(f"{axis}.range")
    assert low <= 0.5
    assert high >= 4.5
    assert page.evaluate(f"{axis}.zeroline") is False  # no queues is no place to mark
    title = "name => document.getElementById(name).layout.yaxis.title.text"
    assert page.evaluate(title, "throughput-tcp") == "Gbit/s"
    assert page.evaluate(title, "latency-p999-tcp") == "p99.9, ms"


def test_curves_that_are_the_same_are_all_seen(page: Page) -> None:
    """Of one affinity, a later dispatch lies inside an earlier one: both look through."""
    looks = page.evaluate(
        "document.getElementById('throughput-tcp').data.map("
        "d => [d.name, d.line.width, d.marker.size, d.marker.symbol])"
    )
    for affinity in ("single", "spread"):
        (_, *first), (_, *second) = (look for look in looks if look[0].endswith(affinity))
        assert first[0] > second[0]
        assert first[1] > second[1] + 2
        assert first[2] == second[2]
        assert first[2].endswith("-open")


@pytest.mark.parametrize("figure", ["throughput-tcp", "latency-p99-udp"])
def test_intervals_of_equal_points_stand_beside_each_other(page: Page, figure: str) -> None:
    """With one queue every curve has the same value: at one place only one interval showed."""
    traces = page.evaluate(READ, figure)
    axis = page.evaluate(f"document.getElementById('{figure}')._fullLayout.xaxis.range")
    for queues in range(3):
        places = sorted(trace["x"][queues] for trace in traces)
        steps = [(b - a) / (axis[1] - axis[0]) for a, b in pairwise(places)]
        assert min(steps) == pytest.approx(max(steps))
        assert min(steps) > 0.004  # of 520 px: 2 px, more than the bar's 1.5


@given(
    lines=st.integers(1, 12),
    run=st.lists(st.integers(1, 64), min_size=1, max_size=9, unique=True).map(sorted),
)
def test_lines_of_neighbouring_queue_counts_do_not_meet(lines: int, run: list[int]) -> None:
    beside = places_beside(lines, run, run[-1] - run[0] + 2.0)
    assert sum(beside) == pytest.approx(0)
    places = [count + place for count in run for place in beside]
    assert places == sorted(places)
    assert len(set(places)) == len(places)


def section(page: Page, title: str) -> Locator:
    return page.locator("section", has=page.get_by_role("heading", name=title))


def test_the_gains_say_what_their_interval_is(page: Page) -> None:
    assert "may exceed the number of queues" in section(page, "Mask or affinity?").inner_text()


def test_columns_say_their_unit_and_cells_are_in_it(
    page: Page, result: tuple[Path, dict[str, Any]]
) -> None:
    """Five digits and no exponent: a reader compares numbers, not their powers of ten."""
    table = section(page, "All points")
    titles = [text.strip() for text in table.locator("th").all_inner_texts()]
    assert len(set(titles)) == len(titles)
    cells = table.locator("tbody tr:nth-child(1) td").all_inner_texts()
    row = dict(zip(titles, cells, strict=True))
    point = result[1]["points"][0]
    for name, estimate, unit, size in (
        ("throughput", point["throughput_bps"], "Gbit/s", 1e9),
        ("latency p99.9", point["latency"]["p999"], "ms", 1e-3),
        ("CPU idle", point["cpu_seconds"]["idle"], "ms", 1e-3),
        ("sender CPU", point["sender_cpu_seconds"], "ms", 1e-3),
    ):
        for end, suffix in (("mean", ""), ("low", ", low"), ("high", ", high")):
            shown = float(row[f"{name}{suffix} ({unit})"])
            assert shown == pytest.approx(estimate[end] / size, rel=1e-4)
    assert float(row["drops per replication, low"]) == point["estimates"]["drops"]["low"]
    assert int(row["rings"]) == point["rings"]
    assert not [cell for cell in cells if re.search(r"\de[-+]\d", cell)]


def test_names_stay_text(page: Page) -> None:
    assert page.locator("main b").count() == 0
    assert HOSTILE in page.locator("body").inner_text()


def test_show_writes_the_same_page(result: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    again = tmp_path / "again.html"
    source = result[0].with_name("result.json")
    assert main(["show", str(source), "--html", str(again)]) == 0
    assert again.read_bytes() == result[0].read_bytes()
