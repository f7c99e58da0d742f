# SPDX-License-Identifier: BSD-3-Clause
"""A seed that failed, made small, run again in a boot of its own, and told as a story."""

from collections.abc import Sequence
from dataclasses import dataclass

from ntbbench.lab.commands import GuestError
from ntbbench.lab.explore.code_points import CodePoint
from ntbbench.lab.explore.explore_guest import ExploreLab, GuestRun
from ntbbench.lab.explore.explore_run import SeedRun, Seeds
from ntbbench.lab.explore.oracles import Judgement, judged
from ntbbench.lab.explore.records import (
    HELD,
    STUCK,
    ExploreFinding,
    PlaceInCode,
    Schedule,
)
from ntbbench.lab.explore.schedules import met_by, names_of
from ntbbench.lab.explore.shrink import BOOTS, RUNS, shrunk
from ntbbench.lab.explore.story import told

WIPES = (
    "it knows this: a polled endpoint clears a slot after its event, and a ring that lands in "
    "between is wiped"
)
NOT_KNOWN = "it has no name for this"


@dataclass(frozen=True)
class Replay:
    """A schedule in boots of its own."""

    judgement: Judgement  # of the first run that failed, else of the last
    failed: int  # runs of the last boot
    runs: int
    boots: int
    run: GuestRun | None  # the one that was judged; None: the guest died in it
    missing: tuple[str, ...] = ()  # points of delays that the code has not


def replayed(lab: ExploreLab, points: Sequence[CodePoint], schedule: Schedule) -> Replay:
    """Run a schedule some times in one boot; if it holds, in another one, BOOTS times in all."""
    names = [f"run{number}" for number in range(RUNS)]
    there = met_by(schedule, names_of(points))
    missing = tuple(delay.point for delay in schedule.delays if delay not in there)
    boots = 0
    while boots < BOOTS:
        boots += 1
        boot = lab.boot(dict.fromkeys(names, schedule), points, logs=1)
        found = [(judged(lab, schedule, name, boot), boot.runs.get(name)) for name in names]
        judgements = [(one, run) for one, run in found if one is not None]
        failing = [(one, run) for one, run in judgements if one.oracle != HELD]
        if failing or (missing and not there):
            break
    if not judgements:
        raise GuestError(boot.died or boot.cause or "the schedule came to no end")
    one, run = (failing or judgements)[0]
    return Replay(one, len(failing), len(judgements), boots, run, missing)


def finding_of(seeds: Seeds, failed: SeedRun) -> ExploreFinding:
    """Return a seed that failed as a finding; its schedule is made smaller first."""
    lab, points = seeds.lab, seeds.profile.points
    oracle = failed.judgement.oracle
    small = shrunk(lab, points, failed.schedule, oracle)
    replay = replayed(lab, points, small)
    if replay.failed == 0:  # the smaller one failed in company only
        small = failed.schedule
        replay = replayed(lab, points, small)
    seen = replay.judgement if replay.failed else failed.judgement
    return finding(lab, points, (failed.schedule, small), replay, seen)


def finding(
    lab: ExploreLab,
    points: Sequence[CodePoint],
    schedules: tuple[Schedule, Schedule],
    replay: Replay,
    seen: Judgement,
) -> ExploreFinding:
    """Return the record of a schedule, as drawn and as replayed; `seen`: what came of it."""
    (drawn, small), run = schedules, replay.run
    return ExploreFinding(
        ep_driver=lab.setup.ep_driver,
        rc_driver=lab.setup.rc_driver,
        seed=drawn.seed,
        oracle=seen.oracle,
        words=seen.words,
        drawn=drawn,
        schedule=small,
        failed=replay.failed,
        runs=replay.runs,
        boots=replay.boots,
        met=[] if run is None else [bool(count) for count in run.delayed],
        story=[] if run is None else told(run, points),
        model=_model(lab, seen, run),
    )


def _model(lab: ExploreLab, judgement: Judgement, run: GuestRun | None) -> str:
    """Return what the model of the drivers says of packets that wait."""
    polled = lab.setup.doorbell == "poll"
    if judgement.oracle == STUCK and polled and run is not None and run.stuck["rc"]:
        return WIPES
    return NOT_KNOWN


def points_of(places: Sequence[PlaceInCode]) -> tuple[CodePoint, ...]:
    """Return the points that a record has kept."""
    return tuple(_point(place) for place in places)


def _point(place: PlaceInCode) -> CodePoint:
    module, _, rest = place.name.partition(":")
    function, _, offset = rest.rpartition("+")
    file, _, number = place.line.rpartition(":")
    line = (file, int(number)) if number else ("", 0)
    return CodePoint(
        module, function, int(offset, 16), place.access, place.operand, line, place.source
    )
