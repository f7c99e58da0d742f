# SPDX-License-Identifier: BSD-3-Clause
"""A boot of the pair that serves ssh, until it powers off or its caller is interrupted."""

import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from ntbbench.core.ending import ends_within, scratch_folder
from ntbbench.core.errors import InputError
from ntbbench.lab.guest_task import packed
from ntbbench.lab.packages.debian_programs import fetch_programs
from ntbbench.lab.packages.modules import build_program
from ntbbench.lab.pair.boot.pair_task import MULTI_CPU, machine, task
from ntbbench.lab.pair.pair_kernel import GUEST
from ntbbench.lab.pair.pair_modules import DRIVER_MODULES
from ntbbench.lab.pair.plan import BEFORE, RC, PairPlan, PairSetup
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.qemu import KVM_OPTIONS, GuestMachine, boot, kvm_runs
from ntbbench.lab.rehearsal.ssh_files import SshKeys, write_server
from ntbbench.lab.watch import LOOK_SECONDS

PROGRAMS = {"dropbear": "dropbear-bin", "ethtool": "ethtool", "iperf3": "iperf3"}
HERE = "127.0.0.1"
GREETING = b"SSH-"
# A guest that emulates the programs' start on a busy machine has answered within 60 s.
BOOT_LOOKS = 600 / LOOK_SECONDS


def check_port(port: int) -> None:
    """Raise InputError where another program listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HERE, port))
        except OSError as error:
            raise InputError("--ssh", port, f"a free port of {HERE}: {error.strerror}") from None


def serve_ssh(
    lab: PairLab, setup: PairSetup, keys: SshKeys, port: int, ready: Callable[[], None]
) -> None:
    """Boot the pair with an ssh server on a port of this machine alone, until it powers off.

    Parameters
    ----------
    setup : its ntb_hw_epf is the variant `after`; `before` is that before the series.
    ready : called when the server answers.

    Raises
    ------
    InputError, FetchError, BuildError : as `PairLab.boot`.
    GuestError : the guest panicked, gave up or never answered.
    HostError : QEMU failed.
    """
    modules = lab.modules(lab.drivers(setup))
    before = lab.modules(lab.drivers(PairSetup(ep_driver=setup.ep_driver, rc_driver=BEFORE)))
    usual = task(PairPlan(setup, deterministic=False))
    wanted = replace(usual, settings={**usual.settings, "INSTEAD": "board"})
    programs = (build_program(lab.cache, "ntb_flow", lab.say), GUEST / "board", GUEST / "variant")
    debian = fetch_programs(lab.cache, PROGRAMS, lab.say)

    with scratch_folder() as scratch:
        own = scratch / "overlay"
        write_server(own, keys)
        (own / "lib" / BEFORE).mkdir(parents=True)
        shutil.copy(before / DRIVER_MODULES[RC], own / "lib" / BEFORE)
        initramfs = packed(wanted, scratch, modules, programs, (debian, own))
        accel = KVM_OPTIONS if kvm_runs() else MULTI_CPU  # neither counts instructions
        guest = with_ssh(machine(setup, deterministic=False), port)
        watch = partial(_served, port=port, ready=ready)
        booted = boot(lab.kernel.image, initramfs, accel, guest, watch)
    if booted.died:
        raise booted.error


def with_ssh(guest: GuestMachine, port: int) -> GuestMachine:
    """Return a machine that also has a network device, which only that port of this one reaches."""
    net = f"user,id=ssh,restrict=on,hostfwd=tcp:{HERE}:{port}-:22"
    devices = ("-netdev", net, "-device", "virtio-net-pci,netdev=ssh,romfile=")
    return replace(guest, devices=(*guest.devices, *devices))


def _served(qemu: subprocess.Popen[bytes], port: int, ready: Callable[[], None]) -> str:
    """Wait for the end of a guest that serves; return the limit of one that never does."""
    looks = 0
    while not _answers(port):
        looks += 1
        if ends_within(qemu, LOOK_SECONDS):
            return ""
        if looks > BOOT_LOOKS:
            return f"{BOOT_LOOKS * LOOK_SECONDS:.0f} s"
    ready()
    qemu.wait()
    return ""


def _answers(port: int) -> bool:
    """Tell whether the server greets: QEMU takes a connection before anybody listens behind it."""
    with suppress(OSError), socket.create_connection((HERE, port), LOOK_SECONDS) as connection:
        return connection.recv(len(GREETING)) == GREETING
    return False
