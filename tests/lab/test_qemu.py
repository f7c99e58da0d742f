# SPDX-License-Identifier: BSD-3-Clause
"""Programs that the lab runs, a guest among them: what they say, whose fault, what comes back."""

import base64
import errno
import io
import os
import subprocess
import tarfile
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ntbbench.core.errors import InputError
from ntbbench.lab import guest_task as guest
from ntbbench.lab.commands import CommandOutput, GuestError, HostError, UnjudgedError, run
from ntbbench.lab.guest_task import Task, record
from ntbbench.lab.guest_task import unpack as unpack_recordings
from ntbbench.lab.qemu import (
    QEMU,
    TCG,
    Boot,
    GuestMachine,
    boot,
    complaints,
    hung_words,
    last_words,
)
from ntbbench.lab.watch import Limits, exceeded

LIMITS = Limits(60)
GAVE_UP = "@@ kernel 7.3.4\n@@ failed {}\n"


@pytest.mark.parametrize(
    ("death", "kind"),
    [("kill -9 $$", "QEMU failed: "), ("echo no memory >&2; exit 1", "QEMU failed: no memory")],
)
def test_an_emulator_that_fails_is_the_machines_fault(death, kind, tmp_path, monkeypatch) -> None:
    emulator = tmp_path / QEMU
    emulator.write_text(f"#!/bin/sh\n{death}\n")
    emulator.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(HostError, match=kind):
        boot(
            Path("bzImage"),
            Path("initramfs"),
            TCG,
            GuestMachine(),
            partial(exceeded, limits=LIMITS),
        )


def test_a_full_disk_is_the_machines_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest, "pack_initramfs", lambda *_: None)
    monkeypatch.setattr(guest, "boot", lambda *_: Boot("", GAVE_UP.format("a flow")))
    monkeypatch.setattr(guest.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    script = tmp_path / "script"
    script.touch()
    with pytest.raises(HostError, match=r"the disk of .* is full"):
        record(
            Task(script, (), (), LIMITS, {}),
            tmp_path / "recordings",
            image=tmp_path,
            modules=tmp_path,
            accel=TCG,
            machine=GuestMachine(),
        )


@pytest.mark.parametrize(
    ("data", "console", "kind"),
    [
        (GAVE_UP.format("no probe 'commands': unknown symbol"), "", UnjudgedError),
        (GAVE_UP.format("no receiver"), "", UnjudgedError),
        (GAVE_UP.format("cannot load pci-epf-vntb.ko: Unknown symbol"), "", GuestError),
        (GAVE_UP.format("3 doorbell interrupts, msi has 8: "), "", GuestError),
        ("", "[ 1.0] Kernel panic - not syncing: Fatal exception\n", GuestError),
    ],
)
def test_what_the_lab_cannot_do_is_not_the_drivers_fault(data, console, kind) -> None:
    error = Boot(console, data).error
    assert type(error) is kind
    assert str(error) == Boot(console, data).died


# What a guest printed whose doorbell callback called BUG().
PANIC = """\
[    5.010203] ------------[ cut here ]------------
[    5.010204] kernel BUG at ntb_transport.c:2540!
[    5.010305] Oops: invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
[    5.010405] RIP: 0010:ntb_transport_doorbell_callback+0x14/0x150 [ntb_transport]
[    5.010505] RIP: 0010:usleep_range_state+0x10/0x80
[    5.010605] Kernel panic - not syncing: Fatal exception in interrupt
[    5.010705] Rebooting in 1 seconds..
"""


def test_last_words_name_cause_place_and_panic() -> None:
    assert last_words(PANIC) == (
        "kernel BUG at ntb_transport.c:2540!; "
        "RIP: 0010:ntb_transport_doorbell_callback+0x14/0x150; "
        "Kernel panic - not syncing: Fatal exception in interrupt"
    )
    assert last_words("[    1.0] first\n[    2.0] second\n\n") == "second"
    assert last_words("") == ""


def test_the_place_of_a_panic_is_that_of_its_cause() -> None:
    cause = "BUG: kernel NULL pointer dereference, address: 0000000000000020"
    said = ("RIP: 0010:__pci_epc_create+0x97/0x140", cause, "RIP: 0010:klist_put+0x1b/0xa0")
    panic = "Kernel panic - not syncing: Fatal exception"
    console = "".join(f"[ 2.0] {line}\n" for line in (*said, panic))
    assert Boot(console, "").died == f"the guest panicked: {'; '.join([*said[1:], panic])}"
    assert Boot("all is well\n", "").died == ""


def test_a_warning_of_the_kernel_is_kept() -> None:
    console = "[    1.5] WARNING: CPU: 0 PID: 1 at core.c:1 f+0x1/0x2\n[    2.0] fine\n"
    assert complaints(console) == ["WARNING: CPU: 0 PID: 1 at core.c:1 f+0x1/0x2"]


def test_a_guest_that_hung_tells_how_far_it_came() -> None:
    said = "[    1.5] pci_epf_vntb: Failed to allocate doorbell: -19\n"
    begun = "@@ kernel 7.3.4\n@@ version Linux\n@@ point setup\nH4sI\n"
    whole = begun + "@@ end\n"
    alone = "pci_epf_vntb: Failed to allocate doorbell: -19"
    silent = "was not in its kernel; "
    assert hung_words("", "") == f"{silent}it said nothing"
    assert hung_words(said, "") == hung_words(said, begun) == silent + alone
    later = whole + "@@ point ep-to-rc\nAAAA\n"
    for data in (whole, later):
        assert hung_words(said, data) == f"after it had recorded setup: {silent}{alone}"
    assert hung_words(said, later + "@@ end\n").startswith("after it had recorded ep-to-rc: ")
    assert Boot(said, whole, "9 s").died == (
        f"the guest hung: no end after 9 s: after it had recorded setup: {silent}{alone}"
    )


# What guests printed whose kernel the lab made die: in a handler, in a loop of a task, and idle.
OOPS = """\
[    1.1] Oops: invalid opcode: 0000 [#1] SMP\r
[    1.1] CPU: 0 UID: 0 PID: 0 Comm: swapper/0 Tainted: G        W  O        7.3.4-ntbbench #1\r
"""
HANDLER = """\
[    1.1] RIP: 0010:ntb_epf_vec_isr+0x6/0xf0 [ntb_hw_epf]
[    1.1] Code: 55 89 f1 48 c7 c6 88 82 21 a0
[    1.1]  ? ntb_epf_vec_isr+0x6/0xf0 [ntb_hw_epf]
[    1.1]  <IRQ>
[    1.1]  ? __handle_irq_event_percpu+0x5f/0x240
[    1.1]  handle_irq_event+0x34/0x70
[    1.1]  deliver_here+0x11/0x20 [epc_loop]
[    1.1]  </IRQ>
[    1.1]  <TASK>
[    1.1]  do_idle+0x99/0x100
[    1.1]  </TASK>
"""
LOCKED = """\
[    1.1] RIP: 0010:native_queued_spin_lock_slowpath+0x6/0xf0
[    1.1]  <TASK>
[    1.1]  ? vntb_epf_spad_read+0x1/0x50 [pci_epf_vntb]
[    1.1]  vntb_epf_peer_db_set+0x2d/0x60 [pci_epf_vntb]
[    1.1]  ntb_transport_tx_enqueue+0x8/0x20 [ntb_transport]
[    1.1]  </TASK>
"""
IDLE = """\
[    1.1] RIP: 0010:pv_native_safe_halt+0x13/0x20
[    1.1]  <TASK>
[    1.1]  arch_cpu_idle+0x9/0x10
[    1.1]  do_idle+0x99/0x100
[    1.1]  </TASK>
[    1.1] Kernel Offset: disabled
"""
BLOCKED = """\
[    1.2] task:reboot          state:D stack:0     pid:738   tgid:738   ppid:1
[    1.2]  <TASK>
[    1.2]  __schedule+0x30c/0x7e0
[    1.2]  wait_for_device_probe+0x5f/0xa0
[    1.2] RIP: 0033:0x47e1e3
[    1.2]  </TASK>
[    1.2] task:kworker/0:1     state:D stack:0     pid:10    tgid:10    ppid:2
[    1.2] Workqueue: events attach_work [epc_loop]
[    1.2]  <TASK>
[    1.2]  __schedule+0x30c/0x7e0
[    1.2]  schedule+0x23/0x70
[    1.2]  ntb_epf_link_enable+0x2d/0x80 [ntb_hw_epf]
[    1.2]  ntb_transport_probe+0x7a8/0x820 [ntb_transport]
[    1.2]  </TASK>
"""


@pytest.mark.parametrize(
    ("stacks", "told"),
    [
        (HANDLER, "was in ntb_epf_vec_isr() of ntb_hw_epf"),
        (LOCKED, "was in vntb_epf_peer_db_set() of pci_epf_vntb"),
        ("[    1.1] RIP: 0010:panic+0x1/0x2\n", "was in panic()"),
        (IDLE, "the CPU was idle; the last line"),
        (
            IDLE + BLOCKED,
            "the CPU was idle; kworker/0:1 waits in ntb_epf_link_enable() of ntb_hw_epf; "
            "the last line",
        ),
        (
            IDLE + BLOCKED[: BLOCKED.index("[    1.2] task:kw")],
            "the CPU was idle; reboot waits in wait_for_device_probe(); the last line",
        ),
    ],
)
def test_a_hung_guest_tells_in_which_function(stacks: str, told: str) -> None:
    said = "[    1.0] RIP: 0010:of_a_warning+0x1/0x2 [epc_loop]\n[    1.0] the last line\n"
    assert hung_words(said + OOPS + stacks, "") == told


def packed(**files: str) -> str:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return base64.encodebytes(data.getvalue()).decode()


HEAD = "@@ kernel 6.12.95\n@@ version Linux version 6.12.95 (x)\n"


def test_recordings_are_unpacked(tmp_path: Path) -> None:
    data = f"{HEAD}@@ point one\n{packed(point='vectors=0')}@@ end\n@@ done\n"
    assert unpack_recordings(Boot("", data), ["one"], tmp_path) == "6.12.95"
    assert (tmp_path / "kernel").read_text() == "6.12.95\nLinux version 6.12.95 (x)\n"
    assert (tmp_path / "one" / "point").read_text() == "vectors=0"


@pytest.mark.parametrize("name", ["/x", "../x", "a/../../x", "link"])
def test_a_recording_writes_nothing_elsewhere(name: str, tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = (tarfile.SYMTYPE if name == "link" else tarfile.REGTYPE), "/"
        archive.addfile(member)
    said = f"{HEAD}@@ point one\n{base64.encodebytes(data.getvalue()).decode()}@@ end\n@@ done\n"
    with pytest.raises(GuestError, match="recording one arrived damaged: "):
        unpack_recordings(Boot("", said), ["one"], tmp_path / "kept")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("", "before it had recorded every point"),
        ("@@ failed cannot load ntb.ko: bad\n", "the guest gave up: cannot load ntb.ko: bad"),
        (f"{HEAD}@@ point one\n{packed(point='x')}@@ end\n", "before it had recorded every"),
        (f"{HEAD}@@ point two\n{packed(point='x')}@@ end\n@@ done\n", "before it had recorded"),
        (f"{HEAD}@@ point one\n{packed(point='x')[:40]}\n@@ end\n@@ done\n", "arrived damaged"),
        (f"{HEAD}@@ point one\nnothing\n@@ end\n@@ done\n", "arrived damaged"),
    ],
)
def test_a_broken_report_of_the_guest_is_told(data: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(GuestError, match=told):
        unpack_recordings(Boot("", data), ["one"], tmp_path)


def test_a_guest_that_gave_up_keeps_what_it_had_recorded(tmp_path: Path) -> None:
    data = f"{HEAD}@@ point one\n{packed(point='x')}@@ end\n@@ failed no receiver\n"
    booted = Boot("", data)
    assert booted.died == "the guest gave up: no receiver"
    assert unpack_recordings(booted, ["one"], tmp_path) == "6.12.95"
    assert (tmp_path / "one" / "point").read_text() == "x"


def test_a_full_disk_leaves_no_half_recording(tmp_path, monkeypatch) -> None:
    """The second of two recordings meets it; neither is kept, and the line says where."""
    data = "".join(f"@@ point {name}\n{packed(point='x')}@@ end\n" for name in ("one", "two"))
    extract = tarfile.TarFile.extractall

    def fill_up(archive: tarfile.TarFile, path: Path, **options: Any) -> None:
        extract(archive, path, **options)
        if path.name == "two":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tarfile.TarFile, "extractall", fill_up)
    folder = tmp_path / "kept"
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        unpack_recordings(Boot("", f"{HEAD}{data}@@ done\n"), ["one", "two"], folder)
    assert list(tmp_path.iterdir()) == []


def alive(pid: int) -> bool:
    """Return whether process `pid` runs; one that waits for its parent's wait() does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_the_children_of_a_program_end_with_it(tmp_path: Path) -> None:
    """As make's compilers do: they are no children of ours, and would write on."""
    with pytest.raises(subprocess.TimeoutExpired):
        run(["sh", "-c", "sleep 300 & echo $! > pid; wait"], cwd=tmp_path, timeout=1)
    child = int((tmp_path / "pid").read_text())
    patience = time.monotonic() + 10
    while alive(child):
        assert time.monotonic() < patience, "still running"
        time.sleep(0.01)


def test_what_a_program_said_and_read() -> None:
    output = run(["sh", "-c", "cat; echo why >&2; echo >&2; exit 3"], stdin="in")
    assert (output.status, output.stdout, output.last_words) == (3, "in", "why")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "E: Failed to fetch http://x/InRelease  Could not connect to 127.0.0.1:9 (refused)\n"
            "E: Some index files failed to download. They have been ignored.\n",
            "E: Failed to fetch http://x/InRelease  Could not connect to 127.0.0.1:9 (refused)",
        ),
        (
            "tar: ./usr/x: Cannot write: No space left on device\n"
            "dpkg-deb: error: tar subprocess returned error exit status 2\n",
            "tar: ./usr/x: Cannot write: No space left on device",
        ),
    ],
)
def test_the_cause_goes_before_the_last_line(said: str, cause: str) -> None:
    """What apt-get prints without a network, and dpkg-deb on a full disk."""
    assert CommandOutput(100, "", said).last_words == cause
