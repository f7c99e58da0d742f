# SPDX-License-Identifier: BSD-3-Clause
"""The exit code survives whoever reads the output, and an output that is lost is an error."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from captures import FOUR
from compare_data import runs_csv, samples, sweep, written
from sweep_commands import SMALL

from ntbbench.capture.script import script_text
from ntbbench.cli import lab_pair
from ntbbench.cli.main import COMMANDS, main
from ntbbench.cli.progress import Saving
from ntbbench.core.errors import InputError
from ntbbench.dispatch.records import SweepResult

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

NTBBENCH = shlex.join([sys.executable, "-m", "ntbbench.cli.main"])
LOST = "ntbbench: output: 'standard output': cannot be written: "
FULL = "No space left on device"
BUFFERING = pytest.mark.parametrize("unbuffered", ["", "1"])
# One call of each command that prints, quick where it can be.
CALLS = {
    "sweep": " ".join(SMALL) + " -o sweep.json",
    "simulate": "simulate --keys",
    "fit": "fit --preset rcar-s4-spider --throughput 583e6 --packet 65480",
    "show": "show result.json",
    "hardware": "hardware",
    "replay": "replay {recording}",
    "compat": "compat",
    "patches": "patches",
    "doorbell": "doorbell --ep 7 --rc 5 --bits 0",
    "compare": "compare --runs runs.csv",
    "gate": "gate --runs runs.csv",
    "calibrate": "calibrate --policy policy.toml a.json a.json a.json a.json",
    "history": "history add a.json --commit one --store store.sqlite",
    "lab": "lab pair run --help",
    "capture": "capture --print-script",
    "ingest": "ingest {recording}",
    "explain": "explain measured.json",
    "schema": "schema lab",
}


def shell(script: str, unbuffered: str = "", **options: object) -> "subprocess.CompletedProcess":
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment |= {"PYTHONUNBUFFERED": unbuffered} if unbuffered else {}
    return subprocess.run(
        ["bash", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.fixture
def inputs(in_an_empty_folder: None) -> None:
    """The files that CALLS reads; those of `runs.csv` are a regression."""
    runs_csv(Path("runs.csv"), {"a": samples(1, 10), "b": samples(2, 10, 120.0)})
    written(Path("a.json"), sweep())
    Path("policy.toml").touch()
    assert main([*SMALL, "-o", "result.json"]) == 0
    assert main(["ingest", str(FOUR), "-o", "measured.json"]) == 0


@pytest.fixture
def many(in_an_empty_folder: None) -> str:
    """The options of a gate of which more is reported than a pipe holds, a regression."""
    worse = sweep()
    for point in worse["points"]:
        point["wakeups"] += 1
    for side, record in (("base", sweep()), ("new", worse)):
        points = record["points"]
        record["points"] = [p | {"workload": f"w{i}"} for i in range(40) for p in points]
        written(Path(f"{side}.json"), record)
    return "base.json new.json"


@BUFFERING
@pytest.mark.parametrize(
    ("name", "reader"), [("csv", "head -n 1"), ("json", "grep -q regressed"), ("text", "true")]
)
def test_a_reader_that_leaves_early_changes_no_exit_code(
    many: str, name: str, reader: str, unbuffered: str
) -> None:
    done = shell(
        f"{NTBBENCH} gate {many} --format {name} | {reader} >/dev/null; echo ${{PIPESTATUS[0]}}",
        unbuffered,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_a_reader_that_leaves_early_is_no_error_of_a_pass_either(many: str) -> None:
    base = many.split(maxsplit=1)[0]
    for words in (f"gate {base} {base}", f"compare {many} --format csv", "--help", "--version"):
        done = shell(f"{NTBBENCH} {words} | true; echo ${{PIPESTATUS[0]}}")
        assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_reader_of_dev_stdout_may_leave_too(many: str) -> None:
    words = f"gate {many} --format junit --write csv=/dev/stdout"
    done = shell(f"{NTBBENCH} {words} | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_a_pipe_of_its_own_that_is_cut_off_is_an_error(many: str) -> None:
    done = shell(f"{NTBBENCH} gate {many} --write csv=>(true); echo $?")
    assert done.stdout.splitlines()[-1] == "2"
    assert "Broken pipe" in done.stderr


def test_every_command_is_called() -> None:
    assert CALLS.keys() == set(COMMANDS)


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_an_error_of_every_command(command: str) -> None:
    """Whatever was found: the gate's is a regression."""
    unbuffered = "1" if COMMANDS.index(command) % 2 else ""
    words = CALLS[command].format(recording=shlex.quote(str(FOUR)))
    done = shell(f"{NTBBENCH} {words} >/dev/full", unbuffered)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, LOST + FULL)
    assert done.stderr.count(LOST) == 1


@pytest.mark.usefixtures("inputs")
@BUFFERING
@pytest.mark.parametrize("words", ["--help", "--version", "gate --help", "gate --runs runs.csv"])
@pytest.mark.parametrize(
    ("redirection", "reason"),
    [
        (">/dev/full", FULL),
        (">&-", "it is closed"),
        ("1</dev/null", "Bad file descriptor"),
    ],
)
def test_what_cannot_be_printed_is_one_line(
    words: str, redirection: str, reason: str, unbuffered: str
) -> None:
    done = shell(f"{NTBBENCH} {words} {redirection}", unbuffered)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{LOST}{reason}\n")


@BUFFERING
def test_a_disk_that_fills_up_on_the_way_is_an_error(many: str, unbuffered: str) -> None:
    """A file of at most 4 KB stands for a disk that has room for them."""
    limited = f"trap '' XFSZ; ulimit -f 4; {NTBBENCH}"
    done = shell(f"{limited} gate {many} --format json > out.json; echo $?", unbuffered)
    assert (done.stdout, done.stderr) == ("2\n", f"{LOST}File too large\n")
    assert Path("out.json").stat().st_size == 4096


def test_the_error_of_bad_input_is_the_only_one(many: str) -> None:
    done = shell(f"{NTBBENCH} gate {many} --alpha 2 >/dev/full")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "alpha" in done.stderr


def test_a_closed_stdout_is_no_file_that_is_opened_next() -> None:
    """Nor by its name: what `compat` writes there is not to vanish in silence."""
    done = shell(f"{NTBBENCH} compat -o /dev/stdout >&-")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "/dev/stdout" in done.stderr
    for redirection in ("<&-", "2>&-", "<&- 2>&-"):
        done = shell(f"{NTBBENCH} compat -o c.txt {redirection}")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert "fallback" in Path("c.txt").read_text()


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize(
    ("dead", "unbuffered"),
    [("2>&-", ""), ("2>/dev/full", "1"), ("2> >(true)", ""), ("2> >(true)", "1")],
)
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("ingest none", 2),
        ("gate --runs runs.csv", 1),
        ("gate --runs runs.csv --alpha wide", 2),
        ("show none.json", 2),
        ("no-such-command", 2),
        ("sweep --queues 1 --interrupts 100 --repeats 0 --format csv", 0),  # tells where it saved
        ("capture -o recorded --seconds 0", 0),  # its shell tells what it could not read
    ],
)
def test_a_dead_stderr_changes_nothing(words: str, code: int, dead: str, unbuffered: str) -> None:
    done = shell(f"exec {dead}; sleep 0.1; {NTBBENCH} {words}", unbuffered)
    assert (done.returncode, done.stderr) == (code, "")
    assert bool(done.stdout) == (words.startswith(("gate", "sweep")) and code != 2)


@BUFFERING
def test_a_dead_stderr_ends_no_calibration(unbuffered: str) -> None:
    sweeping = f"{NTBBENCH} sweep --queues 1 --interrupts 100 --repeats 5 -o {{output}}"
    words = f"calibrate --rounds 4 --command {shlex.quote(sweeping)} -o thresholds.toml"
    done = shell(f"exec 2> >(true); sleep 0.1; {NTBBENCH} {words}", unbuffered)
    assert done.returncode == 0
    assert "4 runs" in done.stdout
    assert "threshold" in Path("thresholds.toml").read_text()


@pytest.mark.parametrize(
    "words",
    [
        " ".join(SMALL) + " -o /dev/full",
        " ".join(SMALL) + " -o r.json --html /dev/full",
        "simulate --queues 1 --duration 2ms --warmup 0 --replications 1 --jobs 1 -o /dev/full",
    ],
)
def test_what_was_measured_is_printed_where_it_cannot_be_saved(words: str) -> None:
    done = shell(f"{NTBBENCH} {words}")
    told = f"ntbbench: output: '/dev/full': cannot be written: {FULL}\n"
    assert (done.returncode, done.stderr) == (2, told)
    assert re.search(r"\b\d points\b", " ".join(done.stdout.split()))


@pytest.mark.parametrize("option", ["--html ", "--write md="])
def test_a_report_that_cannot_be_written_is_an_error(many: str, option: str) -> None:
    done = shell(f"trap '' XFSZ; ulimit -f 1; {NTBBENCH} gate {many} {option}page")
    told = "ntbbench: output: 'page': cannot be written: File too large\n"
    assert (done.returncode, done.stderr) == (2, told)
    assert not Path("page").exists()


def test_a_full_disk_ends_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    """It is told when it is first met, and is no error where there is room at the end."""
    assert main([*SMALL, "-o", "whole.json"]) == 0
    result = msgspec.json.decode(Path("whole.json").read_bytes(), type=SweepResult)
    capsys.readouterr()
    saving = Saving(Path("none/r.json"))
    for _ in range(3):
        saving.on_the_way(result)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.endswith("; the run goes on and tries again\n")
    saving.at_the_end(result)
    assert not saving.saved
    with pytest.raises(InputError, match=r"none/r\.json"):
        saving.check()
    Path("none").mkdir()
    saving.at_the_end(result)
    saving.check()
    assert json.loads(Path("none/r.json").read_text()) == json.loads(Path("whole.json").read_text())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("blocks", ["0", "1", "2"])
def test_a_recording_that_the_disk_has_no_room_for_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: str
) -> None:
    """From the first line on, or in the midst of a snapshot, of 2 KB and more."""
    root = tmp_path / "machine"
    (root / "proc/sys/kernel").mkdir(parents=True)
    (root / "proc/sys/kernel/osrelease").write_text("6.12\n")
    (root / "proc/interrupts").write_text("x" * 900 if blocks == "2" else "x" * 1500)
    (root / "proc/softirqs").write_text("y" * 3000)
    monkeypatch.setenv("NTBBENCH_ROOT", str(root))
    Path("capture.sh").write_text(script_text())
    done = shell(f"trap '' XFSZ; ulimit -f {blocks}; sh capture.sh c 0")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(": cannot be written: is the disk full?")
    assert "privilege" not in done.stderr
    assert "permission" not in done.stderr


def test_a_summary_that_cannot_be_written_is_named(many: str) -> None:
    done = shell(f"GITHUB_STEP_SUMMARY=/dev/full {NTBBENCH} gate {many} --format github")
    told = f"ntbbench: output: '/dev/full': cannot be written: {FULL}\n"
    assert (done.returncode, done.stderr) == (2, told)


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run -o /dev/full", "2 points"),
        ("check -o /dev/full", "3 unbind/bind rounds"),
        ("run -o pair.json --html /dev/full", "2 points"),
    ],
)
def test_a_boot_that_cannot_be_saved_is_printed(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "pair", *words.split()]) == 2
    captured = capsys.readouterr()
    assert captured.err.endswith(f"ntbbench: output: '/dev/full': cannot be written: {FULL}\n")
    assert "result saved" not in captured.err
    assert told in captured.out


@pytest.mark.usefixtures("lab")
def test_a_bisection_stops_where_nothing_can_be_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 would be a commit that is bad, for git."""
    monkeypatch.setattr(lab_pair, "refusal", lambda: InputError("output", "stdout", "a reason"))
    assert main(["lab", "pair", "run", "--bisect"]) == 255
    assert capsys.readouterr().err.count("a reason") == 1
