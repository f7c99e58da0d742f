# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench sweep` as its users meet it: files, formats, scenarios, errors of one line."""

import json
import re
from pathlib import Path

import pytest
from report_records import ok, result, unavailable
from sweep_commands import QUICK, SCENARIO, SMALL, points

from ntbbench.cli.main import main
from ntbbench.cli.sweep import verdict
from ntbbench.core.result_file import write_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


INTEGERS = (
    "interrupts", "rings", "scan_iterations", "schedule_calls", "wakeups", "merged",
    "spurious_wakeups", "useful_wakeups",
)  # fmt: skip
NUMBERS = ("amplification", "effective_amplification", "expected_amplification", "spurious_ratio")
ASKED = {
    "hardware": str, "dispatch": str, "queues_requested": int, "queues": int, "doorbells": int,
    "vectors": int, "workload": str, "status": str,
}  # fmt: skip


def test_the_json_contract(capsys: pytest.CaptureFixture[str]) -> None:
    command = [*SMALL, "--repeats", "2", "--dispatch", "fallback", "-o", "r.json"]
    assert main([*command, "--format", "json"]) == 0
    saved = json.loads(Path("r.json").read_text())
    assert json.loads(capsys.readouterr().out) == saved
    assert saved["schema"] == "ntbbench.sweep/1"
    assert {"environment", "scenario", "points"} <= set(saved)
    assert [point["status"] for point in saved["points"]] == ["ok", "ok", "unavailable"]
    for point in saved["points"]:
        assert all(type(point[key]) is kind for key, kind in ASKED.items())
    for point in saved["points"][:2]:
        assert all(type(point[key]) is int for key in INTEGERS)
        assert all(isinstance(point[key], int | float) for key in NUMBERS)
        timing = point["ns_per_dispatch"]
        assert len(timing["samples"]) == 2
        assert 0 < timing["low"] <= timing["median"] <= timing["high"]
    refused = saved["points"][2]
    assert (refused["queues_requested"], refused["queues"]) == (9, 1)
    assert refused["reason"].startswith("ENOSPC: ")


def test_without_o_the_result_is_below_results_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(SMALL) == 0
    captured = capsys.readouterr()
    saved = re.fullmatch(r"ntbbench: saved (results/runs/sweep-\d{8}T\d{6}Z\.json)\n", captured.err)
    assert saved
    assert len(points(saved[1])) == 6
    assert "amplifi" in captured.out


@pytest.mark.parametrize(
    ("name", "start"),
    [("text", "A doorbell interrupt schedules"), ("mail", "A doorbell interrupt schedules"),
     ("md", "### ntbbench sweep"), ("csv", "hardware,"), ("json", "{"), ("html", "<!DOCTYPE")],
)  # fmt: skip
def test_formats(name: str, start: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "-o", "r.json", "--format", name, "--html", "r.html"]) == 0
    swept = capsys.readouterr()
    assert swept.out.startswith(start)
    assert swept.err == ""
    assert main(["show", "r.json", "--format", name, "--html", "again.html"]) == 0
    assert capsys.readouterr().out == swept.out
    assert Path("again.html").read_text() == Path("r.html").read_text()
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["again.html", "r.html", "r.json"]


def scenario_of(path: str) -> dict:
    found: dict = json.loads(Path(path).read_text())["scenario"]
    return found


def test_a_scenario_file() -> None:
    Path("s.toml").write_text(SCENARIO)
    assert main(["sweep", "s.toml", "-o", "r.json"]) == 0
    found = points("r.json")
    assert [(p["hardware"], p["queues_requested"]) for p in found] == [
        (name, queues) for name in ("generic", "board") for queues in (1, 2, 3)
    ]
    assert {(p["workload"], p["seed"], p["drain"]) for p in found} == {("uniform", 3, 2)}


@pytest.mark.parametrize(
    ("options", "key", "value"),
    [
        (["--hardware", "ntb_hw_amd,generic"], "hardware", ["ntb_hw_amd", "generic"]),
        (["--queues", "1,2,4..16"], "queues", [1, 2, 4, 8, 16]),
        (["--doorbells", "4-6"], "doorbells", [4, 5, 6]),
        (["--vectors", "1,2"], "vectors", [1, 2]),
        (["--dispatch", "msi,fallback"], "dispatch", ["msi", "fallback"]),
        (["--workload", "flows:k=3", "--workload", "zipf"], "workload", ["flows:k=3", "zipf"]),
        (["--interrupts", "77"], "interrupts", 77),
        (["--seed", "0x10"], "seed", 16),
        (["--repeats", "1"], "repeats", 1),
        (["--jobs", "2"], "jobs", 2),
        (["--mw-count", "9"], "mw_count", 9),
        (["--max-num-clients", "2"], "max_num_clients", 2),
        (["--drain", "5"], "drain", 5),
    ],
)
def test_options_override_the_scenario(options: list[str], key: str, value: object) -> None:
    Path("s.toml").write_text(SCENARIO)
    assert main(["sweep", "s.toml", "-o", "before.json"]) == 0
    assert main(["sweep", "s.toml", *options, "-o", "after.json"]) == 0
    before, after = scenario_of("before.json"), scenario_of("after.json")
    assert before[key] != after[key] == value
    assert {k: v for k, v in before.items() if k != key} == {
        k: v for k, v in after.items() if k != key
    }


def test_a_device_alone_is_what_is_swept() -> None:
    device = ["--device", "board:masks=0x3/0xc,mw_count=4"]
    assert main([*QUICK, *device, "--queues", "3", "-o", "r.json"]) == 0
    assert {(p["hardware"], p["queues"]) for p in points("r.json")} == {("board", 3)}
    assert main([*QUICK, *device, "--hardware", "generic", "--queues", "3", "-o", "r.json"]) == 0
    assert {p["hardware"] for p in points("r.json")} == {"generic"}


def test_options_reach_the_points() -> None:
    asked = ["--mw-count", "2", "--max-num-clients", "3", "--hardware", "ntb_hw_epf-v4"]
    assert main([*QUICK, *asked, "--queues", "3", "--doorbells", "16", "-o", "r.json"]) == 0
    assert {(p["mw_count"], p["max_num_clients"], p["status"]) for p in points("r.json")} == {
        (2, 3, "ok")  # max_num_clients applies first: the windows are then not looked at
    }


BAD = [
    (["--queues", "0"], r"--queues: 0: a whole number from 1 to 1024"),
    (["--queues", "4-2"], r"--queues: '4-2': "),
    (["--queues", ""], r"--queues: '': "),
    (["--queues", "1e3"], r"--queues: '1e3': "),
    (["--queues=-1"], r"--queues: '-1': "),
    (["--doorbells", "65"], r"--doorbells: 65: .*64"),
    (["--vectors", "x"], r"--vectors: 'x': "),
    (["--hardware", "ntb_hw_epf-v5"], r"hardware: 'ntb_hw_epf-v5': .*ntb_hw_epf-v4"),
    (["--hardware", ""], r"hardware: '': unknown"),
    (["--hardware", "generic,generic"], r"hardware: 'generic': every value once"),
    (["--dispatch", "per_vector"], r"dispatch: 'per_vector': .*per-vector"),
    (["--workload", "unifrom"], r"workload: 'unifrom': .*uniform"),
    (["--workload", "hot:share=2"], r"share: '2': "),
    (["--workload", "log:none.csv"], r"log: 'none.csv': No such file"),
    (["--interrupts", "0"], r"--interrupts: '0': a whole number from 1 to 1000000000"),
    (["--interrupts", "many"], r"--interrupts: 'many': "),
    (["--seed=-1"], r"--seed: '-1': "),
    (["--seed", str(2**64)], r"--seed: '18446744073709551616': "),
    (["--repeats", "1001"], r"--repeats: '1001': "),
    (["--jobs=-2"], r"--jobs: '-2': "),
    (["--mw-count", "1.5"], r"--mw-count: '1.5': "),
    (["--max-num-clients", "x"], r"--max-num-clients: 'x': "),
    (["--drain", "0"], r"--drain: '0': "),
    (["--device", "board"], r"device: 'board': NAME:key=value"),
    (["--device", "generic:doorbells=3"], r"device: 'generic': "),
    (["--device", "a:doorbells=3", "--device", "a:doorbells=4"], r"--device: .*once"),
    (["--format", "xml"], r"--format: 'xml': .*json"),
    (["-o", "none/r.json"], r"output: 'none/r.json': cannot be written: No such file"),
    (["-o", "."], r"output: '.': cannot be written: Is a directory"),
    (["--html", "none/r.html"], r"--html: 'none/r.html': cannot be written: No such file"),
    (["-o", "same", "--html", "same"], r"--html: 'same': another file than the result's"),
    (["none.toml"], r"scenario: 'none.toml': No such file"),
    (["bad.toml"], r"scenario: 'bad.toml': not TOML"),
    (["typo.toml"], r"scenario 'typo.toml': key: 'queue': .*queues"),
    (["range.toml"], r"scenario 'range.toml': drain: 0: "),
    (["--resume", "none.json"], r"result file: 'none.json': No such file"),
    (["--resume", "."], r"result file: '.': Is a directory"),
    (["--resume", "cut.json"], r"result file: 'cut.json': .*not whole JSON"),
    (["--resume", "foreign.json"], r"result file: 'foreign.json': a result of ntbbench"),
    (["--resume", "later.json"], r"later.json: 'ntbbench.sweep/2': schema 'ntbbench.sweep/1'"),
    (["--resume", "typo.json"], r"scenario 'typo.json': key: 'queue': .*queues"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_gets_one_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.toml").write_text("queues = ")
    Path("typo.toml").write_text("queue = [1]")
    Path("range.toml").write_text("drain = 0")
    Path("cut.json").write_text('{"schema": "ntbbench.sweep/1", "points": [')
    Path("foreign.json").write_text('{"dependencies": {}}')
    Path("later.json").write_text('{"schema": "ntbbench.sweep/2"}')
    write_json(Path("typo.json"), result([], scenario={"queue": [1]}, complete=False))
    before = sorted(Path.cwd().rglob("*"))
    assert main([*QUICK, *options]) == 2
    captured = capsys.readouterr()
    assert re.search(message, captured.err)
    assert captured.err.startswith("ntbbench: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert [path for path in sorted(Path.cwd().rglob("*")) if path.is_file()] == [
        path for path in before if path.is_file()
    ]


def test_missed_doorbells_are_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert verdict(result([ok(), unavailable()])) == 0
    assert capsys.readouterr().err == ""
    assert verdict(result([ok(), ok(missed=3), ok(misrouted=1, missed=1)])) == 1
    assert capsys.readouterr().err == "ntbbench: 2 points missed doorbells: see the report\n"
