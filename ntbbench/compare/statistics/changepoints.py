# SPDX-License-Identifier: BSD-3-Clause
"""Change points and drift in the history of one metric.

ruptures finds where the level changes (PELT with the l2 cost on log values; Killick, Fearnhead
and Eckley 2012). A penalty alone is no test, so each series must first show by permutation that
it changes at all: the largest gain of one split against that of shuffled series. Slow drift,
which no single step shows, is found by Kendall's tau against time with the Theil-Sen slope.
Holm over all series and both tests.
"""

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise

import numpy as np
import ruptures
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Own
from ntbbench.compare.statistics import significance

Array = NDArray[np.float64]
FEWEST = 8  # commits
SMALLEST_SEGMENT = 3
SHUFFLES = 9_999  # at least; more for many series, so that a step can be significant at all
MOST_SHUFFLES = 499_999
REFINED = 0.001  # p-values below it are worth more shuffles than SHUFFLES
CHUNK = 20_000  # shuffles held at a time
PENALTY = 3.0  # times the noise variance times log n


class StepChange(Struct, frozen=True, kw_only=True):
    """A step or a drift in one metric; `before` and `after` are levels."""

    metric: str
    kind: str  # "step" | "drift"
    index: int  # the first commit on the new level; of a drift the last
    ratio: float
    before: float
    after: float
    p_adjusted: float
    worse: bool


def changes(
    series: Mapping[str, Array], better: Mapping[str, Own], policy: Policy
) -> list[StepChange]:
    """Return the steps and drifts of all series, float64[n] each, in the order of commits."""
    known = {
        name: np.log(values)
        for name, values in series.items()
        if len(values) >= FEWEST and (values > 0).all() and np.ptp(values) > 0
    }
    tests = [(name, kind) for name in known for kind in ("step", "drift")]
    # The smallest p-value, times the number of tests, is to be a tenth of alpha.
    shuffles = min(MOST_SHUFFLES, max(SHUFFLES, int(10 * len(tests) / policy.alpha)))
    p = np.array(
        [
            _step_p(known[name], shuffles)
            if kind == "step"
            else stats.kendalltau(np.arange(len(known[name])), known[name]).pvalue
            for name, kind in tests
        ]
    )
    adjusted = dict(zip(tests, significance.adjust(p, "holm").tolist(), strict=True))
    found = []
    for name, values in known.items():
        threshold = float(np.log1p(policy.threshold_for(name)))
        higher = policy.better_for(name, better[name])
        seen: list[StepChange] = []
        for kind, shifts in (("step", _steps_of), ("drift", _drift_of)):
            if seen or adjusted[name, kind] >= policy.alpha:
                continue
            seen = [
                StepChange(
                    metric=name,
                    kind=kind,
                    index=index,
                    ratio=after / before,
                    before=before,
                    after=after,
                    p_adjusted=adjusted[name, kind],
                    worse=(after / before > 1) == (higher != "higher"),
                )
                for index, before, after in shifts(values)
                if abs(np.log(after / before)) > threshold
            ]
        found += seen
    return found


def _gains(rows: Array) -> Array:
    """Return, for each row, the largest drop of the squared error that one split gives."""
    n = rows.shape[1]
    cuts = np.arange(SMALLEST_SEGMENT, n - SMALLEST_SEGMENT + 1)
    sums = np.cumsum(rows - rows.mean(axis=1, keepdims=True), axis=1)[:, cuts - 1]
    return np.asarray((sums**2 * n / (cuts * (n - cuts))).max(axis=1), dtype=np.float64)


def _step_p(values: Array, shuffles: int) -> float:
    """Return the permutation p-value of the best single split.

    On ranks, so that one wild commit is no step.
    """
    ranks = stats.rankdata(values)
    observed = _gains(ranks[None, :])[0] * (1 - 1e-12)
    for count in (SHUFFLES, shuffles):
        chance = _gains_by_chance(tuple(sorted(ranks.tolist())), count)
        p = float((1 + len(chance) - np.searchsorted(chance, observed)) / (count + 1))
        if p > REFINED:
            break
    return p


@lru_cache(maxsize=8)
def _gains_by_chance(ranks: tuple[float, ...], shuffles: int) -> Array:
    """Return the sorted gains of shuffled series, float64[shuffles]; series of a length share them.

    Without ties the ranks of all series of a length are the same.
    """
    rng = np.random.Generator(np.random.PCG64DXSM(len(ranks)))
    found = [
        _gains(rng.permuted(np.tile(ranks, (min(CHUNK, shuffles - start), 1)), axis=1))
        for start in range(0, shuffles, CHUNK)
    ]
    return np.sort(np.concatenate(found))


def _steps_of(values: Array) -> list[tuple[int, float, float]]:
    """Return the first commit on each new level, with the levels before and after it."""
    noise = np.median(np.abs(np.diff(values))) / (0.6745 * np.sqrt(2))
    noise = max(float(noise), 1e-9)
    algorithm = ruptures.Pelt(model="l2", min_size=SMALLEST_SEGMENT, jump=1)
    penalty = PENALTY * noise**2 * np.log(len(values))
    ends = [0, *algorithm.fit(values.reshape(-1, 1)).predict(pen=penalty)]
    levels = [float(np.exp(np.median(values[start:end]))) for start, end in pairwise(ends)]
    return list(zip(ends[1:-1], levels, levels[1:], strict=False))


def _drift_of(values: Array) -> list[tuple[int, float, float]]:
    """Return the last commit, with the levels that the drift leads from and to."""
    slope = stats.theilslopes(values).slope
    middle, half = float(np.median(values)), float(slope) * (len(values) - 1) / 2
    return [(len(values) - 1, float(np.exp(middle - half)), float(np.exp(middle + half)))]
