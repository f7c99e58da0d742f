# SPDX-License-Identifier: BSD-3-Clause
"""Bad options, scenarios and result files of `simulate`: one clear line, exit code 2."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hdrh.histogram import HdrHistogram
from simulate_runs import saved

from ntbbench.cli.main import main


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
        (["--set", "receiver.cpus=1025"], "1 to 1024"),
        (["--set", "receiver.single_cpu=16"], "0 to 15"),
        (["--jobs", "many"], "--jobs"),
        (["--format", "xml"], "--format"),
        (["--resume", "no-such-file.json"], "no-such-file.json"),
        (["--html", "no-such-folder/x.html"], "--html"),
        (["--timeline", "no-such-folder/x.json"], "no-such-folder"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *words, "-o", "result.json"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line or said.strip("-") in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [
        ("receiver.hardirq=-2us", "0 to 0.1 s, or a text like '1.5us'"),
        ("device.window_size=0", "whole B from 1 to 4294967296, also KiB, MiB, GiB, kB, MB"),
        ("traffic.rate=-1", "whole bit/s from 0 to 10000000000000, also kbit/s, Mbit/s, Gbit/s"),
    ],
)
def test_a_bad_quantity_names_what_is_allowed(
    setting: str, allowed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    key, _, value = setting.partition("=")
    assert main(["simulate", "--set", setting, "-o", "/dev/null"]) == 2
    assert capsys.readouterr().err == f"ntbbench: --set {key}: {value!r}: {allowed}\n"


def damage_latencies(run: dict[str, Any]) -> None:
    run["latencies"] = "AAAA"


def damage_layout(run: dict[str, Any]) -> None:
    run["latencies"] = HdrHistogram(1, 10**6, 2).encode().decode()


def damage_cpu(run: dict[str, Any]) -> None:
    run["cpu_seconds"] = {}


def damage_count(run: dict[str, Any]) -> None:
    run["counts"]["packets"] = -3


def damage_causes(run: dict[str, Any]) -> None:
    del run["wakeups_by_cause"]["repost"]


def damage_number(run: dict[str, Any]) -> None:
    run["replication"] = 2


@pytest.mark.parametrize(
    ("damage", "said", "seen"),
    [
        (damage_latencies, "latencies: 'AAAA': the base64 of an HDR histogram", ["--resume"]),
        (damage_layout, "of the layout (1, ", ["--resume"]),
        (damage_cpu, "cpu_seconds: 'nothing': exactly hardirq, ", ["--resume", "show"]),
        (damage_count, ">= 0", ["--resume", "show", "compare"]),
        (damage_causes, "wakeups_by_cause: ", ["--resume", "show"]),
        (damage_number, "each replication once", ["--resume", "show"]),
        (damage_number, "each of them once", ["compare"]),
    ],
)
def test_a_damaged_result_is_one_line(
    damage: Callable[[dict[str, Any]], None], said: str, seen: list[str], result_file: Path,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "damaged.json"
    result = saved(result_file)
    damage(result["points"][1]["replications"][0])
    path.write_text(json.dumps(result))
    before = path.read_bytes()
    for how in seen:
        words = {
            "--resume": ["simulate", "--resume", str(path)],
            "show": ["show", str(path)],
            "compare": ["compare", str(result_file), str(path)],
        }[how]
        assert main(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cpu_seconds": {}}, "point 1: cpu_seconds"),
        ({"estimates": {}}, "point 1: estimates"),
        ({"replications": []}, "at least one"),
        ({"queues": 1}, "each point once"),
        ({"drops": -1}, ">= 0"),
    ],
)
def test_a_damaged_point_is_one_line(
    change: dict[str, Any], said: str, result_file: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "damaged.json"
    result = saved(result_file)
    result["points"][1] |= change
    path.write_text(json.dumps(result))
    for words in (["show", "--html", str(tmp_path / "x.html")], ["simulate", "--resume"]):
        assert main([*words, str(path)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line


def test_a_damaged_histogram_is_one_line(
    result_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "damaged.json"
    result = saved(result_file)
    whole = result["points"][1]["latency"]["histogram"]
    for text in ("", "AAAA", "x", "\u00e4", whole[:-8], whole[:60] + "A" * 8 + whole[68:]):
        result["points"][1]["latency"]["histogram"] = text
        path.write_text(json.dumps(result))
        assert main(["show", str(path), "--html", str(tmp_path / "x.html")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "latencies: " in line


def test_a_timeline_of_nothing_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--preset", "rcar-s4-spider", "--queues", "5", "--timeline", "trace.json"]
    assert main(["simulate", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--timeline: 'trace.json': a point that the device can give: ENOSPC: 5 queues" in line
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_number_without_end_and_no_name_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    board = tmp_path / "board.toml"
    board.write_text("[receiver]\ncpus = " + "9" * 5000 + "\n")
    assert main(["simulate", "board.toml"]) == 2
    assert main(["simulate", "-o", ""]) == 2
    number, name = capsys.readouterr().err.splitlines()
    assert number == "ntbbench: scenario: 'board.toml': numbers of at most 4300 digits"
    assert "''" in name or "'.'" in name
    assert list(tmp_path.iterdir()) == [board]


def test_two_outputs_are_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "x")
    assert main(["simulate", "-o", path, "--html", path]) == 2
    assert main(["simulate", "-o", "/dev/null", "--timeline", path, "--html", path]) == 2
    assert "another file than" in capsys.readouterr().err
