# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench sweep` as its users meet it: files, formats, errors of one line, Ctrl-C, a terminal."""

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from report_records import ok, result, unavailable

from ntbbench.cli import progress
from ntbbench.cli.main import main
from ntbbench.cli.progress import SAME_REQUEST, interrupts
from ntbbench.cli.sweep import verdict
from ntbbench.measure.files import load_result, write_json

NTBBENCH = [sys.executable, "-m", "ntbbench.cli.main"]
QUICK = ["sweep", "--interrupts", "300", "--repeats", "0"]
SMALL = [*QUICK, "--hardware", "generic", "--queues", "1,2,9", "--doorbells", "8"]
PATIENCE = 120.0  # seconds until a test gives up on a process


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def points(path: str) -> list[dict]:
    found: list[dict] = json.loads(Path(path).read_text())["points"]
    return found


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


def test_counts_only_have_no_timing() -> None:
    assert main([*SMALL, "-o", "r.json"]) == 0
    assert all("ns_per_dispatch" not in point for point in points("r.json"))


def test_without_o_the_result_is_below_results_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(SMALL) == 0
    captured = capsys.readouterr()
    saved = re.fullmatch(r"ntbbench: saved (results/runs/sweep-\d{8}T\d{6}Z\.json)\n", captured.err)
    assert saved
    assert len(points(saved[1])) == 6
    assert "amplifi" in captured.out


def test_with_o_stderr_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "-o", "r.json"]) == 0
    assert capsys.readouterr().err == ""
    assert sorted(entry.name for entry in Path.cwd().iterdir()) == ["r.json"]


@pytest.mark.parametrize(
    ("name", "start"),
    [("text", "ntbbench sweep, 6 points"), ("md", "### ntbbench sweep"), ("csv", "hardware,"),
     ("json", "{")],
)  # fmt: skip
def test_formats(name: str, start: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "-o", "r.json", "--format", name]) == 0
    swept = capsys.readouterr().out
    assert swept.startswith(start)
    assert main(["show", "r.json", "--format", name]) == 0
    assert capsys.readouterr().out == swept


def test_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "-o", "r.json", "--html", "r.html"]) == 0
    page = Path("r.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    assert main(["show", "r.json", "--html", "again.html"]) == 0
    assert Path("again.html").read_text() == page


SCENARIO = """\
hardware = ["generic", "board"]
queues = "1-3"
doorbells = [8]
dispatch = ["per-vector"]
workload = "uniform"
interrupts = 200
seed = 3
repeats = 0
drain = 2

[device.board]
doorbells = 6
vectors = 2
"""


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
    (["--queues", "0"], r"--queues: 0: "),
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
    (["--interrupts", "0"], r"--interrupts: 0: "),
    (["--interrupts", "many"], r"--interrupts: 'many': "),
    (["--seed=-1"], r"--seed: '-1': "),
    (["--seed", str(2**64)], r"--seed: 18446744073709551616: "),
    (["--repeats", "1001"], r"--repeats: 1001: "),
    (["--jobs=-2"], r"--jobs: '-2': "),
    (["--mw-count", "1.5"], r"--mw-count: '1.5': "),
    (["--max-num-clients", "x"], r"--max-num-clients: 'x': "),
    (["--drain", "0"], r"--drain: 0: "),
    (["--device", "board"], r"device: 'board': NAME:key=value"),
    (["--device", "generic:doorbells=3"], r"device: 'generic': "),
    (["--device", "a:doorbells=3", "--device", "a:doorbells=4"], r"--device: .*once"),
    (["--format", "xml"], r"--format: 'xml': .*json"),
    (["-o", "none/r.json"], r"output: 'none/r.json': cannot be written: No such file"),
    (["-o", "."], r"output: '.': cannot be written: Is a directory"),
    (["--html", "none/r.html"], r"output: 'none/r.html': cannot be written: No such file"),
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


def test_an_unfinished_result_is_resumed_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "-o", "whole.json"]) == 0
    whole = load_result(Path("whole.json"))
    part = msgspec.structs.replace(whole, points=whole.points[1:3], complete=False)
    write_json(Path("part.json"), part)
    capsys.readouterr()
    assert main(["sweep", "--resume", "part.json", "--format", "csv"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.count("\n") == 7
    assert load_result(Path("part.json")).points == whole.points
    assert load_result(Path("part.json")).complete


def test_a_resumed_result_can_go_elsewhere() -> None:
    assert main([*SMALL, "-o", "whole.json"]) == 0
    whole = load_result(Path("whole.json"))
    part = msgspec.structs.replace(whole, points=whole.points[:2], complete=False)
    write_json(Path("part.json"), part)
    assert main(["sweep", "--resume", "part.json", "-o", "new.json", "--jobs", "1"]) == 0
    assert load_result(Path("part.json")) == part
    assert load_result(Path("new.json")).points == whole.points


def test_a_complete_result_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "-o", "r.json"]) == 0
    report = capsys.readouterr().out
    before = Path("r.json").read_bytes()
    assert main(["sweep", "--resume", "r.json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "ntbbench: r.json is complete: there is nothing to go on with\n"
    assert captured.out == report
    assert Path("r.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--queues", "1,2"], r"queues: \[1, 2\]: \[1, 2, 9\], as in r.json, which is resumed"),
        (["--seed", "9"], r"seed: 9: 1, as in r.json"),
        (["--repeats", "1"], r"repeats: 1: 0, as in r.json"),
        (["s.toml"], r"hardware: \['generic', 'board'\]: \['generic'\], as in r.json"),
    ],
)
def test_resuming_another_scenario(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("s.toml").write_text(SCENARIO)
    assert main([*SMALL, "-o", "r.json"]) == 0
    part = msgspec.structs.replace(load_result(Path("r.json")), points=[], complete=False)
    write_json(Path("r.json"), part)
    capsys.readouterr()
    assert main(["sweep", "--resume", "r.json", *options]) == 2
    assert re.fullmatch(f"ntbbench: {message}.*\n", capsys.readouterr().err)
    assert load_result(Path("r.json")) == part


def test_resuming_with_the_same_options_is_no_contradiction() -> None:
    assert main([*SMALL, "-o", "r.json"]) == 0
    part = msgspec.structs.replace(load_result(Path("r.json")), points=[], complete=False)
    write_json(Path("r.json"), part)
    assert main([*SMALL, "--resume", "r.json"]) == 0
    assert load_result(Path("r.json")).complete


def test_missed_doorbells_are_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert verdict(result([ok(), unavailable()])) == 0
    assert capsys.readouterr().err == ""
    assert verdict(result([ok(), ok(missed=3), ok(misrouted=1, missed=1)])) == 1
    assert capsys.readouterr().err == "ntbbench: 2 points missed doorbells: see the report\n"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the clock of the requests to end: its last item is the time."""
    times = [0]
    monkeypatch.setattr(progress, "monotonic", lambda: times[-1])
    return times


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [(signal.SIGINT, signal.SIGTERM, 130), (signal.SIGTERM, signal.SIGINT, 143)],
)
def test_the_first_signal_asks_and_a_later_one_insists(
    now: list[int], first: signal.Signals, second: signal.Signals, code: int
) -> None:
    """It raises nothing: an exception while wait() takes futures' locks leaves some taken."""
    before = signal.getsignal(first), signal.getsignal(second)
    with interrupts() as signals:
        assert not signals.asked()
        os.kill(os.getpid(), first)
        assert signals.asked()
        now.append(SAME_REQUEST - 1)
        os.kill(os.getpid(), second)  # the same request
        assert signals.stop()
        now.append(SAME_REQUEST)
        os.kill(os.getpid(), second)
        with pytest.raises(KeyboardInterrupt):
            signals.stop()
        assert signals.exit_code == code
    assert (signal.getsignal(first), signal.getsignal(second)) == before


def test_who_insists_ends_what_this_thread_does_once(now: list[int]) -> None:
    with interrupts() as signals:
        signals.raises = True
        os.kill(os.getpid(), signal.SIGINT)
        now.append(SAME_REQUEST)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_after_the_end_changes_no_exit_code() -> None:
    """In the program alone: who calls main() keeps the handlers."""
    code = (
        "import os, signal, sys; sys.argv[1:] = ['hardware']\n"
        "from ntbbench.cli import main\n"
        "try: main.command()\n"
        "finally: [os.kill(os.getpid(), number) for number in (signal.SIGINT, signal.SIGTERM)]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_sweep_runs_in_any_thread() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main([*SMALL, "-o", "r.json"])))
    thread.start()
    thread.join()
    assert codes == [0]


LONG_TIMING = ["sweep", "--hardware", "ntb_hw_epf-v4,generic", "--queues", "1,2,3", "--doorbells",
               "8", "--interrupts", "1000", "--repeats", "1000"]  # fmt: skip
LONG_COUNTING = ["sweep", "--hardware", "generic", "--queues", "1-32", "--doorbells", "64",
                 "--vectors", "1-64", "--workload", "burst:size=9,of=zipf", "--repeats", "0",
                 "--jobs", "2"]  # fmt: skip


def start(arguments: list[str], stderr: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*NTBBENCH, *arguments], stdout=subprocess.PIPE, stderr=stderr)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not appear"
        time.sleep(0.05)


def resume_words(stderr: str) -> list[str]:
    """Return the words after `ntbbench` of the command that the line on stderr tells."""
    told = re.fullmatch(
        r"ntbbench: interrupted; what is finished is saved; go on with: ntbbench (.*)\n", stderr
    )
    assert told, stderr
    return shlex.split(told[1])


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_as_good_as_the_null_device(redirection: str) -> None:
    words = [*NTBBENCH, *SMALL, "--format", "json"]  # without -o: stderr tells the file's name
    done = subprocess.run(
        ["sh", "-c", f"{shlex.join(words)} {redirection}"],
        check=False,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    (saved,) = Path("results/runs").iterdir()
    if redirection == "2>&-":
        assert json.loads(done.stdout) == json.loads(saved.read_text())
    else:
        assert done.stdout == b""


@pytest.mark.parametrize("arguments", [LONG_TIMING, LONG_COUNTING], ids=["timing", "counting"])
def test_ctrl_c_keeps_what_is_finished(arguments: list[str]) -> None:
    """Without -o: the folder of runs appears when the options are checked and the run begins.

    SIGINT comes twice, as timeout(1) sends it.
    """
    process = start([*arguments, "--format", "csv"], subprocess.PIPE)
    wait_for(Path("results/runs"))
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out == b""
    (saved,) = Path("results/runs").iterdir()
    words = resume_words(err.decode())
    assert words[:3] == ["sweep", "--resume", str(saved)]
    assert words[-2:] == ["--format", "csv"]
    part = load_result(saved)
    assert not part.complete
    assert part.points


def test_sigterm_keeps_what_is_finished_too() -> None:
    process = start(LONG_TIMING, subprocess.PIPE)
    wait_for(Path("results/runs"))
    time.sleep(2.0)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    (saved,) = Path("results/runs").iterdir()
    assert resume_words(err.decode()) == ["sweep", "--resume", str(saved)]
    assert load_result(saved).points


def test_after_ctrl_c_the_printed_command_finishes_the_sweep() -> None:
    """In a folder whose name a shell would split."""
    Path("my runs").mkdir()
    quick = [*LONG_TIMING[:-1], "60"]
    process = start([*quick, "-o", "my runs/r.json"], subprocess.PIPE)
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert main(resume_words(err.decode())) == 0
    finished = load_result(Path("my runs/r.json"))
    assert finished.complete
    assert main([*LONG_TIMING[:-1], "0", "-o", "whole.json"]) == 0
    for point, whole in zip(points("my runs/r.json"), points("whole.json"), strict=True):
        if whole["status"] == "ok":
            assert len(point.pop("ns_per_dispatch")["samples"]) == 60
        assert point == whole


def test_a_terminal_sees_a_progress_bar_that_goes_away() -> None:
    terminal, stderr = pty.openpty()
    process = start([*LONG_TIMING, "-o", "r.json"], stderr)
    os.close(stderr)
    shown = b""
    deadline = time.monotonic() + PATIENCE
    while b"timing:" not in shown:
        assert time.monotonic() < deadline, shown
        assert process.poll() is None, shown
        if select.select([terminal], [], [], 1.0)[0]:
            shown += os.read(terminal, 4096)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    while select.select([terminal], [], [], 0.2)[0]:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # Linux tells the end of a terminal so
            break
    os.close(terminal)
    assert process.returncode == 130
    assert re.search(rb"timing: +\d+%\|", shown)
    # The last that a user sees is the line about the interruption, at the left edge.
    screen = re.split(rb"[\r\n]+", shown.strip())
    assert screen[-1].startswith(b"ntbbench: interrupted; ")


def test_no_terminal_no_bar() -> None:
    command = [*NTBBENCH, *LONG_TIMING[:-1], "20", "-o", "r.json"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
