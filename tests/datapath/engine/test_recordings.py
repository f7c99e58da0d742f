# SPDX-License-Identifier: BSD-3-Clause
"""The order of rings, schedules and runs against recordings of real kernels, event by event.

The rings are put where they were recorded; what then happens, and in which order, is the model's.
"""

from itertools import count
from pathlib import Path

import pytest
from recordings import DATA, RECORDINGS, name_of

from ntbbench.capture.readers.ftrace import Kind, TraceEvent
from ntbbench.capture.replay.recording import Recording, read_recording
from ntbbench.datapath.engine import ENGINES, simulate_logged
from ntbbench.datapath.outcome import Happening, Logged
from ntbbench.datapath.system import Cost, Costs, Flow, Queue, Softirq, Source, System, Transmit
from ntbbench.ntb.vectormap import bits_of

US = 10**6
SEND, LEAD = 5 * US, 100 * US
RUNS_OUT = 20_000 * US
# Here the scheduler wanted the CPU in the middle of the burst, which the rings do not tell.
INTERRUPTED = {"linux-6.1-ntb-loop/fallback-burst", "linux-6.1-ntb-loop/per-vector-burst-four-qps"}
Order = list[tuple[str, int]]
NAMES = {
    Happening.RING: Kind.RING.name,
    Happening.SCHEDULE: Kind.SCHEDULE.name,
    Happening.RUN_BEGIN: Kind.RUN.name,
}


def loopback(
    recording: Recording, events: list[TraceEvent], *, sender_cpus: int, **rules: Softirq | int
) -> System:
    """Two ports in one kernel: each QP's sender rings when it was recorded to."""
    masks = recording.device.vector_map().db_vector_masks
    active = bits_of(recording.device.active_mask)
    first = events[0].time
    rings = [event for event in events if event.kind is Kind.RING]
    flows = [
        Flow(
            number,
            sender_cpus,
            64,
            "times",
            backlog=len(rings),
            times_ps=tuple(
                LEAD - SEND + round((ring.time - first) * 1e12)
                for ring in rings
                if ring.value >> qp_num & 1
            ),
        )
        for number, qp_num in enumerate(active)
    ]
    latched = recording.point.db_read_latched
    wakeup_ps = rules.pop("wakeup_ps", 0)
    return System(
        receiver_cpus=1,
        sender_cpus=sender_cpus,
        flows=tuple(flows),
        queues=tuple(Queue(n, i, 100, 100, latched << n) for i, n in enumerate(active)),
        sources=tuple(Source(0, (masks[qp_num],)) for qp_num in active),
        end_ps=LEAD + round((events[-1].time - first) * 1e12) + RUNS_OUT,
        costs=Costs(
            send=Cost(SEND), hardirq_ps=2 * US, tasklet_ps=US, copy=Cost(US), wakeup_ps=wakeup_ps
        ),
        transmit=Transmit(tx_stop=0, tx_start=0),
        reposts=False,
        **rules,
    )


def recorded_order(events: list[TraceEvent]) -> Order:
    kinds = set(NAMES.values())
    return [
        (e.kind.name, e.value.bit_length() - 1 if e.kind is Kind.RING else e.value)
        for e in events
        if e.kind.name in kinds
    ]


def simulated_order(log: tuple[Logged, ...], system: System) -> Order:
    return [
        (NAMES[row.happening], system.queues[row.index].bit)
        for row in log
        if row.happening in NAMES
    ]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "folder", [path for path in RECORDINGS if name_of(path) not in INTERRUPTED], ids=name_of
)
def test_every_ring_schedule_and_run_comes_in_the_recorded_order(folder: Path, engine: str) -> None:
    recording = read_recording(folder)
    events = list(recording.events)
    system = loopback(recording, events, sender_cpus=0)
    _, log = simulate_logged(system, 1, engine)
    assert simulated_order(log, system) == recorded_order(events)


@pytest.mark.parametrize("engine", ENGINES)
def test_ksoftirqd_gets_what_a_softirq_leaves_behind(engine: str) -> None:
    """From where the scheduler wants the CPU, each race check waits and the next call merges.

    The last is left to ksoftirqd, which runs when the senders are done.
    """
    recording = read_recording(DATA / "linux-6.1-ntb-loop" / "fallback-burst")
    events = list(recording.events)
    wanted = next(n for n in count() if events[n].need_resched)
    start = max(n for n in range(wanted) if events[n].kind is Kind.RING)
    stretch = events[start:]
    assert all(event.need_resched for event in events[wanted:-2])
    length = round((stretch[-2].time - stretch[0].time) * 1e12)
    system = loopback(
        recording, stretch, sender_cpus=1, softirq=Softirq(need_resched=True), wakeup_ps=length
    )
    outcome, log = simulate_logged(system, 1, engine)
    assert simulated_order(log, system) == recorded_order(stretch)
    handed = [row.time_ps for row in log if row.happening is Happening.KSOFTIRQD]
    rings = [row.time_ps for row in log if row.happening is Happening.RING]
    assert outcome.ksoftirqd[0] == len(handed) == len(rings)
    runs = [row.time_ps for row in log if row.happening is Happening.RUN_BEGIN]
    assert runs[-2] < handed[-1] < runs[-1]  # ksoftirqd's own run: the race check left over
