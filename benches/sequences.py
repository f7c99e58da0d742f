# SPDX-License-Identifier: BSD-3-Clause
"""Three ways to look after every pair: false alarms, and pairs until a change is found.

    python -m benches.sequences             # the tables of docs/ab.md, some minutes
    python -m benches.sequences --runs 200

Chosen for `ntbbench ab`: signed ranks. Beside it the normal mixture of a self-normalised sum (de la
Pena 1999, Annals of Probability 27:537; Howard, Ramdas, McAuliffe and Sekhon 2021, Annals of
Statistics 49:1055) and sign flips with alpha spending (Lan and DeMets 1983, Biometrika 70:659;
Pocock's shape). The second table has the verdicts of `ab`, which stops when it has one.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from ntbbench.compare.decision import Bar, decision_of
from ntbbench.compare.noisy import estimate_batch
from ntbbench.compare.policy import Policy
from ntbbench.compare.statistics import sequential

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Array]  # two runs a pair, [pairs, 2], in their order
ALPHA = 0.05
MOST = 200  # pairs
FLIPS = 2000  # random signs of the spending test
RHO = 1.0  # of the normal mixture, in squared medians of the sizes so far


def autocorrelated(rng: np.random.Generator, pairs: int) -> Array:
    """Return AR(1) noise with 0.8 from run to run."""
    steps, state = rng.normal(0, 0.6, 2 * pairs), 0.0
    runs = np.array([state := 0.8 * state + step for step in steps])
    return runs.reshape(pairs, 2)


def drifting(rng: np.random.Generator, pairs: int) -> Array:
    """Return noise on a random walk that both runs of a pair share."""
    walk = np.cumsum(rng.normal(0, 1, pairs))[:, None]
    return np.asarray(walk + rng.normal(0, 1, (pairs, 2)))


def contaminated(rng: np.random.Generator, pairs: int) -> Array:
    """Return noise whose every tenth run is ten times as wide."""
    size = (pairs, 2)
    return np.asarray(rng.normal(0, 1, size) * np.where(rng.random(size) < 0.1, 10, 1))


NOISES: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0, 1, (n, 2)),
    "lognormal (skewed)": lambda rng, n: (rng.lognormal(0, 0.8, (n, 2)) - 1.38) / 1.30,
    "t, 2 d.f.": lambda rng, n: rng.standard_t(2, (n, 2)),
    "contaminated": contaminated,
    "AR(1) 0.8": autocorrelated,
    "drift, shared by the pair": drifting,
}


def pairs_of(draw: Draw, noise: float, effect: float, rng: np.random.Generator) -> Array:
    """Return log times, [pairs, 2], base and candidate, whose order in a pair is drawn."""
    runs = noise * draw(rng, MOST)
    turned = rng.random(MOST) < 0.5
    runs[turned] = runs[turned, ::-1]
    runs[:, 1] += math.log1p(effect)
    return runs


def by_ranks(change: Array) -> int:
    """Return the pair after which signed ranks refuse no change; MOST + 1: none."""
    ranks = np.array(sequential.sequential_ranks(np.abs(change).tolist()))
    bets = np.tanh(sequential.STAKES[:, None] * ranks) * np.sign(change)
    gains = np.concatenate([np.cumsum(np.log1p(way * bets), axis=1) for way in (1, -1)])
    wealth = np.logaddexp.reduce(gains, axis=0) - math.log(len(gains))
    return _first(wealth >= -math.log(ALPHA))


def by_mixture(change: Array) -> int:
    """Return the same of the normal mixture; the scale is the median of the sizes so far."""
    sizes = np.abs(change)
    scaled = change / [np.median(sizes[: n + 1]) for n in range(len(sizes))]
    total, squares = np.cumsum(scaled), np.cumsum(scaled**2)
    wealth = total**2 / (2 * (squares + RHO)) + np.log(RHO / (squares + RHO)) / 2
    return _first(wealth >= -math.log(ALPHA))


def by_spending(change: Array, rng: np.random.Generator) -> int:
    """Return the same of sign flips, which spend alpha on MOST looks; the sizes are given.

    At each look the random signs that have not crossed yet, and whose sums are the largest, cross:
    as many as the spent share says. The sum of the real signs is held to the same bound.
    """
    signs = rng.choice([-1.0, 1.0], size=(FLIPS, len(change)))
    sums = np.abs(np.cumsum(signs * np.abs(change), axis=1))
    real, alive = np.abs(np.cumsum(change)), np.ones(FLIPS, dtype=np.bool_)
    for look in range(len(change)):
        share = (look + 1) / len(change)
        spent = int(ALPHA * math.log(1 + (math.e - 1) * share) * FLIPS)
        more = spent - int((~alive).sum())
        if more <= 0:
            continue
        ordered = np.sort(sums[alive, look])
        bound = ordered[-more - 1]  # of ties none crosses
        alive &= ~(sums[:, look] > bound)
        if real[look] > bound:
            return look + 1
    return len(change) + 1


def _first(crossed: NDArray[np.bool_]) -> int:
    return int(crossed.argmax()) + 1 if crossed.any() else len(crossed) + 1


@dataclass(frozen=True)
class Found:
    """A verdict and the pairs that it took."""

    verdict: str
    pairs: int


def until_decided(logs: Array, policy: Policy) -> Found:
    """Return what `ab` says of log times, [pairs, 2], when it stops."""
    times = np.exp(logs)
    for pairs in range(5, len(times) + 1):
        base, candidate = times[None, :pairs, 0], times[None, :pairs, 1]
        (guess,) = estimate_batch(base, candidate, policy, paired=True)
        bar = Bar(policy.threshold, "lower", policy.alpha, policy.alpha, 1)
        decision = decision_of(guess, guess.p_value, bar)
        if decision.verdict != "inconclusive":
            return Found(decision.verdict, pairs)
    return Found("inconclusive", len(times))


def comparison(runs: int) -> Iterator[list[object]]:
    """Yield a row a noise, its size and an effect: the three ways, alarms or found and pairs."""
    for name, draw in NOISES.items():
        for noise, effect in ((0.01, 0.0), (0.01, 0.03), (0.03, 0.03), (0.03, 0.05), (0.03, 0.1)):
            rng = np.random.Generator(np.random.PCG64DXSM([runs, round(noise * 100)]))
            firsts = []
            for _ in range(runs):
                change = np.diff(pairs_of(draw, noise, effect, rng))[:, 0]
                firsts.append((by_ranks(change), by_mixture(change), by_spending(change, rng)))
            counts = np.array(firsts)
            shares = (counts <= MOST).mean(axis=0)
            means = np.minimum(counts, MOST).mean(axis=0)
            told = [
                f"{s:.3f}" if not effect else f"{s:.2f}, {m:.0f}"
                for s, m in zip(shares, means, strict=True)
            ]
            yield [name, f"{noise:.0%}", f"{effect:.0%}", *told]


def verdicts(runs: int) -> Iterator[list[object]]:
    """Yield a row a noise and an effect: shares of the verdicts and the mean number of pairs."""
    policy = Policy(test="sequential", alpha=ALPHA)
    for name in ("normal", "contaminated"):
        for effect in (0.0, 0.01, 0.03, 0.05, 0.1):
            for noise in (0.01, 0.03):
                rng = np.random.Generator(np.random.PCG64DXSM([runs, round(noise * 100)]))
                found = [
                    until_decided(pairs_of(NOISES[name], noise, effect, rng), policy)
                    for _ in range(runs)
                ]
                shares = [
                    f"{np.mean([f.verdict == verdict for f in found]):.2f}"
                    for verdict in ("regressed", "improved", "equivalent", "inconclusive")
                ]
                mean = np.mean([f.pairs for f in found])
                yield [name, f"{noise:.0%}", f"{effect:.0%}", *shares, f"{mean:.0f}"]


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--verdicts", type=int, default=200, help="runs of the second table")
    args = parser.parse_args()
    error = 1.96 * math.sqrt(ALPHA * (1 - ALPHA) / args.runs)
    print(
        f"{args.runs} runs of at most {MOST} pairs; the Monte Carlo error of 0.05 is {error:.3f}\n"
    )
    heads = ("noise", "size", "change", "signed ranks", "normal mixture", "spending")
    print(tabulate(comparison(args.runs), heads, tablefmt="github", disable_numparse=True))
    heads = ("noise", "size", "change", "regressed", "improved", "equivalent", "undecided", "pairs")
    print()
    print(tabulate(verdicts(args.verdicts), heads, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
