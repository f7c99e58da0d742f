# SPDX-License-Identifier: BSD-3-Clause
"""A finding of an earlier exploration, run again on its driver or on another one."""

from dataclasses import dataclass

from ntbbench.lab.explore.code_points import code_points, located
from ntbbench.lab.explore.explore_findings import Replay, finding, replayed
from ntbbench.lab.explore.explore_guest import ExploreLab
from ntbbench.lab.explore.mapping import mapped, renamed
from ntbbench.lab.explore.records import (
    HELD,
    Coverage,
    ExploreFinding,
    ExploreResult,
    ExploreSeed,
    Schedule,
)

GONE = "the point is not in this driver: {}"
NOT_MET = "the schedule no longer meets the point"


@dataclass(frozen=True)
class ReplayedFinding:
    """What a schedule came to."""

    point: ExploreSeed
    finding: ExploreFinding
    coverage: Coverage


def replay_finding(lab: ExploreLab, found: ExploreResult, one: ExploreFinding) -> ReplayedFinding:
    """Run the schedule of a finding of `found` on the drivers of `lab`; GuestError: as a boot."""
    drivers = (one.ep_driver, one.rc_driver)
    of_it = (part for part in found.coverage if (part.ep_driver, part.rc_driver) == drivers)
    before = next(part for part in of_it if part.workload == one.schedule.workload)
    every = located(code_points(lab.modules), lab.modules, lab.sources)
    places = mapped(before.points, every)
    points = tuple(places.values())
    schedule = renamed(one.schedule, places)
    replay = replayed(lab, points, schedule)
    again = finding(lab, points, (one.drawn, schedule), replay, replay.judgement)
    point = ExploreSeed(
        ep_driver=lab.setup.ep_driver,
        rc_driver=lab.setup.rc_driver,
        workload=schedule.workload,
        strategy=schedule.strategy,
        seed=schedule.seed,
        outcome=again.oracle if replay.failed else HELD,
        words=again.words or _remark(schedule, again, replay),
        packets=schedule.packets,
        delays=sum(again.met),
    )
    return ReplayedFinding(point, again, _coverage(lab, before, point))


def _remark(schedule: Schedule, again: ExploreFinding, replay: Replay) -> str:
    """Return why a schedule that holds says nothing of the driver; empty: it does."""
    if replay.missing:
        return GONE.format(", ".join(replay.missing))
    return "" if any(again.met) or not schedule.delays else NOT_MET


def _coverage(lab: ExploreLab, before: Coverage, point: ExploreSeed) -> Coverage:
    return Coverage(
        ep_driver=lab.setup.ep_driver,
        rc_driver=lab.setup.rc_driver,
        workload=point.workload,
        strategy=point.strategy,
        seeds=1,
        failed=int(point.outcome != HELD),
        boots=1,
        pairs=0,
        last_new_seed=-1,
        steps=before.steps,
        bound=before.bound,
        points=before.points,
    )
