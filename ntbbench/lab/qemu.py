# SPDX-License-Identifier: BSD-3-Clause
"""One boot of a kernel in QEMU, from the initramfs to its last words."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ntbbench.lab.commands import program, run
from ntbbench.lab.errors import GuestError

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
# A boot sector that writes 0x2a to the exit port: mov dx, 0x501; mov al, 0x2a; out dx, al; hlt.
PROBE_PORT = "0x501"
PROBE_CODE = bytes.fromhex("ba0105b02aeef4")
PROBE_STATUS = 0x2A << 1 | 1  # what isa-debug-exit makes of the value
PANIC = re.compile(r"Kernel panic - not syncing: .*")
CAUSE = re.compile(r"kernel BUG at .*|BUG: .*|Oops: .*")
PLACE = re.compile(r"RIP: \d+:\S+")
COMPLAINT = re.compile(r"WARNING: .*|BUG: .*")
REPORTED = re.compile(r"^@@ point (\S+)$(?=[^@]*^@@ end$)", re.MULTILINE)  # as `init` reports it
STAMP = re.compile(r"^\[ *\d+\.\d+\] ")


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
    """

    console: str
    data: str

    @property
    def panic(self) -> str:
        """Why the kernel died, in one line; empty: it did not."""
        return last_words(self.console) if PANIC.search(self.console) else ""


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
    """Pack folder `root`, with busybox put into it, as the kernel's first root."""
    for folder in ("bin", "dev", "proc", "record", "sys"):
        (root / folder).mkdir(exist_ok=True)
    shutil.copy(program("busybox"), root / "bin" / "busybox")
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    command: list[str | Path] = [
        "cpio",
        "--create",
        "--quiet",
        "--format=newc",
        "--owner=0:0",
        "-F",
        initramfs,
    ]
    result = run(command, cwd=root, stdin=names)
    if result.status:
        raise GuestError(f"cannot pack the guest's files: {result.last_words}")


def boot(
    image: Path, initramfs: Path, accel: tuple[str, ...], seconds: float, machine: Machine
) -> Boot:
    """Boot `image` until the guest powers off and return what it wrote.

    Parameters
    ----------
    seconds : how long the guest may take.

    Raises
    ------
    GuestError : it hung (with its last words), or QEMU itself failed.
    """
    with tempfile.TemporaryDirectory() as name:
        console, data = Path(name) / "console", Path(name) / "data"
        command: list[str | Path] = [
            *(QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", *accel),
            # sockets: without ACPI a guest learns of CPUs from a table that has one line a socket
            *("-smp", f"{machine.cpus},sockets={machine.cpus},cores=1,threads=1"),
            *(*machine.options, "-m", f"{MEMORY}", *machine.devices),
            *("-kernel", image, "-initrd", initramfs),
            *("-append", f"{COMMAND_LINE} {machine.command_line}".strip()),
            *("-serial", f"file:{console}", "-serial", f"file:{data}"),
        ]
        try:
            result = run(command, timeout=seconds)
        except subprocess.TimeoutExpired:
            words = hung_words(Boot(_read(console), _read(data)))
            raise GuestError(f"the guest hung: no end after {seconds:.0f} s: {words}") from None
        if result.status:
            raise GuestError(f"QEMU failed: {result.last_words}")
        return Boot(_read(console), _read(data))


def last_words(console: str) -> str:
    """Return in one line why the kernel died: first cause, where, and panic; else its last line."""
    panic = PANIC.search(console)
    if panic is not None:
        cause = CAUSE.search(console)  # the place is that of the cause, not of an earlier warning
        place = PLACE.search(console, cause.end()) if cause is not None else None
        found = (cause, place, panic)
        return "; ".join(match[0].strip() for match in found if match is not None)
    lines = [STAMP.sub("", line).strip() for line in console.splitlines()]
    return next((line for line in reversed(lines) if line), "")


def hung_words(booted: Boot) -> str:
    """Return in one line how far a guest came that hung, and what its kernel said last.

    The kernel may have said nothing for long: what the guest has reported tells more.
    """
    reported = REPORTED.findall(booted.data)
    words = last_words(booted.console)
    if not words:
        return "it said nothing"
    return f"after it had recorded {reported[-1]}: {words}" if reported else words


def complaints(console: str) -> list[str]:
    """Return the kernel's warnings (WARN, lockdep and the like), one line each."""
    return [match.strip() for match in COMPLAINT.findall(console)]


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace") if path.is_file() else ""
