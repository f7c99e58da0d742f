# SPDX-License-Identifier: BSD-3-Clause
"""The lab on a real Debian kernel: six points, a developer's tree, and guests that fail."""

import json
import os
import signal
import subprocess
from functools import partial
from pathlib import Path

import children
import pytest
from lab_kernel import gone, guests_of, kernel, lab_run, patched_tree

from ntbbench.capture.replay import replay_log
from ntbbench.capture.replay_records import AGREES
from ntbbench.lab.commands import LAB_FAILED
from ntbbench.lab.qemu import TCG, GuestMachine, boot, pack_initramfs
from ntbbench.lab.watch import Limits, exceeded

# Boots a real kernel: `make test-guest`.
pytestmark = pytest.mark.guest

SIX_POINTS = ("--vectors", "0,2,16", "--db-read", "latched,zero", "--packets", "20")
ONE_POINT = ("--vectors", "16", "--packets", "5")
QUEUES = 4
# Tasklet runs per doorbell without the race check, by vectors: facts measured on 6.1 and 6.12.
WOKEN = {0: 4, 2: 2, 16: 1}


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the result of six points and their recordings, made by one boot."""
    folder = tmp_path_factory.mktemp("six")
    output = folder / "lab.json"
    assert lab_run(*SIX_POINTS, "-o", output, "--html", folder / "lab.html", "--keep") == 0
    return folder


def test_the_kernel_does_what_was_measured_before(six: Path) -> None:
    result = json.loads((six / "lab.json").read_text())
    assert result["schema"] == "ntbbench.lab/1"
    assert result["kernel"].startswith("6.12.")
    asked = [(point["vectors"], point["db_read"]) for point in result["points"]]
    assert asked == [(v, d) for v in (0, 2, 16) for d in ("latched", "zero")]
    for point in result["points"]:
        assert point["queues"] == QUEUES
        assert point["sending_qps"] == [0, 1, 2, 3]
        assert point["doorbells_rung"] == point["events"] == point["packets_received"] == 80
        runs = 20 * (WOKEN[point["vectors"]] + (point["db_read"] == "latched"))
        assert point["runs_per_qp"] == point["predicted_runs_per_qp"] == [runs] * QUEUES
        assert point["tasklet_schedules"] == sum(point["runs_per_qp"])
        assert point["agrees"] is True


def test_events_carry_the_vector_of_their_bit(six: Path) -> None:
    points = json.loads((six / "lab.json").read_text())["points"]
    by_vectors = {point["vectors"]: point["events_per_vector"] for point in points}
    every_bit = {"0": 20, "1": 20, "2": 20, "3": 20}
    assert by_vectors == {0: every_bit, 2: {"0": 40, "1": 40}, 16: every_bit}


def test_kept_recordings_are_what_replay_reads(six: Path) -> None:
    replayed = replay_log(six / "lab")
    assert len(replayed.points) == 6
    for point in replayed.points:
        assert point.verdict == AGREES
        assert point.kernel is not None and point.kernel.startswith("6.12.")
        assert point.cautions == []


def test_a_second_run_needs_no_network(tmp_path, monkeypatch, capsys) -> None:
    kernel()
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    assert lab_run(*ONE_POINT, "--format", "json") == 0
    told = capsys.readouterr()
    assert "saved results/runs/lab-" in told.err
    (saved,) = (tmp_path / "results" / "runs").glob("lab-*.json")
    assert json.loads(told.out) == json.loads(saved.read_text())


def test_close_doorbells_lose_no_packet_and_stay_in_bounds(tmp_path: Path) -> None:
    output = tmp_path / "burst.json"
    burst = ("--gap", "0", "--order", "together", "--packets", "70", "--senders", "0,2")
    assert lab_run("--vectors", "0,4", *burst, "-o", output) == 0
    for point in json.loads(output.read_text())["points"]:
        assert point["spaced"] is False
        assert point["packets_received"] == 140
        for least, runs, most in zip(
            point["least_runs_per_qp"], point["runs_per_qp"], point["most_runs_per_qp"], strict=True
        ):
            assert least <= runs <= most


def test_the_same_files_are_packed_alike_whenever_and_by_whomever(tmp_path: Path) -> None:
    """Else a guest whose clock counts instructions would get other input from boot to boot."""
    packed = []
    for name, umask in (("first", 0o022), ("second", 0o077)):
        before = os.umask(umask)
        root = tmp_path / name / "root"
        (root / "lib").mkdir(parents=True)
        (root / "lib" / "ntb.ko").write_text("a module")
        (root / "init").write_text("#!/bin/sh\n")
        os.utime(root / "init", (len(packed), len(packed)))
        pack_initramfs(root, tmp_path / name / "initramfs")
        os.umask(before)
        packed.append((tmp_path / name / "initramfs").read_bytes())
    assert packed[0] == packed[1]


def test_a_patched_header_of_the_developer_counts(tmp_path, monkeypatch, capsys) -> None:
    """With ntb_db_vector_mask() broken, sixteen vectors behave as none: the lab must see it.

    What the developer's shell says to kernel builds has no part in these.
    """
    for name in ("KCFLAGS", "KCPPFLAGS", "KAFLAGS"):
        monkeypatch.setenv(name, "--no-such-option")
    callback = "return ntb->ops->db_vector_mask(ntb, vector);"
    tree = patched_tree(
        tmp_path, "include/linux/ntb.h", lambda text: text.replace(callback, "return ~0ULL;")
    )
    output = tmp_path / "patched.json"
    assert lab_run("--source", tree, *ONE_POINT, "-o", output) == 1
    (point,) = json.loads(output.read_text())["points"]
    assert point["runs_per_qp"] == [25] * QUEUES
    assert point["predicted_runs_per_qp"] == [10] * QUEUES
    assert point["difference_per_qp"] == [15] * QUEUES
    assert point["agrees"] is False
    assert "DISAGREES" in capsys.readouterr().out


def test_a_guest_that_panics_is_told_in_one_line(tmp_path, capsys) -> None:
    opening = "static void ntb_transport_doorbell_callback(void *data, int vector)\n{"
    tree = patched_tree(
        tmp_path,
        "drivers/ntb/ntb_transport.c",
        lambda text: text.replace(opening, f"{opening}\n\tif (vector == 1) BUG();", 1),
    )
    assert lab_run("--source", tree, *ONE_POINT, "-o", tmp_path / "x.json") == LAB_FAILED
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "panic" in line]
    assert "kernel BUG at" in line and "Kernel panic - not syncing: Fatal exception" in line
    assert not (tmp_path / "x.json").exists()


def test_code_that_does_not_build_names_its_line(tmp_path, capsys) -> None:
    tree = patched_tree(tmp_path, "drivers/ntb/core.c", lambda text: f"{text}\nint broken(;\n")
    number = len((tree / "drivers/ntb/core.c").read_text().splitlines())
    assert lab_run("--source", tree, *ONE_POINT, "-o", tmp_path / "x.json") == LAB_FAILED
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"core.c:{number}:" in last and "error:" in last


def test_a_guest_that_hangs_is_ended(tmp_path: Path) -> None:
    nothing = tmp_path / "initramfs"
    nothing.write_bytes(b"")
    booted = boot(kernel().image, nothing, TCG, GuestMachine(), partial(exceeded, limits=Limits(1)))
    assert booted.died.startswith("the guest hung: no end after 1 s of processor time: ")
    assert guests_of(os.getpid()) == []


@pytest.mark.parametrize(
    ("ending", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
)
def test_no_guest_outlives_the_lab(tmp_path: Path, ending: signal.Signals, code: int) -> None:
    words = ["lab", "run", "--vectors", "0", "--packets", "500", "-o", str(tmp_path / "x.json")]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with children.started(
        [*children.NTBBENCH, *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    ) as lab:
        assert lab.stderr is not None
        while "booting" not in lab.stderr.readline():
            assert lab.poll() is None
        while not (guests := guests_of(lab.pid)):
            assert lab.poll() is None
        lab.send_signal(ending)
        told = lab.stderr.read()
        assert lab.wait() == code
    assert "Traceback" not in told
    for guest in guests:
        assert gone(guest)
    assert not (tmp_path / "x.json").exists()
    assert ending == signal.SIGKILL or not list(scratch.iterdir())
