# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench watch`: its lines, its terminal, its ends; and the printed script says the same."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import children
import pytest
from captures import FOUR, PCI, set_counters, table

from ntbbench.capture.live import rates, screen, take
from ntbbench.capture.readers.proc import read_snapshot
from ntbbench.cli.main import main

SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"], "bash": ["bash", "--posix"]}
BUSYBOX = pytest.param("busybox", marks=pytest.mark.guest)
ANSI = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")
EPF = [f"PCI-MSIX-{PCI} {slot}-edge ntb_epf" for slot in range(3)]


def fill(root: Path, when: str, seconds: int, counts: list[int], actions: list[str]) -> None:
    """Make a machine of a moment of a real recording; no file is ever half written."""
    (root / "proc").mkdir(parents=True, exist_ok=True)
    for path in sorted((FOUR / f"{when}-stats").glob("*/qp*")):
        place = root / "sys/kernel/debug/ntb_transport" / path.parent.name / path.name
        place.mkdir(parents=True, exist_ok=True)
        replaced(place / "stats", path.read_text())
    rows = [(str(40 + n), [c, 0], a) for n, (c, a) in enumerate(zip(counts, actions, strict=True))]
    replaced(root / "proc/interrupts", table(["CPU0", "CPU1"], rows))
    replaced(root / "proc/uptime", f"{seconds}.05 7.00\n")


def replaced(path: Path, text: str) -> None:
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8 QPs, before the packets of a recording."""
    root = tmp_path / "machine"
    fill(root, "before", 100, [1, 0, 40], EPF)
    monkeypatch.setenv("NTBBENCH_ROOT", str(root))
    return root


Change = Callable[[Path], None]


def between(root: Path, after: Change) -> object:
    old = take()
    after(root)
    new = take()
    fixed = type(new)(old.seconds + 2, new.interrupts, new.stats)
    return rates(old, fixed)


def test_rates_of_recorded_snapshots(machine: Path) -> None:
    found = between(machine, lambda root: fill(root, "after", 102, [2, 0, 200], EPF))
    assert (found.interrupts.low, found.interrupts.high) == (80, 80)  # slot 0 is the link's
    assert (found.runs.low, found.runs.high) == (400, 404)
    assert (found.amplification.low, found.amplification.high) == (5, 5.05)
    by_qp = {(qp.device, qp.qp_num): qp for qp in found.qps}
    assert by_qp[PCI, 0].received == 20
    assert by_qp["0000:00:03.0", 0].sent == 20
    lines = screen(found, 24)
    assert lines[0] == "interrupts/s 80   runs/s 400..404   runs per interrupt 5.00..5.05"
    assert max(map(len, lines)) < 80
    assert screen(found, 5)[-1] == "... and 7 more lines"


def test_a_line_that_others_share_is_an_upper_bound(machine: Path) -> None:
    action = "PCI-MSI 1-edge switchtec_ntb_doorbell, ahci"
    fill(machine, "before", 100, [40], [action])
    found = between(machine, lambda root: fill(root, "after", 102, [200], [action]))
    assert (found.interrupts.low, found.interrupts.high) == (0, 80)
    assert (found.amplification.low, found.amplification.high) == (5, None)


def test_full_rings_links_and_restarts(machine: Path) -> None:
    stats = machine / "sys/kernel/debug/ntb_transport" / PCI

    def after(root: Path) -> None:
        fill(root, "after", 102, [2, 0, 200], EPF)
        set_counters(stats / "qp0/stats", tx_ring_full=6)
        (stats / "qp1/stats").write_text("")
        set_counters(stats / "qp2/stats", rx_ring_empty=0)

    found = between(machine, after)
    full, down, back, fine = (qp for qp in found.qps if qp.device == PCI)
    assert (full.refused, full.is_full) == (3, True)
    assert (down.link, down.received) == ("went down", None)
    assert back.received is None
    assert fine.received == 20
    assert found.runs is None
    assert any("went down" in row for row in screen(found, 24))


def test_without_ntb_it_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NTBBENCH_ROOT", str(tmp_path))
    fill(tmp_path, "before", 100, [5], ["IO-APIC 2-edge timer"])
    shutil.rmtree(tmp_path / "sys")
    found = between(tmp_path, lambda root: None)
    text = " ".join(screen(found, 24))
    assert "no interrupt line of an NTB driver" in text
    assert "no counters of QPs" in text


PYTHON = [sys.executable, "-m", "ntbbench.cli.main", "watch"]
LINE = r"irq/s (\S+) runs/s (\S+) amp (\S+) rx/s (\S+) tx/s (\S+) full (\S+)"


def program(name: str, tmp_path: Path, *words: str) -> list[str]:
    if name == "ntbbench":
        return [*PYTHON, "--interval", "1", *(("--count", *words) if words else ())]
    text = children.run([*PYTHON, "--print-script"], capture_output=True, check=True).stdout
    (tmp_path / "watch.sh").write_bytes(text)
    return [*SHELLS[name], str(tmp_path / "watch.sh"), "1", *words]


@pytest.mark.parametrize("name", ["ntbbench", "dash", "bash", BUSYBOX])
def test_a_line_an_interval(name: str, machine: Path, tmp_path: Path) -> None:
    """160 doorbell interrupts and 800 runs come between two looks."""
    command = program(name, tmp_path, "3")
    with children.started(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        fill(machine, "after", 102, [2, 0, 200], EPF)
        rest = process.communicate(timeout=30)[0].splitlines()
    assert process.returncode == 0
    lines = [re.fullmatch(LINE, text.strip()) for text in (first, *rest)]
    assert len(lines) == 3
    assert all(lines)
    amplifications = {match[3] for match in lines if match is not None} - {"?"}
    assert amplifications == {"5.00..5.05"}


@pytest.mark.parametrize("name", ["ntbbench", "dash", "bash", BUSYBOX])
def test_lines_without_ntb_say_why_once(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NTBBENCH_ROOT", str(tmp_path))
    fill(tmp_path, "before", 100, [5], ["IO-APIC 2-edge timer"])
    shutil.rmtree(tmp_path / "sys")
    command = program(name, tmp_path, "2")
    ran = children.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert len(ran.stdout.splitlines()) == 2
    assert ran.stderr.splitlines() == [
        "ntbbench: no interrupt line of an NTB driver",
        "ntbbench: no counters of QPs: root and a mounted debugfs have them",
    ]


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("name", ["ntbbench", "dash"])
def test_a_signal_ends_it_clean(name: str, number: signal.Signals, tmp_path: Path) -> None:
    command = program(name, tmp_path)
    with children.started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"irq/s ")
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("name", ["ntbbench", "dash"])
def test_a_reader_that_leaves_ends_it(name: str, tmp_path: Path) -> None:
    command = program(name, tmp_path)
    with children.started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=20) == 0
        assert process.stderr.read() == b""


def on_a_terminal(key: bytes, number: int = 0) -> tuple[int, str]:
    """Run it on a terminal until it has drawn, then press a key or send a signal."""
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    with children.started(
        [*PYTHON, "--interval", "0.1"], stdin=follower, stdout=follower, stderr=follower,
        env=environment,
    ) as process:  # fmt: skip
        os.close(follower)
        said = b""
        pressed = False
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            ready, _, _ = select.select([leader], [], [], 0.2)
            try:
                piece = os.read(leader, 65536) if ready else b""
            except OSError:  # nobody has the other end open
                break
            said += piece
            if not pressed and said.count(b"runs per interrupt") > 1:
                pressed = True
                if key:
                    os.write(leader, key)
                else:
                    process.send_signal(number)
        code = process.wait(timeout=20)
    os.close(leader)
    return code, said.decode()


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("end", [(b"q", 0), (b"", signal.SIGTERM), (b"", signal.SIGINT)])
def test_a_terminal_is_redrawn_and_given_back(end: tuple[bytes, int]) -> None:
    code, said = on_a_terminal(*end)
    assert code == 0
    assert said.startswith("\x1b[?1049h")
    assert said.endswith("\x1b[?25h\x1b[?1049l")
    plain = ANSI.sub("", said)
    assert plain.count("q ends") > 1
    assert f"{PCI} 3" in plain
    assert all(len(text) < 80 for text in plain.replace("\r", "").split("\n"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--interval", "0"], "--interval: '0': 0.1 to 3600 seconds"),
        (["--interval", "nan"], "--interval: 'nan': 0.1 to 3600 seconds"),
        (["--count", "0"], "--count: 0: a whole number from 1 to 99999"),
        (["--print-script", "--count", "2"], "--print-script: True: alone"),
    ],
)
def test_bad_input_is_one_line(words, said, capsys) -> None:
    assert main(["watch", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_no_proc_is_one_line(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("NTBBENCH_ROOT", str(tmp_path))
    assert main(["watch", "--count", "1"]) == 2
    assert "proc/interrupts" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["0"], ["1", "x"], ["1", "2", "3"], ["9999999"]])
def test_the_script_names_what_is_wrong(words: list[str], tmp_path: Path, machine: Path) -> None:
    assert read_snapshot(machine / "proc/interrupts").cpus == ("CPU0", "CPU1")
    command = [*program("dash", tmp_path)[:2], *words]
    result = children.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
