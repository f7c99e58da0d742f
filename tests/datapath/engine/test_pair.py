# SPDX-License-Identifier: BSD-3-Clause
"""Runs per QP of the simulator's engines beside those of the real driver pair, boot by boot.

The rings are put where they were recorded; which QPs an interrupt wakes, what db_read() shows
after it, and so whom the race check hits, is what `ntbbench simulate` knows of the drivers.
"""

from dataclasses import replace

import msgspec
import pytest
from datapath_pair import ps, recorded, runs_per_qp, spec_of, system_of
from pair_recordings import BOOTS, DATA, evaluated, load

from ntbbench.datapath.engine import ENGINES, simulate
from ntbbench.datapath.grid_point import resolve
from ntbbench.lab.pair.plan import PairRecordings, PointRecording
from ntbbench.lab.pair.records import PairPoint

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
    recordings = load(DATA / boot)
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
def test_where_the_rings_do_not_tell_runs_are_within_the_models_bounds(
    boot: str, name: str, engine: str
) -> None:
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


def test_rings_are_where_they_were_recorded() -> None:
    recordings, point, _ = found("after-after", f"rc-to-ep-f4-{SPACED}")
    seen, system = recorded(point), system_of(recordings, point)
    assert seen.poll is not None
    sent = sorted(time for flow in system.flows for time in flow.times_ps)
    rung = sorted(time for times in seen.rings.values() for time in times)
    assert [time - sent[0] for time in sent] == [ps(time - rung[0]) for time in rung]
    assert (sent[0] + ps(seen.poll - rung[0])) % (6 * 10**9) == 0  # a poll of the engines
