# SPDX-License-Identifier: BSD-3-Clause
"""What `bpftrace -f json` prints: counts by the maps of its program."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from ntbbench.capture.readers import Known, Reader
from ntbbench.capture.readers.run_times import Bucket, buckets_of, of_histograms
from ntbbench.capture.records import Measured, MeasuredCount
from ntbbench.core.errors import InputError
from ntbbench.core.input_file import COUNT_MAX, check_json
from ntbbench.core.result_file import BAD_JSON
from ntbbench.core.text_file import bad_line, read_lines

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

COUNTED = ("@events", "@wake", "@runs")
DIGITS_SHOWN = 24

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
    check_json(line.encode("utf-8", "backslashreplace"), f"{path}:{number}")
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
        # What we sum is a count; any other map may hold addresses.
        low, high = (0, COUNT_MAX) if name in COUNTED else (-(1 << 63), (1 << 64) - 1)
        for key, count in counts.items():
            if not low <= count <= high:
                where = f"{name}[{key}]: {str(count)[:DIGITS_SHOWN]}"
                raise bad_line(path, number, where, f"a whole number from {low} to {high}")
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
