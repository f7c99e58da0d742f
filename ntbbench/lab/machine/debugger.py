# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's debugger port: what makes the kernel of a hung guest tell where it is.

An NMI would do the same with `unknown_nmi_panic` on the kernel's command line; but each word there
takes instructions, by which the guest counts time, so that every burst would coalesce differently.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

REPLY_SECONDS = 30.0
UD2 = "0f0b"  # an instruction that is none: an Oops, with the stack
RIP = slice(16 * 16, 17 * 16)  # of the registers in hexadecimal: the 17th of 8 bytes
KERNEL = 1 << 63  # addresses from here on


@dataclass(frozen=True)
class Port:
    """Where QEMU listens: a socket that it inherits, in a folder of this run.

    Parameters
    ----------
    descriptor : of the listening socket, for QEMU.
    folder : descriptor of the socket's folder: its path may be longer than a socket's may be.
    """

    descriptor: int
    folder: int

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


def make_kernel_oops(port: Port) -> bool:
    """Put an instruction that is none where the guest is; False: it is not in its kernel.

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
    """Return the next packet's text: what is between `$` and `#` and its sum."""
    packet = b""
    while packet[-3:-2] != b"#":
        byte = stub.recv(1)
        if not byte:
            raise ConnectionError("the debugger port was closed")
        packet += byte
    return packet.partition(b"$")[2][:-3].decode()
