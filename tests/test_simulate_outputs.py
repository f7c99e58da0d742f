# SPDX-License-Identifier: BSD-3-Clause
"""What simulate and fit write besides the result: the page, the timeline, a fitted scenario."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import silent_page
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

from ntbbench.cli.main import main
from ntbbench.engine.datapath import simulate_logged
from ntbbench.measure.simulation.fit import crossing, fit, target_of, throughput, with_byte
from ntbbench.measure.simulation_records import Estimate
from ntbbench.model.datapath.outcome import Happening
from ntbbench.model.simulation.load import load_scenario, preset, with_settings
from ntbbench.model.simulation.point import PointSpec
from ntbbench.model.simulation.resolve import engine_seed, resolve
from ntbbench.report import timeline
from ntbbench.report.simulation_cells import RATE_UNITS, UNITS, Unit, plain, unit_of
from ntbbench.report.simulation_figures import places_beside

SHORT = ["duration=5ms", "warmup=0", "traffic.flows=4", "receiver.cpus=4", "sender.cpus=4"]
HOSTILE = '</script><b>"bold"</b>'


# The page.


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


def test_the_axis_has_the_queues_that_were_run(page: Page) -> None:
    ticks = "() => document.getElementById('throughput-tcp').layout.xaxis.tickvals"
    assert page.evaluate(ticks) == [1, 2, 4]


def test_no_point_stands_at_the_edge(page: Page) -> None:
    """A grid of one queue count would else be a column at the right edge, under the toolbar."""
    low, high = page.evaluate("document.getElementById('throughput-tcp')._fullLayout.xaxis.range")
    assert low <= 0.5
    assert high >= 4.5


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


def test_axes_have_readable_units(page: Page) -> None:
    title = "name => document.getElementById(name).layout.yaxis.title.text"
    assert page.evaluate(title, "throughput-tcp") == "Gbit/s"
    assert page.evaluate(title, "latency-p999-tcp") == "p99.9, ms"


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


def test_the_gains_say_what_their_interval_is(page: Page) -> None:
    assert "it may exceed the number of queues" in page.locator("#gains").inner_text()


def test_every_column_says_what_it_is_of_and_its_unit(page: Page) -> None:
    titles = [text.strip() for text in page.locator("#points-table th").all_inner_texts()]
    assert len(set(titles)) == len(titles)
    for name, unit in (
        ("throughput", "Gbit/s"),
        ("latency p99.9", "ms"),
        ("CPU idle", "ms"),
        ("sender CPU", "ms"),
    ):
        assert {f"{name}, {unit}", f"{name} low, {unit}", f"{name} high, {unit}"} <= set(titles)
    assert "drops_a_replication low" in titles


def test_cells_are_in_the_unit_of_their_column(
    page: Page, result: tuple[Path, dict[str, Any]]
) -> None:
    """Five digits and no exponent: a reader compares numbers, not their powers of ten."""
    titles = [text.strip() for text in page.locator("#points-table th").all_inner_texts()]
    cells = page.locator("#points-table tbody tr:nth-child(1) td").all_inner_texts()
    row = dict(zip(titles, cells, strict=True))
    point = result[1]["points"][0]
    rate, tail = point["throughput_bps"]["mean"], point["latency"]["p999"]["high"]
    assert float(row["throughput, Gbit/s"]) == pytest.approx(rate / 1e9, rel=1e-4)
    assert float(row["latency p99.9 high, ms"]) == pytest.approx(tail * 1e3, rel=1e-4)
    idle = point["cpu_seconds"]["idle"]["mean"]
    assert float(row["CPU idle, ms"]) == pytest.approx(idle * 1e3, rel=1e-4)
    assert not [cell for cell in cells if "e+" in cell]


@pytest.mark.parametrize(
    ("means", "units", "name"),
    [
        ([583e6, 1.2e9], RATE_UNITS, "Gbit/s"),
        ([583e6, None], RATE_UNITS, "Mbit/s"),
        ([0.5], RATE_UNITS, "bit/s"),
        ([12e-6, 3e-9], UNITS, "us"),
        ([0.0], UNITS, "ms"),
        ([None], UNITS, "ms"),
    ],
)
def test_the_largest_value_decides_the_unit(
    means: list[float | None], units: tuple[Unit, ...], name: str
) -> None:
    values = [None if m is None else Estimate(mean=m, low=None, high=None) for m in means]
    assert unit_of(values, units).name == name


@pytest.mark.parametrize(
    ("value", "shown"),
    [(19.1772, "19.177"), (123456.7, "123457"), (1e5, "100000"), (0.0, "0"), (99999.0, "99999")],
)
def test_a_number_has_no_exponent(value: float, shown: str) -> None:
    assert plain(value) == shown


def test_names_stay_text(page: Page) -> None:
    assert page.locator("main b").count() == 0
    assert HOSTILE in page.locator("body").inner_text()


def test_show_writes_the_same_page(result: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    again = tmp_path / "again.html"
    source = result[0].with_name("result.json")
    assert main(["show", str(source), "--html", str(again)]) == 0
    assert again.read_bytes() == result[0].read_bytes()


# The timeline.

REQUIRED = {  # of the Trace Event Format, by phase
    "X": {"name", "cat", "pid", "tid", "ts", "dur"},
    "M": {"name", "pid", "tid", "args"},
    "i": {"name", "pid", "tid", "ts", "s"},
    "s": {"name", "cat", "id", "pid", "tid", "ts"},
    "f": {"name", "cat", "id", "pid", "tid", "ts", "bp"},
}
# https://chromium.googlesource.com/catapult: the names that `cname` may have.
RESERVED = {"good", "bad", "terrible", "yellow", "thread_state_runnable"}


def traced(*settings: str, dispatch: str = "fallback", affinity: str = "spread") -> Any:
    scenario = with_settings(preset("generic"), [*SHORT, *settings])
    spec = PointSpec(scenario, 4, dispatch, affinity, "tcp")
    system = resolve(spec, 0)
    outcome, rows = simulate_logged(
        system, engine_seed(spec, 0), "specialised", capacity=timeline.ROWS_MAX
    )
    return outcome, rows, check_format(timeline.render(system, rows, "a test").text)


def check_format(text: str) -> dict[str, Any]:
    """Check a document against the format: phases and keys, nesting, arrows, names of tracks."""
    document: dict[str, Any] = json.loads(text)
    assert document["displayTimeUnit"] in ("ms", "ns")
    slices: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    ends: dict[str, dict[int, Any]] = {"s": {}, "f": {}}
    named = set()
    for event in document["traceEvents"]:
        assert event.keys() >= REQUIRED[event["ph"]], event
        track = (event["pid"], event["tid"])
        assert all(isinstance(number, int) for number in track)
        if event["ph"] == "M":
            assert isinstance(event["args"]["name"], str)
            named.add(track)
            continue
        assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] >= 0
            assert event.get("cname") is None or event["cname"] in RESERVED
            slices[track].append((event["ts"], event["ts"] + event["dur"]))
        elif event["ph"] in ends:
            assert event["id"] not in ends[event["ph"]]
            ends[event["ph"]][event["id"]] = event
    check_nesting(slices)
    assert ends["s"].keys() == ends["f"].keys()
    for number, start in ends["s"].items():
        finish = ends["f"][number]
        assert start["ts"] <= finish["ts"]
        for end in (start, finish):  # an arrow's end without a slice around it is not drawn
            inside = slices[(end["pid"], end["tid"])]
            assert any(low <= end["ts"] <= high for low, high in inside)
    assert slices.keys() <= named
    return document


def check_nesting(slices: dict[tuple[int, int], list[tuple[float, float]]]) -> None:
    """Slices of one track lie inside each other or apart: viewers draw no others."""
    for found in slices.values():
        around: list[float] = []
        for low, high in sorted(found, key=lambda one: (one[0], -one[1])):
            while around and around[-1] <= low + 1e-6:
                around.pop()
            assert not around or high <= around[-1] + 1e-6
            around.append(high)


def count(document: dict[str, Any], phase: str, name: str) -> int:
    return sum(e["ph"] == phase and e["name"] == name for e in document["traceEvents"])


@pytest.mark.parametrize("dispatch", ["fallback", "per-vector", "msi"])
@pytest.mark.parametrize("affinity", ["single", "spread"])
def test_a_timeline_tells_what_was_counted(dispatch: str, affinity: str) -> None:
    outcome, rows, document = traced(dispatch=dispatch, affinity=affinity)
    assert len(rows) < timeline.ROWS_MAX  # the whole run, from time 0
    ended = sum(row.happening is Happening.IRQ_END for row in rows)
    assert ended in (sum(outcome.interrupts), sum(outcome.interrupts) - 1)
    assert count(document, "X", "hardirq") == ended
    for name, of in ((timeline.USEFUL, "useful"), (timeline.EMPTY, "empty")):
        runs = sum(sum(getattr(queue, of)) for queue in outcome.queues)
        assert abs(count(document, "X", name) / 2 - runs) <= 4  # on the CPU and on the QP
    begun = sum(row.happening is Happening.RING for row in rows)
    assert abs(count(document, "s", "doorbell") - begun) <= 16


def test_polls_and_marks_have_tracks() -> None:
    _, rows, document = traced("link.doorbell=poll", "window_size=512KiB", "duration=50ms")
    assert count(document, "X", "poll") > 0
    stops = sum(row.happening is Happening.STOP for row in rows)
    assert count(document, "i", "queue stops") == stops > 0


def test_a_timeline_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "EVENTS_MAX", 100)
    _, _, document = traced()
    assert len(document["traceEvents"]) < 150
    end = document["otherData"]["end_us"]
    assert 0 < end < 5000
    assert document["otherData"]["cut"] == f"cut at {end / 1e6:.3g} s of 0.005 s"


def test_a_log_that_may_not_be_whole_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    assert traced()[2]["otherData"]["cut"] == ""
    monkeypatch.setattr(timeline, "ROWS_MAX", 200)
    assert traced()[2]["otherData"]["cut"].endswith(" s of 0.005 s")


def test_an_empty_log_is_a_timeline() -> None:
    spec = PointSpec(with_settings(preset("generic"), SHORT), 1, "msi", "single", "udp")
    document = check_format(timeline.render(resolve(spec, 0), (), "nothing").text)
    assert document["otherData"]["rows"] == 0


def test_the_command_writes_a_timeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trace.json"
    words = ["--queues", "2", "--replications", "2", "--duration", "2ms", "--timeline", str(path)]
    words += ["--jobs", "1"]
    assert main(["simulate", *words, "-o", str(tmp_path / "result.json")]) == 0
    (said,) = (line for line in capsys.readouterr().err.splitlines() if "timeline" in line)
    assert "timeline of tcp fallback single, 2 queues" in said
    document = check_format(path.read_text())
    assert said.endswith(f", {len(document['traceEvents'])} trace events")
    assert document["otherData"]["cut"] == ""
    tracks = {
        event["args"]["name"] for event in document["traceEvents"] if event["name"] == "thread_name"
    }
    assert tracks >= {"CPU 0", "QP 0", "QP 1"}


# Fits.


@settings(deadline=None)  # the machine is shared
@given(cost=st.integers(1, 10**9), fixed=st.integers(1, 10**12), below=st.floats(0, 0.9))
def test_a_crossing_is_found(cost: int, fixed: int, below: float) -> None:
    """A rate that stays flat first, as where the sender is the slower side."""

    def rate(byte: int) -> float:
        return 1e15 / max(fixed + byte * 65_000, fixed / (1 - below))

    wanted = rate(cost)
    found = crossing(rate, wanted, rate(0), 10**11)
    assert rate(found) == pytest.approx(wanted, rel=3e-4) or rate(found + 1) < wanted


def test_a_fit_recovers_the_cost_that_made_the_throughput() -> None:
    scenario = with_settings(preset("generic"), [*SHORT, "warmup=10ms", "duration=20ms"])
    for byte in (300_000, 2_000_000):
        made = throughput(with_byte(scenario, "tcp", byte), "tcp", byte, "specialised")
        found = fit(scenario, "tcp", target_of([made], 0.01), "specialised")
        assert found.high is not None
        assert found.low < byte < found.high
        assert found.byte == pytest.approx(byte, rel=0.01)


def test_targets() -> None:
    one = target_of([100.0], 0.02)
    assert (one.low, one.mean, one.high) == pytest.approx((98, 100, 102))
    several = target_of([98.0, 100.0, 102.0], 0.02)
    assert several.mean == 100
    assert several.high - 100 == pytest.approx(4.302653 * 2 / 3**0.5)  # t of 2 degrees


def test_a_fitted_scenario_simulates_to_the_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board, path = tmp_path / "board.toml", tmp_path / "result.json"
    words = ["--throughput", "9.4e9", "--packet", "65480", "--flows", "4", "-o", str(board)]
    assert main(["fit", *words]) == 0
    out, err = capsys.readouterr()
    told = " ".join(out.split())
    assert re.search(r"a byte, range [\d.]+[np]s to [\d.]+[np]s", told)
    assert "assumed to be within 2.0%" in told
    assert "95 %" not in told  # an assumed error is no interval of measurements
    assert f"ntbbench simulate {board}" in err
    words = ["--queues", "1", "--affinity", "single", "--dispatch", "fallback"]
    assert main(["simulate", str(board), *words, "-o", str(path)]) == 0
    (point,) = json.loads(path.read_bytes())["points"]
    assert point["throughput_bps"]["mean"] == pytest.approx(9.4e9, rel=0.01)
    assert load_scenario(board).note.startswith("copy cost fitted")


@pytest.mark.parametrize(
    "words", [["--throughput", "9.4e9", "--error", "1"], ["--throughput", "9.4e9,0.1e9"]]
)
def test_an_interval_without_an_end_is_told(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The throughput's reaches 0, so no cost is too large; its other end is above what the
    sender gives, so none is too small."""
    assert main(["fit", *words, "--set", "duration=20ms", "--set", "sender.packet=40us"]) == 0
    said = (
        "range without either end: that of the throughput reaches all but 0 and above what "
        "a copy for nothing gives"
    )
    assert said in fit_words(capsys)


def test_an_interval_with_one_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--set", "duration=20ms", "--error"]
    assert main(["fit", "--throughput", "1e9", *words, "1"]) == 0
    found = r"range from [\d.]+ns up without an end: that of the throughput"
    assert re.search(found, fit_words(capsys))
    assert main(["fit", "--throughput", "9.4e9", *words, "0.9", "--set", "sender.packet=40us"]) == 0
    found = r"range up to [\d.]+ns, without a lower end: .* above what a copy"
    assert re.search(found, fit_words(capsys))


def fit_words(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the comments of the printed scenario, as one line."""
    return fit_comments(capsys.readouterr().out)


def fit_comments(scenario: str) -> str:
    """Return the comments of a scenario, as one line."""
    return " ".join(line[2:] for line in scenario.splitlines() if line.startswith("# "))


IPERF3 = {
    "start": {"test_start": {"protocol": "TCP", "num_streams": 2, "blksize": 32768}},
    "intervals": [
        {"sum": {"bits_per_second": rate, "seconds": 1.0, "omitted": False}}
        for rate in (9.3e9, 9.4e9, 9.5e9)
    ],
    "end": {"sum_received": {"bits_per_second": 9.4e9}},
}


def test_a_fit_keeps_the_duration_that_it_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slow queue needs a longer run than the scenario's; the fit makes it for itself alone."""
    mine, board = tmp_path / "mine.toml", tmp_path / "board.toml"
    mine.write_text('[run]\nduration = "30ms"\n')
    assert main(["fit", str(mine), "--throughput", "9.4e9", "-o", str(board)]) == 0
    told = capsys.readouterr().out
    assert load_scenario(board).run.duration == 30 * 10**9
    assert "the scenario keeps its duration of 30ms" in " ".join(told.split())
    comments = [line for line in board.read_text().splitlines() if line.startswith("#")]
    assert max(map(len, [*comments, *told.splitlines()])) <= 80
    assert main(["fit", str(mine), "--throughput", "9.4e9", "--set", "duration=1s"]) == 0
    assert "keeps its duration" not in capsys.readouterr().out


def test_iperf3_says_its_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run.json"
    run.write_bytes(msgspec.json.encode(IPERF3))
    assert main(["fit", "--iperf3", str(run), "--set", "run.duration=5ms"]) == 0
    text = capsys.readouterr().out
    assert "length = 32768" in text
    assert "flows = 2" in text
    assert "mean of 3 values with its t interval, 95 % if each is a run" in fit_comments(text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "one of --throughput, --iperf3"),
        (["--throughput", "583e6,584e6", "--error", "0.1"], "--error: '0.1'"),
        (["--throughput", "1e9", "--iperf3", "x.json"], "either --throughput or --iperf3"),
        (["--throughput", "0"], "--throughput: '0'"),
        (["--throughput", "fast"], "--throughput: 'fast'"),
        (["--throughput", "1e13"], "which the other costs allow"),
        (["--throughput", "1"], "at least"),
        (["--throughput", "1e9", "--packet", "0"], "--packet"),
        (["--throughput", "1e9", "--error", "2"], "a share from 0 to 1"),
        (["--throughput", "1e9", "--set", "receiver.bite=1"], "did you mean receiver.byte?"),
        (["--throughput", "1e9", "--set", "x=1"], "all: ntbbench simulate --keys"),
        (["--throughput", "1e9", "--protocol", "udp", "--packet", "70000"], "above the MTU"),
        (["--iperf3", "no-such-file.json"], "no-such-file.json"),
    ],
)
def test_a_bad_fit_is_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["fit", *words, "-o", "board.toml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []
