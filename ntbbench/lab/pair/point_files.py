# SPDX-License-Identifier: BSD-3-Clause
"""The files of one point of the pair, in the layout of every doorbell recording.

The guest left its trace and counters. `point` and `state` are written beside them, then all is read
to be judged.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from ntbbench.capture.readers.doorbell_point import Qp, read_state
from ntbbench.capture.readers.qp_stats import (
    Stats,
    find_stats,
    qp_runs,
    read_stats,
    read_stats_file,
)
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import read_small
from ntbbench.lab.commands import GuestError
from ntbbench.lab.pair.boot.left import DriverSource
from ntbbench.lab.pair.plan import DEVICES, AnySetup
from ntbbench.lab.pair.ring_trace_file import WORDS, Addresses, PairTrace, read_pair_trace
from ntbbench.pair.drivers.kernel_around import EPF_IRQ_DB_START
from ntbbench.pair.drivers.patches import SIDES, Side
from ntbbench.pair.setting import Traffic

Devices = Mapping[Side, str]
# SIDES is by port in `state`: port 0 is the endpoint, port 1 the root complex.
SET_CTX = re.compile(
    r": set_ctx: .* ntb=0x([0-9a-f]{1,16}) ctx=0x([0-9a-f]{1,16}) dev=\"([^\"]{1,40})\""
)
CREATE = re.compile(r"-(\d+) +\[\d+\] .*: create_queue: .* dev=\"([^\"]*)\"")
CREATED = re.compile(r"-(\d+) +\[\d+\] .*: queue_created: .* qp=(0x[0-9a-f]+)")
TABLE = re.compile(r"^slot (\d{1,2}) offset (\d{1,9}) data 0x[0-9a-f]{1,8}$", re.MULTILINE)
REGISTER = re.compile(r"^(ep|rc) db_read=(0x[0-9a-f]{1,16})$", re.MULTILINE)
# The patches that give a driver db_vector_mask(), and those that make db_read() name the rung bit.
VECTOR_PATCHES = {7, 12}
READ_PATCHES = {3, 11}
# /proc/version of a kernel that preempts kernel code, also of one that may be told not to.
PREEMPT = re.compile(r" PREEMPT(?:_RT|_DYNAMIC|_LAZY)?\b")
RX_ERRORS = ("rx_err_no_buf", "rx_err_oflow", "rx_err_ver")


@dataclass(frozen=True)
class BoundSide:
    """One NTB device of the guest: its addresses in the kernel, and those of its QPs by qp_num."""

    ntb: int
    ctx: int
    qps: tuple[int, ...] = ()


def read_sides(trace: Path, devices: Devices = DEVICES) -> dict[Side, BoundSide]:
    """Return the sides that have an NTB device, from the trace of the set-up.

    ntb_transport_create_queue() hands out the lowest free QP, and none is freed here: the n-th of a
    device is its QP n. A call that fails returns NULL and takes no number.
    """
    names = {device: side for side, device in devices.items()}
    found: dict[Side, tuple[int, int]] = {}
    queues: dict[Side, list[int]] = {side: [] for side in SIDES}
    calling: dict[str, str] = {}  # by pid: the device that its call is for
    for line in read_small(trace).splitlines():
        if (match := SET_CTX.search(line)) and match[3] in names:
            found[names[match[3]]] = int(match[1], 16), int(match[2], 16)
        elif match := CREATE.search(line):
            calling[match[1]] = match[2]
        elif match := CREATED.search(line):
            device = calling.pop(match[1], "")
            if device in names and int(match[2], 16):
                queues[names[device]].append(int(match[2], 16))
    return {side: BoundSide(ntb, ctx, tuple(queues[side])) for side, (ntb, ctx) in found.items()}


def write_state(folder: Path, sides: Mapping[Side, BoundSide], devices: Devices = DEVICES) -> None:
    """Write `state` of a point: a line a QP that the netdev has, from its counters afterwards.

    GuestError: a QP has a link, and the set-up's trace has no address for it.
    """
    stats = read_stats(folder / "after-stats")
    lines = []
    for port, side in enumerate(SIDES):
        pointers = sides[side].qps if side in sides else ()
        for qp_num, pointer in enumerate(pointers):
            counters = stats.get(f"{devices[side]}/qp{qp_num}", {})
            tx, rx = counters.get("tx_pkts", 0), counters.get("rx_pkts", 0)
            lines.append(
                f"port {port} qp {qp_num} up {int(bool(counters))} tx {tx} rx {rx} bad 0 "
                f"ptr {pointer:#x}\n"
            )
        up = [path for path, counters in stats.items() if counters and devices[side] in path]
        if any(int(path.rpartition("qp")[2]) >= len(pointers) for path in up):
            raise GuestError(f"{folder.name}: a QP of {devices[side]} is up that no one created")
    (folder / "state").write_text("".join(lines))


def write_point(
    folder: Path, setup: AnySetup, traffic: Traffic, drivers: Mapping[Side, DriverSource]
) -> None:
    """Write `point`: the keys that every recording has, and those of the pair."""
    receiver = drivers[traffic.receiver]
    patches = set(receiver.patches)
    slots = dict(zip(SIDES, setup.slots, strict=True))[traffic.receiver]
    first, second = setup.ends.names
    values: dict[str, object] = {
        "vectors": slots - EPF_IRQ_DB_START if patches & VECTOR_PATCHES else 0,
        "db_read_latched": int(bool(patches & READ_PATCHES)),
        "gap_us": traffic.gap_us,
        "packets_per_qp": traffic.packets,
        "sending_qps": " ".join(map(str, _senders(folder, setup.devices[traffic.sender]))),
        "direction": traffic.direction,
        "flows": traffic.flows,
        f"{first}_driver": _one_word(drivers["ep"].spec),
        f"{second}_driver": _one_word(drivers["rc"].spec),
        f"{first}_patches": " ".join(map(str, drivers["ep"].patches)),
        f"{second}_patches": " ".join(map(str, drivers["rc"].patches)),
        "ep_slots": setup.ep_slots,
        "mw_count": setup.mw_count,
        "queues": "" if setup.queues is None else setup.queues,
        "doorbell": setup.doorbell,
    }
    (folder / "point").write_text("".join(f"{key}={value}\n" for key, value in values.items()))


def _one_word(spec: str) -> str:
    """Return a path so that the file stays pairs of one word each: a blank is %20, as in a URL."""
    return quote(os.fsencode(spec), safe="/:")


def _senders(folder: Path, device: str) -> list[int]:
    """Return the QPs that the stack's hash chose: those of the sender whose tx_pkts grew."""
    before, after = (read_stats(folder / f"{when}-stats") for when in ("before", "after"))
    grown = [
        int(name.rpartition("qp")[2])
        for name, counters in after.items()
        if name.startswith(device)
        and counters.get("tx_pkts", 0) > before.get(name, {}).get("tx_pkts", 0)
    ]
    return sorted(grown)


@dataclass
class ReceiverCounters:
    """What the receiver's debugfs counters add to the trace."""

    rx_pkts: int = 0  # packets that ntb_transport received, all QPs together
    rx_max_entry: int = 0  # entries of the smallest ring
    # packets that ntb_transport dropped, by the counter's name
    rx_errors: Counter[str] = field(default_factory=Counter)
    # what two counters of the same thing tell apart
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RecordedPoint:
    """One point as it was recorded."""

    trace: PairTrace  # of the traffic's direction
    counted: ReceiverCounters  # of the receiver
    qps: tuple[Qp, ...]  # of both sides, as netdev owns them
    links: dict[Side, list[bool]]  # by side, whether each of its QPs is up, by qp_num
    # sent, received: packets, as the two programs counted them
    sent: int
    received: int
    handed: int  # packets that the sender's ntb_transport put into its rings: each rings once
    preemptible: bool  # the guest's kernel preempts kernel code
    # what db_read() shows of a side once all has come to rest; empty: it was not asked
    registers: Mapping[str, int] = field(default_factory=dict)

    def active(self, side: Side) -> list[int]:
        """Return the qp_nums of one side that have a link."""
        port = SIDES.index(side)
        return sorted(qp.qp_num for qp in self.qps if qp.port == port and qp.is_up)


def read_point_folder(
    folder: Path, traffic: Traffic, *, polled: bool, devices: Devices = DEVICES
) -> RecordedPoint:
    """Read the recording of one point whose link is up; `polled` as in `read_pair_trace`.

    InputError: a file is missing, damaged, or not of this point.
    """
    qps = read_state(folder / "state")
    sides = read_sides(folder.parent / "setup" / "trace", devices)
    addresses = Addresses(
        qps={qp.ptr: (SIDES[qp.port], qp.qp_num) for qp in qps if qp.port < len(SIDES)},
        contexts={bound.ctx: side for side, bound in sides.items()},
        devices={bound.ntb: side for side, bound in sides.items()},
        words=read_words(folder.parent / "setup" / "doorbells"),
    )
    trace = read_pair_trace(folder / "trace", traffic, addresses, polled=polled)
    return RecordedPoint(
        trace=trace,
        counted=_count(folder, devices[traffic.receiver], trace),
        qps=qps,
        links={side: _links(folder, devices[side]) for side in SIDES},
        sent=_first_number(folder / "sent"),
        received=_first_number(folder / "received"),
        handed=_handed(folder, devices[traffic.sender]),
        preemptible=PREEMPT.search(read_small(folder.parent / "kernel")) is not None,
        registers=read_registers(folder / "registers"),
    )


def _handed(folder: Path, device: str) -> int:
    """Return the packets that a device's QPs took from the network, by their counters."""
    before, after = (
        {key: read_stats_file(path).counters for key, path in find_stats(place).items()}
        for place in (folder / "before-stats", folder / "after-stats")
    )
    both = (key for key in after if key[0] == device and key in before)
    return sum(after[key].get("tx_pkts", 0) - before[key].get("tx_pkts", 0) for key in both)


def read_registers(path: Path) -> dict[str, int]:
    """Return what db_read() showed of each side; a run without the API probe did not ask."""
    if not path.is_file():
        return {}
    return {side: int(bits, 16) for side, bits in REGISTER.findall(read_small(path))}


def read_words(path: Path) -> dict[int, int]:
    """Return byte offset -> slot of the words that the host rings, as the endpoint published them.

    `path` is epc_loop's `doorbells` of the set-up; a recording without it has the usual layout.
    """
    if not path.is_file():
        return WORDS
    return {int(offset): int(slot) for slot, offset in TABLE.findall(read_small(path))} or WORDS


def _count(folder: Path, device: str, trace: PairTrace) -> ReceiverCounters:
    before, after = (find_stats(folder / f"{when}-stats") for when in ("before", "after"))
    counted = ReceiverCounters()
    for key, path in sorted(after.items()):
        if key[0] == device and key in before:
            readings = read_stats_file(before[key]), read_stats_file(path)
            _count_qp(counted, key, readings, trace.runs[key[1]])
    return counted


def _count_qp(
    counted: ReceiverCounters, key: tuple[str, int], readings: tuple[Stats, Stats], runs: int
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


def _links(folder: Path, device: str) -> list[bool]:
    stats = find_stats(folder / "after-stats")
    own = {qp_num: path for (owner, qp_num), path in stats.items() if owner == device}
    return [read_stats_file(own[qp_num]).is_up for qp_num in sorted(own)]


def _first_number(path: Path) -> int:
    words = read_small(path).split()
    if not words or not words[0].isdecimal() or not words[0].isascii() or len(words[0]) > 18:
        raise InputError(str(path), " ".join(words)[:60], "a number of packets")
    return int(words[0])
