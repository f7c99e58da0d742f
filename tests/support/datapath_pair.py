# SPDX-License-Identifier: BSD-3-Clause
"""The simulator's own system of a boot of the driver pair, with the rings that were recorded.

Sources, what they wake, what db_read() shows, the poll, the deferred raise: all of it is what
`ntbbench simulate` makes of the device. Only when a packet is sent comes from the recording.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, replace

import msgspec

from ntbbench.capture.readers.trace_events import TraceText, read_events
from ntbbench.datapath.grid_point import SimulationSpec, resolve
from ntbbench.datapath.outcome import SystemOutcome
from ntbbench.datapath.scenario_file import preset
from ntbbench.datapath.sections import DeviceSection, Link
from ntbbench.datapath.system import Flow, System
from ntbbench.lab.pair.boot.left import PairRecordings, PointRecording
from ntbbench.lab.pair.plan import EP
from ntbbench.lab.pair.point_files import read_point_folder, read_sides
from ntbbench.ntb.vectormap import bits_of

DRIVERS = {"ep": "pci-epf-vntb", "rc": "ntb_hw_epf"}
CALLBACKS = {"ep": 7, "rc": 12}  # the patches that give a driver vector callbacks
DEFERRAL = 2
HZ = 1000  # of the lab's kernel: its endpoint polls every 6 ms
POLL_PS = 6 * 10**9
RUN_OUT_PS = 50 * 10**9
BITS = re.compile(r" ntb=0x([0-9a-f]+) bits=0x([0-9a-f]+)$")


@dataclass(frozen=True)
class Recorded:
    """Seconds of the rings by doorbell bit, and of the first poll after the first of them."""

    rings: dict[int, list[float]]
    poll: float | None


def recorded(point: PointRecording) -> Recorded:
    """Read when the sender of a point rang."""
    rings: dict[int, list[float]] = defaultdict(list)
    poll = None
    sides = read_sides(point.folder.parent / "setup" / "trace")
    devices = {bound.ntb: side for side, bound in sides.items()}
    for event in read_events(point.folder / "trace", TraceText()):
        if event.name == "poll" and rings and poll is None:
            poll = event.time
        found = BITS.search(event.body) if event.name == "peer_db_set" else None
        if found and devices[int(found[1], 16)] == point.traffic.sender:
            for bit in bits_of(int(found[2], 16)):
                rings[bit].append(event.time)
    return Recorded(rings, poll)


def spec_of(recordings: PairRecordings, point: PointRecording) -> SimulationSpec:
    """Return the point that a user would ask for."""
    setup, side = recordings.plan.setup, point.traffic.receiver
    patches = {"ep": recordings.ep.patches, "rc": recordings.rc.patches}
    new = CALLBACKS[side] in patches[side]
    raised = "deferred" if DEFERRAL in patches["ep"] else "msi"
    doorbell = setup.doorbell if side == EP else raised
    device = DeviceSection(
        hardware=f"{DRIVERS[side]}-{'v4' if new else 'legacy'}",
        doorbells=setup.ep_slots if side == EP else setup.rc_vectors - 1,
        mw_count=setup.mw_count,
        max_num_clients=setup.queues or 0,
        hz=HZ,
    )
    scenario = msgspec.structs.replace(
        preset("generic"), device=device, link=Link(doorbell=doorbell)
    )
    qps = len(read_qps(point, polled=side == EP and doorbell == "poll"))
    return SimulationSpec(scenario, qps, "per-vector" if new else "fallback", "single", "udp")


def read_qps(point: PointRecording, *, polled: bool) -> list[int]:
    """Return the QPs of the receiver that had a link."""
    return read_point_folder(point.folder, point.traffic, polled=polled).active(
        point.traffic.receiver
    )


def system_of(recordings: PairRecordings, point: PointRecording) -> System:
    """Return the system of a point: its rings as far apart, and as far from a poll, as recorded."""
    spec, found = spec_of(recordings, point), recorded(point)
    assert spec.reason is None
    system = resolve(spec, 0)
    first = min(time for times in found.rings.values() for time in times)
    lead = 2 * POLL_PS
    if system.poll is not None:
        assert found.poll is not None
        lead -= ps(found.poll - first) % POLL_PS
    flows = tuple(
        Flow(
            queue=spec.bits.index(bit),
            cpu=system.receiver_cpus + number,
            size=spec.size,
            kind="times",
            backlog=len(times),
            times_ps=tuple(lead + ps(time - first) for time in times),
        )
        for number, (bit, times) in enumerate(sorted(found.rings.items()))
    )
    end = max(flow.times_ps[-1] for flow in flows) + RUN_OUT_PS
    return replace(system, flows=flows, warmup_ps=0, end_ps=end)


def ps(seconds: float) -> int:
    return round(seconds * 1e12)


def runs_per_qp(outcome: SystemOutcome) -> list[int]:
    """Return how often each queue's tasklet ran, for whatever cause."""
    return [sum(queue.useful) + sum(queue.empty) for queue in outcome.queues]
