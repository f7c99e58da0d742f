# SPDX-License-Identifier: BSD-3-Clause
"""The text that iperf3 prints for people, as the document of `iperf3 -J`, as exact as printed.

What people mail is shortened, quoted, or has the shell's own lines in it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from ntbbench.core.errors import InputError

LINE_MAX = 1000  # characters; the longest line that iperf3 prints has some 100
COVERED = 0.9  # share of a run's time that the printed intervals must cover to be its samples
BEGINS = re.compile(
    r"^[> \t]*(?:iperf 3\.\d|Connecting to host \S|Server listening on \S|iperf3: error"
    r"|(?:\S.{0,40} )?\[ ID\](?:\[Role\])? Interval )",
    re.MULTILINE,
)
PREFIX = re.compile(  # the quotes of a mail, --timestamps
    r"[>\s]*(?:(?:[A-Z][a-z]{2} [A-Z][a-z]{2} {1,2}\d{1,2} [\d:]{8} \d{4}|\d{4}-[\dT:.+-]{1,30}) )?"
)
# decimal bits, binary bytes: src/units.c (unit_snprintf)
UNITS = {
    f"{prefix}{kind}": base**power * bits
    for kind, base, bits in (("bits", 1000, 1), ("Bytes", 1024, 8))
    for power, prefix in enumerate(("", "K", "M", "G", "T"))
}
RATE = re.compile(
    r"\[(?P<id>SUM|\s*\d{1,5})\](?:\[(?P<role>[TR]X-[CS])\])?\s+"
    r"(?P<begin>\d{1,9}\.\d\d)\s*-\s*(?P<end>\d{1,9}\.\d\d)\s+sec\s+"
    r"\d{1,15}(?:\.\d{1,6})?\s+[KMGT]?Bytes\s+"
    r"(?P<rate>\d{1,15}(?:\.\d{1,6})?)\s+(?P<unit>[KMGT]?(?:bits|Bytes))/sec(?P<rest>.*)"
)
LOSS = re.compile(r"\s+(?:\d{1,9}\.\d{1,6} ms\s+)?(-?\d{1,12})/(\d{1,12}) \(")
RETRANSMITS = re.compile(r"\s+(\d{1,10})(?=\s|$)")
TEST = re.compile(r"protocol: (\w+), \d{1,3} streams, (\d{1,9}) byte blocks")
CPU = re.compile(r"CPU Utilization: local/\w+ (\d{1,6}\.\d)%.*remote/\w+ (\d{1,6}\.\d)%")
ERROR = "iperf3: error"
STARTS = ("Connecting to host", "Accepted connection")
TABLE = "[ ID]"
BACK = {"RX-C", "TX-S"}  # with --bidir, what goes from the server to the client
SIDES = {"sender": "sum_sent", "receiver": "sum_received", "": "sum"}  # "": before version 3.2
ADDED = ("bits_per_second", "retransmits", "lost_packets", "packets")  # over the streams
Sum = dict[str, Any]  # as a sum of the JSON


def is_text(head: str) -> bool:
    """Return whether a text begins as iperf3's text does."""
    return BEGINS.search(head) is not None


def records(text: str, where: str) -> Iterator[dict[str, Any]]:
    """Yield the runs of a text, each as the object that `iperf3 -J` prints.

    A run begins where a connection does, or, in a shortened text, with a table after totals.

    InputError: a run without a total, or an endless line.
    """
    run: _TextRun | None = None
    for number, printed in enumerate(text.split("\n"), 1):
        if len(printed) > LINE_MAX:
            allowed = f"a line of at most {LINE_MAX} characters, as iperf3 prints"
            raise InputError("input", f"{where}:{number}", allowed)
        prefix = PREFIX.match(printed)
        line = printed[prefix.end() if prefix else 0 :].rstrip()
        begins = line.startswith(STARTS)
        if run is not None and (begins or (run.ends and line.startswith(TABLE))):
            yield run.record()
            run = None
        if run is None and (begins or line.startswith((TABLE, ERROR))):
            run = _TextRun(where)
        if run is not None:
            run.add(line)
    if run is None:
        raise InputError("input", where, "a complete run of iperf3: no line of a total")
    yield run.record()


@dataclass
class _TextRun:
    """One run while its lines go by; sums by way, "" or the way back, of the streams together."""

    where: str
    is_udp: bool = False
    is_reverse: bool = False
    is_server: bool = False
    tables: int = 0  # the first has the intervals, the second the totals
    connected: list[str] = field(default_factory=list)
    test: dict[str, Any] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    error: str = ""
    intervals: dict[str, dict[tuple[bool, float, float], Sum]] = field(default_factory=dict)
    ends: dict[str, Sum] = field(default_factory=dict)

    def add(self, line: str) -> None:
        """Add one line; what it does not know tells nothing."""
        if line.startswith("Reverse mode"):
            self.is_reverse = True
        elif line.startswith("Accepted connection"):
            self.is_server = True
        elif line.startswith(TABLE):
            self.tables += 1
            self.is_udp |= "Datagrams" in line
        elif line.startswith(ERROR):
            self.error = line.removeprefix("iperf3: ")
        elif " connected to " in line:
            self.connected.append(line)
        elif (told := TEST.search(line)) is not None:
            self.test |= {"protocol": told[1], "blksize": int(told[2])}
        elif (load := CPU.match(line)) is not None:
            self.cpu = {"host_total": float(load[1]), "remote_total": float(load[2])}
        elif (rate := RATE.match(line)) is not None:
            self._add_rate(rate)

    def _add_rate(self, rate: re.Match[str]) -> None:
        way = "_bidir_reverse" if rate["role"] in BACK else ""
        begin, end, rest = float(rate["begin"]), float(rate["end"]), rate["rest"]
        total: Sum = {
            "start": begin,
            "end": end,
            "seconds": end - begin,
            "bits_per_second": float(rate["rate"]) * UNITS[rate["unit"]],
        }
        if (lost := LOSS.match(rest)) is not None:
            total |= {"lost_packets": int(lost[1]), "packets": int(lost[2])}
        elif not self.is_udp and (again := RETRANSMITS.match(rest)) is not None:
            total["retransmits"] = int(again[1])
        side = next((side for side in SIDES if side and rest.endswith(side)), "")
        if side or self.tables > 1:
            _keep(self.ends.setdefault(f"{SIDES[side]}{way}", {}), rate["id"], total)
            return
        is_sent = (rate["role"] or "").startswith("TX")
        total |= {"omitted": "(omitted)" in rest, "sender": is_sent}
        own = self.intervals.setdefault(way, {})
        _keep(own.setdefault((total["omitted"], begin, end), {}), rate["id"], total)

    def record(self) -> dict[str, Any]:
        """Return the run; InputError: it has no total."""
        if not self.ends and not self.error:
            raise InputError("input", self.where, "a complete run of iperf3: no line of a total")
        is_bidir = any(name.endswith("_bidir_reverse") for name in self.ends)
        only_sent = self.is_server and not {"sum_received", "sum"} & self.ends.keys()
        self.is_reverse |= only_sent and not is_bidir
        streams = [total.get("streams", 1) for total in self.ends.values()]
        test = {
            "protocol": "UDP" if self.is_udp else "TCP",
            "num_streams": max(streams, default=1),
            "reverse": int(self.is_reverse),
            "bidir": int(is_bidir),
        }
        start: dict[str, Any] = {"test_start": test | self.test, "connected": self.connected}
        if self.is_server:
            start["accepted_connection"] = {}
        end = {"cpu_utilization_percent": self.cpu, **self.ends}
        record: dict[str, Any] = {"start": start, "intervals": self._rows(is_bidir), "end": end}
        return record | ({"error": self.error} if self.error else {})

    def _rows(self, is_bidir: bool) -> list[dict[str, Sum]]:
        """Return the intervals; none where the text, shortened, lacks some of the run."""
        last = max((total["end"] for total in self.ends.values()), default=0.0)
        columns = {way: [*own.values()] for way, own in self.intervals.items()}
        for way, totals in columns.items():
            covered = sum(total["seconds"] for total in totals if not total["omitted"])
            if covered < COVERED * last:
                return []
            if not way and not is_bidir:
                for total in totals:
                    total["sender"] = self.is_server == self.is_reverse
        rows = zip_longest(*columns.values())
        named = [f"sum{way}" for way in columns]
        found = [{n: t for n, t in zip(named, row, strict=True) if t is not None} for row in rows]
        return [row for row in found if "sum" in row]


def _keep(kept: Sum, name: str, total: Sum) -> None:
    """Keep the sum of all streams where it is printed, else add the streams up."""
    if name == "SUM":
        kept |= total | {"is_sum": True}
    elif not kept:
        kept |= total | {"streams": 1}
    else:
        kept["streams"] = kept.get("streams", 0) + 1  # of a damaged text the sum may come first
        for key in ADDED if not kept.get("is_sum") else ():
            if key in kept and key in total:
                kept[key] += total[key]
