# SPDX-License-Identifier: BSD-3-Clause
"""How often the gate alarms where nothing changed, and how often where something did.

    python -m benches.false_alarms            # the table of docs/statistics.md, a few minutes
    python -m benches.false_alarms --families 200

Each family is ten metrics. The verdicts are those of the gate: the same estimates, correction
and decision.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from ntbbench.analyse import significance
from ntbbench.analyse.decision import verdict_of
from ntbbench.analyse.noisy import estimate_batch
from ntbbench.analyse.policy import Policy

Array = NDArray[np.float64]
METRICS = 10
CENTRE = 100.0


@dataclass(frozen=True)
class Noise:
    """A shape of noise whose standard deviation (or, where it has none, scale) is 2 %."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, int]], Array]


NOISES = (
    Noise("normal", lambda rng, size: CENTRE + rng.normal(0, 2, size)),
    Noise("lognormal (skewed)", lambda rng, size: 90 + 10 * rng.lognormal(0, 0.2, size)),
    Noise("exponential (skewed)", lambda rng, size: 98 + rng.exponential(2, size)),
    Noise("t, 2 d.f. (heavy tails)", lambda rng, size: np.abs(CENTRE + rng.standard_t(2, size))),
    Noise("Cauchy (heavier)", lambda rng, size: np.abs(CENTRE + rng.standard_cauchy(size))),
    Noise("whole numbers (ties)", lambda rng, size: np.round(CENTRE + rng.normal(0, 1, size))),
)
EQUAL = ((5, 5), (8, 8), (10, 10), (20, 20), (50, 50))
UNEQUAL = ((5, 20), (5, 50), (10, 50), (30, 15), (50, 5))
SIZES = sorted(EQUAL + UNEQUAL)


@dataclass(frozen=True)
class Rates:
    """Shares of families (any, equivalent) and of metrics (found)."""

    any_alarm: float  # families with at least one regressed or improved
    found: float  # metrics that are called regressed
    equivalent: float  # metrics that are called equivalent


def rates(
    noise: Noise,
    sizes: tuple[int, int],
    *,
    shift: float,
    families: int,
    seed: int,
    policy: Policy,
) -> Rates:
    """Return the rates over simulated families whose candidates are all slower by `shift`."""
    rng = np.random.Generator(np.random.PCG64DXSM([seed, *sizes]))
    count = families * METRICS
    base = noise.draw(rng, (count, sizes[0]))
    candidate = noise.draw(rng, (count, sizes[1])) * (1 + shift)
    guesses = estimate_batch(base, candidate, policy, paired=False)
    p = np.array([guess.p_value for guess in guesses]).reshape(families, METRICS)
    adjusted = np.array([significance.adjust(row, policy.correction) for row in p]).ravel()
    verdicts = np.array(
        [
            verdict_of(guess, value, policy.threshold, "lower", policy.alpha)[0]
            for guess, value in zip(guesses, adjusted.tolist(), strict=True)
        ]
    )
    alarms = np.isin(verdicts, ("regressed", "improved")).reshape(families, METRICS)
    return Rates(
        any_alarm=float(alarms.any(axis=1).mean()),
        found=float((verdicts == "regressed").mean()),
        equivalent=float((verdicts == "equivalent").mean()),
    )


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", type=int, default=2000)
    parser.add_argument("--noise", default="", help="only the noises whose name holds this")
    args = parser.parse_args()
    families = args.families
    zero, usual = Policy(threshold=0.0), Policy()
    print(
        f"{families} families of {METRICS} metrics; the Monte Carlo error of 0.05 is "
        f"{1.96 * np.sqrt(0.05 * 0.95 / families):.3f}\n"
    )
    rows = []
    for noise in (noise for noise in NOISES if args.noise in noise.name):
        for sizes in SIZES:
            null = rates(noise, sizes, shift=0, families=families, seed=1, policy=zero)
            gate = rates(noise, sizes, shift=0, families=families, seed=1, policy=usual)
            edge = rates(noise, sizes, shift=0.02, families=families, seed=2, policy=usual)
            power = [
                rates(
                    noise, sizes, shift=s, families=max(200, families // 10), seed=3, policy=usual
                )
                for s in (0.03, 0.05, 0.1)
            ]
            rows.append(
                [
                    noise.name,
                    f"{sizes[0]}/{sizes[1]}",
                    f"{null.any_alarm:.3f}",
                    f"{gate.any_alarm:.3f}",
                    f"{edge.equivalent:.3f}",
                    *(f"{found.found:.2f}" for found in power),
                ]
            )
    headers = [
        "noise",
        "n",
        "false alarms, threshold 0",
        "false alarms, threshold 2 %",
        "called equivalent at a true +2 %",
        "found: +3 %",
        "+5 %",
        "+10 %",
    ]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
