# SPDX-License-Identifier: BSD-3-Clause
"""One boot of a kernel in QEMU, to its last words: why it died, or where it hangs."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ntbbench.core.ending import scratch_folder
from ntbbench.lab.commands import (
    CommandOutput,
    GuestError,
    HostError,
    UnjudgedError,
    program,
    run,
    started,
)
from ntbbench.lab.watch import debugger_port, hear_last_words

PANIC = re.compile(r"Kernel panic - not syncing: .*")
# What ends a kernel, before what it may live on with: a debug kernel says that first.
CAUSES = (
    re.compile(r"kernel BUG at .*|BUG: (?:unable to handle|kernel NULL pointer) .*|Oops: .*"),
    re.compile(r"BUG: .*"),
)
PLACE = re.compile(r"RIP: \d+:\S+")
COMPLAINT = re.compile(r"WARNING: .*|BUG: .*")
GAVE_UP = re.compile(r"^@@ failed (.*)$", re.MULTILINE)
REPORTED = re.compile(r"^@@ point (\S+)$(?=[^@]*^@@ end$)", re.MULTILINE)  # as `init` reports it
STAMP = re.compile(r"^\[ *\d+\.\d+\] ")
# The Oops that the lab gives a hung guest. Its stack follows, and with panic_print=0x80 those of
# the tasks that wait.
OOPS = re.compile(r"^.*Oops: invalid opcode.*$", re.MULTILINE)
BLOCKED = re.compile(r"^(?:\[ *\d+\.\d+\] )?task:(\S+) +state:D", re.MULTILINE)
# A frame that the unwinder is sure of: the others have a question mark.
FRAME = re.compile(
    r"^(?:\[ *\d+\.\d+\])? *(?:RIP: 0010:)?(?P<name>[\w.]+)\+0x[0-9a-f]+/0x[0-9a-f]+", re.MULTILINE
)
OF_MODULE = re.compile(rf"{FRAME.pattern} \[(?P<module>\w+)\]", re.MULTILINE)
IDLE = re.compile(r" do_idle\+0x")
INTERRUPTED = re.compile(r"<(?:IRQ|SOFTIRQ)>")


def last_words(console: str) -> str:
    """Return in one line why the kernel died: first cause, where, and panic; else its last line."""
    panic = PANIC.search(console)
    if panic is not None:
        cause = cause_of(console)  # the place is that of the cause, not of an earlier warning
        place = PLACE.search(console, cause.end()) if cause is not None else None
        found = (cause, place, panic)
        return "; ".join(match[0].strip() for match in found if match is not None)
    lines = [STAMP.sub("", line).strip() for line in console.splitlines()]
    return next((line for line in reversed(lines) if line), "")


def cause_of(console: str) -> re.Match[str] | None:
    """Return the line that begins the report of why a kernel died; None: only its panic tells."""
    found = (pattern.search(console) for pattern in CAUSES)
    return next((match for match in found if match is not None), None)


def before_oops(console: str) -> str:
    """Return what the kernel of a hung guest said before the Oops of the lab, if there was one."""
    oops = OOPS.search(console)
    return console if oops is None else console[: oops.start()]


def hung_words(console: str, data: str) -> str:
    """Return in one line how far a guest came that hung, and where its kernel was.

    Where it was is one sample: a loop may go through functions that do not keep it.

    `data`: what /init reported.
    """
    reported = REPORTED.findall(data)
    words = _where(console)
    return f"after it had recorded {reported[-1]}: {words}" if reported else words


def stacks_of_hang(console: str) -> tuple[str, dict[str, str]]:
    """Return the stack of a hung guest, and by name those of the tasks that were blocked.

    Both are empty where there was no Oops.
    """
    oops = OOPS.search(console)
    if oops is None:
        return "", {}
    stack, *blocked = BLOCKED.split(console[oops.end() :])
    return stack, dict(zip(blocked[::2], blocked[1::2], strict=True))


def _where(console: str) -> str:
    """Return where the kernel was when the lab made it die.

    A busy kernel shows what it did then; of an idle one the last line may tell more than who waits.
    """
    last = last_words(before_oops(console)) or "it said nothing"
    stack, blocked = stacks_of_hang(console)
    if not stack:
        return f"was not in its kernel; {last}"
    if INTERRUPTED.search(stack) or not IDLE.search(stack):
        return f"was in {_place(stack)}"
    # a task that a module's function holds tells more than one that waits for that task
    tasks = sorted(blocked.items(), key=lambda task: OF_MODULE.search(task[1]) is None)
    waiting = [f"{task} waits in {_place(stack)}" for task, stack in tasks[:1]]
    return "; ".join(["the CPU was idle", *waiting, last])


def _place(stack: str) -> str:
    found = OF_MODULE.search(stack)
    if found is not None:
        return f"{found['name']}() of {found['module']}"
    frames = (frame["name"] for frame in FRAME.finditer(stack))
    return next((f"{name}()" for name in frames if "schedule" not in name), "no function")


def complaints(console: str) -> list[str]:
    """Return the kernel's warnings (WARN, lockdep and the like), one line each."""
    return [match.strip() for match in COMPLAINT.findall(console)]


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
Watch = Callable[[subprocess.Popen[bytes]], str]
HUNG, PANICKED, ENDED = "the guest hung", "the guest panicked", "the guest gave up"
# The driver's doing: its module does not load, or it takes doorbells in another way.
DRIVERS_DOING = re.compile(rf"{ENDED}: (cannot load|\d+ doorbell interrupts)")
# A boot sector that writes 0x2a to the exit port: mov dx, 0x501; mov al, 0x2a; out dx, al; hlt.
PROBE_PORT = "0x501"
PROBE_CODE = bytes.fromhex("ba0105b02aeef4")
PROBE_STATUS = 0x2A << 1 | 1  # what isa-debug-exit makes of the value


@dataclass(frozen=True)
class GuestMachine:
    """The virtual machine, beside what every guest has."""

    devices: tuple[str, ...] = ()  # QEMU's options for its devices
    command_line: str = ""  # more words for the kernel
    cpus: int = 1  # virtual CPUs
    options: tuple[str, ...] = ()  # QEMU's options for its clock and CPU


def loopback_machine() -> GuestMachine:
    """Return the machine of the loopback device: two ports, a shared window each."""
    devices: list[str] = []
    for port in range(2):
        backend = f"memory-backend-ram,id=window{port},size={WINDOW},share=on"
        devices += ["-object", backend, "-device", f"ivshmem-plain,memdev=window{port}"]
    return GuestMachine(devices=tuple(devices))


@dataclass(frozen=True)
class Boot:
    """What one boot left on its two serial ports."""

    console: str  # the kernel's messages
    data: str  # what /init reported
    limit: str = ""  # how long it ran without an end, if it hung; empty: it ended

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
    with scratch_folder() as folder:
        disk = folder / "probe.img"
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
    options = ("--create", "--quiet", "--format=newc", "--reproducible", "--owner=0:0")
    command: list[str | Path] = ["cpio", *options, "-F", initramfs]
    result = run(command, cwd=root, stdin=names)
    if result.status:
        raise HostError(f"cannot pack the guest's files: {result.last_words}")


def guest_command(
    image: Path, initramfs: Path, accel: tuple[str, ...], machine: GuestMachine
) -> list[str | Path]:
    """Return QEMU's command for a guest, but for its two serial ports."""
    return [
        *(QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", *accel),
        # sockets: without ACPI a guest learns of CPUs from a table that has one line per socket
        *("-smp", f"{machine.cpus},sockets={machine.cpus},cores=1,threads=1"),
        *(*machine.options, "-m", f"{MEMORY}", *machine.devices),
        *("-kernel", image, "-initrd", initramfs),
        *("-append", f"{COMMAND_LINE} {machine.command_line}".strip()),
    ]


def interact(image: Path, initramfs: Path, accel: tuple[str, ...], machine: GuestMachine) -> None:
    """Boot `image` with the guest's console on this terminal, until it powers off; HostError: QEMU
    itself failed."""
    command = guest_command(image, initramfs, accel, machine)
    command += ["-serial", "mon:stdio", "-serial", "null"]
    program(QEMU)
    status = subprocess.run(command, check=False).returncode  # noqa: S603 - our own arguments
    if status:
        raise HostError(f"QEMU failed with exit status {status}")


def boot(
    image: Path, initramfs: Path, accel: tuple[str, ...], machine: GuestMachine, watch: Watch
) -> Boot:
    """Boot `image` until the guest powers off, panics or hangs, and return what it wrote.

    `watch`: waits for its end, or returns the limit that it went over.
    HostError: QEMU itself failed.
    """
    with scratch_folder() as folder:
        console, data, errors = (folder / part for part in ("console", "data", "errors"))
        command = [
            *guest_command(image, initramfs, accel, machine),
            *("-serial", f"file:{console}", "-serial", f"file:{data}"),
        ]
        with debugger_port(folder) as port, errors.open("wb") as file:
            command += port.options
            with started(command, stderr=file, pass_fds=(port.descriptor,)) as qemu:
                limit = watch(qemu)
                if limit:
                    hear_last_words(qemu, port)
        if qemu.returncode and not limit:
            raise HostError(
                f"QEMU failed: {CommandOutput(qemu.returncode, '', _read(errors)).last_words}"
            )
        return Boot(_read(console), _read(data), limit)


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace") if path.is_file() else ""
