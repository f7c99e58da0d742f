# SPDX-License-Identifier: BSD-3-Clause
"""Readers of what tools print: ntb_perf, ethtool -l, intel's debugfs info."""

import re
from pathlib import Path

from ntbbench.capture.measured import Count, DeviceFacts, Throughput
from ntbbench.core.errors import InputError
from ntbbench.core.small_file import read_small
from ntbbench.core.text_file import bad_line
from ntbbench.ntb.devices.device import low_bits, shift_masks
from ntbbench.ntb.vectormap import DB_BITS_MAX

NTB_PERF = re.compile(
    r"(\d{1,5}): copied (\d{1,19}) bytes in (\d{1,19}) usecs, (\d{1,19}) MBytes/s"
)
NTB_PERF_ERROR = re.compile(r"\d{1,5}: error status -?\d{1,5}|\s*Test status: .*|\s*Peer .*")
INFO = re.compile(r"(.+?) -\s+(\S.*)")
COMBINED = re.compile(r"Combined:\s*(\d{1,9}|n/a)")
OVERLAP = "bits {} are in the valid and in the link mask (gen3 before Linux 6.15): taken as link"


def read_ntb_perf(path: Path, source: str, cautions: list[str]) -> list[Throughput]:
    """Return one throughput a thread of ntb_perf's lines.

    Raises
    ------
    InputError : another line, or a rate that its bytes and time do not give.
    """
    rows = []
    for number, line in enumerate(read_small(path).split("\n"), 1):
        stripped = line.strip()
        match = NTB_PERF.fullmatch(stripped)
        if match is not None:
            thread, copied, usecs, rate = map(int, match.groups())
            if not usecs or copied // usecs != rate:
                raise bad_line(path, number, line, "a rate that is bytes / usecs: damaged")
            bits = copied * 8 / (usecs / 1e6)
            rows.append(
                Throughput(
                    source=source,
                    tool="ntb_perf",
                    what=f"thread {thread}",
                    bits_per_second=bits,
                    seconds=usecs / 1e6,
                )
            )
        elif NTB_PERF_ERROR.fullmatch(stripped):
            cautions.append(f"{path}:{number}: ntb_perf says: {stripped}")
        elif stripped:
            raise bad_line(path, number, line, "N: copied B bytes in T usecs, R MBytes/s")
    if not rows:
        raise InputError(str(path), "no thread", "at least one line of a finished thread")
    return rows


def read_ethtool(path: Path, source: str) -> list[Count]:
    """Return the combined channels of `ethtool -l`: pre-set maximum, then current.

    Raises
    ------
    InputError : not the two sections of ethtool -l.
    """
    found = COMBINED.findall(read_small(path))
    if len(found) != 2:
        raise InputError(str(path), f"{len(found)} Combined:", "two, as ethtool -l prints")
    names = ("combined_max", "combined")
    return [
        Count(source=source, name=name, key=path.name, value=int(text))
        for name, text in zip(names, found, strict=True)
        if text != "n/a"
    ]


def read_pingpong(path: Path, source: str) -> Count:
    """Return ntb_pingpong's `count`: one number, one for each doorbell event."""
    text = read_small(path).strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise InputError(str(path), text[:40], "one decimal number")
    return Count(source=source, name="pingpong", key="", value=int(text))


def read_info(path: Path, source: str, cautions: list[str]) -> DeviceFacts:
    """Rebuild an intel device from its debugfs `info`.

    A bit in both masks, as gen3's driver has it before Linux 6.15, is taken for a link bit.

    Raises
    ------
    InputError : a line that the map needs is missing or out of range, or the masks exclude
        each other.

    Source: Linux 7.3 drivers/ntb/hw/intel/ntb_hw_gen1.c (ndev_ntb_debugfs_read, ndev_vec_mask).
    """
    found: dict[str, str] = {}
    for line in read_small(path).split("\n"):
        if (match := INFO.fullmatch(line.strip())) is not None:
            found.setdefault(match[1], match[2])
    count, vectors, shift = (
        _told(path, found, name, DB_BITS_MAX) for name in ("Count", "Vector Count", "Vector Shift")
    )
    ones = low_bits(DB_BITS_MAX)
    valid, link = (_told(path, found, name, ones, 16) for name in ("Valid Mask", "Link Mask"))
    if valid & link and valid == low_bits(valid.bit_length()):
        cautions.append(f"{path}: {OVERLAP.format(hex(valid & link))}")
        valid &= ~link
    if valid & link or valid.bit_count() > count or not valid:
        shown = f"valid mask {valid:#x}, link mask {link:#x}"
        raise InputError(str(path), shown, f"{count} bits, none in both")
    masks = shift_masks(vectors, shift)
    return DeviceFacts(
        source=source,
        db_valid_mask=hex(valid),
        vector_masks=[hex(mask & valid) for mask in masks],
        link_mask=hex(link),
        db_read="latched",
        link_vectors=[vector for vector, mask in enumerate(masks) if mask & link],
    )


def _told(path: Path, found: dict[str, str], name: str, high: int, base: int = 10) -> int:
    """Return the number of a line `Doorbell NAME - ...`."""
    text = found.get(f"Doorbell {name}")
    if text is None:
        raise InputError(str(path), f"Doorbell {name}", "missing: cut off, or not intel's info")
    digits = text.removeprefix("0x") if base == 16 else text
    if not re.fullmatch(r"[0-9a-fA-F]{1,16}" if base == 16 else r"\d{1,4}", digits):
        raise InputError(str(path), f"Doorbell {name} - {text}", "a number")
    if not 0 <= int(digits, base) <= high:
        raise InputError(str(path), f"Doorbell {name} - {text}", f"0 to {high}")
    return int(digits, base)
