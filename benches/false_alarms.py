# SPDX-License-Identifier: BSD-3-Clause
"""How often the gate alarms where nothing changed, and how often where something did.

    python -m benches.false_alarms            # the table of docs/statistics.md, a few minutes
    python -m benches.false_alarms --families 200

Each family is ten metrics, or what --metrics says. The verdicts are those of the gate: the same
estimates, correction and decision.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from ntbbench.compare.decision import Bar, decision_of
from ntbbench.compare.noisy import NoisyEstimate, estimate_batch
from ntbbench.compare.policy import Policy
from ntbbench.compare.statistics import significance

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
SHIFTS = (0.03, 0.05, 0.1, 0.2)


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
    metrics: int = METRICS,
) -> Rates:
    """Return the rates over simulated families whose candidates are all slower by `shift`."""
    rng = np.random.Generator(np.random.PCG64DXSM([seed, *sizes]))
    count = families * metrics
    base = noise.draw(rng, (count, sizes[0]))
    candidate = noise.draw(rng, (count, sizes[1])) * (1 + shift)
    guesses = estimate_batch(base, candidate, policy, paired=False)
    verdicts = verdicts_of(guesses, policy, metrics)
    alarms = np.isin(verdicts, ("regressed", "improved")).reshape(families, metrics)
    return Rates(
        any_alarm=float(alarms.any(axis=1).mean()),
        found=float((verdicts == "regressed").mean()),
        equivalent=float((verdicts == "equivalent").mean()),
    )


def verdicts_of(
    guesses: Sequence[NoisyEstimate], policy: Policy, metrics: int, *, of: int = 0
) -> NDArray[np.str_]:
    """Return the gate's verdicts, of families of `metrics` estimates in a row.

    With `of` each family is that large, and what is not simulated did not change.
    """
    size = max(of, metrics)
    p = np.array([guess.p_value for guess in guesses]).reshape(-1, metrics)
    whole = np.concatenate([p, np.ones((len(p), size - metrics))], axis=1)
    adjusted = [significance.adjust(row, policy.correction)[:metrics] for row in whole]
    levels = [significance.next_level(row, policy.correction, policy.alpha) for row in whole]
    return np.array(
        [
            decision_of(
                guess,
                float(adjusted[i // metrics][i % metrics]),
                Bar(policy.threshold, "lower", policy.alpha, levels[i // metrics], size),
            ).verdict
            for i, guess in enumerate(guesses)
        ]
    )


def sizes_of(text: str) -> Sequence[tuple[int, int]]:
    """Return the sample sizes to simulate: all, or those of a text such as 5/5,6/6."""
    pairs = (part.split("/") for part in text.split(",") if part)
    return [(int(n), int(m)) for n, m in pairs] or SIZES


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", type=int, default=2000)
    parser.add_argument("--metrics", type=int, default=METRICS, help="of a family")
    parser.add_argument("--sizes", default="", help="only these, as 5/5,6/6")
    parser.add_argument("--noise", default="", help="only the noises whose name holds this")
    args = parser.parse_args()
    families = args.families
    zero, usual = Policy(threshold=0.0), Policy()
    print(
        f"{families} families of {args.metrics} metrics; the Monte Carlo error of 0.05 is "
        f"{1.96 * np.sqrt(0.05 * 0.95 / families):.3f}\n"
    )
    rows = []
    for noise in (noise for noise in NOISES if args.noise in noise.name):
        for sizes in sizes_of(args.sizes):
            of = partial(rates, noise, sizes, metrics=args.metrics)
            null = of(shift=0, families=families, seed=1, policy=zero)
            gate = of(shift=0, families=families, seed=1, policy=usual)
            edge = of(shift=0.02, families=families, seed=2, policy=usual)
            fewer = max(200, families // 10)
            power = [of(shift=s, families=fewer, seed=3, policy=usual) for s in SHIFTS]
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
        *(
            f"{'found: ' * (not i)}+{shift:.0%}".replace("%", " %")
            for i, shift in enumerate(SHIFTS)
        ),
    ]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
