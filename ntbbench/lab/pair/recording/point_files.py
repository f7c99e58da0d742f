# SPDX-License-Identifier: BSD-3-Clause
"""The files of one point of the pair: its trace, its QPs, what was sent and what arrived."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ntbbench.capture.readers.doorbell_point import Qp, read_state
from ntbbench.capture.readers.qp_stats import Stats, find_stats, qp_runs, read_stats_file
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import read_small
from ntbbench.lab.pair.plan import DEVICES, EP, RC, Traffic
from ntbbench.lab.pair.recording.ring_trace_file import Addresses, PairTrace, read_pair_trace
from ntbbench.lab.pair.recording.wire_slots import read_words

SIDES = (EP, RC)  # by port in `state`
SET_CTX = re.compile(
    r": set_ctx: .* ntb=0x([0-9a-f]{1,16}) ctx=0x([0-9a-f]{1,16}) dev=\"([^\"]{1,40})\""
)
# /proc/version of a kernel that preempts kernel code, also of one that may be told not to.
PREEMPT = re.compile(r" PREEMPT(?:_RT|_DYNAMIC|_LAZY)?\b")
RX_ERRORS = ("rx_err_no_buf", "rx_err_oflow", "rx_err_ver")


@dataclass
class Counted:
    """What the receiver's debugfs counters add to the trace.

    Parameters
    ----------
    rx_pkts : packets that ntb_transport received, all QPs together.
    rx_max_entry : entries of the smallest ring.
    rx_errors : packets that ntb_transport dropped, by the counter's name.
    doubts : what two counters of the same thing tell apart.
    """

    rx_pkts: int = 0
    rx_max_entry: int = 0
    rx_errors: Counter[str] = field(default_factory=Counter)
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RecordedPoint:
    """One point as it was recorded.

    Parameters
    ----------
    trace : of the traffic's direction.
    counted : of the receiver.
    qps : of both sides, as netdev owns them.
    links : by side, whether each of its QPs is up, by qp_num.
    sent, received : packets, as the two programs counted them.
    preemptible : the guest's kernel preempts kernel code.
    """

    trace: PairTrace
    counted: Counted
    qps: tuple[Qp, ...]
    links: dict[str, list[bool]]
    sent: int
    received: int
    preemptible: bool

    def active(self, side: str) -> list[int]:
        """Return the qp_nums of one side that have a link."""
        port = SIDES.index(side)
        return sorted(qp.qp_num for qp in self.qps if qp.port == port and qp.is_up)


def read_point_folder(folder: Path, traffic: Traffic, *, polled: bool) -> RecordedPoint:
    """Read the recording of one point whose link is up; `polled` as in `read_pair_trace`.

    Raises
    ------
    InputError : a file is missing, damaged, or not of this point.
    """
    qps = read_state(folder / "state")
    devices, contexts = read_devices(folder.parent / "setup" / "trace")
    addresses = Addresses(
        qps={qp.ptr: (SIDES[qp.port], qp.qp_num) for qp in qps if qp.port < len(SIDES)},
        contexts=contexts,
        devices=devices,
        words=read_words(folder.parent / "setup" / "doorbells"),
    )
    trace = read_pair_trace(folder / "trace", traffic, addresses, polled=polled)
    return RecordedPoint(
        trace=trace,
        counted=_count(folder, traffic.receiver, trace),
        qps=qps,
        links={side: _links(folder, side) for side in SIDES},
        sent=_first_number(folder / "sent"),
        received=_first_number(folder / "received"),
        preemptible=PREEMPT.search(read_small(folder.parent / "kernel")) is not None,
    )


def read_devices(trace: Path) -> tuple[dict[int, str], dict[int, str]]:
    """Return the side of each NTB device's and of each transport's context's address.

    They are those of the set-up's trace.
    """
    sides = {device: side for side, device in DEVICES.items()}
    devices, contexts = {}, {}
    for ntb, ctx, device in SET_CTX.findall(read_small(trace)):
        if device in sides:
            devices[int(ntb, 16)] = contexts[int(ctx, 16)] = sides[device]
    return devices, contexts


def _count(folder: Path, side: str, trace: PairTrace) -> Counted:
    device = DEVICES[side]
    before, after = (find_stats(folder / f"{when}-stats") for when in ("before", "after"))
    counted = Counted()
    for key, path in sorted(after.items()):
        if key[0] == device and key in before:
            readings = read_stats_file(before[key]), read_stats_file(path)
            _count_qp(counted, key, readings, trace.runs[key[1]])
    return counted


def _count_qp(
    counted: Counted, key: tuple[str, int], readings: tuple[Stats, Stats], runs: int
) -> None:
    """Add one QP's counters; `runs` is what the trace has of its tasklet."""
    if not all(reading.is_up for reading in readings):
        return
    told = qp_runs(*key, readings, "stats", counted.doubts)
    if told.runs_low is None or told.runs_high is None:
        return
    counted.rx_pkts += told.rx_pkts or 0
    entries = told.rx_max_entry or 1
    counted.rx_max_entry = min(counted.rx_max_entry or entries, entries)
    before, after = (reading.counters for reading in readings)
    counted.rx_errors.update({name: after[name] - before[name] for name in RX_ERRORS})
    if not told.runs_low <= runs <= told.runs_high:
        bounds = f"{told.runs_low} .. {told.runs_high}"
        counted.doubts.append(f"QP {key[1]}: the trace has {runs} runs, its counters {bounds}")


def _links(folder: Path, side: str) -> list[bool]:
    stats = find_stats(folder / "after-stats")
    own = {qp_num: path for (device, qp_num), path in stats.items() if device == DEVICES[side]}
    return [read_stats_file(own[qp_num]).is_up for qp_num in sorted(own)]


def _first_number(path: Path) -> int:
    words = read_small(path).split()
    if not words or not words[0].isdecimal() or not words[0].isascii() or len(words[0]) > 18:
        raise InputError(str(path), " ".join(words)[:60], "a number of packets")
    return int(words[0])
