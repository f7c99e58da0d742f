# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench capture`, and the printed script with other shells: the same folder, byte for byte."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import children
import pytest
from captures import FOUR, GEN1, INFO, PCI, TOOLS

from ntbbench.capture.ingest import ingest
from ntbbench.capture.script import script_text
from ntbbench.cli.main import main

SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"], "bash": ["bash", "--posix"]}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc and a /sys as of a machine with NTB, without a tracefs."""
    root = tmp_path / "machine"
    (root / "proc/sys/kernel").mkdir(parents=True)
    (root / "proc/sys/kernel/osrelease").write_text("6.12.95\n")
    for name in ("interrupts", "softirqs"):
        shutil.copy(TOOLS / "snapshots" / f"before-{name}", root / "proc" / name)
    debugfs = root / "sys/kernel/debug"
    for qp_num in range(2):
        folder = debugfs / "ntb_transport" / PCI / f"qp{qp_num}"
        folder.mkdir(parents=True)
        shutil.copy(FOUR / "before-stats" / PCI / f"qp{qp_num}", folder / "stats")
    (debugfs / "ntb_hw_intel" / PCI).mkdir(parents=True)
    (debugfs / "ntb_hw_intel" / PCI / "info").write_text(INFO.format(**GEN1))
    monkeypatch.setenv("NTBBENCH_ROOT", str(root))
    return root


def layout(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


# busybox comes with the tools of the guest; the other two are on every Debian.
BUSYBOX = pytest.param("busybox", marks=pytest.mark.guest)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("shell", ["dash", "bash", BUSYBOX])
def test_the_script_makes_the_same_folder(shell: str, tmp_path: Path, capfd) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    assert main(["capture", "--print-script"]) == 0
    path = tmp_path / "capture.sh"
    path.write_text(capfd.readouterr().out)
    assert main(["capture", "-o", str(ours), "--seconds", "0"]) == 0
    told = capfd.readouterr().err
    command = [*SHELLS[shell], str(path), str(theirs), "0"]
    result = children.run(command, capture_output=True, text=True, check=True)
    assert layout(ours) == layout(theirs)
    read = ("interrupts", "softirqs", f"stats/{PCI}/qp0", f"stats/{PCI}/qp1")
    recorded = {f"{when}-{name}" for when in ("before", "after") for name in read}
    assert layout(ours).keys() == {"capture", "kernel", "unread", f"info/{PCI}", *recorded}
    assert told.startswith(result.stderr)
    assert (ours / "unread").read_text() == "trace: no tracefs in this kernel\n"


def test_what_was_captured_can_be_ingested_and_nothing_else_changes(
    machine: Path, tmp_path: Path
) -> None:
    before = {p: p.stat().st_mtime_ns for p in machine.rglob("*")}
    assert main(["capture", "-o", str(tmp_path / "c"), "--seconds", "0"]) == 0
    measured = ingest([tmp_path / "c"])
    assert measured.errors == []
    assert [(qp.runs_low, qp.runs_high) for qp in measured.qps] == [(0, 0), (0, 0)]
    (device,) = measured.devices
    assert device.vector_masks == ["0x1f", "0x3e0", "0x7c00", "0x0"]
    assert {p: p.stat().st_mtime_ns for p in machine.rglob("*")} == before


def test_what_is_missing_is_said(machine: Path, tmp_path: Path, capfd) -> None:
    shutil.rmtree(machine / "sys/kernel/debug")
    (machine / "sys/kernel/debug").mkdir()
    (machine / "proc/softirqs").unlink()
    assert main(["capture", "-o", str(tmp_path / "c"), "--seconds", "0"]) == 0
    err = capfd.readouterr().err.splitlines()
    assert "ntbbench: not read: /proc/softirqs: not there" in err
    assert any("debugfs is not mounted: as root, mount -t debugfs" in line for line in err)
    assert not (tmp_path / "c/before-softirqs").exists()


def test_without_the_privilege_it_names_the_privilege(machine: Path, tmp_path: Path) -> None:
    """Run as another user where the test may (as root); the tests' own user is refused too."""
    (machine / "sys/kernel/debug").chmod(0o700 if os.geteuid() == 0 else 0o000)
    ours = [path for path in tmp_path.parents if path.name.startswith(("pytest-", "popen-"))]
    for folder in (tmp_path, *ours):
        folder.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    work.chmod(0o777)
    path = tmp_path / "capture.sh"
    path.write_text(script_text())
    for readable in (path, *machine.rglob("*"), machine):  # whatever the umask is
        if readable != machine / "sys/kernel/debug":
            readable.chmod(0o755)
    user = 65534 if os.geteuid() == 0 else None
    command = ["sh", str(path), str(work / "c"), "0"]
    result = children.run(command, capture_output=True, text=True, check=True, user=user, cwd="/")
    (machine / "sys/kernel/debug").chmod(0o755)
    assert "/sys/kernel/debug/ntb_transport: permission denied: needs root" in result.stderr
    assert (work / "c/before-interrupts").is_file()


def limited(command: list[str], room: int) -> "subprocess.CompletedProcess[str]":
    """Run a command whose files may have so many bytes: a disk that is full then."""
    return subprocess.run(
        ["prlimit", f"--fsize={room}", *command], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("room", [0, 10, 40])
def test_a_full_disk_ends_a_capture(room: int, machine: Path, tmp_path: Path) -> None:
    """Not even its first file, not all of that, and none of the larger ones."""
    (machine / "proc/interrupts").write_text("CPU0\n" * 100)
    path = tmp_path / "capture.sh"
    path.write_text(script_text())
    found = limited(["sh", str(path), str(tmp_path / "c"), "0"], room)
    assert found.returncode == 2
    assert ": cannot be written: " in found.stderr.splitlines()[-1]
    assert "needs root" not in found.stderr


def test_what_root_may_not_read_is_not_told_to_need_root(machine: Path, tmp_path: Path) -> None:
    """A file that cannot be read by anybody: what /proc gives where the kernel is locked down."""
    (machine / "proc/softirqs").unlink()
    (machine / "proc/softirqs").symlink_to("/proc/self/mem")
    path = tmp_path / "capture.sh"
    path.write_text(script_text())
    found = limited(["sh", str(path), str(tmp_path / "c"), "0"], 1 << 20)
    assert found.returncode == 0
    (told,) = {line for line in found.stderr.splitlines() if "/proc/softirqs" in line}
    assert ("needs root" in told) is (os.geteuid() != 0)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("program", ["script", "command"])
def test_an_interrupted_capture_keeps_what_it_has_and_ends_at_once(
    program: str, number: signal.Signals, tmp_path: Path
) -> None:
    """A dropped connection (SIGHUP) must not leave a script behind that traces for a day."""
    folder, path = tmp_path / "c", tmp_path / "capture.sh"
    path.write_text(script_text())
    python = [sys.executable, "-m", "ntbbench.cli.main"]
    command = {
        "script": ["sh", str(path), str(folder), "600"],
        "command": [*python, "capture", "-o", str(folder), "--seconds", "600"],
    }[program]
    with children.started(command, stderr=subprocess.PIPE, text=True) as process:
        while not (folder / f"before-stats/{PCI}/qp1").exists():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)  # the script too has closed its stderr
    assert process.returncode == 130
    assert err.endswith(f"ntbbench: interrupted: {folder} holds what was recorded until then\n")
    assert (folder / "capture").read_text().endswith("seconds=600\ninterrupted\n")
    measured = ingest([folder])
    assert measured.errors == []
    assert [qp.runs_low for qp in measured.qps] == [0, 0]


def test_this_machine_can_be_captured(tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.delenv("NTBBENCH_ROOT", raising=False)
    assert main(["capture", "-o", str(tmp_path / "c"), "--seconds", "1"]) == 0
    measured = ingest([tmp_path / "c"])
    assert [e for e in measured.errors if "trace" not in e] == []
    assert measured.softirqs
    assert "recorded to" in capfd.readouterr().err
