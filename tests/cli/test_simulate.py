# SPDX-License-Identifier: BSD-3-Clause
"""Bad options, scenarios and result files of `simulate`: one clear line, exit code 2. Its keys."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hdrh.histogram import HdrHistogram
from simulate_runs import ONE, Command, saved

from ntbbench.core.option_list import OptionList, described
from ntbbench.datapath.scenario_file import KEYS
from ntbbench.datapath.sections import Scenario


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--preset", "rcar"], "preset: 'rcar': unknown"),
        (["x.toml", "--preset", "generic"], "not both"),
        (["no-such-file.toml"], "no-such-file.toml"),
        (["--queues", "0"], "--queues"),
        (["--queues", "1,1000"], "--queues"),
        (["--dispatch", "pervector"], "did you mean per-vector?"),
        (["--affinity", "9"], "--affinity"),
        (["--protocol", "sctp"], "known: tcp, udp"),
        (["--protocol", "tcp,tcp"], "--protocol: 'tcp': every value once"),
        (["--placement", "random"], "--placement"),
        (["--replications", "-1"], "--replications"),
        (["--set", "receiver.hardirk=1us"], "did you mean receiver.hardirq?"),
        (["--set", "hardirk=1us"], "did you mean receiver.hardirq?"),
        (["--set", "x=1"], "--set: key: 'x': unknown; all: ntbbench simulate --keys"),
        (["--set", "sender.hardirq=1us"], "did you mean receiver.hardirq?"),
        (["--set", "cpu=3"], "did you mean sender.cpus or receiver.cpus?"),
        (["--set", "queues=3"], "queues is an option: --queues; all: ntbbench simulate --keys"),
        (["--set", "receiver.packet=9s"], "--set receiver.packet: '9s'"),
        (["--set", "hz=3"], "--set device.hz: '3'"),
        (["--set", "run.seed=3", "--seed", "2"], "--set: 'run.seed=3': not together with --seed"),
        (["--set", "seed=3", "--seed", "2"], "--set: 'seed=3': not together with --seed"),
        (["--set", "cpus=3"], "one of sender.cpus, receiver.cpus"),
        (["--set", "hardirq"], "section.key=value"),
        (["--set", "receiver.hardirq=-2us"], "'-2us': 0 to 0.1 s, or a text like '1.5us'"),
        (
            ["--set", "device.window_size=0"],
            "--set device.window_size: '0': whole B from 1 to 4294967296, also KiB, MiB, GiB, kB",
        ),
        (
            ["--set", "traffic.rate=-1"],
            "'-1': whole bit/s from 0 to 10000000000000, also kbit/s, Mbit/s, Gbit/s",
        ),
        (["--engine", "genral"], "--engine: 'genral': unknown; did you mean general?"),
        (["--jobs", "many"], "--jobs: 'many': a whole number from 0 to 1024"),
        (["--backend", "dask"], "--backend: 'dask': together with --scheduler ADDRESS"),
        (["--scheduler", "x:1"], "--scheduler: 'x:1': together with --backend dask"),
        (["--format", "xml"], "--format"),
        (["--resume", "no-such-file.json"], "no-such-file.json"),
        (["--html", "no-such-folder/x.html"], "no-such-folder"),
        (["--timeline", "no-such-folder/x.json"], "no-such-folder"),
        (["--timeline", "result.json"], "--timeline: 'result.json': another file than"),
        (["--html", "result.json"], "--html: 'result.json': another file than"),
        (["--html", "x", "--timeline", "x"], "--timeline: 'x': another file than"),
        (
            ["--preset", "rcar-s4-spider", "--queues", "5", "--timeline", "trace.json"],
            "--timeline: 'trace.json': a point that the device can give: ENOSPC: 5 queues",
        ),
    ],
)
@pytest.mark.usefixtures("in_an_empty_folder")
def test_bad_input_is_one_line(
    words: list[str], said: str, tmp_path: Path, ntbbench: Command
) -> None:
    ran = ntbbench("simulate", *words, "-o", "result.json")
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("in_an_empty_folder")
def test_a_number_without_end_and_no_name_are_one_line(tmp_path: Path, ntbbench: Command) -> None:
    board = tmp_path / "board.toml"
    board.write_text("[receiver]\ncpus = " + "9" * 5000 + "\n")
    number, name = ntbbench("simulate", "board.toml"), ntbbench("simulate", "-o", "")
    assert number.code == name.code == 2
    allowed = "numbers of at most 4300 digits"
    assert number.err == f"ntbbench: scenario: 'board.toml': {allowed}\n"
    assert "''" in name.err or "'.'" in name.err
    assert list(tmp_path.iterdir()) == [board]


def of_a_run(**change: object) -> Callable[[dict[str, Any]], None]:
    return lambda point: point["replications"][0].update(change)


def without_a_cause(point: dict[str, Any]) -> None:
    del point["replications"][0]["wakeups_by_cause"]["repost"]


def without_packets(point: dict[str, Any]) -> None:
    point["replications"][0]["counts"]["packets"] = -3


OTHER_LAYOUT = HdrHistogram(1, 10**6, 2).encode().decode()


@pytest.mark.parametrize(
    ("damage", "said", "seen"),
    [
        (of_a_run(latencies="AAAA"), "latencies: 'AAAA': the base64 of an HDR", ["--resume"]),
        (of_a_run(latencies=OTHER_LAYOUT), "of the layout (1, ", ["--resume"]),
        (of_a_run(cpu_seconds={}), "'nothing': exactly hardirq, ", ["--resume", "show"]),
        (without_packets, ">= 0", ["--resume", "show", "compare"]),
        (without_a_cause, "wakeups_by_cause: ", ["--resume", "show"]),
        (of_a_run(replication=2), "each replication once", ["--resume", "show"]),
        (of_a_run(replication=2), "each of them once", ["compare"]),
        (lambda p: p.update(cpu_seconds={}), "point 1: cpu_seconds", ["--resume", "show"]),
        (lambda p: p.update(estimates={}), "point 1: estimates", ["--resume", "show"]),
        (lambda p: p.update(replications=[]), "at least one", ["--resume", "show"]),
        (lambda p: p.update(queues=1), "each point once", ["--resume", "show"]),
        (lambda p: p.update(drops=-1), ">= 0", ["--resume", "show"]),
    ],
)
def test_a_damaged_result_is_one_line(
    damage: Callable[[dict[str, Any]], None], said: str, seen: list[str], result_file: Path,
    tmp_path: Path, ntbbench: Command,
) -> None:  # fmt: skip
    path = tmp_path / "damaged.json"
    result = saved(result_file)
    damage(result["points"][1])
    path.write_text(json.dumps(result))
    before = path.read_bytes()
    for how in seen:
        words = {
            "--resume": ("simulate", "--resume", path),
            "show": ("show", path, "--html", tmp_path / "x.html"),
            "compare": ("compare", result_file, path),
        }[how]
        ran = ntbbench(*words)
        assert ran.code == 2
        (line,) = ran.err.splitlines()
        assert said in line
        assert path.read_bytes() == before


def test_a_damaged_histogram_is_one_line(
    result_file: Path, tmp_path: Path, ntbbench: Command
) -> None:
    path = tmp_path / "damaged.json"
    result = saved(result_file)
    whole = result["points"][1]["latency"]["histogram"]
    for text in ("", "AAAA", "x", "\u00e4", whole[:-8], whole[:60] + "A" * 8 + whole[68:]):
        result["points"][1]["latency"]["histogram"] = text
        path.write_text(json.dumps(result))
        ran = ntbbench("show", path, "--html", tmp_path / "x.html")
        assert ran.code == 2
        (line,) = ran.err.splitlines()
        assert "latencies: " in line


@pytest.mark.parametrize("name", ["text", "md", "csv", "json"])
def test_show_prints_what_simulate_printed(name: str, tmp_path: Path, ntbbench: Command) -> None:
    path = tmp_path / "result.json"
    printed = ntbbench("simulate", *ONE, "-o", path, "--format", name).out
    assert ntbbench("show", path, "--format", name).out == printed != ""


def test_the_keys_are_listed(ntbbench: Command) -> None:
    rows = csv.DictReader(io.StringIO(ntbbench("simulate", "--keys", "--format", "csv").out))
    top = {"name", "note", "queues", "dispatch", "affinity", "protocol"}
    assert {row["key"] for row in rows} == {*KEYS, *top}
    text = ntbbench("simulate", "--keys", "--format", "json").out
    found = msgspec.json.decode(text, type=OptionList)
    assert found.sections == described(Scenario())
