# SPDX-License-Identifier: BSD-3-Clause
"""Which way of finding changes in a history alarms least and finds most.

    python -m benches.history_changes              # the tables of docs/statistics.md, some minutes
    python -m benches.history_changes --series 200
    python -m benches.history_changes --only table

`history check` beside ruptures' own searches, each with the penalty that gives it 3 % false alarms
on normal noise, and beside Otava (E-divisive with a t-test, as shipped) where it is installed:
pip install apache-otava. The standard deviation of the noise is 1 % of the value, the threshold 0.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import ruptures
from numpy.typing import NDArray
from tabulate import tabulate

from ntbbench.compare.policy import Policy
from ntbbench.compare.statistics import significance
from ntbbench.compare.statistics.changepoints import changes, fewest
from ntbbench.compare.statistics.prediction import fewest_before, predicted

Array = NDArray[np.float64]
Finder = Callable[[Array], list[int]]
COMMITS = 100
DEVIATION = 0.01
TARGET = 0.03  # of 100-commit series of normal noise
POLICY = Policy(threshold=0.0)


def normal(rng: np.random.Generator, n: int) -> Array:
    return rng.normal(size=n)


def autoregressive(rng: np.random.Generator, n: int, r: float) -> Array:
    """Return AR(1) noise of standard deviation 1 from its stationary state."""
    found = rng.normal(size=n)
    for at in range(1, n):
        found[at] = r * found[at - 1] + np.sqrt(1 - r**2) * found[at]
    return found


def heavy(rng: np.random.Generator, n: int) -> Array:
    return rng.standard_t(3, size=n) / np.sqrt(3)


def skewed(rng: np.random.Generator, n: int) -> Array:
    return (rng.lognormal(0, 0.5, size=n) - 1.133) / 0.604


def wild(rng: np.random.Generator, n: int) -> Array:
    """Return normal noise with one commit in 30 ten standard deviations off."""
    return rng.normal(size=n) + 10 * rng.choice([-1, 0, 0, 1], size=n) * (rng.random(n) < 1 / 15)


def ticks(rng: np.random.Generator, n: int, share: float) -> Array:
    """Return values that hop between two neighbouring ticks of a clock."""
    return (rng.random(n) < share) / np.sqrt(share * (1 - share))


@dataclass(frozen=True)
class Scenario:
    """Noise, the levels beneath it (standard deviations), and where they change."""

    name: str
    noise: Callable[[np.random.Generator, int], Array] = normal
    steps: tuple[tuple[int, float], ...] = ()  # a place, and the level from there on

    def series(self, rng: np.random.Generator, n: int = COMMITS) -> Array:
        levels = np.zeros(n)
        for place, level in self.steps:
            levels[place:] = level
        return 100 * np.exp(DEVIATION * (levels + self.noise(rng, n)))

    def holds(self, found: Sequence[int]) -> bool:
        """Return whether this is found: every step to a commit; without steps: anything at all."""
        if not self.steps:
            return bool(found)
        return all(any(abs(place - at) <= 1 for at in found) for place, _ in self.steps)

    def only(self, found: Sequence[int]) -> bool:
        """Return whether just the steps are found."""
        return self.holds(found) and len(found) == len(self.steps)


STATIONARY = (
    Scenario("normal"),
    Scenario("AR(1) 0.3", partial(autoregressive, r=0.3)),
    Scenario("AR(1) 0.5", partial(autoregressive, r=0.5)),
    Scenario("AR(1) 0.8", partial(autoregressive, r=0.8)),
    Scenario("t, 3 d.f. (heavy tails)", heavy),
    Scenario("lognormal (skewed)", skewed),
    Scenario("normal, 3 % wild commits", wild),
    Scenario("two ticks, 1 in 2", partial(ticks, share=0.5)),
    Scenario("two ticks, 1 in 10", partial(ticks, share=0.1)),
)
CHANGED = (
    Scenario("5 sd, 2 commits ago", steps=((98, 5.0),)),
    Scenario("5 sd, 3 commits ago", steps=((97, 5.0),)),
    Scenario("3 sd, 5 commits ago", steps=((95, 3.0),)),
    Scenario("2 sd, in the middle", steps=((50, 2.0),)),
    Scenario("5 sd for 10 commits", steps=((40, 5.0), (50, 0.0))),
    Scenario("5 sd for 3 commits", steps=((40, 5.0), (43, 0.0))),
    Scenario("5 sd in AR(1) 0.5", partial(autoregressive, r=0.5), ((50, 5.0),)),
    Scenario("10 ticks, two ticks", partial(ticks, share=0.5), ((50, 20.0),)),
)


def ours(values: Array) -> list[int]:
    """Return what `history check` finds; a drift counts, at the last commit."""
    return [change.index for change in changes({"m": values}, {"m": "lower"}, POLICY)]


def scaled(values: Array) -> Array:
    """Return log values in units of their noise."""
    logs = np.log(values)
    steps = np.diff(logs)
    noise = np.median(np.abs(steps)) / (0.6745 * np.sqrt(2)) or np.sqrt(np.mean(steps**2) / 2)
    return np.asarray((logs - np.median(logs)) / noise).reshape(-1, 1)


SEARCHES: dict[str, Callable[[], ruptures.base.BaseEstimator]] = {
    "PELT, l2": lambda: ruptures.KernelCPD(kernel="linear", min_size=2),
    "PELT, rbf": lambda: ruptures.KernelCPD(kernel="rbf", min_size=2, params={"gamma": 0.5}),
    "Binseg, l2": lambda: ruptures.Binseg(model="l2", min_size=2, jump=1),
    "Window, l2": lambda: ruptures.Window(model="l2", width=10, min_size=2, jump=1),
}


def calibrated(search: str, series: int) -> Finder:
    """Return a search with the penalty that TARGET of normal series exceed."""
    rng = np.random.default_rng(11)
    least = []
    for _ in range(series):
        fitted = SEARCHES[search]().fit(scaled(STATIONARY[0].series(rng)))
        low, high = 0.0, 100.0
        while high - low > 0.05:
            middle = (low + high) / 2
            low, high = (low, middle) if len(fitted.predict(pen=middle)) == 1 else (middle, high)
        least.append(high)
    penalty = float(np.quantile(least, 1 - TARGET))
    return lambda values: SEARCHES[search]().fit(scaled(values)).predict(pen=penalty)[:-1]


def otava() -> Finder:
    """Return Otava's search with its default p-value of 0.001."""
    search = import_module("otava.analysis").compute_change_points
    return lambda values: [change.index for change in search(values.tolist())[0]]


def finders(series: int) -> Iterator[tuple[str, Finder]]:
    yield "history check", ours
    for name in SEARCHES:
        yield name, calibrated(name, series)
    if find_spec("otava") is not None:
        yield "Otava 0.8", otava()


def share(finder: Finder, scenario: Scenario, series: int, n: int = COMMITS) -> float:
    """Return the share of series in which a scenario's steps, or false ones, are found."""
    rng = np.random.default_rng(12)
    judge = scenario.only if "ticks" in scenario.name and scenario.steps else scenario.holds
    return float(np.mean([judge(finder(scenario.series(rng, n))) for _ in range(series)]))


def table(series: int) -> None:
    """Print false alarms and what is found, a method a column."""
    known = dict(finders(min(series, 400)))
    rows = [
        [scenario.name, *(f"{share(find, scenario, series):.3f}" for find in known.values())]
        for scenario in (*STATIONARY, *CHANGED)
    ]
    print(tabulate(rows, ["100 commits", *known], tablefmt="github", disable_numparse=True), "\n")


def watched(series: int) -> None:
    """Print how often a series alarms at all that is checked after every commit, as CI does."""
    rows = []
    for scenario in STATIONARY[:3]:
        rng = np.random.default_rng(13)
        first = []
        for _ in range(series):
            values = scenario.series(rng)
            alarms = (n for n in range(8, COMMITS + 1) if ours(values[:n]))
            first.append(next(alarms, None) is not None)
        rows.append([scenario.name, f"{np.mean(first):.3f}"])
    headers = ["8 to 100 commits", "ever alarms when checked after each"]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True), "\n")


def smallest(series: int) -> None:
    """Print what few commits show, and from how many on a family shows a change."""
    rows = []
    for n in (7, 10, 15, 20, 30, 50):
        shares = [share(ours, s, series, n) for s in (STATIONARY[0], STATIONARY[2])]
        late = [Scenario("", steps=((n - back, 5.0),)) for back in (2, 3)]
        found = [share(ours, scenario, series, n) for scenario in late]
        rows.append([n, *(f"{value:.3f}" for value in (*shares, *found))])
    headers = ["commits", "normal", "AR(1) 0.5", "5 sd, 2 commits ago", "5 sd, 3 commits ago"]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True), "\n")
    families = (1, 10, 40, 100, 1000)
    rows = [["history check, 5 sd", *(fewest(m, 0.05) for m in families)]]
    rows.append(["gate --against-history, 10 sd", *(fewest_before(0.05 / m) for m in families)])
    headers = ["commits that show, of metrics:", *map(str, families)]
    print(tabulate(rows, headers, tablefmt="github"), "\n")


def gate(series: int) -> None:
    """Print how often one new median alarms, in families of ten metrics and by itself."""
    rows = []
    for scenario in (*STATIONARY[:3], *STATIONARY[4:7]):
        for n in (10, 20, 50):
            rng = np.random.default_rng(14)
            shares = []
            for metrics, shift in ((1, 0.0), (10, 0.0), (10, 5.0)):
                alarms = []
                for _ in range(series):
                    rows_of = [scenario.series(rng, n + 1) for _ in range(metrics)]
                    rows_of[0][-1] *= np.exp(DEVIATION * shift)
                    p = np.array([predicted(row[:-1], row[-1]).p for row in rows_of])
                    alarms.append(bool((significance.adjust(p, "holm") < POLICY.alpha).any()))
                shares.append(f"{np.mean(alarms):.3f}")
            rows.append([scenario.name, n, *shares])
    headers = ["noise", "commits before", "1 metric", "any of 10", "one of 10 is 5 sd off"]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True), "\n")


TABLES = {"table": table, "watched": watched, "smallest": smallest, "gate": gate}


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=1000, help="simulated for each number")
    parser.add_argument("--only", choices=TABLES)
    args = parser.parse_args()
    for name, tell in TABLES.items():
        if args.only in (None, name):
            tell(args.series if name != "watched" else args.series // 4)


if __name__ == "__main__":
    main()
