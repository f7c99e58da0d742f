# SPDX-License-Identifier: BSD-3-Clause
"""Noisy metrics: estimates and tests of many comparisons, grouped by their sample sizes."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntbbench.compare.pairing import Match
from ntbbench.compare.policy import MEDIAN, Policy, Test
from ntbbench.compare.records import Summary
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.statistics import detectable
from ntbbench.compare.statistics.dependence import Dependence, dependence_of, session_labels
from ntbbench.compare.statistics.location import located
from ntbbench.compare.statistics.quantiles import quantile_of
from ntbbench.compare.statistics.shapes import (
    cautions_of,
    outlier_counts,
    relative_deviation,
    unequal_spread,
)

Array = NDArray[np.float64]

FENCED = 1_000_000  # samples a batch may hold


@dataclass(slots=True)
class NoisyEstimate:
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
    depends: str = ""  # what of the samples is seen to depend and allowed for
    inflation: float = 1.0  # of the variance of the ratio, and
    drift: float = 0.0  # the relative change that no finding may rest on, by it
    effect: float = math.nan  # see add_detectable
    runs: int = 0


def estimates(found: Sequence[Match], policy: Policy, *, paired: bool) -> list[NoisyEstimate]:
    """Return the estimate of each match, both of whose sides have samples."""
    sizes: dict[tuple[int, int, bool, bool], list[int]] = defaultdict(list)
    for index, match in enumerate(found):
        timed = all(s is not None and s.times is not None for s in (match.base, match.candidate))
        # Replications are independent; of pairs, what both runs depend on moves no sign.
        free = paired or match.known().simulated
        sizes[count(match.base), count(match.candidate), free, timed].append(index)
    result: dict[int, NoisyEstimate] = {}
    for (n, m, free, timed), indices in sizes.items():
        step = max(1, FENCED // (n + m))
        for start in range(0, len(indices), step):
            rows = indices[start : start + step]
            sides = [[found[i].base for i in rows], [found[i].candidate for i in rows]]
            base, candidate = map(_stacked, sides)
            times = [*map(_times, sides)] if timed else []
            allowed = None if free else depending(base, candidate, times)
            batch = estimate_batch(base, candidate, policy, paired=paired, allowed=allowed)
            result.update(zip(rows, batch, strict=True))
    return [result[index] for index in range(len(found))]


def count(series: Series | None) -> int:
    """Return the number of samples."""
    return 0 if series is None or series.samples is None else len(series.samples)


def _stacked(series: Sequence[Series | None]) -> Array:
    return np.stack([s.samples for s in series if s is not None and s.samples is not None])


def _times(series: Sequence[Series | None]) -> Array:
    return np.stack([s.times for s in series if s is not None and s.times is not None])


def apart_in_time(base: Variant, candidate: Variant) -> bool:
    """Return whether each side of several runs is known to be one session, and another."""
    times = [
        next((s.times for s in side.series.values() if s.times is not None), None)
        for side in (base, candidate)
    ]
    if times[0] is None or times[1] is None:
        return False
    labels = [set(side[0].tolist()) for side in session_labels(times[0][None], times[1][None])]
    return labels[0] != labels[1] and max(map(len, labels)) == 1


def depending(base: Array, candidate: Array, times: Sequence[Array] = ()) -> Dependence | None:
    """Return how the samples of a batch depend; None: too few to say."""
    if min(base.shape[1], candidate.shape[1]) < 2:
        return None
    return dependence_of([base, candidate], times)


def estimate_batch(
    base: Array,
    candidate: Array,
    policy: Policy,
    *,
    paired: bool,
    allowed: Dependence | None = None,
) -> list[NoisyEstimate]:
    """Return the estimates of rows of samples, [B, n] and [B, m].

    Parameters
    ----------
    allowed : how the samples of a row depend; None: they are independent.
    """
    found = located(base, candidate, policy, paired=paired, allowed=allowed)
    sides = [_summaries(side, policy.quantile) for side in (base, candidate)]
    codes = [cautions_of(base), cautions_of(candidate)]
    uneven = unequal_spread(base, candidate)
    if policy.quantile == MEDIAN:
        spread = detectable.spread_of(base, candidate, paired=paired)
    else:
        sizes = detectable.Sizes(base.shape[1], candidate.shape[1], paired)
        spread = detectable.spread_by_interval(found.bounds.low, found.bounds.high, sizes)
    scatter = np.sort(np.stack([relative_deviation(base), relative_deviation(candidate)]), axis=0)
    guesses = [
        NoisyEstimate(
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
    if allowed is not None:
        _add_dependence(guesses, allowed, found.doubted)
    return guesses


def _add_dependence(
    guesses: Sequence[NoisyEstimate], allowed: Dependence, doubted: NDArray[np.bool_]
) -> None:
    """Add what is allowed for, with a warning where it decides or is beyond doubt."""
    for i in np.flatnonzero(allowed.seen()).tolist():
        guess = guesses[i]
        guess.depends = ", ".join(allowed.names(i))
        guess.inflation, guess.drift = float(allowed.inflation[i]), float(allowed.drift[i])
        if doubted[i] or allowed.sure()[i]:
            guess.cautions.append(("dependent-samples", guess.depends))


def add_detectable(
    found: Sequence[Match], guesses: Sequence[NoisyEstimate], policy: Policy, level: float
) -> None:
    """Fill in what each estimate could have detected and the runs that would settle it.

    `level` is the one that another finding must reach, so the family must be tested before.
    """
    # A quantile's estimate is behind its test, as the mean is behind t.
    test: Test = policy.test if policy.quantile == MEDIAN else "welch"
    sizes: dict[detectable.Sizes, list[tuple[Match, NoisyEstimate]]] = defaultdict(list)
    for match, guess in zip(found, guesses, strict=True):
        if guess.sizes.smaller() > 1:
            sizes[guess.sizes].append((match, guess))
    for shape, rows in sizes.items():
        variances = np.array([guess.variances for _, guess in rows])
        thresholds = np.array([policy.threshold_for(match.metric) for match, _ in rows])
        depends = np.array([(guess.inflation, guess.drift) for _, guess in rows])
        spread = detectable.Spread(variances[:, 0], variances[:, 1], shape, *depends.T)
        bars = [
            max(t, policy.one_process_allowance if match.one_process() else 0.0)
            for (match, _), t in zip(rows, thresholds.tolist(), strict=True)
        ]
        effects = detectable.minimal_effect(spread, test, level, np.array(bars))
        runs = detectable.runs_needed(spread, test, level, thresholds)
        for (_, guess), effect, run in zip(rows, effects.tolist(), runs.tolist(), strict=True):
            guess.effect, guess.runs = effect, run


def _summaries(samples: Array, quantile: float) -> list[Summary]:
    n = samples.shape[1]
    columns: dict[str, NDArray[Any]] = {
        "mean": samples.mean(axis=1),
        "minimum": samples.min(axis=1),
        "maximum": samples.max(axis=1),
        "median": np.median(samples, axis=1),
        "sd": samples.std(axis=1, ddof=1) if n > 1 else np.full(len(samples), None),
        "outliers": outlier_counts(samples),
    }
    if quantile != MEDIAN:
        columns["quantile"] = quantile_of(np.sort(samples, axis=1), quantile)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [Summary(n=n, **dict(zip(columns, row, strict=True))) for row in rows]


def _both_sides(
    base: list[tuple[str, str]], candidate: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return the cautions of both sides, each code once, with the side(s) it is about."""
    sides: dict[str, list[str]] = {}
    for side, cautions in (("base", base), ("candidate", candidate)):
        for code, detail in cautions:
            sides.setdefault(code, []).append(f"{side} {detail}".strip())
    return [(code, ", ".join(where)) for code, where in sides.items()]
