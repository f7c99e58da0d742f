# SPDX-License-Identifier: BSD-3-Clause
"""What samples that are not independent hide: autocorrelation, drift, and sessions.

Each is looked for in both sides at once. Where one is seen, a finding must hold against the wider
standard error too, and the interval holds both. What the data do not show is not corrected.

- Autocorrelation at lag one of the ranks, corrected for its bias (Marriott and Pope 1954,
  Biometrika 41) and raised by one standard error, says of an autoregression how many samples are
  worth an independent one; of long series Geyer's initial positive sequence (1992, Statistical
  Science 7) where that is more.
- Drift: one slope for both sides, as in an analysis of covariance. One side may have been measured
  after the other, so what the slope makes of the distance between them is no finding.
- Sessions: the mean square between sessions stands for that of samples (a nested analysis of
  variance; Kalibera and Jones 2013, ISMM).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ntbbench.compare.policy import LEVEL

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Flags = NDArray[np.bool_]
SEEN = 0.02  # p-value of a check below which the verdict allows for what it shows
SURE = 0.002  # below which it is told even where it decides nothing
ENOUGH_FOR_LAGS = 10
ENOUGH_FOR_DRIFT = 5
ENOUGH_FOR_GEYER = 50
MOST_CORRELATION = 0.97
SESSION_GAP = 3600.0  # seconds without a sample end a session
FENCE = 1.5  # Tukey's inner fences, in interquartile ranges
LEAST = 1e-12  # stands for a spread of zero


@dataclass(frozen=True, slots=True)
class Dependence:
    """What the verdicts of B rows allow for, float64[B] each; a p-value of 1: not looked for."""

    worth: Array  # samples that are worth one independent sample
    correlated_p: Array
    drift: Array  # relative change between the sides that the slope explains
    drift_p: Array
    sessions_p: Array
    variance: Array  # of the relative difference between the sides, of independent samples
    inflation: Array  # what multiplies it
    freedom: Array

    def seen(self) -> Flags:
        """Return the rows whose samples are seen to depend."""
        return np.asarray(self._least() < SEEN)

    def sure(self) -> Flags:
        """Return the rows of which that is beyond doubt."""
        return np.asarray(self._least() < SURE)

    def names(self, row: int) -> list[str]:
        """Return what is seen in a row, as a detail of the warning."""
        worth = self.worth[row]
        found = {
            f"autocorrelation, {worth:.2g} samples are worth one": self.correlated_p[row],
            f"a drift, {100 * self.drift[row]:.2g} % between the sides": self.drift_p[row],
            "sessions differ more than their samples": self.sessions_p[row],
        }
        return [name for name, p in found.items() if p < SEEN]

    def limits(self, ratio: Array, low: Array, high: Array) -> tuple[Array, Array, Array]:
        """Return a t test's p-value and interval of a ratio, float64[B]; NaN: nothing is seen.

        Its standard error is that of the interval `low` to `high`, or of the samples, inflated.
        """
        seen = self.seen() & (ratio > 0) & np.isfinite(ratio)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            change = np.log(np.where(seen, ratio, np.nan))
            error = (np.log(high) - np.log(low)) / (2 * stats.norm.ppf((1 + LEVEL) / 2))
            error = np.sqrt(self.inflation * np.fmax(error**2, self.variance))
            beyond = np.maximum(np.abs(change) - self.drift, 0.0) / np.maximum(error, LEAST)
            reach = stats.t.ppf((1 + LEVEL) / 2, self.freedom) * error + self.drift
            low, high = np.exp(change - reach), np.exp(change + reach)
        p = np.asarray(2 * stats.t.sf(beyond, self.freedom), dtype=np.float64)
        return p, np.asarray(low), np.asarray(high)

    def _least(self) -> Array:
        return np.minimum(np.minimum(self.correlated_p, self.drift_p), self.sessions_p)


def winsorised(samples: Array) -> Array:
    """Return samples, [B, n], with what lies beyond Tukey's inner fences moved to them."""
    low, high = np.quantile(samples, [0.25, 0.75], axis=1)
    reach = FENCE * (high - low)
    return np.asarray(np.clip(samples, (low - reach)[:, None], (high + reach)[:, None]))


def dependence_of(sides: Sequence[Array], times: Sequence[Array] = ()) -> Dependence:
    """Return how the samples of each row depend on each other.

    Parameters
    ----------
    sides : float64[B, n] each, in the order they were taken: one side or both.
    times : when each was taken, seconds; none where that is not known.
    """
    relative = [_relative(side) for side in sides]
    kept = [winsorised(side) for side in relative]
    counts = [side.shape[1] for side in sides]
    variance = np.asarray(sum(s.var(axis=1, ddof=1) / s.shape[1] for s in kept))
    worth, correlated_p = _autocorrelation([s for s in kept if s.shape[1] >= ENOUGH_FOR_LAGS])
    worth = np.where(correlated_p < SEEN, worth, 1.0) if len(worth) else np.ones(len(variance))
    correlated_p = correlated_p if len(correlated_p) else np.ones(len(variance))
    drift, drift_p, share = np.zeros(len(variance)), np.ones(len(variance)), 0.0
    if len(sides) == 2 and min(counts) >= ENOUGH_FOR_DRIFT:
        drift, drift_p, share = _drift(kept)
    drifts = drift_p < SEEN
    inflation = worth * np.where(drifts, 1 + share, 1.0)
    freedom = np.maximum(sum(counts) / worth - len(sides) - drifts, 1.0)
    sessions_p = np.ones(len(variance))
    if len(times) == 2:
        between, free, sessions_p = _between_sessions(kept, session_labels(*times))
        more = np.maximum(inflation, between / np.maximum(variance, LEAST**2))
        inflation = np.where(sessions_p < SEEN, more, inflation)
        freedom = np.where(sessions_p < SEEN, np.minimum(freedom, free), freedom)
    moved = np.where(drifts, drift, 0.0)
    return Dependence(worth, correlated_p, moved, drift_p, sessions_p, variance, inflation, freedom)


def _relative(samples: Array) -> Array:
    """Return each sample over its row's median, less 1; of a median of 0 zeros."""
    middle = np.median(samples, axis=1, keepdims=True)
    safe = np.where((middle > 0) & np.isfinite(middle), middle, np.inf)
    with np.errstate(invalid="ignore", over="ignore"):
        change = samples / safe - np.isfinite(safe)
    return np.asarray(np.nan_to_num(change, nan=0.0, posinf=0.0, neginf=0.0))


def _scaled_ranks(samples: Array) -> Array:
    """Return the ranks of each row with mean 0 and variance 1; zeros where all are equal."""
    rank = stats.rankdata(samples, axis=1) - (samples.shape[1] + 1) / 2
    return np.asarray(rank / np.maximum(rank.std(axis=1, keepdims=True), LEAST))


def _autocorrelation(sides: Sequence[Array]) -> tuple[Array, Array]:
    """Return how many samples are worth one, and the p-value of no positive autocorrelation."""
    if not sides:
        return np.ones(0), np.ones(0)
    total, lost = sum(side.shape[1] for side in sides), len(sides)
    ranks = [_scaled_ranks(side) for side in sides]
    lagged = np.asarray(sum((x[:, 1:] * x[:, :-1]).sum(axis=1) for x in ranks)) + lost
    p = np.asarray(stats.norm.sf(lagged / np.sqrt(total - 2 * lost)))
    of_ranks = np.clip(lagged / (total - 3 * lost), 0, 1)
    rho = 2 * np.sin(np.pi / 6 * of_ranks)  # of normal noise with these ranks
    rho = np.clip(rho + np.sqrt((1 - rho**2) / total), 0.0, MOST_CORRELATION)
    worth = (1 + rho) / (1 - rho)
    if rows := np.flatnonzero(p < SEEN).tolist():
        for side in sides:
            if side.shape[1] >= ENOUGH_FOR_GEYER:
                worth[rows] = np.maximum(worth[rows], _geyer(side[rows]))
    return worth, p


def _geyer(samples: Array) -> Array:
    """Return the autocorrelation time of each row by Geyer's initial positive sequence."""
    n = samples.shape[1]
    centred = samples - samples.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(centred, 2 * n, axis=1)) ** 2
    lags = np.fft.irfft(power, axis=1)[:, : n - n % 2]
    lags = lags / np.maximum(lags[:, :1], LEAST * LEAST)
    pairs = lags[:, 0::2] + lags[:, 1::2]
    pairs = np.where(np.logical_and.accumulate(pairs > 0, axis=1), pairs, 0.0)
    return np.asarray(np.clip(2 * pairs.sum(axis=1) - 1, 1.0, n / 2), dtype=np.float64)


def _drift(sides: Sequence[Array]) -> tuple[Array, Array, float]:
    """Return the change that one slope explains between two sides in a row, its p-value and cost.

    The cost is its variance over that of the difference of the means.
    """
    times = [np.arange(side.shape[1]) - (side.shape[1] - 1) / 2 for side in sides]
    power = sum(float(time @ time) for time in times)
    slope = np.asarray(sum(s @ time for s, time in zip(sides, times, strict=True))) / power
    trend = np.asarray(sum(_scaled_ranks(s) @ time for s, time in zip(sides, times, strict=True)))
    counts = [len(time) for time in times]
    size = sum(float(t @ t) * n / (n - 1) for t, n in zip(times, counts, strict=True))
    p = np.asarray(2 * stats.norm.sf(np.abs(trend) / np.sqrt(size)))
    distance = sum(counts) / 2
    cost = distance**2 / power / sum(1 / n for n in counts)
    return np.abs(slope) * distance, p, cost


def session_labels(*times: Array) -> list[Labels]:
    """Return the number of the session of each sample, [B, n] a side: an hour's gap ends one.

    Where both sides were measured in the same sessions, in turn, all are 0: what sessions add to
    both cancels.
    """
    both = np.concatenate(times, axis=1)
    order = np.argsort(both, axis=1, kind="stable")
    ordered = np.take_along_axis(both, order, axis=1)
    begins = np.diff(ordered, axis=1, prepend=ordered[:, :1]) > SESSION_GAP
    labels = np.empty(both.shape, dtype=np.int64)
    np.put_along_axis(labels, order, np.cumsum(begins, axis=1), axis=1)
    if len(times) == 2:
        n = times[0].shape[1]
        for row in labels:
            if set(row[:n].tolist()) == set(row[n:].tolist()):
                row[:] = 0
    return np.split(labels, np.cumsum([side.shape[1] for side in times])[:-1], axis=1)


def _between_sessions(
    sides: Sequence[Array], labels: Sequence[Labels]
) -> tuple[Array, Array, Array]:
    """Return the variance of the difference by sessions, its freedom, and the p-value of F."""
    count = len(sides[0])
    between, within, free, left = np.zeros((4, count))
    for samples, of in zip(sides, labels, strict=True):
        middle = samples.mean(axis=1)
        for label in range(int(of.max()) + 1):
            here = of == label
            size = here.sum(axis=1)
            mean = np.where(here, samples, 0.0).sum(axis=1) / np.maximum(size, 1)
            between += size * (mean - middle) ** 2
            within += np.where(here, (samples - mean[:, None]) ** 2, 0.0).sum(axis=1)
            free += size > 0
        free -= 1
        left += samples.shape[1]
    left = left - free - len(sides)
    known = (free > 0) & (left > 0)
    square = between / np.maximum(free, 1)
    ratio = square / np.maximum(within / np.maximum(left, 1), LEAST**2)
    p = np.where(known, stats.f.sf(ratio, np.maximum(free, 1), np.maximum(left, 1)), 1.0)
    return square * sum(1 / s.shape[1] for s in sides), np.maximum(free, 1.0), np.asarray(p)
