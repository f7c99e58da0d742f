# SPDX-License-Identifier: BSD-3-Clause
"""A network namespace that passes for another machine: a /tmp, a boot and a shell of its own."""

import subprocess
import uuid
from pathlib import Path
from typing import IO

SETTLED = """\
mount --bind "$1/boot_id" /proc/sys/kernel/random/boot_id &&
{ [ -z "$3" ] || mount --bind "$(command -v busybox)" "$(readlink -f /bin/sh)"; } &&
{ [ -z "$4" ] || mount --bind "$1/date" "$(readlink -f "$(command -v date)")"; } &&
mount -t tmpfs -o "$2" none /tmp && echo ready && exec cat
"""
# Each call finds the clock hours away, forth or back.
JUMPING = """\
#!/bin/sh
echo $((1000000000 + $$ % 7 * 3600))
"""


class MachineApart:
    """What shares the kernel and a link with others, and nothing that a run leaves behind.

    Parameters
    ----------
    room : options of the tmpfs that is its /tmp.
    busybox : its /bin/sh is busybox, whose programs come before those of the PATH.
    jumps : its `date` jumps by hours from one call to the next.
    """

    def __init__(
        self,
        folder: Path,
        netns: str,
        *,
        room: str = "size=16m",
        busybox: bool = False,
        jumps: bool = False,
    ) -> None:
        self._folder, self._netns = folder, netns
        self._options = (room, "yes" if busybox else "", "yes" if jumps else "")
        folder.mkdir()
        (folder / "date").write_text(JUMPING)
        (folder / "date").chmod(0o755)
        self.boot()

    def boot(self) -> None:
        """Begin a boot: /tmp is empty, and `before` enters it."""
        (self._folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
        enter = ["ip", "netns", "exec", self._netns, "unshare", "--mount"]
        words = [*enter, "/bin/sh", "-c", SETTLED, "sh", str(self._folder), *self._options]
        self._holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._stdout.readline() == b"ready\n"
        # The links of /proc/PID/ns go with the process.
        self.before = ["nsenter", "-t", str(self._holder.pid), "-m", "-n"]

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._holder.stdout is not None
        return self._holder.stdout

    def end(self) -> None:
        """End the boot, and with it what lay in /tmp."""
        self._holder.communicate()

    def reboot(self) -> None:
        """End the boot and begin another one."""
        self.end()
        self.boot()
