# SPDX-License-Identifier: BSD-3-Clause
"""How often the gate alarms where nothing changed and the samples are not independent.

    python -m benches.dependence            # the tables of docs/statistics.md, some minutes
    python -m benches.dependence --families 200 --only detectable

Three tables: false alarms and power under dependent noise, the power at the change that a report
calls detectable, and what calibrated thresholds hold. Noise and verdicts are those of
benches.false_alarms; `before` is the verdict that takes all samples for independent.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from tabulate import tabulate

from benches.false_alarms import CENTRE, METRICS, NOISES, Noise, verdicts_of
from ntbbench.compare.calibrate import calibrate
from ntbbench.compare.compare import compare
from ntbbench.compare.noisy import depending, estimate_batch
from ntbbench.compare.policy import Policy, Rule
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.statistics import detectable

Array = NDArray[np.float64]
Sides = tuple[Array, Array, list[Array]]
SD = 2.0  # per cent, of all noises
SHIFTS = (0.03, 0.05, 0.1)
SIZES = (10, 20, 50, 100)
HOUR = 3600.0


def autoregression(rng: np.random.Generator, size: tuple[int, int], rho: float) -> Array:
    """Return a stationary autoregression of standard deviation 1, rows in time."""
    noise = rng.normal(0, np.sqrt(1 - rho**2), size)
    noise[:, 0] = rng.normal(0, 1, size[0])
    for i in range(1, size[1]):
        noise[:, i] += rho * noise[:, i - 1]
    return noise


@dataclass(frozen=True)
class Dependent:
    """A way in which samples depend: both sides of `count` metrics with n samples, and times."""

    name: str
    draw: Callable[[np.random.Generator, int, int], Sides]


def _plain(rho: float) -> Callable[[np.random.Generator, int, int], Sides]:
    def draw(rng: np.random.Generator, count: int, n: int) -> Sides:
        one, other = (CENTRE + SD * autoregression(rng, (count, n), rho) for _ in range(2))
        return one, other, []

    return draw


def _processes(sd: float) -> Callable[[np.random.Generator, int, int], Sides]:
    """Return n processes a side, of 20 rounds; the sample of one is its median, as of a file."""

    def side(rng: np.random.Generator, count: int, n: int) -> Array:
        rounds = rng.normal(0, SD, (count, n, 20)) + rng.normal(0, sd, (count, n, 1))
        return np.asarray(CENTRE + np.median(rounds, axis=2))

    return lambda rng, count, n: (side(rng, count, n), side(rng, count, n), [])


def _sessions(each: int) -> Callable[[np.random.Generator, int, int], Sides]:
    """Return samples in sessions of `each`, hours apart, that shift by as much as samples do."""

    def side(rng: np.random.Generator, count: int, n: int) -> Array:
        shift = np.repeat(rng.normal(0, SD, (count, -(-n // each))), each, axis=1)[:, :n]
        return np.asarray(CENTRE + rng.normal(0, SD, (count, n)) + shift)

    def draw(rng: np.random.Generator, count: int, n: int) -> Sides:
        begun = np.arange(n) // each * 24 * HOUR + np.arange(n) * 10.0
        times = [np.tile(begun + late, (count, 1)) for late in (0, 1000 * HOUR)]
        return side(rng, count, n), side(rng, count, n), times

    return draw


def _drift(rise: float) -> Callable[[np.random.Generator, int, int], Sides]:
    """Return a base and then a candidate on one slope that rises by a share in all."""

    def draw(rng: np.random.Generator, count: int, n: int) -> Sides:
        slope = 1 + rise * np.linspace(0, 1, 2 * n)
        noise = CENTRE + rng.normal(0, SD, (count, 2 * n))
        return noise[:, :n] * slope[:n], noise[:, n:] * slope[n:], []

    return draw


DEPENDENT = (
    Dependent("independent", _plain(0.0)),
    Dependent("AR(1) 0.5", _plain(0.5)),
    Dependent("AR(1) 0.8", _plain(0.8)),
    Dependent("processes that differ by 1 %", _processes(1.0)),
    Dependent("processes that differ by 2 %", _processes(2.0)),
    Dependent("sessions of 5 samples, 2 %", _sessions(5)),
    Dependent("one session a side, 2 %", _sessions(1000)),
    Dependent("drift of 4 %, base first", _drift(0.04)),
    Dependent("drift of 10 %, base first", _drift(0.10)),
    Dependent("drift of 20 %, base first", _drift(0.20)),
)


def shares(
    noise: Dependent, n: int, *, shift: float, families: int, seed: int, allows: bool = True
) -> tuple[float, float]:
    """Return the share of families with an alarm, and of metrics that are called regressed."""
    rng = np.random.Generator(np.random.PCG64DXSM([seed, n]))
    base, candidate, times = noise.draw(rng, families * METRICS, n)
    candidate = candidate * (1 + shift)
    allowed = depending(base, candidate, times) if allows else None
    guesses = estimate_batch(base, candidate, Policy(), paired=False, allowed=allowed)
    verdicts = verdicts_of(guesses, Policy(), METRICS)
    alarms = np.isin(verdicts, ("regressed", "improved")).reshape(families, METRICS)
    return float(alarms.any(axis=1).mean()), float((verdicts == "regressed").mean())


def alarm_rows(families: int) -> Iterator[list[str]]:
    """Yield a row for each noise and number of samples: alarms and power, before and after."""
    for noise in DEPENDENT:
        for n in SIZES:
            cells = [noise.name, str(n)]
            for allows in (False, True):
                of = partial(shares, noise, n, families=families, seed=1, allows=allows)
                cells.append(f"{of(shift=0.0)[0]:.3f}")
                cells += [f"{of(shift=shift)[1]:.2f}" for shift in SHIFTS]
            yield cells


def power_at_detectable(
    noise: Noise, sizes: tuple[int, int], *, family: int, threshold: float, rows: int = 1000
) -> tuple[float, float]:
    """Return the median detectable change, and the share that is called regressed at it.

    Each row stands for one metric of a family in which nothing else changed; (nan, nan) where the
    test cannot reach the level.
    """
    rng = np.random.Generator(np.random.PCG64DXSM([5, *sizes]))
    base, candidate = noise.draw(rng, (rows, sizes[0])), noise.draw(rng, (rows, sizes[1]))
    policy = Policy(threshold=threshold)
    level = policy.alpha / family
    spread = detectable.spread_of(base, candidate, paired=False)
    effects = detectable.minimal_effect(spread, policy.test, level, np.full(rows, threshold))
    if np.isnan(effects).all():
        return np.nan, np.nan
    typical = float(np.nanmedian(effects))
    guesses = estimate_batch(base, candidate * (1 + typical), policy, paired=False)
    verdicts = verdicts_of(guesses, policy, 1, of=family)
    return typical, float((verdicts == "regressed").mean())


CONTAMINATED = Noise(
    "one run in ten is far off",
    lambda rng, size: CENTRE + rng.normal(0, 2, size) + (rng.random(size) < 0.1) * 40,
)


def detectable_rows() -> Iterator[list[str]]:
    """Yield a row for each noise and size: the detectable change and the power, by family."""
    for noise in (*NOISES[:4], CONTAMINATED):
        for sizes in ((5, 5), (8, 8), (12, 12), (20, 20), (50, 50), (10, 50)):
            cells = [noise.name, f"{sizes[0]}/{sizes[1]}"]
            for family in (1, 10, 100):
                change, power = power_at_detectable(noise, sizes, family=family, threshold=0.02)
                cells.append("-" if np.isnan(change) else f"{100 * change:.1f} %: {power:.2f}")
            yield cells


def aa_runs(rng: np.random.Generator, runs: int, factor: float = 1.0) -> list[Variant]:
    """Return runs of ten metrics, 30 rounds each: 1 % between rounds, 1.5 % between processes."""
    found = []
    for number in range(runs):
        rounds = 1e-3 * factor * (1 + rng.normal(0, 0.01, (METRICS, 30)))
        rounds *= 1 + rng.normal(0, 0.015, (METRICS, 1))
        series = {
            f"m{i}": Series(metric=f"m{i}", kind="noisy", better="lower", samples=row)
            for i, row in enumerate(rounds)
        }
        found.append(Variant(f"run{number}", "aa", series))
    return found


def calibrated(rounds: int, *, repeats: int, pairs: int, seed: int = 1) -> dict[str, float]:
    """Return what thresholds of so many A/A rounds do to new pairs: means over calibrations."""
    rng = np.random.Generator(np.random.PCG64DXSM([seed, rounds]))
    rows = []
    for _ in range(repeats):
        found = calibrate(aa_runs(rng, rounds), Policy(resamples=200))
        old = {f.metric: max(0.02, 1.25 * f.largest_change) for f in found.floors}
        new = {f.metric: f.threshold for f in found.floors}
        row = {"threshold": float(np.mean([*new.values()])), "expected": found.expected_alarms}
        row["threshold_before"] = float(np.mean([*old.values()]))
        for name, thresholds in (("", new), ("_before", old)):
            rules = tuple(Rule(metric=m, threshold=t) for m, t in thresholds.items())
            policy = replace(Policy(resamples=200), rule=rules, one_process_allowance=0.0)
            row[f"alarms{name}"] = np.mean([_changed(rng, policy) > 0 for _ in range(pairs)])
            slower = [_changed(rng, policy, 1.1) for _ in range(pairs)]
            row[f"power{name}"] = np.mean(slower) / METRICS
        rows.append(row)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _changed(rng: np.random.Generator, policy: Policy, factor: float = 1.0) -> int:
    """Return how many metrics of two new runs are called changed."""
    report = compare(aa_runs(rng, 1)[0], aa_runs(rng, 1, factor), policy)
    return report.totals.regressed + report.totals.improved


def calibration_rows(repeats: int) -> Iterator[list[str]]:
    """Yield a row for each number of rounds."""
    for rounds in (4, 6, 10, 20, 50):
        got = calibrated(rounds, repeats=repeats, pairs=20)
        cells = [f"{got[n]:.3f}" for n in ("threshold", "expected", "alarms", "power")]
        cells += [f"{got[f'{n}_before']:.3f}" for n in ("threshold", "alarms", "power")]
        yield [str(rounds), *cells]


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", type=int, default=500)
    parser.add_argument("--only", choices=("alarms", "detectable", "calibrate"))
    args = parser.parse_args()
    found = [f"found: +{100 * shift:g} %" for shift in SHIFTS]
    found[1:] = [text.removeprefix("found: ") for text in found[1:]]
    before = [f"before: {text}" for text in ("alarms", *found)]
    tables = {
        "alarms": (["noise", "n", *before, "alarms", *found], alarm_rows, args.families),
        "detectable": (["noise", "n", "family of 1", "10", "100"], detectable_rows, None),
        "calibrate": (
            [
                *("rounds", "threshold", "expected alarms", "alarms", "found: +10 %"),
                *("before: threshold", "before: alarms", "before: found: +10 %"),
            ],
            calibration_rows,
            max(10, args.families // 10),
        ),
    }
    for name, (headers, rows, size) in tables.items():
        if args.only in (None, name):
            made = list(rows() if size is None else rows(size))  # type: ignore[operator]
            print(tabulate(made, headers, tablefmt="github", disable_numparse=True), "\n")


if __name__ == "__main__":
    main()
