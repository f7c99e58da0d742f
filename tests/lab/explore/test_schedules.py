# SPDX-License-Identifier: BSD-3-Clause
"""Schedules that seeds draw, and those that are made smaller."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.lab.explore.code_points import CodePoint
from ntbbench.lab.explore.records import ANY, EACH, Delay, PacketSender, Schedule
from ntbbench.lab.explore.schedules import (
    STRATEGIES,
    WORKLOADS,
    Field,
    ScheduleDraws,
    draw,
    guest_lines,
    pct_bound,
    plain,
)
from ntbbench.lab.explore.shrink import smaller_ones

POINTS = (CodePoint("a", "f", 0, "w"), CodePoint("a", "g", 4, "r"), CodePoint("b", "h", 8, "m"))
DRIVER = CodePoint("ntb_hw_epf", "isr", 4, "m")
FIELD = Field(2, 4, POINTS, {point.name: 5 for point in POINTS}, 100)
seeds = st.integers(0, 10**6)
draws = st.builds(ScheduleDraws, st.sampled_from(WORKLOADS), st.sampled_from(STRATEGIES))


@given(seeds, draws)
def test_a_seed_draws_one_schedule(seed: int, drawn: ScheduleDraws) -> None:
    schedule = draw(FIELD, seed, drawn)
    assert schedule == draw(FIELD, seed, drawn)
    assert schedule != draw(FIELD, seed + 1, drawn)
    names = {point.name for point in POINTS} | {ANY}
    assert all(delay.point in names and 0 <= delay.hit <= 100 for delay in schedule.delays)
    assert all(0 <= s.cpu < 2 and 0 <= qp < 4 for s in schedule.senders for qp, _ in s.packets)
    assert {sender.side for sender in schedule.senders} == {0, 1}
    assert bool(schedule.actions) == (drawn.workload != "traffic")


def test_a_plain_schedule_has_no_delays() -> None:
    assert not plain(FIELD, 3, "traffic").delays


def test_a_driver_has_twice_the_share_of_another_module() -> None:
    points = (*(CodePoint("ntb", f"f{n}", 0, "w") for n in range(9)), DRIVER)
    field = Field(2, 4, points, {point.name: 5 for point in points}, 100)
    drawn = [draw(field, seed, ScheduleDraws("traffic", "random")) for seed in range(400)]
    names = [delay.point for schedule in drawn for delay in schedule.delays]
    assert 0.61 < names.count(DRIVER.name) / len(names) < 0.72


@given(seeds, draws)
def test_smaller_schedules_are_smaller(seed: int, drawn: ScheduleDraws) -> None:
    schedule = draw(FIELD, seed, drawn)
    found = list(smaller_ones(schedule))
    assert all(smaller.size < schedule.size for smaller in found)
    assert len(schedule.delays) < 2 or any(len(one.delays) == 1 for one in found)


def test_the_smallest_schedule_has_none_smaller() -> None:
    smallest = Schedule(
        seed=1,
        workload="traffic",
        strategy="random",
        senders=(),
    )
    assert list(smaller_ones(smallest)) == []


def test_what_the_guest_is_told() -> None:
    schedule = Schedule(
        seed=1,
        workload="traffic",
        strategy="random",
        senders=(PacketSender(1, 0, ((2, 20), (3, 0))),),
        delays=(Delay("a:f+0x0", EACH, 50), Delay(ANY, 9, 500), Delay("gone", 1, 5)),
    )
    assert list(guest_lines(schedule, "x+", {"a:f+0x0": 4})) == [
        "sender 1 0 2:20 3:0",
        "delay 4 0 50",
        "delay -1 9 500",
        "run x+",
    ]


@pytest.mark.parametrize(("cpus", "steps", "bound"), [(2, 100, 5e-5), (4, 10, 2.5e-3)])
def test_the_bound_of_pct(cpus: int, steps: int, bound: float) -> None:
    assert pct_bound(Field(cpus, 4, steps=steps)) == pytest.approx(bound)
