# SPDX-License-Identifier: BSD-3-Clause
"""What tools print: ntb_perf, ntb_pingpong, ethtool -l, intel's debugfs info, our own `unread`."""

import re
from pathlib import Path

from ntbbench.capture.measured_records import Count, DeviceFacts, Measured, Throughput
from ntbbench.capture.readers import Known, Reader
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import bad_line, read_small
from ntbbench.ntb.device import low_bits, shift_masks
from ntbbench.ntb.vectormap import DB_BITS_MAX

NTB_PERF = re.compile(
    r"(\d{1,5}): copied (\d{1,19}) bytes in (\d{1,19}) usecs, (\d{1,19}) MBytes/s"
)
NTB_PERF_ERROR = re.compile(r"\d{1,5}: error status -?\d{1,5}|\s*Test status: .*|\s*Peer .*")
INFO_LINE = re.compile(r"(.+?) -\s+(\S.*)")
COMBINED = re.compile(r"Combined:\s*(\d{1,9}|n/a)")
CHANNELS = ("combined_max", "combined")  # of any network device
UNREAD_MAX = 100  # lines that are repeated
OVERLAP = "bits {} are in the valid and in the link mask (gen3 before Linux 6.15): taken as link"


def _ntb_perf(path: Path, _known: Known) -> Measured:
    """Return one throughput per thread, whose rate its bytes and time must give."""
    measured = Measured()
    for number, line in enumerate(read_small(path).split("\n"), 1):
        stripped = line.strip()
        match = NTB_PERF.fullmatch(stripped)
        if match is not None:
            thread, copied, usecs, rate = map(int, match.groups())
            if not usecs or copied // usecs != rate:
                raise bad_line(path, number, line, "a rate that is bytes / usecs: damaged")
            seconds = usecs / 1e6
            measured.throughput.append(
                Throughput(
                    source=str(path),
                    tool="ntb_perf",
                    what=f"thread {thread}",
                    bits_per_second=copied * 8 / seconds,
                    seconds=seconds,
                )
            )
        elif NTB_PERF_ERROR.fullmatch(stripped):
            measured.cautions.append(f"{path}:{number}: ntb_perf says: {stripped}")
        elif stripped:
            raise bad_line(path, number, line, "N: copied B bytes in T usecs, R MBytes/s")
    if not measured.throughput:
        raise InputError(str(path), "no thread", "at least one line of a finished thread")
    return measured


def _is_ntb_perf(head: str) -> bool:
    lines = head.split("\n")[:9]
    return any(NTB_PERF.fullmatch(x.strip()) or NTB_PERF_ERROR.fullmatch(x) for x in lines)


def _ethtool(path: Path, _known: Known) -> Measured:
    found = COMBINED.findall(read_small(path))
    if len(found) != 2:
        raise InputError(str(path), f"{len(found)} Combined:", "two, as ethtool -l prints")
    counts = [
        Count(source=str(path), name=name, key=path.name, value=int(text))
        for name, text in zip(CHANNELS, found, strict=True)
        if text != "n/a"
    ]
    return Measured(counts=counts)


def _pingpong(path: Path, _known: Known) -> Measured:
    text = read_small(path).strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise InputError(str(path), text[:40], "one decimal number")
    return Measured(counts=[Count(source=str(path), name="pingpong", key="", value=int(text))])


def _is_one_number(head: str) -> bool:
    first, *rest = head.split("\n")
    return first.strip().isdecimal() and len(rest) <= 1


def _unread(path: Path, _known: Known) -> Measured:
    """Repeat what `capture` could not read, each once: both snapshots meet the same."""
    folder, lines = path.parent, read_small(path).splitlines()
    told = dict.fromkeys(line.strip() for line in lines if line.strip())
    return Measured(cautions=[f"{folder}: not captured: {text}" for text in [*told][:UNREAD_MAX]])


def _info(path: Path, _known: Known) -> Measured:
    """Rebuild an intel device from its debugfs `info`.

    A bit in both masks, as gen3's driver has it before Linux 6.15, is taken for a link bit.

    Source: Linux 7.3 drivers/ntb/hw/intel/ntb_hw_gen1.c (ndev_ntb_debugfs_read, ndev_vec_mask).
    """
    found: dict[str, str] = {}
    for line in read_small(path).split("\n"):
        if (match := INFO_LINE.fullmatch(line.strip())) is not None:
            found.setdefault(match[1], match[2])
    count, vectors, shift = (
        _told(path, found, name, DB_BITS_MAX) for name in ("Count", "Vector Count", "Vector Shift")
    )
    ones = low_bits(DB_BITS_MAX)
    valid, link = (_told(path, found, name, ones, 16) for name in ("Valid Mask", "Link Mask"))
    cautions = []
    if valid & link and valid == low_bits(valid.bit_length()):
        cautions.append(f"{path}: {OVERLAP.format(hex(valid & link))}")
        valid &= ~link
    if valid & link or valid.bit_count() > count or not valid:
        shown = f"valid mask {valid:#x}, link mask {link:#x}"
        raise InputError(str(path), shown, f"{count} bits, none in both")
    masks = shift_masks(vectors, shift)
    device = DeviceFacts(
        source=str(path),
        db_valid_mask=hex(valid),
        vector_masks=[hex(mask & valid) for mask in masks],
        link_mask=hex(link),
        db_read="latched",
        link_vectors=[vector for vector, mask in enumerate(masks) if mask & link],
    )
    return Measured(devices=[device], cautions=cautions)


def _told(path: Path, found: dict[str, str], name: str, high: int, base: int = 10) -> int:
    text = found.get(f"Doorbell {name}")
    if text is None:
        raise InputError(str(path), f"Doorbell {name}", "missing: cut off, or not intel's info")
    digits = text.removeprefix("0x") if base == 16 else text
    if not re.fullmatch(r"[0-9a-fA-F]{1,16}" if base == 16 else r"\d{1,4}", digits):
        raise InputError(str(path), f"Doorbell {name} - {text}", "a number")
    if not 0 <= int(digits, base) <= high:
        raise InputError(str(path), f"Doorbell {name} - {text}", f"0 to {high}")
    return int(digits, base)


PERF = Reader(
    "ntb_perf", "copy throughput a thread", "anything of ntb_transport", _ntb_perf,
    begins=_is_ntb_perf,
)  # fmt: skip
ETHTOOL = Reader(
    "ethtool -l", "netdev queues: maximum and current", "whether each QP's link is up", _ethtool,
    begins=lambda head: head.startswith("Channel parameters for"),
)  # fmt: skip
INFO = Reader(
    "intel debugfs info", "doorbell masks and vector map", "interrupts and wakeups", _info,
    begins=lambda head: head.startswith("NTB Device Information"),
)  # fmt: skip
PINGPONG = Reader(
    "ntb_pingpong count", "doorbell events in all", "rings that coalesced", _pingpong,
    begins=_is_one_number,
)  # fmt: skip
UNREAD = Reader("unread of a capture", "", "", _unread, file="unread")
