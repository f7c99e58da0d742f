# SPDX-License-Identifier: BSD-3-Clause
"""Small outputs: ntb_pingpong's count, `ethtool -l`, and our own `unread`."""

import re
from pathlib import Path

from ntbbench.capture.readers import Known, Reader
from ntbbench.capture.records import Measured, MeasuredCount
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import read_small

COMBINED = re.compile(r"Combined:\s*(\d{1,9}|n/a)")
CHANNELS = ("combined_max", "combined")  # of any network device
UNREAD_MAX = 100  # lines that are repeated


def _ethtool(path: Path, _known: Known) -> Measured:
    found = COMBINED.findall(read_small(path))
    if len(found) != 2:
        raise InputError(str(path), f"{len(found)} Combined:", "two, as ethtool -l prints")
    counts = [
        MeasuredCount(source=str(path), name=name, key=path.name, value=int(text))
        for name, text in zip(CHANNELS, found, strict=True)
        if text != "n/a"
    ]
    return Measured(counts=counts)


def _pingpong(path: Path, _known: Known) -> Measured:
    text = read_small(path).strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise InputError(str(path), text[:40], "one decimal number")
    return Measured(
        counts=[MeasuredCount(source=str(path), name="pingpong", key="", value=int(text))]
    )


def _is_one_number(head: str) -> bool:
    first, *rest = head.split("\n")
    return first.strip().isdecimal() and len(rest) <= 1


def _unread(path: Path, _known: Known) -> Measured:
    """Repeat what `capture` could not read, each once: both snapshots meet the same."""
    folder, lines = path.parent, read_small(path).splitlines()
    told = dict.fromkeys(line.strip() for line in lines if line.strip())
    return Measured(cautions=[f"{folder}: not captured: {text}" for text in [*told][:UNREAD_MAX]])


ETHTOOL = Reader(
    "ethtool -l", "netdev queues: maximum and current", "whether each QP's link is up", _ethtool,
    begins=lambda head: head.startswith("Channel parameters for"),
)  # fmt: skip
PINGPONG = Reader(
    "ntb_pingpong count", "doorbell events in all", "rings that coalesced", _pingpong,
    begins=_is_one_number,
)  # fmt: skip
UNREAD = Reader("unread of a capture", "", "", _unread, file="unread")
