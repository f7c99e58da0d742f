# SPDX-License-Identifier: BSD-3-Clause
"""Noisy metrics: estimates and tests of many comparisons, grouped by their sample sizes."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ntbbench.compare.pairing import Match
from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Summary
from ntbbench.compare.series import Series
from ntbbench.compare.statistics import detectable
from ntbbench.compare.statistics.dependence import Dependence, dependence_of
from ntbbench.compare.statistics.location import divide, located
from ntbbench.compare.warning_list import FEW, UNSTABLE

Array = NDArray[np.float64]

ENOUGH_FOR_SHAPE = 10  # below it nothing can be said of drift or of two modes
FENCE = 3.0  # Tukey's outer fences, in interquartile ranges
MODE_DISTANCE = 5.0  # Ashman's D of two clusters; a normal split at its mean has 2.6, a uniform 3.5
MODE_SCATTER = 20.0  # few samples cluster by chance: D must exceed MODE_DISTANCE + this / n
MODE_SHARE = 0.15  # the smaller cluster's share: fewer are outliers
DRIFT_P = 0.001
DRIFT_RHO = 0.3  # in long series the faintest trend is significant
SPREADS = 3.0  # one side's spread over the other's


def outlier_counts(samples: Array) -> NDArray[np.int64]:
    """Return how many samples of each row, [B, n], lie outside the outer fences."""
    if samples.shape[1] < FEW:
        return np.zeros(len(samples), dtype=np.int64)
    low, high = np.quantile(samples, [0.25, 0.75], axis=1)
    reach = FENCE * (high - low)
    outside = (samples < (low - reach)[:, None]) | (samples > (high + reach)[:, None])
    return np.asarray(outside.sum(axis=1), dtype=np.int64)


def bimodal(samples: Array) -> NDArray[np.bool_]:
    """Return whether the best split of each row in two leaves two tight groups far apart.

    The split is the one with the largest variance between the groups (Otsu 1979); the measure is
    Ashman's D = sqrt(2) |m1 - m2| / sqrt(s1^2 + s2^2) (Ashman, Bird and Zepf 1994).
    """
    count, n = samples.shape
    smaller = max(2, int(np.ceil(MODE_SHARE * n)))
    if n < ENOUGH_FOR_SHAPE:
        return np.zeros(count, dtype=np.bool_)
    distance = MODE_DISTANCE + MODE_SCATTER / n
    ordered = np.sort(samples, axis=1)
    ordered = ordered - ordered.mean(axis=1, keepdims=True)
    cuts = np.arange(smaller, n - smaller + 1)
    sums, squares = np.cumsum(ordered, axis=1), np.cumsum(ordered**2, axis=1)
    left, right = sums[:, cuts - 1] / cuts, (sums[:, -1:] - sums[:, cuts - 1]) / (n - cuts)
    inside_left = squares[:, cuts - 1] / cuts - left**2
    inside_right = (squares[:, -1:] - squares[:, cuts - 1]) / (n - cuts) - right**2
    best = np.argmax(cuts * (n - cuts) * (right - left) ** 2, axis=1)[:, None]
    gap, spread = (
        np.take_along_axis(x, best, axis=1)[:, 0]
        for x in (np.abs(right - left), np.maximum(inside_left + inside_right, 0.0))
    )
    return np.asarray((gap > 0) & (np.sqrt(2) * gap > distance * np.sqrt(spread)))


def drifting(samples: Array) -> NDArray[np.bool_]:
    """Return whether each row's ranks follow their order in time (Spearman, p < 0.001)."""
    count, n = samples.shape
    if n < ENOUGH_FOR_SHAPE:
        return np.zeros(count, dtype=np.bool_)
    ranks = stats.rankdata(samples, axis=1) - (n + 1) / 2
    time = np.arange(n) - (n - 1) / 2
    size = np.sqrt((ranks**2).sum(axis=1) * (time**2).sum())
    rho = np.divide(ranks @ time, size, out=np.zeros(count), where=size > 0)
    statistic = rho * np.sqrt((n - 2) / np.maximum(1 - rho**2, 1e-12))
    significant = 2 * stats.t.sf(np.abs(statistic), n - 2) < DRIFT_P
    return np.asarray(significant & (np.abs(rho) > DRIFT_RHO))


def unstable(samples: Array) -> NDArray[np.bool_]:
    """Return whether each row's interquartile range is too wide for its median."""
    low, middle, high = np.quantile(samples, [0.25, 0.5, 0.75], axis=1)
    return np.asarray(high - low > UNSTABLE * middle)


def relative_deviation(samples: Array) -> Array:
    """Return the mean distance of each row from its median, over it; NaN for a median of zero.

    Unlike the interquartile range it sees a few runs that are far off.
    """
    middle = np.median(samples, axis=1)
    distance = np.abs(samples - middle[:, None]).mean(axis=1)
    unknown = np.full_like(middle, np.nan)
    return np.asarray(np.divide(distance, middle, out=unknown, where=middle > 0))


def unequal_spread(base: Array, candidate: Array) -> NDArray[np.bool_]:
    """Return whether the sides' interquartile ranges differ by more than a factor of three."""
    if min(base.shape[1], candidate.shape[1]) < ENOUGH_FOR_SHAPE:
        return np.zeros(len(base), dtype=np.bool_)
    quartiles = [np.quantile(side, [0.25, 0.75], axis=1) for side in (base, candidate)]
    one, other = (high - low for low, high in quartiles)
    return np.asarray(np.maximum(one, other) > SPREADS * np.minimum(one, other))


def cautions_of(samples: Array) -> list[list[tuple[str, str]]]:
    """Return the (code, detail) pairs of each row of one side's samples, [B, n]."""
    n = samples.shape[1]
    found: list[list[tuple[str, str]]] = [[] for _ in samples]
    if n < FEW:
        for row in found:
            row.append(("too-few-samples", f"{n}"))
    counts = outlier_counts(samples)
    for index in np.flatnonzero(counts):
        found[index].append(("outliers", f"{counts[index]} of {n}"))
    flags = {
        "bimodal": bimodal(samples),
        "drifting": drifting(samples),
        "unstable": unstable(samples),
        "zero-variance": (samples == samples[:, :1]).all(axis=1) & (n > 1),
        "zero-values": (samples == 0).any(axis=1),
    }
    for code, rows in flags.items():
        for index in np.flatnonzero(rows):
            found[index].append((code, ""))
    return found


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
        drawn = match.known().simulated  # replications are independent
        sizes[count(match.base), count(match.candidate), drawn, timed].append(index)
    result: dict[int, NoisyEstimate] = {}
    for (n, m, drawn, timed), indices in sizes.items():
        step = max(1, FENCED // (n + m))
        for start in range(0, len(indices), step):
            rows = indices[start : start + step]
            sides = [[found[i].base for i in rows], [found[i].candidate for i in rows]]
            base, candidate = map(_stacked, sides)
            times = [*map(_times, sides)] if timed and not paired else []
            allowed = None if drawn else _allowed(base, candidate, times, paired=paired)
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


def _allowed(
    base: Array, candidate: Array, times: Sequence[Array] = (), *, paired: bool
) -> Dependence | None:
    """Return how the samples of a batch depend; None: too few to say."""
    if min(base.shape[1], candidate.shape[1]) < 2:
        return None
    sides = [divide(candidate, base)] if paired else [base, candidate]
    return dependence_of(sides, times)


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
    sides = [_summaries(base), _summaries(candidate)]
    codes = [cautions_of(base), cautions_of(candidate)]
    uneven = unequal_spread(base, candidate)
    spread = detectable.spread_of(base, candidate, paired=paired)
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
        effects = detectable.minimal_effect(spread, policy.test, level, np.array(bars))
        runs = detectable.runs_needed(spread, policy.test, level, thresholds)
        for (_, guess), effect, run in zip(rows, effects.tolist(), runs.tolist(), strict=True):
            guess.effect, guess.runs = effect, run


def _summaries(samples: Array) -> list[Summary]:
    n = samples.shape[1]
    columns: dict[str, NDArray[Any]] = {
        "mean": samples.mean(axis=1),
        "minimum": samples.min(axis=1),
        "maximum": samples.max(axis=1),
        "median": np.median(samples, axis=1),
        "sd": samples.std(axis=1, ddof=1) if n > 1 else np.full(len(samples), None),
        "outliers": outlier_counts(samples),
    }
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
