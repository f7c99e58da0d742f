# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench sweep` as its users meet it: files, scenarios, options; interrupted and resumed."""

import hashlib
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
from contextlib import AbstractContextManager
from pathlib import Path

import children
import msgspec
import pytest
from children import until
from report_records import ok, result, unavailable
from sweep_commands import QUICK, SCENARIO, SMALL, load_result, points

from ntbbench.cli import progress
from ntbbench.cli.main import main
from ntbbench.cli.progress import SAME_REQUEST, interrupts
from ntbbench.cli.sweep import verdict
from ntbbench.core.result_file import write_json
from ntbbench.dispatch.records import SweepResult

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

NTBBENCH = [sys.executable, "-m", "ntbbench.cli.main"]
PATIENCE = 120.0  # seconds until a test gives up on a process


def test_the_json_contract(ntbbench) -> None:
    command = [*SMALL, "--repeats", "2", "--dispatch", "fallback", "-o", "r.json"]
    assert ntbbench(*command).code == 0
    saved = json.loads(Path("r.json").read_text())
    assert saved["schema"] == "ntbbench.sweep/1"
    *measured, refused = saved["points"]
    assert [point["status"] for point in saved["points"]] == ["ok", "ok", "unavailable"]
    for point in measured:
        timing = point["ns_per_dispatch"]
        assert len(timing["samples"]) == 2
        assert 0 < timing["low"] <= timing["median"] <= timing["high"]
    assert (refused["queues_requested"], refused["queues"]) == (9, 1)
    assert refused["reason"].startswith("ENOSPC: ")


def test_without_o_the_result_is_below_results_runs(ntbbench) -> None:
    ran = ntbbench(*SMALL)
    saved = re.fullmatch(r"ntbbench: saved (results/runs/sweep-\d{8}T\d{6}Z\.json)\n", ran.err)
    assert ran.code == 0 and saved
    assert len(points(saved[1])) == 6


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
        ("--hardware ntb_hw_amd,generic", "hardware", ["ntb_hw_amd", "generic"]),
        ("--queues 1,2,4..16", "queues", [1, 2, 4, 8, 16]),
        ("--doorbells 4-6", "doorbells", [4, 5, 6]),
        ("--vectors 1,2", "vectors", [1, 2]),
        ("--dispatch msi,fallback", "dispatch", ["msi", "fallback"]),
        ("--workload flows:k=3 --workload zipf", "workload", ["flows:k=3", "zipf"]),
        ("--interrupts 77", "interrupts", 77),
        ("--seed 0x10", "seed", 16),
        ("--repeats 1", "repeats", 1),
        ("--jobs 2", "jobs", 2),
        ("--mw-count 9", "mw_count", 9),
        ("--max-num-clients 2", "max_num_clients", 2),
        ("--drain 5", "drain", 5),
    ],
)
def test_options_override_the_scenario(options: str, key: str, value: object) -> None:
    Path("s.toml").write_text(SCENARIO)
    assert main(["sweep", "s.toml", "-o", "before.json"]) == 0
    assert main(["sweep", "s.toml", *options.split(), "-o", "after.json"]) == 0
    before, after = (
        json.loads(Path(f"{name}.json").read_text())["scenario"] for name in ("before", "after")
    )
    assert before[key] != after[key] == value
    assert {**before, key: value} == after


def test_a_device_alone_is_what_is_swept() -> None:
    device = ["--device", "board:masks=0x3/0xc,mw_count=4", "--queues", "3", "-o", "r.json"]
    assert main([*QUICK, *device]) == 0
    assert {(p["hardware"], p["queues"]) for p in points("r.json")} == {("board", 3)}
    assert main([*QUICK, *device, "--hardware", "generic"]) == 0
    assert {p["hardware"] for p in points("r.json")} == {"generic"}


def test_options_reach_the_points() -> None:
    asked = ["--mw-count", "2", "--max-num-clients", "3", "--hardware", "ntb_hw_epf-v4"]
    assert main([*QUICK, *asked, "--queues", "3", "--doorbells", "16", "-o", "r.json"]) == 0
    assert {(p["mw_count"], p["max_num_clients"], p["status"]) for p in points("r.json")} == {
        (2, 3, "ok")  # max_num_clients applies first: the windows are then not looked at
    }


def test_missed_doorbells_are_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert verdict(result([ok(), unavailable()])) == 0
    assert capsys.readouterr().err == ""
    assert verdict(result([ok(), ok(missed=3), ok(misrouted=1)])) == 1
    assert capsys.readouterr().err == "ntbbench: 2 points missed doorbells: see the report\n"


# --- interrupted and resumed ---------------------------------------------------------------------


@pytest.fixture
def whole() -> SweepResult:
    """The result of the small sweep, which is in r.json too."""
    assert main([*SMALL, "-o", "r.json"]) == 0
    return load_result(Path("r.json"))


def left(whole: SweepResult, *places: int) -> SweepResult:
    """Save in part.json what an interrupted sweep had, and return it."""
    points = [whole.points[place] for place in places]
    part = msgspec.structs.replace(whole, points=points, complete=False)
    write_json(Path("part.json"), part)
    return part


@pytest.mark.parametrize(
    ("options", "output"),
    [
        (["sweep"], "part.json"),
        (["sweep", "-o", "new.json", "--jobs", "1"], "new.json"),
        (SMALL, "part.json"),  # the same options are no contradiction
    ],
)
def test_an_unfinished_result_is_resumed_where_it_is_or_elsewhere(
    whole: SweepResult, options: list[str], output: str, ntbbench
) -> None:
    part = left(whole, 1, 2)
    ran = ntbbench(*options, "--resume", "part.json", "--format", "csv")
    assert (ran.code, ran.err, ran.out.count("\n")) == (0, "", 7)
    found = load_result(Path(output))
    assert found.complete and found.points == whole.points
    assert output == "part.json" or load_result(Path("part.json")) == part


def test_a_complete_result_says_so(ntbbench) -> None:
    report, before = ntbbench(*SMALL, "-o", "r.json").out, Path("r.json").read_bytes()
    ran = ntbbench("sweep", "--resume", "r.json")
    assert ran.err == "ntbbench: r.json is complete: there is nothing to go on with\n"
    assert (ran.code, ran.out, Path("r.json").read_bytes()) == (0, report, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--queues 1,2", r"queues: \[1, 2\]: \[1, 2, 9\], as in part.json, which is resumed"),
        ("--seed 9", r"seed: 9: 1, as in part.json"),
        ("--repeats 1", r"repeats: 1: 0, as in part.json"),
        ("s.toml", r"hardware: \['generic', 'board'\]: \['generic'\], as in part.json"),
    ],
)
def test_resuming_another_scenario(whole: SweepResult, options, message, ntbbench) -> None:
    Path("s.toml").write_text(SCENARIO)
    part = left(whole)
    ran = ntbbench("sweep", "--resume", "part.json", *options.split())
    assert ran.code == 2 and re.fullmatch(f"ntbbench: {message}.*\n", ran.err)
    assert load_result(Path("part.json")) == part


LOGGED = ("--hardware", "generic", "--doorbells", "8", "--repeats", "0")


def half_of_a_logged_sweep(ntbbench) -> tuple[Path, SweepResult]:
    """Return a log, and the result of a sweep of it that is saved without its last point."""
    log = Path("log.csv")
    log.write_text("time,db_bits\n0,1\n1,2\n2,4\n")
    words = (*LOGGED, "--queues", "1,2", "--workload", f"log:{log}", "-o", "part.json")
    assert ntbbench("sweep", *words).code == 0
    whole = load_result(Path("part.json"))
    part = msgspec.structs.replace(whole, complete=False, points=whole.points[:-1])
    write_json(Path("part.json"), part)
    return log, whole


def test_a_sweep_knows_its_log_by_its_content(ntbbench) -> None:
    log, whole = half_of_a_logged_sweep(ntbbench)
    digest = hashlib.sha256(log.read_bytes()).hexdigest()
    assert whole.inputs == {"log.csv": digest}
    before = Path("part.json").read_bytes()
    log.write_text("time,db_bits\n0,4\n1,2\n2,1\n")
    changed = hashlib.sha256(log.read_bytes()).hexdigest()
    ran = ntbbench("sweep", "--resume", "part.json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"ntbbench: resume: log 'log.csv': 'SHA-256 {changed}': the content that the finished "
        f"points are of: SHA-256 {digest}\n"
    )
    assert Path("part.json").read_bytes() == before
    log.write_text("time,db_bits\n0,1\n1,2\n2,4\n")
    assert ntbbench("sweep", "--resume", "part.json").code == 0
    resumed = load_result(Path("part.json"))
    assert (resumed.points, resumed.inputs) == (whole.points, whole.inputs)
    assert "unknown-log" not in {caution.code for caution in resumed.warnings}


def test_a_result_without_the_hash_goes_on_with_a_word(ntbbench) -> None:
    _, whole = half_of_a_logged_sweep(ntbbench)
    part = load_result(Path("part.json"))
    write_json(Path("part.json"), msgspec.structs.replace(part, inputs=msgspec.UNSET))
    assert "inputs" not in json.loads(Path("part.json").read_text())
    ran = ntbbench("sweep", "--resume", "part.json")
    assert (ran.code, ran.err) == (0, "")
    told = "unknown-log: the resumed file has no hash of it: sweep anew"
    assert told in " ".join(ran.out.split())
    resumed = load_result(Path("part.json"))
    assert (resumed.points, resumed.inputs) == (whole.points, whole.inputs)


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
    done = children.run([sys.executable, "-c", code], capture_output=True, check=False)
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


def start(
    *arguments: str, stderr: int = subprocess.PIPE
) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    return children.started([*NTBBENCH, *arguments], stdout=subprocess.PIPE, stderr=stderr)


def resume_words(stderr: str) -> list[str]:
    """Return the words after `ntbbench` of the command that the line on stderr tells."""
    told = re.fullmatch(
        r"ntbbench: interrupted; what is finished is saved; go on with: ntbbench (.*)\n", stderr
    )
    assert told, stderr
    return shlex.split(told[1])


@pytest.mark.parametrize(
    ("arguments", "signals", "code"),
    [
        (LONG_TIMING, (signal.SIGINT, signal.SIGINT), 130),  # timeout(1) sends it twice
        (LONG_COUNTING, (signal.SIGINT, signal.SIGINT), 130),
        (LONG_TIMING, (signal.SIGTERM,), 143),
    ],
    ids=["timing", "counting", "sigterm"],
)
def test_a_signal_keeps_what_is_finished(arguments: list[str], signals, code: int) -> None:
    """Without -o: the folder of runs appears when the options are checked and the run begins."""
    with start(*arguments, "--format", "csv") as process:
        deadline = time.monotonic() + PATIENCE
        while not Path("results/runs").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(2.0)
        for number in signals:
            process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (code, b"")
    (saved,) = Path("results/runs").iterdir()
    words = resume_words(err.decode())
    assert words[:3] == ["sweep", "--resume", str(saved)] and words[-2:] == ["--format", "csv"]
    part = load_result(saved)
    assert part.points and not part.complete


def test_after_ctrl_c_the_printed_command_finishes_the_sweep() -> None:
    """In a folder whose name a shell would split."""
    Path("my runs").mkdir()
    quick = [*LONG_TIMING[:-1], "60"]
    with start(*quick, "-o", "my runs/r.json") as process:
        until(lambda: len(list(Path(f"/proc/{process.pid}/task").iterdir())) > 2, process)
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
    with start(*LONG_TIMING, "-o", "r.json", stderr=stderr) as process:
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


@pytest.mark.parametrize(
    ("redirection", "code"), [(">&-", 2), ("2>&-", 0), (">&- 2>&-", 2), ("<&- >&- 2>&-", 2)]
)
def test_a_closed_stream_costs_no_result(redirection: str, code: int) -> None:
    words = shlex.join([*NTBBENCH, *SMALL, "--format", "json"])  # without -o: stderr tells where
    command = ["sh", "-c", f"{words} {redirection}"]
    done = children.run(command, check=False, capture_output=True, timeout=PATIENCE)
    assert done.returncode == code, done.stderr
    (saved,) = Path("results/runs").iterdir()
    result = json.loads(saved.read_text())
    assert done.stdout == b"" if code else json.loads(done.stdout) == result
