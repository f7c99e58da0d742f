# SPDX-License-Identifier: BSD-3-Clause
"""ntb_transport's debugfs counters before and after: each QP's tasklet runs, and its sender."""

import re
from dataclasses import dataclass
from pathlib import Path

from ntbbench.capture.readers import Known, Reader, earlier
from ntbbench.capture.readers.qp_transmit import TxRing, qp_transmit, read_ring
from ntbbench.capture.records import Measured, QpRuns
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import bad_line, read_small

STAT = re.compile(r"(.+?) -\s+(\S+)")
QP = re.compile(r"qp(\d{1,2})")
TITLE = "NTB QP stats:"
LAST = "QP Link"  # the last line that is printed: without it the file is cut off
RX_MAX_ENTRY = "rx_max_entry"
# Counters that restart at zero when the link goes down (ntb_qp_link_down_reset).
COUNTERS = (
    *("rx_bytes", "rx_pkts", "rx_memcpy", "rx_async"),
    *("rx_ring_empty", "rx_err_no_buf", "rx_err_oflow", "rx_err_ver"),
    *("tx_bytes", "tx_pkts", "tx_memcpy", "tx_async"),
    *("tx_ring_full", "tx_err_no_buf"),
)
U64 = 1 << 64


@dataclass(frozen=True)
class Stats:
    """One reading: counters by name, rx_max_entry; `is_up` False: the file was empty.

    `ring` is None where the kernel does not print the sender's ring.
    """

    path: Path
    is_up: bool
    counters: dict[str, int]
    rx_max_entry: int | None
    ring: TxRing | None = None


def read_stats_file(path: Path) -> Stats:
    """Read one `stats`; an empty one is a QP whose link is down.

    InputError: another file, a counter missing or no u64, or the last line missing.

    Source: Linux 7.3 drivers/ntb/ntb_transport.c, ntb_qp_debugfs_stats_show.
    """
    text = read_small(path)
    if not text.strip():
        return Stats(path, False, {}, None)
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped == TITLE:
            continue
        match = STAT.fullmatch(stripped)
        if match is None:
            raise bad_line(path, number, line, "name - value, as ntb_transport's stats")
        if match[1] in found:
            raise bad_line(path, number, line, f"{match[1]} is there twice")
        found[match[1]] = match[2]
    if TITLE not in text:
        raise InputError(str(path), text.strip()[:40], f"{TITLE!r}, as ntb_transport's stats")
    if found.get(LAST) not in {"Up", "Down"} or not text.endswith("\n"):
        raise InputError(str(path), LAST, "Up or Down in the last line: the file is cut off")
    counters = {name: _counter(path, name, found.get(name)) for name in COUNTERS}
    entries = _counter(path, RX_MAX_ENTRY, found.get(RX_MAX_ENTRY))
    return Stats(path, found[LAST] == "Up", counters, entries or None, read_ring(path, found))


def _counter(path: Path, name: str, text: str | None) -> int:
    if text is None:
        raise InputError(str(path), name, "missing: the file is cut off or of another kind")
    if not (text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) < U64):
        raise InputError(str(path), f"{name} - {text}", "a u64 in decimal")
    return int(text)


def find_stats(folder: Path, name: str = "") -> dict[tuple[str, int], Path]:
    """Return the files DEVICE/qpN below `folder`, or DEVICE/qpN/NAME, by device and qp_num."""
    found = {}
    for qp in sorted(folder.glob("*/qp*")):
        match, path = QP.fullmatch(qp.name), qp / name
        if match is not None and path.is_file():
            found[qp.parent.name, int(match[1])] = path
    return found


def read_stats(folder: Path) -> dict[str, dict[str, int]]:
    """Return the counters of every QP below `folder` by DEVICE/qpN, rx_max_entry among them.

    A QP whose link is down has none; a folder that is not there has no QP.
    """
    found = {}
    for (device, qp_num), path in find_stats(folder).items():
        stats = read_stats_file(path)
        entries = {} if stats.rx_max_entry is None else {RX_MAX_ENTRY: stats.rx_max_entry}
        found[f"{device}/qp{qp_num}"] = stats.counters | entries
    return found


def qp_runs(
    device: str, qp_num: int, readings: tuple[Stats, Stats], source: str, cautions: list[str]
) -> QpRuns:
    """Return the bounds of the runs of one QP's tasklet between two readings.

    Formula: E <= runs <= E + floor((d rx_pkts + d rx_err_oflow) / rx_max_entry), with
    E = d rx_ring_empty + d rx_err_no_buf + d rx_err_ver: a run ends on an empty ring, an error, or
    a full budget. Link-down packets are not counted.

    Source: Linux 6.12 drivers/ntb/ntb_transport.c (ntb_process_rxc, ntb_transport_rxc_db).
    """
    before, after = readings
    link = "up" if before.is_up and after.is_up else "down"
    if before.is_up != after.is_up:
        link = "went down" if before.is_up else "came up"
    if why := _doubt(before, after, link):
        cautions.append(f"{after.path}: {device} qp{qp_num}: {why}")

    def grown(name: str) -> int:
        return after.counters[name] - before.counters[name]

    low = high = rx_pkts = tx_pkts = None
    if link == "up" and not why:
        low = grown("rx_ring_empty") + grown("rx_err_no_buf") + grown("rx_err_ver")
        rx_pkts, tx_pkts = grown("rx_pkts"), grown("tx_pkts")
        if after.rx_max_entry is not None:
            high = low + (rx_pkts + grown("rx_err_oflow")) // after.rx_max_entry
    return QpRuns(
        device=device,
        qp_num=qp_num,
        link=link,
        rx_pkts=rx_pkts,
        tx_pkts=tx_pkts,
        rx_max_entry=after.rx_max_entry,
        runs_low=low,
        runs_high=high,
        source=source,
    )


def _doubt(before: Stats, after: Stats, link: str) -> str:
    """Return why the runs between two readings are not known; empty: they are, or none can be."""
    if before.is_up != after.is_up:
        return f"the link {link} between the snapshots: its runs are not known"
    back = [name for name in after.counters if after.counters[name] < before.counters.get(name, 0)]
    if after.is_up and back:
        return f"{', '.join(back)} went back: the link bounced, its runs are not known"
    if after.is_up and before.rx_max_entry != after.rx_max_entry:
        return (
            f"rx_max_entry was {before.rx_max_entry} and is {after.rx_max_entry}: "
            "the link was set up anew, its runs are not known"
        )
    return ""


def _stats(after: Path, _known: Known) -> Measured:
    old, new = find_stats(earlier(after)), find_stats(after)
    measured = Measured()
    for key in sorted({*old, *new}):
        if key in old and key in new:
            readings = read_stats_file(old[key]), read_stats_file(new[key])
            runs = qp_runs(*key, readings, str(after), measured.cautions)
            measured.qps.append(runs)
            measured.transmits.append(qp_transmit(*key, readings, runs))
        else:
            device, qp_num = key
            measured.cautions.append(
                f"{after}: {device} qp{qp_num} is in one snapshot only: its runs are not known"
            )
    return measured


STATS = Reader(
    "ntb_transport stats",
    "bounds of each QP's tasklet runs, packets, the sender's ring",
    "why a run was made (doorbell, race check, buffer repost, full budget); link-down packets; "
    "a link bounce after which all counters passed their old values",
    _stats,
    snapshots="stats",
)
