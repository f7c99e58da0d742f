# SPDX-License-Identifier: BSD-3-Clause
"""Noisy metrics: estimates and tests of many comparisons, grouped by their sample sizes."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ntbbench.compare.pairing import Match
from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Summary
from ntbbench.compare.series import Series
from ntbbench.compare.statistics import detectable
from ntbbench.compare.statistics.location import located
from ntbbench.compare.verdicts.sample_warnings import (
    cautions_of,
    outlier_counts,
    relative_deviation,
    unequal_spread,
)

Array = NDArray[np.float64]
FENCED = 1_000_000  # samples a batch may hold


@dataclass(slots=True)
class Estimate:
    """What the samples of one comparison say, before any verdict; NaN: not defined.

    `ratio`, `low` and `high` are of what the test looks at: medians, or means for `permutation` and
    `welch`. `second` is the ratio of the other of the two.
    """

    ratio: float
    low: float
    high: float
    second: float
    p_value: float  # NaN: not tested, and not in the family
    p_least: float  # that any arrangement of these samples has
    p_effect: float  # of t on the logarithms, for samples that the test cannot judge
    apart: bool  # no run of one side is as fast as a run of the other
    scatter: tuple[float, float]  # relative mean deviation of the steadier side and of the other
    base: Summary
    candidate: Summary
    variances: tuple[float, float]  # relative, of one run of each side
    sizes: detectable.Sizes
    cautions: list[tuple[str, str]] = field(default_factory=list)
    effect: float = math.nan  # see add_detectable
    runs: int = 0


def estimates(found: Sequence[Match], policy: Policy, *, paired: bool) -> list[Estimate]:
    """Return the estimate of each match, both of whose sides have samples."""
    sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, match in enumerate(found):
        sizes[count(match.base), count(match.candidate)].append(index)
    result: dict[int, Estimate] = {}
    for (n, m), indices in sizes.items():
        step = max(1, FENCED // (n + m))
        for start in range(0, len(indices), step):
            rows = indices[start : start + step]
            base = _stacked([found[i].base for i in rows])
            candidate = _stacked([found[i].candidate for i in rows])
            batch = estimate_batch(base, candidate, policy, paired=paired)
            result.update(zip(rows, batch, strict=True))
    return [result[index] for index in range(len(found))]


def count(series: Series | None) -> int:
    """Return the number of samples."""
    return 0 if series is None or series.samples is None else len(series.samples)


def _stacked(series: Sequence[Series | None]) -> Array:
    return np.stack([s.samples for s in series if s is not None and s.samples is not None])


def estimate_batch(
    base: Array, candidate: Array, policy: Policy, *, paired: bool
) -> list[Estimate]:
    """Return the estimates of rows of samples, [B, n] and [B, m]."""
    found = located(base, candidate, policy, paired=paired)
    sides = [_summaries(base), _summaries(candidate)]
    codes = [cautions_of(base), cautions_of(candidate)]
    uneven = unequal_spread(base, candidate)
    spread = detectable.spread_of(base, candidate, paired=paired)
    scatter = np.sort(np.stack([relative_deviation(base), relative_deviation(candidate)]), axis=0)
    return [
        Estimate(
            ratio=float(found.bounds.ratio[i]),
            low=float(found.bounds.low[i]),
            high=float(found.bounds.high[i]),
            second=float(found.second[i]),
            p_value=float(found.p[i]),
            p_least=float(found.p_least[i]),
            p_effect=float(found.p_effect[i]),
            apart=bool(found.apart[i]),
            scatter=(float(scatter[0, i]), float(scatter[1, i])),
            base=sides[0][i],
            candidate=sides[1][i],
            variances=(float(spread.base[i]), float(spread.candidate[i])),
            sizes=spread.sizes,
            cautions=_both_sides(codes[0][i], codes[1][i])
            + ([("unequal-spread", "")] if uneven[i] and not paired else []),
        )
        for i in range(len(base))
    ]


def add_detectable(
    found: Sequence[Match], guesses: Sequence[Estimate], policy: Policy, level: float
) -> None:
    """Fill in what each estimate could have detected and the runs that would settle it.

    `level` is the one that another finding must reach, so the family must be tested before.
    """
    sizes: dict[detectable.Sizes, list[tuple[Match, Estimate]]] = defaultdict(list)
    for match, guess in zip(found, guesses, strict=True):
        if guess.sizes.smaller() > 1:
            sizes[guess.sizes].append((match, guess))
    for shape, rows in sizes.items():
        variances = np.array([guess.variances for _, guess in rows])
        thresholds = np.array([policy.threshold_for(match.metric) for match, _ in rows])
        spread = detectable.Spread(variances[:, 0], variances[:, 1], shape)
        effects = detectable.minimal_effect(spread, policy.test, level)
        runs = detectable.runs_needed(spread, policy.test, level, thresholds)
        for (_, guess), effect, run in zip(rows, effects.tolist(), runs.tolist(), strict=True):
            guess.effect, guess.runs = effect, run


def _summaries(samples: Array) -> list[Summary]:
    n = samples.shape[1]
    columns = (
        samples.mean(axis=1),
        samples.min(axis=1),
        samples.max(axis=1),
        np.median(samples, axis=1),
        samples.std(axis=1, ddof=1) if n > 1 else np.full(len(samples), np.nan),
        outlier_counts(samples),
    )
    return [
        Summary(
            n=n,
            mean=mean,
            minimum=low,
            maximum=high,
            median=middle,
            sd=sd if n > 1 else None,
            outliers=outliers,
        )
        for mean, low, high, middle, sd, outliers in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def _both_sides(
    base: list[tuple[str, str]], candidate: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return the cautions of both sides, each code once, with the side(s) it is about."""
    sides: dict[str, list[str]] = {}
    for side, cautions in (("base", base), ("candidate", candidate)):
        for code, detail in cautions:
            sides.setdefault(code, []).append(f"{side} {detail}".strip())
    return [(code, ", ".join(where)) for code, where in sides.items()]
