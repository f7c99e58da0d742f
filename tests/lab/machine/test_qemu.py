# SPDX-License-Identifier: BSD-3-Clause
"""What is the machine's fault, the driver's, or nobody's: a bisection must not mix them up."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from ntbbench.lab import guest_task as guest
from ntbbench.lab.commands import GuestError, HostError, UnjudgedError
from ntbbench.lab.guest_task import Task, record
from ntbbench.lab.qemu import QEMU, TCG, Boot, Machine, boot
from ntbbench.lab.watch import Limits

LIMITS = Limits(60)
GAVE_UP = "@@ kernel 7.3.4\n@@ failed {}\n"


@pytest.mark.parametrize(
    ("death", "kind"),
    [
        ("kill -9 $$", "QEMU failed: "),
        ("echo no memory >&2; exit 1", "QEMU failed: no memory"),
    ],
)
def test_an_emulator_that_fails_is_the_machines_fault(
    death: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = tmp_path / QEMU
    emulator.write_text(f"#!/bin/sh\n{death}\n")
    emulator.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(HostError, match=kind):
        boot(Path("bzImage"), Path("initramfs"), TCG, LIMITS, Machine())


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
            machine=Machine(),
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
def test_what_the_lab_cannot_do_is_not_the_drivers_fault(
    data: str, console: str, kind: type[GuestError]
) -> None:
    error = Boot(console, data).error
    assert type(error) is kind
    assert str(error) == Boot(console, data).died
