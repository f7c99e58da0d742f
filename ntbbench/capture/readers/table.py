# SPDX-License-Identifier: BSD-3-Clause
"""Every reader; another source is a file of this folder and a line here."""

from pathlib import Path

from ntbbench.capture.readers import Reader
from ntbbench.capture.readers.bpftrace import BPFTRACE
from ntbbench.capture.readers.doorbell_point import POINT, STATE
from ntbbench.capture.readers.iperf3_file import IPERF3
from ntbbench.capture.readers.ntb_interrupts import INTERRUPTS
from ntbbench.capture.readers.proc import SOFTIRQS
from ntbbench.capture.readers.qp_stats import STATS
from ntbbench.capture.readers.tool_output import ETHTOOL, INFO, PERF, PINGPONG, UNREAD
from ntbbench.capture.readers.trace import TRACE
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import read_head

# In the order in which a folder is read. Of the beginnings the first that matches counts: any text
# that no other reader knows may be a trace.
READERS = (
    *(INTERRUPTS, SOFTIRQS, STATS),
    *(STATE, POINT),
    *(BPFTRACE, IPERF3, ETHTOOL, INFO, PERF, PINGPONG, TRACE),
    UNREAD,
)
HEAD = 4096  # characters that tell the kind
BINARY = {"\x17\x08Dtracing": "trace-cmd report -i", "PERFILE2": "perf script -i"}
SNAPSHOTS = ("CPU0", "NTB QP stats")  # how a snapshot of counters begins
LONE = "one snapshot: counts are differences, give a folder with before- and after- snapshots"


def reader_of(path: Path) -> Reader:
    """Return the reader of a single file, told by its beginning.

    Raises
    ------
    InputError : it cannot be read, is empty, binary, or a lone snapshot of counters.
    """
    if path.exists() and not path.is_file():
        raise InputError(str(path), "no regular file", "a file (save what a pipe gives first)")
    head = read_head(path, HEAD)
    for magic, command in BINARY.items():
        if head.startswith(magic):
            raise InputError(str(path), "binary", f"the text that `{command} FILE` prints")
    if "\0" in head or not head.strip():
        raise InputError(str(path), "binary" if head.strip() else "empty", "a text file")
    head = head.lstrip()
    if head.startswith(SNAPSHOTS):
        raise InputError(str(path), head.split("\n")[0].strip()[:40], LONE)
    return next(reader for reader in READERS if reader.begins is not None and reader.begins(head))
