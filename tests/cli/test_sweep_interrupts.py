# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench sweep` that is interrupted and resumed: signals, streams, a terminal."""

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
from sweep_commands import SCENARIO, SMALL, load_result, points

from ntbbench.cli import progress
from ntbbench.cli.main import main
from ntbbench.cli.progress import SAME_REQUEST, interrupts
from ntbbench.core.result_file import write_json

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


NTBBENCH = [sys.executable, "-m", "ntbbench.cli.main"]
PATIENCE = 120.0  # seconds until a test gives up on a process


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


@pytest.mark.parametrize(
    ("redirection", "code"), [(">&-", 2), ("2>&-", 0), (">&- 2>&-", 2), ("<&- >&- 2>&-", 2)]
)
def test_a_closed_stream_costs_no_result(redirection: str, code: int) -> None:
    words = [*NTBBENCH, *SMALL, "--format", "json"]  # without -o: stderr tells the file's name
    done = subprocess.run(
        ["sh", "-c", f"{shlex.join(words)} {redirection}"],
        check=False,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.returncode == code, done.stderr
    (saved,) = Path("results/runs").iterdir()
    result = json.loads(saved.read_text())
    assert done.stdout == b"" if code else json.loads(done.stdout) == result
    told = b"ntbbench: output: 'standard output': cannot be written: it is closed\n"
    assert done.stderr.endswith(told) == (redirection == ">&-")


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
