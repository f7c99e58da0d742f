# SPDX-License-Identifier: BSD-3-Clause
"""Seeds of one pair of drivers: a profile, then batches of schedules, and what they met."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ntbbench.lab.boot_pool import BootPool, PoolHooks
from ntbbench.lab.commands import GuestError
from ntbbench.lab.explore.code_points import ENTRY, CodePoint, code_points, located
from ntbbench.lab.explore.explore_guest import ExploreBoot, ExploreLab, GuestRun
from ntbbench.lab.explore.oracles import UNDISTURBED, Judgement, judged
from ntbbench.lab.explore.records import HELD, Coverage, ExploreSeed, PlaceInCode, Schedule
from ntbbench.lab.explore.schedules import Field, ScheduleDraws, Workload, draw, pct_bound, plain

PROFILE_RUNS = 6
BATCH = 40  # schedules of a boot
PROFILE = "profile"


@dataclass(frozen=True)
class Profile:
    """What the pair runs without delays."""

    places: tuple[PlaceInCode, ...]  # the points that the guest gets
    points: tuple[CodePoint, ...]  # the same
    field: Field  # of the schedules


@dataclass
class Seeds:
    """The seeds of one pair of drivers."""

    lab: ExploreLab
    drawn: ScheduleDraws
    profile: Profile
    pairs: set[tuple[str, str]] = field(default_factory=set)  # of points that met in this order
    boots: int = 1  # with the profile's

    def schedule(self, seed: int) -> Schedule:
        """Return the schedule of a seed."""
        return draw(self.profile.field, seed, self.drawn)


def profiled(lab: ExploreLab, workload: Workload) -> Profile:
    """Boot once with every point in the code, and keep those that ran.

    GuestError: the guest died, or the link is down.
    """
    every = code_points(lab.modules)
    machine = Field(lab.setup.cpus, lab.setup.queues or 1)
    schedules = {f"{PROFILE}{n}": plain(machine, n, workload) for n in range(PROFILE_RUNS)}
    boot = lab.boot(schedules, every)
    if boot.died or boot.cause or not boot.runs:
        raise GuestError(boot.died or boot.cause or "the pair carries no packet")
    runs = list(boot.runs.values())
    hits = [run.counts("hits") for run in runs]
    meet = {number for run in runs for pair in run.met for number in pair}
    live = {number for counts in hits for number in counts}
    # each access that met another one, and the start of each function, for the story
    kept = sorted(n for n in live if n in meet or every[n].access == ENTRY)
    points = located([every[n] for n in kept], lab.modules, lab.sources)
    most = {every[n].name: max(counts[n] for counts in hits) for n in kept}
    meeting = tuple(p for n, p in zip(kept, points, strict=True) if n in meet)
    steps = max(sum(counts[n] for n in kept) for counts in hits)
    return Profile(
        places=tuple(_place(p, most[p.name], p in meeting) for p in points),
        points=tuple(points),
        field=replace(machine, points=meeting, hits=most, steps=steps),
    )


def _place(point: CodePoint, hits: int, meets: bool) -> PlaceInCode:
    return PlaceInCode(
        name=point.name,
        access=point.access,
        operand=point.operand,
        line=f"{point.line[0]}:{point.line[1]}" if point.line[1] else "",
        source=point.text,
        hits=hits,
        meets=meets,
    )


@dataclass(frozen=True)
class SeedRun:
    """What one seed came to."""

    seed: int
    schedule: Schedule
    judgement: Judgement
    run: GuestRun | None  # None: the guest died in it


def run_batch(seeds: Seeds, numbers: Sequence[int]) -> list[SeedRun]:
    """Run seeds in as few boots as they live through; a guest that died goes on after that seed.

    GuestError: it does not get to a link, or no seed of it comes to anything.
    """
    left = {str(seed): seeds.schedule(seed) for seed in numbers}
    done: list[SeedRun] = []
    while left:
        boot = seeds.lab.boot(left, seeds.profile.points)
        seeds.boots += 1
        told = list(_told(seeds.lab, left, boot))
        if not told:
            raise GuestError(boot.died or boot.cause or "no schedule came to an end")
        done += told
        if told[-1].judgement.words == UNDISTURBED:  # as every other seed would be
            done += [replace(told[-1], seed=s.seed, schedule=s) for s in list(left.values())[1:]]
            break
        left = {name: s for name, s in left.items() if name not in {str(r.seed) for r in told}}
    return done


def _told(
    lab: ExploreLab, schedules: Mapping[str, Schedule], boot: ExploreBoot
) -> Iterator[SeedRun]:
    for name, schedule in schedules.items():
        judgement = judged(lab, schedule, name, boot)
        if judgement is not None:
            yield SeedRun(schedule.seed, schedule, judgement, boot.runs.get(name))


def explore(
    seeds: Seeds, numbers: Sequence[int], hooks: PoolHooks[int, list[SeedRun]]
) -> list[SeedRun]:
    """Run seeds in batches, several boots at a time; return what came of them, by seed."""
    size = min(BATCH, -(-len(numbers) // hooks.jobs))
    boots: dict[int, Callable[[], list[SeedRun]]] = {
        start: partial(run_batch, seeds, numbers[start : start + size])
        for start in range(0, len(numbers), size)
    }
    pool = BootPool(boots, {}, hooks)
    pool.run()
    return [run for start in sorted(pool.done) for run in pool.done[start]]


def seed_points(seeds: Seeds, runs: Sequence[SeedRun]) -> list[ExploreSeed]:
    """Return the record of each seed, and note the pairs of points that met."""
    return [_seed_point(seeds, run) for run in runs]


def _seed_point(seeds: Seeds, run: SeedRun) -> ExploreSeed:
    points, setup = seeds.profile.points, seeds.lab.setup
    met = [] if run.run is None else run.run.met
    new = {(points[a].name, points[b].name) for a, b in met} - seeds.pairs
    seeds.pairs |= new
    return ExploreSeed(
        ep_driver=setup.ep_driver,
        rc_driver=setup.rc_driver,
        workload=seeds.drawn.workload,
        strategy=seeds.drawn.strategy,
        seed=run.seed,
        outcome=run.judgement.oracle,
        words=run.judgement.words,
        packets=run.schedule.packets,
        delays=0 if run.run is None else sum(1 for count in run.run.delayed if count),
        new_pairs=len(new),
    )


def coverage(seeds: Seeds, points: Sequence[ExploreSeed]) -> Coverage:
    """Return how much the seeds have met."""
    setup, field_of = seeds.lab.setup, seeds.profile.field
    return Coverage(
        ep_driver=setup.ep_driver,
        rc_driver=setup.rc_driver,
        workload=seeds.drawn.workload,
        strategy=seeds.drawn.strategy,
        seeds=len(points),
        failed=sum(point.outcome != HELD for point in points),
        boots=seeds.boots,
        pairs=len(seeds.pairs),
        last_new_seed=max((point.seed for point in points if point.new_pairs), default=-1),
        steps=field_of.steps,
        bound=pct_bound(field_of),
        points=list(seeds.profile.places),
    )
