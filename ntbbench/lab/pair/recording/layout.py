# SPDX-License-Identifier: BSD-3-Clause
"""The recordings of the pair in the layout of every doorbell recording: `point` and `state`."""

import re
from dataclasses import dataclass
from pathlib import Path

from ntbbench.capture.readers.qp_stats import read_stats
from ntbbench.lab.lab_errors import GuestError
from ntbbench.lab.pair.plan import DEVICES, MSIS, RC, DriverSource, PairSetup, Traffic

PORTS = tuple(DEVICES)  # port 0 is the endpoint, port 1 the root complex
SET_CTX = re.compile(r": set_ctx: .* ntb=(0x[0-9a-f]+) ctx=(0x[0-9a-f]+) dev=\"([^\"]*)\"")
CREATE = re.compile(r"-(\d+) +\[\d+\] .*: create_queue: .* dev=\"([^\"]*)\"")
CREATED = re.compile(r"-(\d+) +\[\d+\] .*: queue_created: .* qp=(0x[0-9a-f]+)")
# The patches that give a driver db_vector_mask(), and those that make db_read() name the rung bit.
VECTOR_PATCHES = {7, 12}
READ_PATCHES = {3, 11}


@dataclass(frozen=True)
class Side:
    """One NTB device of the guest: its addresses in the kernel, and those of its QPs by qp_num."""

    device: str
    ntb: int
    ctx: int
    qps: tuple[int, ...]


def read_sides(trace: Path) -> dict[str, Side]:
    """Return the sides (`ep`, `rc`) that have an NTB device, from the trace of the set-up.

    ntb_transport_create_queue() hands out the lowest free QP, and none is freed here: the n-th of a
    device is its QP n. A call that fails returns NULL and takes no number.
    """
    names = {device: side for side, device in DEVICES.items()}
    found: dict[str, tuple[int, int]] = {}
    queues: dict[str, list[int]] = {}
    calling: dict[str, str] = {}  # by pid: the device that its call is for
    for line in trace.read_text().splitlines():
        if (match := SET_CTX.search(line)) and match[3] in names:
            found[names[match[3]]] = int(match[1], 16), int(match[2], 16)
        elif match := CREATE.search(line):
            calling[match[1]] = match[2]
        elif match := CREATED.search(line):
            device = calling.pop(match[1], "")
            if device in names and int(match[2], 16):
                queues.setdefault(names[device], []).append(int(match[2], 16))
    return {
        side: Side(DEVICES[side], ntb, ctx, tuple(queues.get(side, ())))
        for side, (ntb, ctx) in found.items()
    }


def write_state(folder: Path, sides: dict[str, Side]) -> None:
    """Write `state` of a point: a line a QP that the netdev has, from its counters afterwards.

    Raises
    ------
    GuestError : a QP has a link, and the set-up's trace has no address for it.
    """
    stats = read_stats(folder / "after-stats")
    lines = []
    for port, name in enumerate(PORTS):
        side = sides.get(name)
        for qp_num, pointer in enumerate(side.qps if side else ()):
            counters = stats.get(f"{DEVICES[name]}/qp{qp_num}", {})
            tx, rx = counters.get("tx_pkts", 0), counters.get("rx_pkts", 0)
            lines.append(
                f"port {port} qp {qp_num} up {int(bool(counters))} tx {tx} rx {rx} bad 0 "
                f"ptr {pointer:#x}\n"
            )
        known = len(side.qps) if side else 0
        up = [path for path, counters in stats.items() if counters and DEVICES[name] in path]
        if any(int(path.rpartition("qp")[2]) >= known for path in up):
            raise GuestError(f"{folder.name}: a QP of {DEVICES[name]} is up that no one created")
    (folder / "state").write_text("".join(lines))


def write_point(
    folder: Path, setup: PairSetup, traffic: Traffic, drivers: dict[str, DriverSource]
) -> None:
    """Write `point`: the keys that every recording has, and those of the pair."""
    receiver = drivers[traffic.receiver]
    patches = set(receiver.patches)
    doorbells = (MSIS if receiver.side == RC else setup.ep_slots) - 2
    values: dict[str, object] = {
        "vectors": doorbells if patches & VECTOR_PATCHES else 0,
        "db_read_latched": int(bool(patches & READ_PATCHES)),
        "gap_us": traffic.gap_us,
        "packets_per_qp": traffic.packets,
        "sending_qps": " ".join(map(str, _senders(folder, traffic))),
        "direction": traffic.direction,
        "flows": traffic.flows,
        "ep_driver": drivers["ep"].spec,
        "rc_driver": drivers["rc"].spec,
        "ep_patches": _numbers(drivers["ep"].patches),
        "rc_patches": _numbers(drivers["rc"].patches),
        "ep_slots": setup.ep_slots,
        "mw_count": setup.mw_count,
        "queues": "" if setup.queues is None else setup.queues,
        "doorbell": setup.doorbell,
    }
    (folder / "point").write_text("".join(f"{key}={value}\n" for key, value in values.items()))


def _senders(folder: Path, traffic: Traffic) -> list[int]:
    """Return the QPs that the stack's hash chose: those of the sender whose tx_pkts grew."""
    before, after = (read_stats(folder / f"{when}-stats") for when in ("before", "after"))
    device = DEVICES[traffic.sender]
    grown = [
        int(name.rpartition("qp")[2])
        for name, counters in after.items()
        if name.startswith(device)
        and counters.get("tx_pkts", 0) > before.get(name, {}).get("tx_pkts", 0)
    ]
    return sorted(grown)


def _numbers(patches: tuple[int, ...]) -> str:
    return " ".join(map(str, patches))
