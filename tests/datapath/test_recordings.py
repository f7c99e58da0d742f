# SPDX-License-Identifier: BSD-3-Clause
"""The engines beside recordings of real kernels: of one that loops back, and of the driver pair.

The rings are put where they were recorded. What then happens, and in which order, is the model's;
so is which QPs an interrupt wakes, what db_read() shows after it, and whom the race check hits.
"""

from dataclasses import replace
from itertools import count
from pathlib import Path

import msgspec
import pytest
from datapath_pair import runs_per_qp, spec_of, system_of
from pair_recordings import BOOTS, evaluated, load
from pair_recordings import DATA as PAIR_DATA
from recordings import DATA, RECORDINGS, name_of

from ntbbench.capture.readers.probe_hits import EventKind, TraceEvent
from ntbbench.capture.recording import Recording, read_recording
from ntbbench.datapath.engine import ENGINES, simulate, simulate_logged
from ntbbench.datapath.grid_point import resolve
from ntbbench.datapath.outcome import Happening, Logged
from ntbbench.datapath.system import (
    Cost,
    Costs,
    Flow,
    InterruptSource,
    Queue,
    SoftirqModel,
    System,
    Transmit,
)
from ntbbench.lab.pair.boot.left import PairRecordings, PointRecording
from ntbbench.lab.pair.records import PairPoint
from ntbbench.ntb.vectormap import bits_of

US = 10**6
SEND, LEAD = 5 * US, 100 * US
RUNS_OUT = 20_000 * US
# Here the scheduler wanted the CPU in the middle of the burst, which the rings do not tell.
INTERRUPTED = {"linux-6.1-ntb-loop/fallback-burst", "linux-6.1-ntb-loop/per-vector-burst-four-qps"}
Order = list[tuple[str, int]]
NAMES = {
    Happening.RING: EventKind.RING.name,
    Happening.SCHEDULE: EventKind.SCHEDULE.name,
    Happening.RUN_BEGIN: EventKind.RUN.name,
}


def loopback(
    recording: Recording, events: list[TraceEvent], *, sender_cpus: int, **rules: SoftirqModel | int
) -> System:
    """Two ports in one kernel: each QP's sender rings when it was recorded to."""
    masks = recording.device.vector_map().db_vector_masks
    active = bits_of(recording.device.active_mask)
    first = events[0].time
    rings = [event for event in events if event.kind is EventKind.RING]
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
        sources=tuple(InterruptSource(0, (masks[qp_num],)) for qp_num in active),
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
        (e.kind.name, e.value.bit_length() - 1 if e.kind is EventKind.RING else e.value)
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
    start = max(n for n in range(wanted) if events[n].kind is EventKind.RING)
    stretch = events[start:]
    assert all(event.need_resched for event in events[wanted:-2])
    length = round((stretch[-2].time - stretch[0].time) * 1e12)
    system = loopback(
        recording, stretch, sender_cpus=1, softirq=SoftirqModel(need_resched=True), wakeup_ps=length
    )
    outcome, log = simulate_logged(system, 1, engine)
    assert simulated_order(log, system) == recorded_order(stretch)
    handed = [row.time_ps for row in log if row.happening is Happening.KSOFTIRQD]
    rings = [row.time_ps for row in log if row.happening is Happening.RING]
    assert outcome.ksoftirqd[0] == len(handed) == len(rings)
    runs = [row.time_ps for row in log if row.happening is Happening.RUN_BEGIN]
    assert runs[-2] < handed[-1] < runs[-1]  # ksoftirqd's own run: the race check left over


LINKED = [(boot, point.name) for boot in BOOTS for point in evaluated(boot) if point.link == "up"]
# A scenario's doorbells all reach the peer; this endpoint has a slot for one QP of its two.
LOST = ("before-after-slots-3", "rc-to-ep-f2-n5-g12000")
# What the rings alone do not tell, by the end of the name.
BURST, SPACED = "n12-g0", "n5-g2000"
UNTOLD = {
    # One CPU does everything: the work item that raises waits for the flow that rings. A
    # scenario's sender has a CPU of its own, so fewer rings meet in one interrupt.
    **{(boot, f"ep-to-rc-f4-{BURST}"): "deferral" for boot in ("after-after", "after-before")},
    # The kernel preempts: ksoftirqd runs between two callbacks of one poll, and what it ran is
    # scheduled once more. A step of a scenario's task is never preempted.
    **{
        (boot, f"rc-to-ep-f4-{name}"): "preemption"
        for boot in ("before-after", "before-before")
        for name in (BURST, SPACED)
    },
}
TOLD = [point for point in LINKED if point not in UNTOLD and point != LOST]


def found(boot: str, name: str) -> tuple[PairRecordings, PointRecording, PairPoint]:
    recordings = load(PAIR_DATA / boot)
    (point,) = [point for point in recordings.points if point.traffic.name == name]
    (measured,) = [point for point in evaluated(boot) if point.name == name]
    return recordings, point, measured


def test_every_point_but_those_named_is_held() -> None:
    """The numbers of docs/datapath.md."""
    assert set(UNTOLD) < set(LINKED)
    spaced = {
        (boot, p.name) for boot in BOOTS for p in evaluated(boot) if p.gap_us and p.link == "up"
    }
    assert LOST in spaced
    assert (len(spaced & set(TOLD)), len(spaced)) == (9, 12)
    assert (len(set(TOLD) - spaced), len(set(LINKED) - spaced)) == (6, 10)
    preempted = {point for point, why in UNTOLD.items() if why == "preemption"}
    assert (len(preempted & spaced), len(preempted - spaced)) == (2, 2)
    assert len({*UNTOLD} - preempted - spaced) == 2
    assert {boot for boot, _ in TOLD} == {boot for boot, _ in LINKED}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("boot", "name"), TOLD)
def test_runs_per_qp_are_the_kernels(boot: str, name: str, engine: str) -> None:
    recordings, point, measured = found(boot, name)
    system = system_of(recordings, point)
    outcome = simulate(system, 1, engine)
    assert runs_per_qp(outcome) == measured.runs_per_qp
    assert [queue.rings for queue in outcome.queues] == measured.doorbells_per_qp
    assert sum(flow.delivered for flow in outcome.flows) == measured.packets_received
    assert not any(queue.missed or queue.misrouted for queue in outcome.queues)
    events = zip(outcome.interrupts, system.sources, strict=True)
    assert sum(count * len(source.callbacks) for count, source in events) == measured.events


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("boot", "name"), UNTOLD)
def test_where_the_rings_do_not_tell_runs_are_within_the_models_bounds(boot, name, engine) -> None:
    recordings, point, measured = found(boot, name)
    runs = runs_per_qp(simulate(system_of(recordings, point), 1, engine))
    assert runs != measured.runs_per_qp  # else the point belongs to those that are held
    bounds = zip(measured.least_runs_per_qp, runs, measured.most_runs_per_qp, strict=True)
    assert all(low <= count <= high for low, count, high in bounds)


def test_an_endpoint_that_loses_rings_is_no_part_of_a_scenario() -> None:
    """Of ten rings five had an event; a scenario's device reports every one."""
    recordings, point, measured = found(*LOST)
    assert (measured.doorbells_rung, measured.events) == (10, 5)
    assert sum(simulate(system_of(recordings, point), 1, ENGINES[0]).interrupts) == 10


@pytest.mark.parametrize(
    ("boot", "wrong", "parts"),
    [
        ("after-before", "ntb_hw_epf-v4", ["sources"]),
        ("after-before", "ntb_hw_epf-v4", ["queues", "latch"]),  # what db_read() shows
        ("before-after", "ntb_hw_epf-legacy", ["sources"]),
    ],
)
def test_another_driver_runs_otherwise(boot: str, wrong: str, parts: list[str]) -> None:
    """Neither its masks nor its db_read() may be taken for the other's."""
    recordings, point, measured = found(boot, f"ep-to-rc-f4-{SPACED}")
    system, spec = system_of(recordings, point), spec_of(recordings, point)
    device = msgspec.structs.replace(spec.scenario.device, hardware=wrong)
    scenario = msgspec.structs.replace(spec.scenario, device=device)
    dispatch = "per-vector" if wrong.endswith("v4") else "fallback"
    other = resolve(replace(spec, scenario=scenario, dispatch=dispatch), 0)
    changed = replace(system, **{part: getattr(other, part) for part in parts})
    assert runs_per_qp(simulate(changed, 1, ENGINES[0])) != measured.runs_per_qp
