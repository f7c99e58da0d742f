# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench fit`: what it says of the cost and its range, the scenario it writes, bad input."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from simulate_runs import Command

from ntbbench.datapath.records import FitResult
from ntbbench.datapath.scenario_file import load_scenario, scenario_from

COST = r"[\d.]+[np]s"
NEITHER = (
    "range without either end: that of the throughput reaches all but 0 and above what a copy for "
    "nothing gives"
)
IPERF3 = {
    "start": {"test_start": {"protocol": "TCP", "num_streams": 2, "blksize": 32768}},
    "intervals": [
        {"sum": {"bits_per_second": rate, "seconds": 1.0, "omitted": False}}
        for rate in (9.3e9, 9.4e9, 9.5e9)
    ],
    "end": {"sum_received": {"bits_per_second": 9.4e9}},
}


def comments(scenario: str) -> str:
    """Return the comments of a scenario, as one line."""
    return " ".join(line[2:] for line in scenario.splitlines() if line.startswith("# "))


def test_a_fitted_scenario_simulates_to_the_measurement(tmp_path: Path, ntbbench: Command) -> None:
    board, path = tmp_path / "board.toml", tmp_path / "result.json"
    ran = ntbbench(
        "fit", "--throughput", "9.4e9", "--packet", 65480, "--flows", 4, "-o", board
    )  # fmt: skip
    said = " ".join(ran.out.split())
    assert re.search(f"per byte, range {COST} to {COST}", said)
    assert "assumed to be within 2.0%" in said
    assert "95 %" not in said  # an assumed error is no interval of measurements
    assert f"ntbbench simulate {board}" in ran.err
    words = ("--queues", 1, "--affinity", "single", "--dispatch", "fallback", "-o", path)
    assert ntbbench("simulate", board, *words).code == 0
    (point,) = json.loads(path.read_bytes())["points"]
    assert point["throughput_bps"]["mean"] == pytest.approx(9.4e9, rel=0.01)
    assert load_scenario(board).note.startswith("copy cost fitted")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["9.4e9", "--error", "1", "--set", "sender.packet=40us"], NEITHER),
        (["9.4e9,0.1e9", "--set", "sender.packet=40us"], NEITHER),
        (["1e9", "--error", "1"], f"range from {COST} up without an end: that of the throughput"),
        (
            ["9.4e9", "--error", "0.9", "--set", "sender.packet=40us"],
            f"range up to {COST}, without a lower end: .* above what a copy",
        ),
    ],
)
def test_an_interval_without_an_end_says_so(words: list[str], said: str, ntbbench: Command) -> None:
    """The throughput's reaches 0, so no cost is too large; its other end is above what the
    sender gives, so none is too small."""
    ran = ntbbench("fit", "--set", "duration=20ms", "--throughput", *words)
    assert re.search(said, comments(ran.out))


def test_a_report_has_every_format(tmp_path: Path, ntbbench: Command) -> None:
    """Without -o the scenario goes to stdout, and a format's report in its place holds it."""
    page, board = tmp_path / "page.html", tmp_path / "board.toml"
    words = ("fit", "--throughput", "9.4e9", "--set", "duration=5ms", "--html", page)
    scenario = ntbbench(*words).out
    assert "copy cost fitted" in page.read_text()
    text = ntbbench(*words, "--format", "json", "-o", board).out
    found = msgspec.json.decode(text, type=FitResult)
    assert board.read_text() == scenario
    assert scenario_from(found.scenario, "x") == load_scenario(board)
    assert f'"tcp",{found.target.mean},' in ntbbench(*words, "--format", "csv").out
    assert "--html: " in ntbbench(*words, "-o", page).err


def test_a_fit_keeps_the_duration_that_it_was_given(tmp_path: Path, ntbbench: Command) -> None:
    """A slow queue needs a longer run than the scenario's; the fit makes it for itself alone."""
    mine, board = tmp_path / "mine.toml", tmp_path / "board.toml"
    mine.write_text('[run]\nduration = "30ms"\n')
    out = ntbbench("fit", mine, "--throughput", "9.4e9", "-o", board).out
    assert load_scenario(board).run.duration == 30 * 10**9
    assert "the scenario keeps its duration of 30ms" in " ".join(out.split())
    lines = [line for line in board.read_text().splitlines() if line.startswith("#")]
    assert max(map(len, [*lines, *out.splitlines()])) <= 80
    longer = ntbbench("fit", mine, "--throughput", "9.4e9", "--set", "duration=1s").out
    assert "keeps its duration" not in longer


def test_iperf3_says_its_settings(tmp_path: Path, ntbbench: Command) -> None:
    run, other = tmp_path / "run.json", tmp_path / "other.json"
    run.write_bytes(msgspec.json.encode(IPERF3))
    other.write_bytes(msgspec.json.encode(IPERF3 | {"title": "another run"}))
    fit = ("fit", "--set", "run.duration=5ms", "--iperf3", run)
    text = ntbbench(*fit).out
    assert "length = 32768" in text
    assert "flows = 2" in text
    seconds = "mean of 3 seconds of one run with their t interval; runs may differ by more"
    assert seconds in comments(text)
    error = ("--error", "0.1")
    assert "one value, assumed to be within 10.0%" in comments(ntbbench(*fit, *error).out)
    both = (*fit, "--iperf3", other)
    assert "95 % if each is a run" in comments(ntbbench(*both).out)
    assert ntbbench(*both, *error).code == 2


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
        (["--throughput", "1e9", "--flows", ""], "--flows: '': a whole number from 1 to 512"),
        (["--throughput", "1e9", "--error", "2"], "a share from 0 to 1"),
        (["--throughput", "1e9", "--set", "receiver.bite=1"], "did you mean receiver.byte?"),
        (["--throughput", "1e9", "--set", "x=1"], "all: ntbbench simulate --keys"),
        (["--throughput", "1e9", "--protocol", "udp", "--packet", "70000"], "above the MTU"),
        (
            ["--iperf3", "no-such-file.json"],
            "--iperf3: 'no-such-file.json': runs of iperf3 -J, alike: ",
        ),
        (["--iperf3", "/dev/null"], "--iperf3: '/dev/null': runs of iperf3 -J, alike: "),
        (["--throughput", "1e9", "--direction", "reverse"], "goes with --iperf3 only"),
        (["--throughput", "1e9", "--protocol", "sctp"], "known: tcp, udp"),
    ],
)
@pytest.mark.usefixtures("in_an_empty_folder")
def test_a_bad_fit_is_one_line(
    words: list[str], said: str, tmp_path: Path, ntbbench: Command
) -> None:
    ran = ntbbench("fit", *words, "-o", "board.toml")
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []
