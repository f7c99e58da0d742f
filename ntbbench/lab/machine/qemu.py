# SPDX-License-Identifier: BSD-3-Clause
"""One boot of a kernel in QEMU, from the initramfs to its last words."""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ntbbench.lab.commands import Output, program, run, started
from ntbbench.lab.lab_errors import GuestError, HostError, UnjudgedError
from ntbbench.lab.machine.console import GAVE_UP, PANIC, before_oops, hung_words, last_words
from ntbbench.lab.machine.watch import Limits, debugger_port, exceeded, hear_last_words

QEMU = "qemu-system-x86_64"
KVM = Path("/dev/kvm")
WINDOW = "4M"  # a port's inbound memory
# Two runs see the same time: the guest's clock counts instructions and skips idle time. A host
# that is busy elsewhere can then not push a guest's softirq into ksoftirqd.
TCG = ("-accel", "tcg,thread=single", "-icount", "shift=1,sleep=off")
KVM_OPTIONS = ("-accel", "kvm", "-cpu", "host")
COMMAND_LINE = "console=ttyS0 loglevel=5 panic=-1 oops=panic rdinit=/init"
MEMORY = 512  # MiB
PROBE_SECONDS = 10
HUNG, PANICKED, ENDED = "the guest hung", "the guest panicked", "the guest gave up"
# The driver's doing: its module does not load, or it takes doorbells in another way.
DRIVERS_DOING = re.compile(rf"{ENDED}: (cannot load|\d+ doorbell interrupts)")
# A boot sector that writes 0x2a to the exit port: mov dx, 0x501; mov al, 0x2a; out dx, al; hlt.
PROBE_PORT = "0x501"
PROBE_CODE = bytes.fromhex("ba0105b02aeef4")
PROBE_STATUS = 0x2A << 1 | 1  # what isa-debug-exit makes of the value


@dataclass(frozen=True)
class Machine:
    """The virtual machine, beside what every guest has.

    Parameters
    ----------
    devices : QEMU's options for its devices.
    command_line : more words for the kernel.
    cpus : virtual CPUs.
    options : QEMU's options for its clock and CPU.
    """

    devices: tuple[str, ...] = ()
    command_line: str = ""
    cpus: int = 1
    options: tuple[str, ...] = ()


def loopback_machine() -> Machine:
    """Return the machine of the loopback device: two ports, a shared window each."""
    devices: list[str] = []
    for port in range(2):
        backend = f"memory-backend-ram,id=window{port},size={WINDOW},share=on"
        devices += ["-object", backend, "-device", f"ivshmem-plain,memdev=window{port}"]
    return Machine(devices=tuple(devices))


@dataclass(frozen=True)
class Boot:
    """What one boot left on its two serial ports.

    Parameters
    ----------
    console : the kernel's messages.
    data : what /init reported.
    limit : how long it ran without an end, if it hung; empty: it ended.
    """

    console: str
    data: str
    limit: str = ""

    @property
    def died(self) -> str:
        """How the guest hung, panicked or gave up, in one line; empty: it did not."""
        if self.limit:
            words = hung_words(self.console, self.data)
            return f"{HUNG}: no end after {self.limit}: {words}"
        if PANIC.search(self.console):
            return f"{PANICKED}: {last_words(self.console)}"
        gave_up = GAVE_UP.search(self.data)
        return f"{ENDED}: {gave_up[1]}" if gave_up else ""

    @property
    def error(self) -> GuestError:
        """What to raise of a guest that died."""
        gave_up = self.died.startswith(ENDED) and not DRIVERS_DOING.match(self.died)
        return (UnjudgedError if gave_up else GuestError)(self.died)

    @property
    def own_console(self) -> str:
        """The kernel's messages but for those of the Oops that the lab gives a hung guest."""
        return before_oops(self.console) if self.limit else self.console


def kvm_runs() -> bool:
    """Return whether /dev/kvm really runs a guest: one that opens it may still fail to."""
    if not KVM.exists():
        return False
    with tempfile.TemporaryDirectory() as name:
        disk = Path(name) / "probe.img"
        disk.write_bytes(PROBE_CODE.ljust(510, b"\0") + b"\x55\xaa")
        command: list[str | Path] = [
            *(QEMU, *KVM_OPTIONS, "-m", "16", "-display", "none", "-nodefaults", "-no-reboot"),
            *("-device", f"isa-debug-exit,iobase={PROBE_PORT},iosize=1"),
            *("-drive", f"file={disk},format=raw,if=ide"),
        ]
        try:
            return run(command, timeout=PROBE_SECONDS).status == PROBE_STATUS
        except subprocess.TimeoutExpired:
            return False


def accelerator(name: str) -> tuple[str, ...]:
    """Return QEMU's options for `auto`, `kvm` or `tcg`; auto takes KVM where it works."""
    if name == "kvm" or (name == "auto" and kvm_runs()):
        return KVM_OPTIONS
    return TCG


def pack_initramfs(root: Path, initramfs: Path) -> None:
    """Pack folder `root`, with busybox put into it, as the kernel's first root.

    The same files give the same archive, whatever their dates, modes and inode numbers: the guest
    parses these, and its clock may count instructions.
    """
    for folder in ("bin", "dev", "proc", "record", "sys"):
        (root / folder).mkdir(exist_ok=True)
    shutil.copy(program("busybox"), root / "bin" / "busybox")
    paths = sorted(root.rglob("*"))
    for path in paths:
        path.chmod(0o755)
        os.utime(path, (0, 0))
    names = "\n".join(str(path.relative_to(root)) for path in paths)
    command: list[str | Path] = [
        "cpio",
        "--create",
        "--quiet",
        "--format=newc",
        "--reproducible",
        "--owner=0:0",
        "-F",
        initramfs,
    ]
    result = run(command, cwd=root, stdin=names)
    if result.status:
        raise HostError(f"cannot pack the guest's files: {result.last_words}")


def boot(
    image: Path, initramfs: Path, accel: tuple[str, ...], limits: Limits, machine: Machine
) -> Boot:
    """Boot `image` until the guest powers off, panics or hangs, and return what it wrote.

    Parameters
    ----------
    limits : what the guest may take.

    Raises
    ------
    HostError : QEMU itself failed.
    """
    with tempfile.TemporaryDirectory() as name:
        console, data, errors = (Path(name) / part for part in ("console", "data", "errors"))
        command: list[str | Path] = [
            *(QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", *accel),
            # sockets: without ACPI a guest learns of CPUs from a table that has one line per socket
            *("-smp", f"{machine.cpus},sockets={machine.cpus},cores=1,threads=1"),
            *(*machine.options, "-m", f"{MEMORY}", *machine.devices),
            *("-kernel", image, "-initrd", initramfs),
            *("-append", f"{COMMAND_LINE} {machine.command_line}".strip()),
            *("-serial", f"file:{console}", "-serial", f"file:{data}"),
        ]
        with debugger_port(Path(name)) as port, errors.open("wb") as file:
            command += port.options
            with started(command, stderr=file, pass_fds=(port.descriptor,)) as qemu:
                limit = exceeded(qemu, limits)
                if limit:
                    hear_last_words(qemu, port)
        if qemu.returncode and not limit:
            raise HostError(f"QEMU failed: {Output(qemu.returncode, '', _read(errors)).last_words}")
        return Boot(_read(console), _read(data), limit)


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace") if path.is_file() else ""
