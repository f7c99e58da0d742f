# SPDX-License-Identifier: BSD-3-Clause
"""`simulate` and `fit`: keys, damaged results, what a fit says of its range and writes."""

import csv
import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from hdrh.histogram import HdrHistogram
from simulate_runs import saved

from ntbbench.core.options import OptionList, described
from ntbbench.datapath.records import FitResult
from ntbbench.datapath.scenario_file import KEYS, load_scenario, scenario_from
from ntbbench.datapath.sections import Scenario

OTHER_LAYOUT = HdrHistogram(1, 10**6, 2).encode().decode()
BOTH = ("--resume", "show")
COST = r"[\d.]+[np]s"
NEITHER = "range without either end: that of the throughput reaches down to almost 0 and above what"
IPERF3 = {
    "start": {"test_start": {"protocol": "TCP", "num_streams": 2, "blksize": 32768}},
    "intervals": [
        {"sum": {"bits_per_second": rate, "seconds": 1.0, "omitted": False}}
        for rate in (9.3e9, 9.4e9, 9.5e9)
    ],
    "end": {"sum_received": {"bits_per_second": 9.4e9}},
}


@pytest.mark.parametrize(
    ("where", "value", "said", "seen"),
    [
        ("replications.0.latencies", "AAAA", "latencies: 'AAAA': the base64 of an HDR", BOTH[:1]),
        ("replications.0.latencies", OTHER_LAYOUT, "of the layout (1, ", BOTH[:1]),
        ("replications.0.cpu_seconds", {}, "'nothing': exactly hardirq, ", BOTH),
        ("replications.0.counts.packets", -3, ">= 0", (*BOTH, "compare")),
        ("replications.0.wakeups_by_cause.repost", None, "wakeups_by_cause", BOTH),
        ("replications.0.replication", 2, "each replication once", BOTH),
        ("replications.0.replication", 2, "each of them once", ("compare",)),
        ("cpu_seconds", {}, "point 1: cpu_seconds", BOTH),
        ("estimates", {}, "point 1: estimates", BOTH),
        ("replications", [], "at least one", BOTH),
        ("queues", 1, "each point once", BOTH),
        ("drops", -1, ">= 0", BOTH),
        *(
            ("latency.histogram", text, "latencies: ", ("show",))
            for text in ("", "AAAA", "x", "\u00e4", slice(0, -8), slice(0, 60))
        ),
    ],
)
def test_a_damaged_result_is_one_line(
    where: str, value, said: str, seen, result_file: Path, tmp_path: Path, ntbbench
) -> None:
    path = tmp_path / "damaged.json"
    result = saved(result_file)
    *keys, last = where.split(".")
    place = result["points"][1]
    for key in keys:
        place = place[int(key) if key.isdigit() else key]
    if value is None:
        del place[last]
    else:
        place[last] = place[last][value] if isinstance(value, slice) else value
    path.write_text(json.dumps(result))
    before = path.read_bytes()
    for how in seen:
        words = {
            "--resume": ("simulate", "--resume", path),
            "show": ("show", path, "--html", tmp_path / "x.html"),
            "compare": ("compare", result_file, path),
        }[how]
        ran = ntbbench(*words)
        (line,) = ran.err.splitlines()
        assert ran.code == 2 and said in line
        assert path.read_bytes() == before


def test_the_keys_are_listed(ntbbench) -> None:
    rows = csv.DictReader(io.StringIO(ntbbench("simulate", "--keys", "--format", "csv").out))
    top = {"name", "note", "queues", "dispatch", "affinity", "protocol"}
    assert {row["key"] for row in rows} == {*KEYS, *top}
    text = ntbbench("simulate", "--keys", "--format", "json").out
    found = msgspec.json.decode(text, type=OptionList)
    assert found.sections == described(Scenario())


# --- fit -----------------------------------------------------------------------------------------


def comments(scenario: str) -> str:
    """Return the comments of a scenario, as one line."""
    return " ".join(line[2:] for line in scenario.splitlines() if line.startswith("# "))


def test_a_fitted_scenario_simulates_to_the_measurement(tmp_path: Path, ntbbench) -> None:
    board, path = tmp_path / "board.toml", tmp_path / "result.json"
    measured = ("--throughput", "9.4e9", "--packet", 65480, "--flows", 4)
    ran = ntbbench("fit", *measured, "-o", board)
    said = " ".join(ran.out.split())
    assert re.search(f"per byte, range {COST} to {COST}", said)
    assert "assumed to be within 2.0%" in said
    assert "95 %" not in said  # an assumed error is no interval of measurements
    assert f"ntbbench simulate {board}" in ran.err
    words = ("--queues", 1, "--affinity", "single", "--dispatch", "fallback", "-o", path)
    assert ntbbench("simulate", board, *words).code == 0
    (point,) = json.loads(path.read_bytes())["points"]
    assert point["throughput_bps"]["mean"] == pytest.approx(9.4e9, rel=0.01)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("9.4e9 --error 1 --set sender.packet=40us", NEITHER),
        ("9.4e9,0.1e9 --set sender.packet=40us", NEITHER),
        ("1e9 --error 1",
         f"range from {COST} up without an end: that of the throughput reaches down to almost 0"),
        ("9.4e9 --error 0.9 --set sender.packet=40us",
         f"range up to {COST}, without a lower end: .* above what a copy"),
    ],
)  # fmt: skip
def test_an_interval_without_an_end_says_so(words: str, said: str, ntbbench) -> None:
    """The throughput's reaches 0, so no cost is too large; its other end is above what the
    sender gives, so none is too small."""
    ran = ntbbench("fit", "--set", "duration=20ms", "--throughput", *words.split())
    assert re.search(said, comments(ran.out))


def test_the_scenario_goes_to_stdout_or_to_a_file_and_into_the_json(tmp_path, ntbbench) -> None:
    board = tmp_path / "board.toml"
    words = ("fit", "--throughput", "9.4e9", "--set", "duration=5ms")
    scenario = ntbbench(*words).out
    told = ntbbench(*words, "--format", "json", "-o", board).out
    found = msgspec.json.decode(told, type=FitResult)
    assert board.read_text() == scenario.replace('name = "generic"', 'name = "board"')
    assert scenario_from(found.scenario, "x") == load_scenario(board)


def test_a_fit_of_a_preset_is_called_by_its_file(tmp_path: Path, ntbbench) -> None:
    mine = tmp_path / "mine.toml"
    fit = ("fit", "--preset", "rcar-s4-spider", "--throughput", "583e6", "-o", mine)
    assert ntbbench(*fit, "--set", "duration=20ms").code == 0
    assert load_scenario(mine).name == "mine"


def test_a_scenario_of_sweep_is_refused_as_one(ntbbench) -> None:
    ran = ntbbench("simulate", "docs/examples/board.toml")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert ran.err.endswith("no key of `simulate`: run `ntbbench sweep`\n")


def test_a_fit_keeps_the_duration_that_it_was_given(tmp_path: Path, ntbbench) -> None:
    """A slow queue needs a longer run than the scenario's; the fit makes it for itself alone."""
    mine, board = tmp_path / "mine.toml", tmp_path / "board.toml"
    mine.write_text('[run]\nduration = "30ms"\n')
    fit = ("fit", mine, "--throughput", "9.4e9")
    out = ntbbench(*fit, "-o", board).out
    assert load_scenario(board).run.duration == 30 * 10**9
    assert "the scenario keeps its duration of 30ms" in " ".join(out.split())
    assert "keeps its duration" not in ntbbench(*fit, "--set", "duration=1s").out


def test_iperf3_says_its_settings(tmp_path: Path, ntbbench) -> None:
    run, other = tmp_path / "run.json", tmp_path / "other.json"
    run.write_bytes(msgspec.json.encode(IPERF3))
    other.write_bytes(msgspec.json.encode(IPERF3 | {"title": "another run"}))
    fit = ("fit", "--set", "run.duration=5ms", "--iperf3", run)
    text = ntbbench(*fit).out
    assert "length = 32768" in text and "flows = 2" in text
    assert "mean of 3 seconds of one run with their t interval" in comments(text)
    error = ("--error", "0.1")
    assert "one value, assumed to be within 10.0%" in comments(ntbbench(*fit, *error).out)
    both = (*fit, "--iperf3", other)
    assert "95 % if each is a run" in comments(ntbbench(*both).out)
    assert ntbbench(*both, *error).code == 2
