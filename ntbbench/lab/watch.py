# SPDX-License-Identifier: BSD-3-Clause
"""Waiting for a guest that may hang: how long it may run, and what makes a hung one speak.

QEMU's debugger port makes the kernel of a hung guest say where it is. An NMI would do the same with
`unknown_nmi_panic` on the kernel's command line; but each word there takes instructions, by which
the guest counts time, so that every burst would coalesce differently.
"""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ntbbench.core.ending import ends_within

LOOK_SECONDS = 0.5  # how often a guest's processor time is looked at
TICKS = os.sysconf("SC_CLK_TCK")  # a second, in /proc
# Processor time that only a guest which hangs takes for a second that it sleeps, by its own clock:
# ticks, and the pair's polls every 5 ms, were measured to take 0.045 s.
ASLEEP_SECONDS = 0.3
WALL_FACTOR = 5  # of the processor time: what even a machine full of work has for it by then
REPLY_SECONDS = 30.0
UD2 = "0f0b"  # an invalid opcode; executing it causes an Oops, with the stack
RIP = slice(16 * 16, 17 * 16)  # of the registers in hexadecimal: the 17th of 8 bytes
KERNEL = 1 << 63  # addresses from here on


@dataclass(frozen=True)
class Limits:
    """What a guest may take before it counts as hung; only a guest that hangs comes near."""

    cpu_seconds: float  # processor time of QEMU, which other work on the machine does not change
    # real time beside it that the guest may spend asleep, where QEMU does not skip it
    idle_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Real time: for a guest that hangs and burns no processor time."""
        return self.cpu_seconds * WALL_FACTOR + self.idle_seconds


LAST_WORDS = Limits(cpu_seconds=20)  # for a panic and its stacks: 1 s, with a debug kernel 3


def exceeded(child: "subprocess.Popen[bytes]", limits: Limits) -> str:
    """Wait for the end of QEMU; return which limit it went over, empty: it ended.

    Time is counted in looks, so that a machine that was suspended, or had no time for this process,
    makes no guest hang.
    """
    looks = 0
    while not ends_within(child, LOOK_SECONDS):
        looks += 1
        if _cpu_seconds(child.pid) > limits.cpu_seconds:
            return f"{limits.cpu_seconds:.0f} s of processor time"
        if looks * LOOK_SECONDS > limits.seconds:
            return f"{limits.seconds:.0f} s"
    return ""


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS  # proc(5): utime and stime


@dataclass(frozen=True)
class Port:
    """Where QEMU listens: a socket that it inherits, in a folder of this run."""

    descriptor: int  # of the listening socket, for QEMU
    folder: int  # descriptor of the socket's folder: its path may be longer than a socket's may be

    @property
    def options(self) -> tuple[str, ...]:
        """QEMU's options; nobody connects unless the guest hangs."""
        chardev = f"socket,id=debugger,fd={self.descriptor},server=on,wait=off"
        return "-chardev", chardev, "-gdb", "chardev:debugger"

    @property
    def address(self) -> str:
        """The socket's address in this process."""
        return f"/proc/self/fd/{self.folder}/debugger"


@contextmanager
def debugger_port(folder: Path) -> Iterator[Port]:
    """Yield a port below `folder`, which is removed with it."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            port = Port(listening.fileno(), opened)
            listening.bind(port.address)
            listening.listen(1)
            yield port
    finally:
        os.close(opened)


def hear_last_words(child: "subprocess.Popen[bytes]", port: Port) -> None:
    """Make a hung guest's kernel die of an Oops where it hangs, and end it.

    One that is elsewhere, or does not come to its end, is killed.
    """
    if not make_kernel_oops(port) or exceeded(child, LAST_WORDS):
        child.kill()


def make_kernel_oops(port: Port) -> bool:
    """Put an invalid opcode where the guest is; False: it is not in its kernel.

    Connecting stops the guest, and detaching lets it go on: into the Oops.
    """
    with suppress(OSError), socket.socket(socket.AF_UNIX) as stub:  # QEMU may have ended just now
        stub.settimeout(REPLY_SECONDS)
        stub.connect(port.address)
        place = int.from_bytes(bytes.fromhex(_ask(stub, "g")[RIP]), "little")
        if place >= KERNEL:
            _ask(stub, f"M{place:x},{len(UD2) // 2}:{UD2}")
        _ask(stub, "D")
        return place >= KERNEL
    return False


def _ask(stub: socket.socket, command: str) -> str:
    """Send one packet of GDB's remote protocol and return the answer's."""
    stub.sendall(f"+${command}#{sum(command.encode()) % 256:02x}".encode())
    while (answer := _packet(stub)).startswith("T"):  # that connecting stopped the guest
        continue
    return answer


def _packet(stub: socket.socket) -> str:
    packet = b""
    while packet[-3:-2] != b"#":
        byte = stub.recv(1)
        if not byte:
            raise ConnectionError("the debugger port was closed")
        packet += byte
    return packet.partition(b"$")[2][:-3].decode()
