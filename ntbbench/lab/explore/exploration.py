# SPDX-License-Identifier: BSD-3-Clause
"""Seeds of several pairs of drivers and workloads: what each came to, what was found and met."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ntbbench.lab.boot_pool import PoolHooks
from ntbbench.lab.explore.explore_findings import finding_of
from ntbbench.lab.explore.explore_guest import ExploreLab
from ntbbench.lab.explore.explore_run import (
    SeedRun,
    Seeds,
    coverage,
    explore,
    profiled,
    seed_points,
)
from ntbbench.lab.explore.records import (
    HELD,
    ORACLES,
    Coverage,
    ExploreFinding,
    ExploreSeed,
)
from ntbbench.lab.explore.schedules import ScheduleDraws


@dataclass
class Exploration:
    """What has been explored so far."""

    points: list[ExploreSeed] = field(default_factory=list)
    findings: list[ExploreFinding] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)

    def add(
        self,
        lab: ExploreLab,
        drawn: ScheduleDraws,
        numbers: Sequence[int],
        hooks: PoolHooks[int, list[SeedRun]],
        *,
        most_findings: int,
    ) -> None:
        """Run the seeds `numbers` of one pair of drivers, until `hooks.stop`.

        `most_findings`: how many of them are made small and run again, the worst first.
        GuestError: the pair does not carry packets undisturbed.
        """
        seeds = Seeds(lab, drawn, profiled(lab, drawn.workload))
        runs = explore(seeds, numbers, hooks)
        points = seed_points(seeds, runs)
        failed = [run for run in runs if run.judgement.oracle != HELD]
        failed.sort(key=lambda run: ORACLES.index(run.judgement.oracle))
        self.findings += [finding_of(seeds, run) for run in failed[:most_findings]]
        self.points += points
        self.coverage.append(coverage(seeds, points))
