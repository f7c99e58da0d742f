# SPDX-License-Identifier: BSD-3-Clause
"""A matrix of boots: in parallel, in one order, interrupted and resumed, saved after each."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs
from pair_recordings import DATA, load

from ntbbench.lab.commands import BuildError, GuestError
from ntbbench.lab.pair.boot.left import DriverSource, PairRecordings
from ntbbench.lab.pair.matrix import MatrixHooks, MatrixScenario, plan_key, point_key, run_matrix
from ntbbench.lab.pair.plan import PairPlan, PairSetup
from ntbbench.lab.pair.records import FAILED, PairPoint

HUNG = "the guest hung: no end after 9 s: it said nothing"
PANICKED = "the guest panicked: kernel BUG at vntb.c:1"
SCENARIO = MatrixScenario(kernel="debian:7.3", ep_slots=(8, 4), mw_count=(2,))


class Rig:
    """Boots that are recordings of before, with the setting that was asked for."""

    def __init__(self) -> None:
        self.booted: list[PairPlan] = []
        self.stopped = threading.Event()
        self.stop_after = 0
        self.fail_at = 0
        self.die_at = 0
        self.recorded = 0  # points of a guest that died
        self.lock = threading.Lock()

    def boot(self, plan: PairPlan, _folder: Path) -> PairRecordings:
        with self.lock:
            self.booted.append(plan)
            number = len(self.booted)
        if number == self.stop_after:
            self.stopped.set()
        if number == self.fail_at:
            raise GuestError(HUNG)
        old = load(DATA / f"{plan.setup.ep_driver}-{plan.setup.rc_driver}")
        points = tuple(
            point
            for direction in ("ep-to-rc", "rc-to-ep")
            for point in old.points
            if point.traffic.direction == direction and point.traffic.gap_us
        )
        setup = structs.replace(plan.setup, queues=4)
        died = replace(old, plan=replace(plan, setup=setup), points=points)
        if number == self.die_at:
            return replace(died, points=points[: self.recorded], died=PANICKED)
        return died

    def drivers(self, setup: PairSetup) -> tuple[DriverSource, DriverSource]:
        old = load(DATA / f"{setup.ep_driver}-{setup.rc_driver}")
        return old.ep, old.rc


def hooks(rig: Rig, jobs: int = 1) -> tuple[MatrixHooks, list[list[PairPoint]]]:
    saved: list[list[PairPoint]] = []
    called = MatrixHooks(rig.boot, rig.drivers, saved.append, rig.stopped.is_set, jobs=jobs)
    return called, saved


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_result_does_not_depend_on_the_jobs(jobs: int) -> None:
    plans = SCENARIO.plans()
    points, complete = run_matrix(plans, [], hooks(Rig(), jobs)[0])
    assert complete
    assert [point_key(point) for point in points] == [
        plan_key(plan) for plan in plans for _ in plan.traffic
    ]
    assert points == run_matrix(plans, [], hooks(Rig(), 1)[0])[0]


def test_plans_walk_windows_slots_and_drivers() -> None:
    keys = [plan_key(plan) for plan in SCENARIO.plans()]
    assert len(keys) == len(set(keys)) == 2 * 4
    assert keys[:2] == [("before", "before", 8, 2), ("before", "after", 8, 2)]


def test_every_boot_is_saved_in_order() -> None:
    called, saved = hooks(Rig())
    plans = SCENARIO.plans()
    run_matrix(plans, [], called)
    assert [len(points) for points in saved] == [2 * n for n in range(1, len(plans) + 1)]


def test_half_a_boot_is_booted_again() -> None:
    plans = SCENARIO.plans()
    points, _ = run_matrix(plans, [], hooks(Rig())[0])
    again = Rig()
    run_matrix(plans, points[:-1], hooks(again)[0])
    assert [plan_key(plan) for plan in again.booted] == [plan_key(plans[-1])]


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_guest_that_fails_keeps_no_other_from_its_boot(jobs: int) -> None:
    plans, rig = SCENARIO.plans(), Rig()
    rig.fail_at = 3
    called, saved = hooks(rig, jobs)
    told: list[str] = []
    called.failed = told.append
    first, complete = run_matrix(plans, [], called)
    assert complete and len(rig.booted) == len(plans) and saved[-1] == first
    failed = rig.booted[2]
    assert told == [f"{failed.setup.label}: {HUNG}"]
    points = [point for point in first if point_key(point) == plan_key(failed)]
    assert [point.direction for point in points] == ["ep-to-rc", "rc-to-ep"]
    for point in points:
        assert (point.status, point.link, point.cause) == (FAILED, "down", HUNG)
        assert point.agrees is False and point.runs_per_qp == [] and point.doorbells_rung == 0
        assert point.predicted_link == "up" and point.predicted_verdict
    again = Rig()
    points, complete = run_matrix(plans, first, hooks(again)[0])
    assert complete and again.booted == [failed]
    assert points == run_matrix(plans, [], hooks(Rig())[0])[0]


@pytest.mark.parametrize("recorded", [0, 1, 2])
def test_a_guest_that_dies_keeps_the_points_that_it_had_finished(recorded: int) -> None:
    """One that dies after its last point has not finished that: it may die of what it sent."""
    plans, rig = SCENARIO.plans(), Rig()
    rig.die_at, rig.recorded = 1, recorded
    assert all(plan.may_die for plan in plans)
    points, complete = run_matrix(plans, [], hooks(rig)[0])
    assert complete
    ends = [(point.status, point.cause) for point in points[:2]]
    assert ends == ([("ok", "")] * min(recorded, 1) + [(FAILED, PANICKED)] * 2)[:2]
    assert {point.status for point in points[2:]} == {"ok"}


def test_a_matrix_of_which_every_guest_fails_is_complete() -> None:
    def boot(_plan: PairPlan, _folder: Path) -> PairRecordings:
        raise GuestError(PANICKED)

    points, complete = run_matrix(SCENARIO.plans(), [], MatrixHooks(boot, Rig().drivers, print))
    assert complete and {point.cause for point in points} == {PANICKED}


def test_a_source_that_does_not_build_ends_the_matrix() -> None:
    booted: list[PairPlan] = []

    def boot(plan: PairPlan, _folder: Path) -> PairRecordings:
        booted.append(plan)
        raise BuildError("pci-epf-vntb.c:1: error: expected ;")

    with pytest.raises(BuildError):
        run_matrix(SCENARIO.plans(), [], MatrixHooks(boot, Rig().drivers, print))
    assert len(booted) == 1


def test_a_boot_beside_a_source_that_does_not_build_is_saved() -> None:
    rig, both = Rig(), threading.Barrier(2, timeout=60)
    refused = threading.Event()

    def boot(plan: PairPlan, folder: Path) -> PairRecordings:
        both.wait()
        if plan == SCENARIO.plans()[0]:
            refused.set()
            raise BuildError("pci-epf-vntb.c:1: error: expected ;")
        refused.wait()
        return rig.boot(plan, folder)

    saved: list[list[PairPoint]] = []
    with pytest.raises(BuildError):
        called = MatrixHooks(boot, rig.drivers, saved.append, jobs=2)
        run_matrix(SCENARIO.plans()[:2], [], called)
    assert [len(points) for points in saved] == [2]
