# SPDX-License-Identifier: BSD-3-Clause
"""What tools print: bpftrace, iperf3, ntb_perf, ntb_pingpong, ethtool -l, info, our `unread`."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from ntbbench.capture.readers import Known, Reader
from ntbbench.capture.readers.run_times import Bucket, buckets_of, of_histograms
from ntbbench.capture.records import DeviceFacts, Measured, MeasuredCount, Throughput
from ntbbench.core.errors import InputError
from ntbbench.core.iperf3 import BACK, Iperf3Document, doubts, loss, read, split
from ntbbench.core.result_file import BAD_JSON
from ntbbench.core.text_file import bad_line, read_lines, read_small
from ntbbench.ntb.device import low_bits, shift_masks
from ntbbench.ntb.vectormap import DB_BITS_MAX

ENTRIES_MAX = 1 << 16
MAP_MAX = 1 << 23  # characters of one map
TYPES = frozenset(
    {"attached_probes", "map", "hist", "stats", "printf", "time", "lost_events", "helper_error"}
    | {"syscall", "join", "cat", "system", "clear", "value"}
)
# bpf_map_update_elem() of a map that is full: E2BIG. A map without a key never is.
FULL = ("map_update_elem", -7)
WHY_FULL = "a map was full, so its counts are not exact but lower bounds"
WHY_FAILED = "a helper of the kernel failed, so counts are not exact but lower bounds"

Entries = dict[str, int]


class Line(msgspec.Struct):
    """One line of `bpftrace -f json`."""

    type: str
    data: Any = None


class HelperFailure(msgspec.Struct, frozen=True):
    """What `bpftrace -k` says of a helper that failed."""

    helper: str = "a helper"
    retcode: int = 0
    msg: str = "no message"

    @property
    def is_full(self) -> bool:
        """Whether a map could not take another key."""
        return (self.helper, self.retcode) == FULL


def _bpftrace(path: Path, _known: Known) -> Measured:
    maps: dict[str, Entries] = {}
    failures: Counter[HelperFailure] = Counter()
    least: set[str] = set()  # maps whose counts are lower bounds
    histograms: dict[str, list[Bucket]] = {}
    seen = 0
    for number, text in read_lines(path, MAP_MAX):
        if not (line := text.strip()):
            continue
        item = _line(path, number, line)
        seen += item.type in {"map", "hist", "stats"}
        if item.type == "helper_error":
            failures[_failure(path, number, line, item.data)] += 1
        if item.type == "hist":
            histograms |= _buckets(path, number, line, item.data)
        for name, entries in _maps(path, number, line, item):
            if any(entries.get(key, 0) < value for key, value in maps.get(name, {}).items()):
                least.add(name)  # it was cleared between two printings: counts only grow
            maps[name] = entries
        if sum(map(len, maps.values())) + len(failures) > ENTRIES_MAX:
            raise bad_line(path, number, line, f"at most {ENTRIES_MAX} entries of maps")
    if not seen:
        raise InputError(str(path), "no map", "bpftrace's maps, printed when it ends: cut off?")
    is_any = any(not failure.is_full for failure in failures)
    counts = [
        MeasuredCount(
            source=str(path),
            name=name,
            key=key,
            value=value,
            is_lower_bound=name in least or is_any or bool(failures and key),
        )
        for name, entries in maps.items()
        for key, value in entries.items()
    ]
    return Measured(
        counts=counts,
        run_times=[*of_histograms(histograms, str(path))],
        cautions=_cautions(path, failures, least),
    )


def _buckets(path: Path, number: int, line: str, data: object) -> dict[str, list[Bucket]]:
    try:
        return buckets_of(data)
    except msgspec.ValidationError:
        raise bad_line(path, number, line, "histograms: buckets with min, max and count") from None


def _line(path: Path, number: int, line: str) -> Line:
    try:
        item = msgspec.json.decode(line, type=Line)
    except BAD_JSON:
        raise bad_line(path, number, line, "one JSON object a line, with a type") from None
    if item.type not in TYPES:
        raise bad_line(path, number, line, "a line of bpftrace -f json")
    if item.type == "lost_events":
        raise bad_line(path, number, line, "bpftrace lost events: counts would be wrong")
    return item


def _failure(path: Path, number: int, line: str, data: object) -> HelperFailure:
    try:
        return msgspec.convert(data, HelperFailure)
    except msgspec.ValidationError:
        raise bad_line(path, number, line, "a helper_error with helper, retcode, msg") from None


def _maps(path: Path, number: int, line: str, item: Line) -> list[tuple[str, Entries]]:
    if item.type != "map":
        return []
    if not isinstance(item.data, dict):
        raise bad_line(path, number, line, "a map: name, then entries")
    found = []
    for name, value in item.data.items():
        pairs = value.items() if isinstance(value, dict) else [("", value)]
        counts = {str(k): v for k, v in pairs if isinstance(v, int) and not isinstance(v, bool)}
        found.append((name, counts))
    return found


def _cautions(path: Path, failures: Counter[HelperFailure], least: set[str]) -> list[str]:
    told = [
        f"{path}: {WHY_FULL if failure.is_full else WHY_FAILED}: {failure.helper} failed "
        f"{times} {'time' if times == 1 else 'times'} ({failure.retcode}, {failure.msg})"
        for failure, times in failures.items()
    ]
    cleared = "was cleared between two printings: what it counted before is lost"
    return told + [f"{path}: {name} {cleared}" for name in sorted(least)]


BPFTRACE = Reader(
    "bpftrace -f json",
    "counts by the maps of its program",
    "the order of events; which QP an address is; what its program does not count",
    _bpftrace,
    begins=lambda head: head.startswith('{"type"'),
)


PROTOCOLS = {"TCP", "UDP", "SCTP"}


def _iperf3(path: Path, known: Known) -> Measured:
    """Return what arrived: one row per run, or two of a run in both directions; each run once.

    A server's file does not say what arrived at the client.
    """
    measured = Measured()
    own: dict[str, str] = {}  # a damaged file is not the one that counts
    again = 0
    for text in split(read_small(path), str(path)):
        document = _run(text, path)
        first = known.runs.get(document.identity) or own.get(document.identity)
        if first is not None:
            again += 1
            measured.cautions.append(f"{path}: a run of {first} is there again: it counts once")
            continue
        own[document.identity] = str(path)
        measured.throughput.extend(_rows(document, str(path), measured.cautions))
    if not measured.throughput and not again:
        raise InputError(str(path), "a server that only sent", "the client's iperf3 -J")
    known.runs |= own
    measured.cautions[:] = dict.fromkeys(measured.cautions)
    return measured


def _run(text: str, path: Path) -> Iperf3Document:
    document = read(text, str(path))
    if document.error is not None:
        raise InputError(str(path), document.error, "a run that ended without an error")
    if document.find("start") is None:
        raise InputError(str(path), "iperf3", "an object with start and end, as iperf3 -J prints")
    return document


def _rows(document: Iperf3Document, source: str, cautions: list[str]) -> list[Throughput]:
    rows = []
    for way in document.ways():
        cautions += [f"{document.where}: iperf3: {doubt.text}" for doubt in doubts(document, way)]
        if document.only_sent(way):
            text = "iperf3's server does not know what arrived at the client"
            cautions.append(f"{document.where}: {text}")
        elif way and not document.has_total(way):
            cautions.append(f"{document.where}: iperf3: the way back has no total: not known")
        else:
            rows.append(_row(document, source, way))
    return rows


def _row(document: Iperf3Document, source: str, way: str) -> Throughput:
    """Return one direction. UDP's `sum` is what was sent, lost datagrams too: only older iperf3,
    which has no `sum_received`, is taken by it."""
    protocol = document.find("start.test_start.protocol")
    if protocol not in PROTOCOLS:
        allowed = "TCP, UDP or SCTP: missing or damaged"
        raise InputError(document.where, "start.test_start.protocol", allowed)
    streams = document.needed("start.test_start.num_streams")
    rate, as_sent = document.arrived(way)
    end = f"end.sum{way}" if as_sent else f"end.sum_received{way}"
    what = f"{protocol}, {streams:.0f} streams{', as sent' if as_sent else ''}"
    retransmits = _known(document, f"end.sum_sent{way}.retransmits")
    return Throughput(
        source=source,
        tool="iperf3",
        what=f"{what}, reverse" if way == BACK else what,
        bits_per_second=rate,
        seconds=document.needed(f"{end}.seconds"),
        retransmits=None if retransmits is None else int(retransmits),
        lost_percent=loss(document, way)[0],
        cpu_host_percent=_known(document, "end.cpu_utilization_percent.host_total"),
        cpu_remote_percent=None
        if document.is_server
        else _known(document, "end.cpu_utilization_percent.remote_total"),
        direction=document.direction(way),
    )


def _known(document: Iperf3Document, name: str) -> float | None:
    value = document.number(name)
    return value if value is not None and value >= 0 else None


IPERF3 = Reader(
    "iperf3 -J",
    "throughput, CPU load",
    "interrupts and wakeups; which QP carried which stream",
    _iperf3,
    begins=lambda head: head.startswith("{"),
)


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
