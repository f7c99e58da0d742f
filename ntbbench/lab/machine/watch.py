# SPDX-License-Identifier: BSD-3-Clause
"""Waiting for a guest that may hang: how long it may run, and what makes a hung one speak."""

import os
import select
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ntbbench.lab.machine.debugger import Port, make_kernel_oops

LOOK_SECONDS = 0.5  # how often a guest's processor time is looked at
TICKS = os.sysconf("SC_CLK_TCK")  # a second, in /proc
# Processor time that only a guest which hangs takes for a second that it sleeps, by its own clock:
# ticks, and the pair's polls every 5 ms, were measured to take 0.045 s.
ASLEEP_SECONDS = 0.3
WALL_FACTOR = 5  # of the processor time: what even a machine full of work has for it by then


@dataclass(frozen=True)
class Limits:
    """What a guest may take before it counts as hung; only a guest that hangs comes near.

    Parameters
    ----------
    cpu_seconds : processor time of QEMU, which other work on the machine does not change.
    idle_seconds : real time beside it that the guest may spend asleep, where QEMU does not skip it.
    """

    cpu_seconds: float
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
    descriptor = os.pidfd_open(child.pid)
    try:
        while not select.select([descriptor], [], [], LOOK_SECONDS)[0]:
            looks += 1
            if cpu_seconds(child.pid) > limits.cpu_seconds:
                return f"{limits.cpu_seconds:.0f} s of processor time"
            if looks * LOOK_SECONDS > limits.seconds:
                return f"{limits.seconds:.0f} s"
    finally:
        os.close(descriptor)
    return ""


def cpu_seconds(pid: int) -> float:
    """Return the processor time that child `pid` and its threads have used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS  # proc(5): utime and stime


def hear_last_words(child: "subprocess.Popen[bytes]", port: Port) -> None:
    """Make a hung guest's kernel die of an Oops where it hangs, and end it.

    One that is elsewhere, or does not come to its end, is killed.
    """
    if not make_kernel_oops(port) or exceeded(child, LAST_WORDS):
        child.kill()
