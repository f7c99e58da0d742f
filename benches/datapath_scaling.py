# SPDX-License-Identifier: BSD-3-Clause
"""How much faster two processes run a grid of simulated points than one, beside what the machine
gives to two processes that share nothing.

python -m benches.datapath_scaling [--rounds N] [--seconds S]

The grid is the R-Car board's; a replication lasts the milliseconds that are printed, all above 0.5.
There are so many of them that one job has work for some seconds: to start and to wait for the last
takes some ten milliseconds, which a grid of a fraction of a second pays dearly.
A round times in turn: one job, two jobs (their processes started before), one process pinned to
either CPU, two pinned at once. Printed are the mean of the rounds' ratios with its 95 % interval,
and the ratio of the times of all rounds. Every run must give the same records, or the bench ends.

Where both estimates of the gain reach the target it is met. Where they do not, and what the machine
gives to two processes that share nothing is below the target with its whole interval, the row says
"machine" and that ceiling: the target cannot be judged there. Exit code 1: a target is missed.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier

import msgspec
from tabulate import tabulate

from ntbbench.datapath.grid import Found, Grid, GridHooks, WorkPlace, local, run_grid
from ntbbench.datapath.grid_point import SimulationSpec, expand
from ntbbench.datapath.records import Estimate
from ntbbench.datapath.replicate import replicate
from ntbbench.datapath.sections import RCAR_S4_SPIDER, S
from ntbbench.datapath.summary import estimate

TARGET = 1.9
LEAST = 0.5e-3  # seconds of a replication that the target is for
DURATIONS = (1, 5, 20)  # simulated seconds
ENGINE = "specialised"
MISSED = "missed"


def points(seconds: int) -> list[SimulationSpec]:
    """Return the board's points, each run for some simulated seconds."""
    run = msgspec.structs.replace(RCAR_S4_SPIDER.run, duration=seconds * S)
    scenario = msgspec.structs.replace(RCAR_S4_SPIDER, run=run)
    return [spec for spec in expand(scenario) if spec.reason is None]


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def on(place: WorkPlace, grid: Grid) -> tuple[float, Found]:
    """Return how long a grid takes, and what it found."""
    found: Found = [{} for _ in grid.specs]
    return timed(lambda: run_grid(grid, found, place, GridHooks())), found


def pinned(cpu: int, grid: Grid, ready: Barrier) -> None:
    """Run the whole grid on one CPU, sharing nothing."""
    os.sched_setaffinity(0, {cpu})
    replicate(grid.specs[0], 0, grid.engine)
    ready.wait()
    for spec in grid.specs:
        for number in range(grid.replications):
            replicate(spec, number, grid.engine)


def alone(cpus: list[int], grid: Grid) -> float:
    """Return how long one process a CPU takes, each for the whole grid."""
    context = multiprocessing.get_context("forkserver")
    ready = context.Barrier(len(cpus) + 1)
    processes = [context.Process(target=pinned, args=(cpu, grid, ready)) for cpu in cpus]
    for process in processes:
        process.start()
    ready.wait()
    seconds = timed(lambda: [process.join() for process in processes])
    if any(process.exitcode for process in processes):
        sys.exit("a pinned process failed")
    return seconds


@dataclass(frozen=True, slots=True)
class Gain:
    """Seconds of one and of two at once, by round.

    Parameters
    ----------
    single : what one takes for all the work, or two for theirs one after the other.
    double : the same work, by two at once.
    """

    single: list[float]
    double: list[float]

    def by_round(self) -> Estimate:
        return estimate([one / two for one, two in zip(self.single, self.double, strict=True)])

    def by_total(self) -> float:
        return sum(self.single) / sum(self.double)

    def reached(self) -> bool:
        """Tell whether both estimates reach the target."""
        return min(self.by_round().mean, self.by_total()) >= TARGET

    def reachable(self) -> bool:
        """Tell whether the interval, or of one round the ratio, goes up to the target."""
        found = self.by_round()
        return (found.mean if found.high is None else found.high) >= TARGET

    def __str__(self) -> str:
        found = self.by_round()
        if found.low is None or found.high is None:
            return f"{found.mean:.2f}"
        return f"{found.mean:.2f} ({found.low:.2f} to {found.high:.2f})"


def grid_of(seconds: int, work: float) -> Grid:
    """Return the grid of some simulated seconds that gives one job `work` seconds to do."""
    one = Grid(points(seconds), 1, ENGINE)
    with local(1, one.total) as place:
        on(place, one)  # imports what it takes
        share, _ = on(place, one)
    return Grid(one.specs, max(1, round(work / share)), ENGINE)


def measure(grid: Grid, cpus: list[int], rounds: int) -> tuple[Gain, Gain]:
    """Return the times of one job and of two, and of processes on one CPU and on two."""
    jobs, ceiling = Gain([], []), Gain([], [])
    with local(1, grid.total) as one, local(2, grid.total) as two:
        on(two, grid)  # starts the processes
        for _ in range(rounds):
            single, expected = on(one, grid)
            double, found = on(two, grid)
            if found != expected or sum(map(len, found)) != grid.total:
                sys.exit("one job and two found something else")
            jobs.single.append(single)
            jobs.double.append(double)
            ceiling.single.append(sum(alone([cpu], grid) for cpu in cpus))
            ceiling.double.append(alone(cpus, grid))
    return jobs, ceiling


def verdict(least: float, jobs: Gain, ceiling: Gain) -> str:
    """Judge a gain where a replication takes `least` seconds: "met", MISSED, or why neither."""
    if least < LEAST:
        return "too short"
    if jobs.reached():
        return "met"
    return MISSED if ceiling.reachable() else f"machine: {ceiling}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one job's work on a grid")
    args = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))[:2]
    if len(cpus) < 2:
        sys.exit("needs two CPUs")
    rows = []
    for seconds in DURATIONS:
        grid = grid_of(seconds, args.seconds)
        jobs, ceiling = measure(grid, cpus, args.rounds)
        least = min(jobs.single) / grid.total
        gains = [f"{gain.by_total():.2f}" for gain in (jobs, ceiling)]
        judged = verdict(least, jobs, ceiling)
        measured = [str(jobs), gains[0], str(ceiling), gains[1]]
        rows.append([str(grid.total), f"{least * 1e3:.2f}", *measured, judged])
    headers = ["runs", "ms each", "two jobs / one", "by total", "two CPUs / one", "by total"]
    print(tabulate(rows, [*headers, f">= {TARGET}"], disable_numparse=True))
    sys.exit(any(row[-1] == MISSED for row in rows))


if __name__ == "__main__":
    main()
