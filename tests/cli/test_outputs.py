# SPDX-License-Identifier: BSD-3-Clause
"""The exit code survives whoever reads the output, and an output that is lost is an error."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import children
import msgspec
import pytest
from captures import FOUR
from compare_data import runs_csv, samples, sweep, written
from compare_runs import FORMATS
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
FULL, LARGE = "No space left on device", "File too large"
WRITE = "ntbbench: output: '{}': cannot be written: {}"
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
    "board": "board plan board.toml",
    "ab": "ab --base true --candidate true --until 2 -o ab.json",
    "gate": "gate --runs runs.csv",
    "calibrate": "calibrate --policy policy.toml a.json a.json a.json a.json",
    "history": "history add a.json --commit one --store store.sqlite",
    "lab": "lab pair run --help",
    "capture": "capture --print-script",
    "watch": "watch --interval 0.1",
    "ingest": "ingest {recording}",
    "explain": "explain measured.json",
    "schema": "schema lab",
}


def shell(script: str, unbuffered: str = "") -> "subprocess.CompletedProcess":
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment |= {"PYTHONUNBUFFERED": unbuffered} if unbuffered else {}
    command = ["bash", "-c", script]
    return children.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def inputs(in_an_empty_folder: None) -> None:
    """The files that CALLS reads; those of `runs.csv` are a regression."""
    runs_csv(Path("runs.csv"), {"a": samples(1, 10), "b": samples(2, 10, 120.0)})
    written(Path("a.json"), sweep())
    Path("policy.toml").touch()
    side = 'host = "local"\nnetdev = "lo"\naddress = "127.0.0.1"\n'
    Path("board.toml").write_text(f"[rc]\n{side}[ep]\n{side}[[variants]]\nname = 'one'\n")
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
    ("words", "reader", "code"),
    [
        ("gate {many} --format csv", "head -n 1", 1),
        ("gate {many} --format json", "grep -q regressed", 1),
        ("gate {many} --format text", "true", 1),
        ("gate {many} --format junit --write csv=/dev/stdout", "true", 1),
        ("gate base.json base.json", "true", 0),
        ("compare {many} --format csv", "true", 0),
        ("--help", "true", 0),
        ("--version", "true", 0),
    ],
)
def test_a_reader_that_leaves_early_changes_no_exit_code(
    many: str, words: str, reader: str, code: int, unbuffered: str
) -> None:
    command = f"{NTBBENCH} {words.format(many=many)} | {reader} >/dev/null"
    done = shell(f"{command}; echo ${{PIPESTATUS[0]}}", unbuffered)
    assert (done.stdout, done.stderr) == (f"{code}\n", "")


SMALL_DISK = "trap '' XFSZ; ulimit -f {}; "  # a file of so many KB stands for a disk with such room
SIMULATE = "simulate --queues 1 --duration 2ms --warmup 0 --replications 1 --jobs 1 -o /dev/full"


@BUFFERING
@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize(
    ("before", "words", "redirection", "told"),
    [
        *(
            ("", words, redirection, LOST + reason)
            for words in ("--help", "--version", "gate --help", "gate --runs runs.csv")
            for redirection, reason in (
                (">/dev/full", FULL), (">&-", "it is closed"),
                ("1</dev/null", "Bad file descriptor"),
            )
        ),
        (SMALL_DISK.format(4), "gate {many} --format json", "> out", f"{LOST}File too large"),
        (SMALL_DISK.format(1), "gate {many} --html page", "", WRITE.format("page", LARGE)),
        (SMALL_DISK.format(1), "gate {many} --write md=page", "", WRITE.format("page", LARGE)),
        ("", "gate {many} --write csv=>(true)", ">/dev/null", "Broken pipe"),
        ("", "gate {many} --alpha 2", ">/dev/full", "alpha"),  # of two errors the first alone
        ("export GITHUB_STEP_SUMMARY=/dev/full; ", "gate {many} --format github", "",
         WRITE.format("/dev/full", FULL)),
        ("", "compat -o /dev/stdout", ">&-", "/dev/stdout"),
        ("", f"{' '.join(SMALL)} -o /dev/full", "", WRITE.format("/dev/full", FULL)),
        ("", f"{' '.join(SMALL)} -o r.json --html /dev/full", "", WRITE.format("/dev/full", FULL)),
        ("", SIMULATE, "", WRITE.format("/dev/full", FULL)),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_one_line(
    many: str, before: str, words: str, redirection: str, told: str, unbuffered: str
) -> None:
    """What was measured is printed all the same; of a report that is not whole nothing is left."""
    done = shell(f"{before}{NTBBENCH} {words.format(many=many)} {redirection}", unbuffered)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and told in line
    assert not Path("page").exists()
    if words.startswith("s"):
        assert re.search(r"\b\d points\b", " ".join(done.stdout.split()))
    if redirection == "> out":
        assert Path("out").stat().st_size == 4096


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_an_error_of_every_command(command: str) -> None:
    """Whatever was found: the gate's is a regression."""
    assert CALLS.keys() == set(COMMANDS)
    unbuffered = "1" if COMMANDS.index(command) % 2 else ""
    words = CALLS[command].format(recording=shlex.quote(str(FOUR)))
    done = shell(f"{NTBBENCH} {words} >/dev/full", unbuffered)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, LOST + FULL)
    assert done.stderr.count(LOST) == 1


def test_a_closed_stdout_is_no_file_that_is_opened_next() -> None:
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


def test_a_full_disk_ends_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    """It is told when it is first met, and is no error where there is room at the end."""
    assert main([*SMALL, "-o", "whole.json"]) == 0
    result = msgspec.json.decode(Path("whole.json").read_bytes(), type=SweepResult)
    capsys.readouterr()
    saving = Saving(Path("none/r.json"))
    for _ in range(3):
        saving.on_the_way(result)
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.endswith("; the run goes on and tries again\n")
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
    assert ": cannot be written: " in done.stderr.splitlines()[-1]
    assert "privilege" not in done.stderr and "permission" not in done.stderr


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run -o /dev/full", "2 points"),
        ("check -o /dev/full", "3 unbind/bind rounds"),
        ("run -o pair.json --html /dev/full", "2 points"),
    ],
)
def test_a_boot_that_cannot_be_saved_is_printed(words: str, told: str, ntbbench) -> None:
    ran = ntbbench("lab", "pair", *words.split())
    assert ran.code == 2 and told in ran.out
    assert ran.err.endswith(WRITE.format("/dev/full", FULL) + "\n")
    assert "result saved" not in ran.err


@pytest.mark.usefixtures("lab")
def test_a_bisection_stops_where_nothing_can_be_printed(ntbbench, monkeypatch) -> None:
    """2 would be a commit that is bad, for git."""
    monkeypatch.setattr(lab_pair, "refusal", lambda: InputError("output", "stdout", "a reason"))
    ran = ntbbench("lab", "pair", "run", "--bisect")
    assert (ran.code, ran.err.count("a reason")) == (255, 1)


# --- encodings -----------------------------------------------------------------------------------

NAMES = {"base é": samples(1, 8), "門鈴 \U0001f514": samples(2, 8, 120.0)}


def out_of(encoding: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, bytes]:
    """Run a command whose standard streams have this encoding."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding))
    code = main(arguments)
    sys.stdout.flush()
    return code, raw.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "euc-jp"])
@pytest.mark.parametrize("name", FORMATS)
def test_the_exit_code_is_the_gates_in_every_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, name: str
) -> None:
    path = str(runs_csv(tmp_path / "t.csv", NAMES))
    code, raw = out_of(encoding, monkeypatch, "gate", "--runs", path, "--format", name)
    assert code == 1
    text = raw.decode("utf-8")  # ASCII elsewhere, which is UTF-8 too
    if name == "json":
        report = json.loads(text)
        assert [report["base"], *report["candidates"]] == list(NAMES)
    elif name == "junit":
        assert ET.fromstring(raw)[0].get("classname") == list(NAMES)[1]
    elif encoding != "utf-8":
        assert text.isascii()


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_name_that_is_no_text_is_shown(monkeypatch, encoding: str, name: str) -> None:
    file = os.fsdecode(b"a\xff.csv")
    runs_csv(Path(file), NAMES)
    words = ("gate", file, "--format", name, "--force", "\udcfe")
    assert out_of(encoding, monkeypatch, *words)[0] == 1


def test_an_error_about_a_name_is_one_line_in_every_locale(tmp_path: Path) -> None:
    done = children.run(
        [sys.executable, "-m", "ntbbench.cli.main", "show", "門\udcff.json"],
        env=os.environ | {"PYTHONIOENCODING": "ascii:strict"},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert rb"\u9580" in done.stderr
