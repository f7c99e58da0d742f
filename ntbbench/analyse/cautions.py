# SPDX-License-Identifier: BSD-3-Clause
"""The closed list of warnings of a comparison, each with its remedy, and what detects them."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ntbbench.analyse.comparison import Warned

Array = NDArray[np.float64]

FEW = 5  # below it a 95 % interval of a median does not exist (1 - 2 / 2^5 = 94 %)
ENOUGH_FOR_SHAPE = 10  # below it nothing can be said of drift or of two modes
UNSTABLE = 0.10  # interquartile range over median
FENCE = 3.0  # Tukey's outer fences, in interquartile ranges
MODE_DISTANCE = 5.0  # Ashman's D of two clusters; a normal split at its mean has 2.6, a uniform 3.5
MODE_SHARE = 0.15  # the smaller cluster's share: fewer are outliers
DRIFT_P = 0.001
DRIFT_RHO = 0.3  # in long series the faintest trend is significant
SPREADS = 3.0  # interquartile range over interquartile range

# code: (message, remedy)
CAUTIONS: dict[str, tuple[str, str]] = {
    "too-few-samples": (
        f"fewer than {FEW} samples on a side",
        f"take at least {FEW} runs of each",
    ),
    "cannot-reach-alpha": (
        "with so few samples in so large a family no difference, however large, is significant",
        "take more runs, or compare fewer metrics at a time",
    ),
    "outliers": (
        "samples lie outside Tukey's outer fences; they are kept",
        "look for what else ran; pin the CPU and its frequency",
    ),
    "bimodal": (
        "the samples form two separate groups",
        "find the second state (frequency, placement, SMT sibling) and fix it",
    ),
    "drifting": (
        "the samples rise or fall with time",
        "warm up longer; interleave base and candidate and use --paired",
    ),
    "unstable": (
        f"the interquartile range exceeds {UNSTABLE:.0%} of the median",
        "quiet the machine; use longer runs",
    ),
    "unequal-spread": (
        "one side varies far more than the other; the rank test then answers to more than a shift "
        "and gives false alarms more often than alpha says",
        "find out why one side is noisier; look at the distributions; try --test welch",
    ),
    "zero-variance": (
        "all samples of a side are equal",
        "check that the clock is fine enough; if this is a count, treat it as exact",
    ),
    "zero-values": (
        "a sample is zero, so a ratio to it is undefined",
        "measure longer, or in a finer unit",
    ),
    "incomplete-pairs": (
        "rows with an empty cell make no pair and were left out",
        "fill the rows, or compare without --paired",
    ),
    "one-process": (
        "all samples come from one process or one connection, so what differs between processes "
        "is not in the interval",
        "repeat in fresh processes; see `ntbbench calibrate`",
    ),
    "few-processes": (
        "the values of a few processes are treated as independent, which they are not",
        "use at least 5 processes; then each counts as one sample",
    ),
    "averaged-by-process": (
        "the values of one process are not independent: each process counts as one sample",
        "none needed",
    ),
    "missing": (
        "the metric exists on one side only",
        "run the missing benchmark, or take it out of the baseline on purpose",
    ),
    "forced": (
        "the two sides come from environments that differ, and --force compared them all the same",
        "measure both sides on the same machine with the same build",
    ),
    "small-difference": (
        "significant, yet smaller than the threshold",
        "lower the threshold if so small a change matters",
    ),
}


def warned(code: str, detail: str = "") -> Warned:
    """Return the warning `code`, with what is particular to this case."""
    message, remedy = CAUTIONS[code]
    return Warned(code=code, message=f"{message}: {detail}" if detail else message, remedy=remedy)


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
    return np.asarray((gap > 0) & (np.sqrt(2) * gap > MODE_DISTANCE * np.sqrt(spread)))


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
