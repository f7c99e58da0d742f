# SPDX-License-Identifier: BSD-3-Clause
"""Time every implementation in turn, in one process, and print the ratios of docs/kernels.md.

Round-robin, because a machine's speed drifts: each round runs each implementation once, so that
all see the same drift. A time is the least of the rounds, in CPU time of the thread: what other
processes take is no cost of a kernel. Exit code 1: a target is missed.
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from tabulate import tabulate

from benches.baseline import Baseline
from benches.cases import Case, all_cases
from benches.numpy_kernels import BincountProduct, NumpyDispatch
from ntbbench.core.environment import BUILD
from ntbbench.dispatch.engine.batch import DispatchCounts

TURN_NS = 2_000_000
NAMES = ("reference", "numpy", "C", "scan", "bitset", "coded", "bincount")
# Some 300 ns to 10 us per dispatch: a batch as long as that of the others would take minutes.
REFERENCE_INTERRUPTS = 2048


@dataclass(frozen=True)
class Implementation:
    """A prepared batch.

    Parameters
    ----------
    case : what is counted; for the reference, the first interrupts of the others' case.
    run : counts the batch once.
    counts : returns what the last run counted.
    """

    name: str
    case: Case
    run: Callable[[], None]
    counts: Callable[[], DispatchCounts]


def implementations(case: Case, baseline: Baseline) -> list[Implementation]:
    """Prepare all that can count a case, outside of what is timed."""
    short = replace(case, vectors=case.vectors[:REFERENCE_INTERRUPTS])
    ways: list[tuple[str, Case, Any]] = [
        ("reference", short, short.prepare("reference")),
        ("numpy", case, NumpyDispatch(case)),
        ("C", case, baseline.prepare(case)),
        ("scan", case, case.prepare("scan")),
        ("bitset", case, case.prepare("bitset")),
        ("coded", case, case.prepare("bitset", coded=True)),
    ]
    if case.drain == 1:  # a matrix product cannot count merging
        ways.append(("bincount", case, BincountProduct(case)))
    return [Implementation(name, of, way.run, way.counts) for name, of, way in ways]


@dataclass(frozen=True)
class Measured:
    """Nanoseconds per dispatch of a case, by name of the implementation."""

    case: Case
    ns: dict[str, float]


@dataclass(frozen=True)
class Target:
    """A number that the kernels must keep: at most (or, where `at_least`, at least) `limit`."""

    what: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def time_turn(implementation: Implementation, repeats: int) -> float:
    """Run an implementation `repeats` times, and return its nanoseconds per dispatch."""
    start = time.thread_time_ns()
    for _ in range(repeats):
        implementation.run()
    elapsed = time.thread_time_ns() - start
    return elapsed / repeats / implementation.case.vectors.size


def repeats_of(implementation: Implementation) -> int:
    """Return how often a turn runs it: the quickest would else be timed on cold caches."""
    batch = time_turn(implementation, 1) * implementation.case.vectors.size
    return max(1, round(TURN_NS / batch))


def check_counts(prepared: list[Implementation]) -> None:
    """End the program where two implementations disagree: a wrong loop has no speed."""
    for implementation in prepared:
        scan = implementation.case.prepare("scan")
        scan.run()
        if implementation.counts() != scan.counts():
            name = implementation.case.name
            raise SystemExit(f"{name}: {implementation.name} counts otherwise than scan")


def measure(case: Case, baseline: Baseline, rounds: int) -> Measured:
    """Time one case; the runs that set the repeats warm up, and are not counted."""
    prepared = implementations(case, baseline)
    repeats = [repeats_of(implementation) for implementation in prepared]
    check_counts(prepared)
    ns = {implementation.name: math.inf for implementation in prepared}
    for _ in range(rounds):
        for implementation, times in zip(prepared, repeats, strict=True):
            found = time_turn(implementation, times)
            ns[implementation.name] = min(ns[implementation.name], found)
    return Measured(case, ns)


def geometric_mean(values: Iterable[float]) -> float:
    """Return the mean of ratios."""
    return math.exp(fmean(math.log(value) for value in values))


def ratio(measured: list[Measured], name: str, base: str) -> float:
    """Return the geometric mean of `name` over `base`, over the cases that have both."""
    return geometric_mean(
        row.ns[name] / row.ns[base] for row in measured if name in row.ns and base in row.ns
    )


def targets(measured: list[Measured]) -> list[Target]:
    """Return the targets of docs/kernels.md, all of them geometric means over the cases."""
    unmerged = [row for row in measured if row.case.drain == 1]
    coded = geometric_mean(row.ns["coded"] for row in unmerged)
    return [
        Target("scan / C", ratio(measured, "scan", "C"), 1.05),
        Target("bitset / C", ratio(measured, "bitset", "C"), 0.5),
        Target("coded, drain 1, ns per dispatch", coded, 0.30),
        Target("bincount / coded", ratio(unmerged, "bincount", "coded"), 15, at_least=True),
    ]


def print_cases(measured: list[Measured]) -> None:
    """Print nanoseconds per dispatch by case, and the ratios by kind of case."""
    rows = [
        [row.case.dispatch, row.case.drain, row.case.queues, *(row.ns.get(n) for n in NAMES)]
        for row in measured
    ]
    print("\nns per dispatch")
    print(tabulate(rows, ["dispatch", "drain", "Q", *NAMES], floatfmt=".3f"))
    kinds: dict[tuple[str, int], list[Measured]] = {}
    for row in measured:
        kinds.setdefault((row.case.dispatch, row.case.drain), []).append(row)
    names = ("reference", "numpy", "scan", "bitset", "coded")
    rows = [[*key, *(ratio(kind, name, "C") for name in names)] for key, kind in kinds.items()]
    print("\ntimes the C loop, geometric mean over Q")
    print(tabulate(rows, ["dispatch", "drain", *names], floatfmt=".3f"))


def print_targets(found: list[Target]) -> None:
    """Print each target, its limit, and whether it is met."""
    print()
    rows = [
        [
            target.what,
            f"{target.value:.3f}",
            f"{'>=' if target.at_least else '<='} {target.limit}",
            "met" if target.met else "MISSED",
        ]
        for target in found
    ]
    print(tabulate(rows, ["target", "value", "limit", ""], disable_numparse=True))


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benches.kernels", allow_abbrev=False)
    parser.add_argument("--interrupts", type=int, default=1 << 19, help="a batch (%(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="of each case (%(default)s)")
    args = parser.parse_args()
    if args.interrupts < 1 or args.rounds < 1:
        parser.error("--interrupts, --rounds: at least 1")
    if BUILD.checked:
        parser.error("the engine is the checked build (NTBBENCH_CHECKED=1): not one to time")
    print(f"{BUILD.name}: {BUILD.flags}")
    print(f"{args.interrupts} interrupts per batch, {args.rounds} rounds")
    with tempfile.TemporaryDirectory() as directory:
        baseline = Baseline(Path(directory))
        measured = [measure(case, baseline, args.rounds) for case in all_cases(args.interrupts)]
    print_cases(measured)
    found = targets(measured)
    print_targets(found)
    return 0 if all(target.met for target in found) else 1


if __name__ == "__main__":
    sys.exit(main())
