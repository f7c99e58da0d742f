# SPDX-License-Identifier: BSD-3-Clause
"""`capture -- COMMAND`: the command's exit code, output and signals, by ntbbench and by script."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import children
import pytest
from captures import TOOLS

from ntbbench.capture.ingest import ingest
from ntbbench.capture.script import script_text
from ntbbench.cli.main import main

PYTHON = [sys.executable, "-m", "ntbbench.cli.main", "capture"]
TRAPS = "trap 'echo got $1; exit 7' {}; echo ready; while :; do sleep 0.05; done"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with interrupts and a clock, and nothing else."""
    root = tmp_path / "machine"
    (root / "proc/sys/kernel").mkdir(parents=True)
    (root / "proc/sys/kernel/osrelease").write_text("6.12.95\n")
    (root / "proc/uptime").write_text("4061.09 8000.00\n")
    for name in ("interrupts", "softirqs"):
        text = (TOOLS / "snapshots" / f"before-{name}").read_text()
        (root / "proc" / name).write_text(text)
    monkeypatch.setenv("NTBBENCH_ROOT", str(root))
    return root


def commands(program: str, folder: Path, *command: str) -> list[str]:
    if program == "ntbbench":
        return [*PYTHON, "-o", str(folder), "--", *command]
    return ["sh", "-c", script_text(), "capture.sh", str(folder), "--", *command]


both = pytest.mark.parametrize("program", ["ntbbench", "script"])


@both
@pytest.mark.parametrize("code", [0, 1, 2, 7, 130])
def test_the_exit_code_is_the_commands(program: str, code: int, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    told = f"echo said; read line; echo $line; exit {code}"
    result = children.run(
        commands(program, folder, "sh", "-c", told),
        input="given\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (code, "said\ngiven\n")
    lines = (folder / "capture").read_text().splitlines()
    assert sorted(lines) == sorted(
        ["ntbbench.capture/1", f"command=sh -c {told}", "elapsed=0.00", f"exit={code}"]
    )
    assert (folder / "stdout").read_text() == "said\ngiven\n"
    measured = ingest([folder])
    assert measured.errors == []  # a text that no tool printed is no measurement
    (interval,) = measured.intervals
    assert (interval.seconds, interval.exit_code, interval.is_interrupted) == (0.0, code, False)
    assert interval.command == f"sh -c {told}"


@both
def test_iperf3s_document_is_read(program: str, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    command = commands(program, folder, "cat", str(TOOLS / "iperf3-tcp.json"))
    children.run(command, stdout=subprocess.DEVNULL, check=True)
    (rate,) = ingest([folder]).throughput
    (alone,) = ingest([TOOLS / "iperf3-tcp.json"]).throughput
    assert rate.bits_per_second == alone.bits_per_second
    assert rate.source == str(folder / "stdout")


@both
def test_a_command_that_prints_nothing_leaves_no_file(program: str, tmp_path: Path) -> None:
    children.run(commands(program, tmp_path / "c", "true"), check=True)
    assert not (tmp_path / "c/stdout").exists()


@both
def test_a_command_that_is_not_there(program: str, tmp_path: Path) -> None:
    command = commands(program, tmp_path / "c", "/no/such/program")
    result = children.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 127
    assert "/no/such/program" in result.stderr
    assert (tmp_path / "c/after-interrupts").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@both
def test_a_signal_reaches_the_command(program: str, number: signal.Signals, tmp_path: Path) -> None:
    """Through ntbbench as it is; the script's children get SIGTERM, whatever came."""
    folder = tmp_path / "c"
    arrives = number if program == "ntbbench" else signal.SIGTERM
    name = arrives.name.removeprefix("SIG")
    told = TRAPS.format(name)
    command = commands(program, folder, "sh", "-c", told, "sh", name)
    with children.started(command, stdout=subprocess.PIPE, text=True) as process:
        began = folder / ("stdout" if program == "script" else "before-softirqs")
        while not began.exists() or (program == "script" and not began.read_text()):
            assert process.poll() is None
            time.sleep(0.01)
        if program == "ntbbench":
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 7
    assert out.endswith(f"got {name}\n")
    assert (folder / "after-softirqs").exists()
    assert "exit=7" in (folder / "capture").read_text()


def test_a_command_that_a_signal_ends_has_a_shells_code(tmp_path: Path) -> None:
    command = commands("ntbbench", tmp_path / "c", "sh", "-c", "kill -TERM $$")
    assert children.run(command, check=False).returncode == 143
    assert "exit=143" in (tmp_path / "c/capture").read_text()


def test_a_reader_that_leaves_early_ends_nothing(tmp_path: Path) -> None:
    told = "for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.02; done; exit 3"
    command = commands("ntbbench", tmp_path / "c", "sh", "-c", told)
    with children.started(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
    assert process.returncode == 3
    assert (tmp_path / "c/stdout").read_text().split() == list("123456789")


def test_a_large_output_is_shown_and_not_kept(tmp_path: Path) -> None:
    command = commands("ntbbench", tmp_path / "c", "head", "-c", "17000000", "/dev/zero")
    result = children.run(command, stdout=subprocess.PIPE, check=True)
    assert len(result.stdout) == 17_000_000
    assert not (tmp_path / "c/stdout").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seconds", "3", "--", "true"], "--seconds: '3': without it: COMMAND is the interval"),
        (["--print-script", "--", "true"], "--print-script: True: alone"),
        (["--"], ""),
    ],
)
def test_what_does_not_go_together(words, said, tmp_path: Path, capsys) -> None:
    before = [] if "--print-script" in words else ["-o", str(tmp_path / "c")]
    code = main(["capture", *before, *(words if said else ["--seconds", "0", *words])])
    assert code == (2 if said else 0)
    assert said in capsys.readouterr().err


def test_a_folder_that_is_not_empty_runs_no_command(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c/file").touch()
    ran = tmp_path / "ran"
    command = commands("ntbbench", tmp_path / "c", "touch", str(ran))
    result = children.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, ran.exists()) == (2, False)
    assert "not empty" in result.stderr


def test_the_carriers_of_ntb_netdev_are_counted(machine: Path, tmp_path: Path) -> None:
    net = machine / "sys/class/net/eth7"
    (net / "device").mkdir(parents=True)
    (machine / "drivers/ntb_netdev").mkdir(parents=True)
    (net / "device/driver").symlink_to(machine / "drivers/ntb_netdev")
    (net / "carrier_changes").write_text("3\n")
    changes = f"echo 5 > {net}/carrier_changes"
    assert main(["capture", "-o", str(tmp_path / "c"), "--", "sh", "-c", changes]) == 0
    measured = ingest([tmp_path / "c"])
    (count,) = (one for one in measured.counts if one.name == "carrier changes")
    assert (count.key, count.value) == ("eth7", 2)
    assert any("carrier of eth7 changed 2 times" in line for line in measured.cautions)
