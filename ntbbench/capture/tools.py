# SPDX-License-Identifier: BSD-3-Clause
"""Readers of what tools print: iperf3, ntb_perf, ethtool -l, intel's debugfs info."""

import re
from pathlib import Path

import msgspec

from ntbbench.capture.lines import bad_line
from ntbbench.capture.measured import Count, DeviceFacts, Throughput
from ntbbench.capture.whole import read_small
from ntbbench.errors import InputError
from ntbbench.model.device import low_bits, shift_masks
from ntbbench.model.vectormap import DB_BITS_MAX

BAD_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NTB_PERF = re.compile(
    r"(\d{1,5}): copied (\d{1,19}) bytes in (\d{1,19}) usecs, (\d{1,19}) MBytes/s"
)
NTB_PERF_ERROR = re.compile(r"\d{1,5}: error status -?\d{1,5}|\s*Test status: .*|\s*Peer .*")
BIDIR = "_bidir_reverse"  # of iperf3's keys for the other direction
INFO = re.compile(r"(.+?) -\s+(\S.*)")
COMBINED = re.compile(r"Combined:\s*(\d{1,9}|n/a)")
OVERLAP = "bits {} are in the valid and in the link mask (gen3 before Linux 6.15): taken as link"


def read_iperf3(path: Path, source: str, cautions: list[str]) -> list[Throughput]:
    """Return what arrived, by `iperf3 -J`: one row, or two of a run in both directions.

    A server's file does not say what arrived at the client.

    Raises
    ------
    InputError : no whole JSON of iperf3, a run that ended in an error, a number missing, or
        nothing that says what arrived.
    """
    try:
        record = msgspec.json.decode(read_small(path))
    except BAD_JSON as error:
        raise InputError(str(path), "iperf3", f"no whole JSON: {error}") from None
    if not isinstance(record, dict) or "start" not in record or "end" not in record:
        raise InputError(str(path), "iperf3", "an object with start and end, as iperf3 -J prints")
    if "error" in record:
        raise InputError(str(path), str(record["error"]), "a run that ended without an error")
    is_server = _find(record, "start.accepted_connection") is not None
    is_reverse = bool(_optional(record, "start.test_start.reverse"))
    rows = []
    for suffix in ("", BIDIR):
        if suffix and _find(record, f"end.sum_received{suffix}") is None:
            continue
        if is_server and is_reverse != bool(suffix):
            cautions.append(f"{path}: iperf3's server does not know what arrived at the client")
            continue
        rows.append(_iperf3_row(path, record, source, suffix, is_server))
    if not rows:
        raise InputError(str(path), "a server that only sent", "the client's iperf3 -J")
    return rows


def _iperf3_row(
    path: Path, record: object, source: str, suffix: str, is_server: bool
) -> Throughput:
    """Return one direction. UDP's `sum` is what was sent, lost datagrams too: only older iperf3,
    which has no `sum_received`, is taken by it."""
    protocol = _text(path, record, "start.test_start.protocol")
    streams = _number(path, record, "start.test_start.num_streams")
    end, what = f"end.sum_received{suffix}", f"{protocol}, {streams:.0f} streams"
    if protocol == "UDP" and _find(record, end) is None:
        end, what = f"end.sum{suffix}", f"{what}, as sent"
    lost = _optional(record, f"{end}.lost_percent")
    return Throughput(
        source=source,
        tool="iperf3",
        what=f"{what}, reverse" if suffix else what,
        bits_per_second=_number(path, record, f"{end}.bits_per_second"),
        seconds=_number(path, record, f"{end}.seconds"),
        retransmits=_whole(record, f"end.sum_sent{suffix}.retransmits"),
        lost_percent=_optional(record, f"end.sum{suffix}.lost_percent") if lost is None else lost,
        cpu_host_percent=_optional(record, "end.cpu_utilization_percent.host_total"),
        cpu_remote_percent=None
        if is_server
        else _optional(record, "end.cpu_utilization_percent.remote_total"),
    )


def _find(record: object, name: str) -> object:
    for key in name.split("."):
        record = record.get(key) if isinstance(record, dict) else None
    return record


def _optional(record: object, name: str) -> float | None:
    value = _find(record, name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < 1e18 else None  # type: ignore[arg-type,operator]


def _whole(record: object, name: str) -> int | None:
    value = _optional(record, name)
    return None if value is None else int(value)


def _number(path: Path, record: object, name: str) -> float:
    value = _optional(record, name)
    if value is None:
        raise InputError(str(path), name, "a number, 0 or more: missing or damaged")
    return value


def _text(path: Path, record: object, name: str) -> str:
    value = _find(record, name)
    if value not in {"TCP", "UDP", "SCTP"}:
        raise InputError(str(path), name, "TCP, UDP or SCTP: missing or damaged")
    return str(value)


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

    def whole(name: str, high: int, base: int = 10) -> int:
        text = found.get(f"Doorbell {name}")
        if text is None:
            raise InputError(str(path), f"Doorbell {name}", "missing: cut off, or not intel's info")
        digits = text.removeprefix("0x") if base == 16 else text
        if not re.fullmatch(r"[0-9a-fA-F]{1,16}" if base == 16 else r"\d{1,4}", digits):
            raise InputError(str(path), f"Doorbell {name} - {text}", "a number")
        if not 0 <= int(digits, base) <= high:
            raise InputError(str(path), f"Doorbell {name} - {text}", f"0 to {high}")
        return int(digits, base)

    ones = (1 << DB_BITS_MAX) - 1
    count, vectors = whole("Count", DB_BITS_MAX), whole("Vector Count", DB_BITS_MAX)
    shift = whole("Vector Shift", DB_BITS_MAX)
    valid, link = whole("Valid Mask", ones, 16), whole("Link Mask", ones, 16)
    if valid & link and not low_bits(valid.bit_length()) ^ valid:
        cautions.append(f"{path}: {OVERLAP.format(hex(valid & link))}")
        valid &= ~link
    if valid & link or valid.bit_count() > count or not valid:
        raise InputError(
            str(path), f"valid mask {valid:#x}, link mask {link:#x}", f"{count} bits, none in both"
        )
    masks = shift_masks(vectors, shift)
    return DeviceFacts(
        source=source,
        db_valid_mask=hex(valid),
        vector_masks=[hex(mask & valid) for mask in masks],
        link_mask=hex(link),
        db_read="latched",
        link_vectors=[vector for vector, mask in enumerate(masks) if mask & link],
    )
