# SPDX-License-Identifier: BSD-3-Clause
"""What kind of capture file this is, told by its beginning, and what such a file cannot tell."""

from pathlib import Path
from typing import NamedTuple

from ntbbench.capture.readers.tool_output import NTB_PERF, NTB_PERF_ERROR
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import open_text

HEAD = 4096  # characters that tell the kind
BINARY = {"\x17\\x08Dtracing": "trace-cmd report -i", "PERFILE2": "perf script -i"}


class Kind(NamedTuple):
    """A kind of source: its name, what it gives, what it cannot tell."""

    name: str
    gives: str
    cannot_tell: str


INTERRUPTS = Kind(
    "/proc/interrupts",
    "interrupts a line and CPU between two snapshots",
    "rings that coalesced into one interrupt; whose QP an interrupt was for where a line "
    "covers several doorbells; more than one wrap of its u32; counters that restarted and passed "
    "their old value",
)
SOFTIRQS = Kind(
    "/proc/softirqs",
    "runs of each softirq by CPU between two snapshots",
    "which tasklets ran: one TASKLET softirq runs all that are scheduled, of any driver",
)
STATS = Kind(
    "ntb_transport stats",
    "bounds of each QP's tasklet runs, packets",
    "why a run was made (doorbell, race check, buffer repost, full budget); link-down packets; "
    "a link bounce after which all counters passed their old values",
)
TRACE = Kind(
    "trace",
    "doorbell events, wakeups and runs, each one, while it ran",
    "schedule calls that met a tasklet already scheduled; what no probe was set on; "
    "anything before its first and after its last event",
)
BPFTRACE = Kind(
    "bpftrace -f json",
    "counts by the maps of its program",
    "the order of events; which QP an address is; what its program does not count",
)
IPERF3 = Kind(
    "iperf3 -J", "throughput, CPU load", "interrupts and wakeups; which QP carried which stream"
)
NTB_PERF_KIND = Kind("ntb_perf", "copy throughput a thread", "anything of ntb_transport")
ETHTOOL = Kind("ethtool -l", "netdev queues: maximum and current", "whether each QP's link is up")
INFO = Kind("intel debugfs info", "doorbell masks and vector map", "interrupts and wakeups")
PINGPONG = Kind("ntb_pingpong count", "doorbell events in all", "rings that coalesced")
POINT = Kind("point of a recording", "vector map of the loopback device", "what happened")
SNAPSHOT = "one snapshot: counts are differences, give a folder with before- and after- snapshots"


def kind_of(path: Path) -> Kind:
    """Return the kind of a single file.

    Raises
    ------
    InputError : it cannot be read, is empty, binary, or a lone snapshot of counters.
    """
    if path.exists() and not path.is_file():
        raise InputError(str(path), "no regular file", "a file (save what a pipe gives first)")
    with open_text(path) as file:
        try:
            head = file.read(HEAD)
        except OSError as error:
            raise InputError(str(path), "", f"cannot be read: {error.strerror}") from None
    for magic, command in BINARY.items():
        if head.startswith((magic, magic.replace("\\x08", "\x08"))):
            raise InputError(str(path), "binary", f"the text that `{command} FILE` prints")
    if "\0" in head or not head.strip():
        raise InputError(str(path), "binary" if head.strip() else "empty", "a text file")
    lines = head.lstrip().split("\n")
    first = lines[0].strip()
    if first.startswith("CPU0") or first.startswith("NTB QP stats"):
        raise InputError(str(path), first[:40], SNAPSHOT)
    if first.startswith("{"):
        return BPFTRACE if first.startswith('{"type"') else IPERF3
    starts = {"Channel parameters for": ETHTOOL, "NTB Device Information": INFO}
    for start, kind in starts.items():
        if first.startswith(start):
            return kind
    if any(NTB_PERF.fullmatch(x.strip()) or NTB_PERF_ERROR.fullmatch(x) for x in lines[:9]):
        return NTB_PERF_KIND
    return PINGPONG if first.isdecimal() and len(lines) <= 2 else TRACE
