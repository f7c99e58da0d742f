# SPDX-License-Identifier: BSD-3-Clause
"""The report of a simulation: its answer, readable numbers; its page in a browser."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import silent_page
from playwright.sync_api import Browser, Page
from rendered import rendered
from simulate_runs import ONE, SHORT, loaded

from ntbbench.cli.main import main
from ntbbench.datapath.records import CPU_KINDS, Estimate, OkSimulation, SimulationResult
from ntbbench.datapath.summary import gains
from ntbbench.report.figures.simulation import places_beside
from ntbbench.report.views.simulation_points import Measure, mean, mean_and_interval, spread
from ntbbench.report.wording import NO_UNIT, RATES, TIMES, plain, quantity, unit_of


def ok_points(result: SimulationResult) -> list[OkSimulation]:
    return [point for point in result.points if isinstance(point, OkSimulation)]


def unfolded(text: str) -> str:
    return " ".join(text.split())


def test_the_first_line_is_the_fastest_point_of_each_protocol(result_file: Path) -> None:
    result = loaded(result_file)
    (first,) = rendered(result, "md").splitlines()[2:3]
    ratios = {point.axes: ratio.mean for point, ratio in gains(ok_points(result))}
    best = max(ratios.values())
    assert first.startswith(f"**Mask and spread interrupts together give {best:.2f} times")
    for protocol in ("tcp", "udp"):
        best = max(
            (point for point in ok_points(result) if point.protocol == protocol),
            key=lambda point: point.throughput_bps.mean,
        )
        assert (best.dispatch, best.affinity, best.queues) == ("per-vector", "spread", 2)
        rate = quantity(best.throughput_bps.mean, RATES)
        assert f"{protocol} is fastest with per-vector, spread, 2 queues: {rate}" in first


def test_points_that_may_be_as_fast_are_counted(result_file: Path) -> None:
    result = loaded(result_file)
    alike = [point for point in result.points if point.queues == 1 and point.protocol == "tcp"]
    text = unfolded(rendered(msgspec.structs.replace(result, points=alike), "text"))
    assert "(3 other points may be as fast)." in text  # one queue: nothing to mask or to spread


@pytest.mark.parametrize("largest", [99.99, 99_999.0])
def test_the_widest_numbers_split_no_table(result_file: Path, largest: float) -> None:
    """Six columns of CPU time beside the longest dispatch: tiny numbers beside large ones."""
    result = loaded(result_file)
    spent = dict.fromkeys(CPU_KINDS, Estimate(mean=0.595e-6, low=None, high=None))
    spent["idle"] = Estimate(mean=largest, low=None, high=None)
    points = [msgspec.structs.replace(point, cpu_seconds=spent) for point in ok_points(result)]
    text = rendered(msgspec.structs.replace(result, points=points), "text")
    assert max(map(len, text.splitlines())) <= 80
    assert ", continued" not in text


def test_an_unfinished_grid_says_how_much_is_there(result_file: Path) -> None:
    result = loaded(result_file)
    first, second = ok_points(result)[:2]
    asked: dict[str, Any] = {"queues": [1, 2], "dispatch": ["fallback", "msi"]}
    asked |= {"affinity": ["spread"], "protocol": ["tcp"]}
    asked |= {"run": {"replications": 7, "duration": "5ms"}}
    few = msgspec.structs.replace(second, replications=second.replications[:1])
    part = msgspec.structs.replace(result, complete=False, points=[first, few], scenario=asked)
    text = unfolded(rendered(part, "text"))
    assert "not finished: 4 of 28 replications, 4 points; go on with" in text
    assert "up to 3 replications of 5ms" in text
    part = msgspec.structs.replace(part, scenario={})
    assert "not finished: 4 replications; go on" in unfolded(rendered(part, "text"))


@pytest.mark.parametrize(("count", "said"), [(1, "1 replication a"), (2, "2 replications a")])
def test_few_replications_are_warned_of(count: int, said: str, tmp_path: Path, ntbbench) -> None:
    path = tmp_path / "x.json"
    assert ntbbench("simulate", *ONE, "--replications", count, "-o", path).code == 0
    found = loaded(path)
    assert found.warnings[0].code == "few-replications"
    assert said in rendered(found, "text")
    assert (ok_points(found)[0].throughput_bps.low is None) == (count == 1)


def test_missed_doorbells_come_first_and_no_point_is_said_to_be_none(
    result_file: Path, tmp_path: Path, ntbbench
) -> None:
    lossy = msgspec.structs.replace(ok_points(loaded(result_file))[0], missed=3)
    text = rendered(msgspec.structs.replace(loaded(result_file), points=[lossy]), "text")
    assert text.startswith("1 point missed or misrouted doorbells. tcp is fastest with ")
    path = tmp_path / "x.json"
    assert ntbbench("simulate", "--queues", 64, *SHORT, "-o", path).code == 0
    text = unfolded(rendered(loaded(path), "text"))
    assert text.startswith("generic: the device can give none of the points: nothing simulated.")
    assert "replication" not in text and rendered(loaded(path), "html")


def cells(how, low: float | None, mean: float | None, high: float | None, unit=NO_UNIT) -> str:
    found = None if mean is None else Estimate(mean=mean, low=low, high=high)
    return " ".join(cell.text for _, cell in how(Measure("", "", "", "", found), unit))


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        # No exponent.
        *((plain(value), shown) for value, shown in (
            (19.1772, "19.177"), (123456.7, "123457"), (1e5, "100000"), (0.0, "0"),
            (99999.6, "100000"), (1e7, "10000000"), (5.33e-05, "0.0000533"),
        )),
        # Five characters of a narrow number.
        *((cells(mean, None, value, None), shown) for value, shown in (
            (0.0, "0"), (0.0004, "<.001"), (0.0006, "0.001"), (0.74812, "0.748"), (11.14, "11.1"),
            (0.9999, "1.000"), (99.96, "100"), (999.6, "1000"), (99999.4, "99999"),
        )),
        # A spread wider than its mean is an interval.
        *((cells(spread, *value), shown) for value, shown in (
            ((6.0, 8.0, 10.0), "8 +-25.0%"), ((0.0, 8.0, 16.0), "8 +-100.0%"),
            ((0.0, 8.0, 30.21), "8 (0..30.2)"), ((0.0, 4813.8, 10218.0), "4813.8 (0..10218)"),
            ((None, 123456.7, None), "123457"), ((None, 8.0, None), "8"), ((0.0, 0.0, 0.0), "0"),
            ((None, None, None), "-"),
        )),
        # A mean and its interval have one format.
        *((cells(mean_and_interval, *value, RATES[1]), shown) for value, shown in (
            ((81_057e6, 95_000e6, 109_100e6), "95000 81057-109100"),
            ((80e6, 583.12e6, 1086.3e6), "583.1 80.0-1086.3"),
            ((0.25e6, 0.5e6, 0.75e6), "0.50000 0.25000-0.75000"), ((0.0, 0.0, 0.0), "0 0-0"),
            ((999_998e6, 999_999e6, 999_999.2e6), "999999 999998-999999"),
        )),
        # The largest value decides the unit.
        *((unit_of(means, units).name, name) for means, units, name in (
            ([583e6, 1.2e9], RATES, "Gbit/s"), ([583e6, None], RATES, "Mbit/s"),
            ([0.5], RATES, "bit/s"), ([12e-6, 3e-9], TIMES, "us"), ([0.0], TIMES, "ms"),
            ([None], TIMES, "ms"),
        )),
    ],
)  # fmt: skip
def test_numbers_are_readable(found: str, shown: str) -> None:
    assert found == shown


# --- the page ------------------------------------------------------------------------------------

HOSTILE = '</script><b>"bold"</b>'


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("page")
    scenario = folder / "board.toml"
    scenario.write_text(
        f"name = {json.dumps(HOSTILE)}\n[run]\nduration = '5ms'\nwarmup = '1ms'\nreplications = 3\n"
    )
    words = ["--protocol", "tcp,udp", "--queues", "1,2,4", "-o", str(folder / "result.json")]
    html = ["--jobs", "1", "--html", str(folder / "page.html")]
    assert main(["simulate", str(scenario), *words, *html]) == 0
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


def test_names_stay_text(page: Page) -> None:
    assert page.locator("main b").count() == 0
    assert HOSTILE in page.locator("body").inner_text()
