# SPDX-License-Identifier: BSD-3-Clause
"""The median of a few samples and how sure it is: a bootstrap interval.

Reference: B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ntbbench.dispatch.records import Timing

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 2000  # an end of the interval moves by a fraction of a percent between seeds
RESAMPLE_SEED = 1  # the interval depends on its samples alone
CHUNK_FLOATS = 4_000_000  # resampled values at a time: 32 MB


def timings(samples: Sequence[Sequence[float]]) -> list[Timing]:
    """Return the timing of each row of samples.

    Parameters
    ----------
    samples : rows of nanoseconds, at least one in each; rows may differ in length.

    Returns
    -------
    The median, and the percentile interval of the median of resamples. Where there is nothing to
    resample, with one sample or equal ones, both ends are the median.
    """
    found: dict[int, Timing] = {}
    for length in sorted({len(row) for row in samples}):
        rows = [number for number, row in enumerate(samples) if len(row) == length]
        step = max(1, CHUNK_FLOATS // (RESAMPLES * length))
        for start in range(0, len(rows), step):
            chunk = rows[start : start + step]
            table = [list(samples[number]) for number in chunk]
            found |= dict(zip(chunk, _chunk(table), strict=True))
    return [found[number] for number in range(len(samples))]


def _chunk(table: list[list[float]]) -> list[Timing]:
    """Return the timings of rows of one length."""
    values = np.array(table, dtype=np.float64)
    medians = np.median(values, axis=1)
    lows, highs = (medians, medians) if values.shape[1] == 1 else _interval(values)
    ends = zip(medians.tolist(), lows.tolist(), highs.tolist(), table, strict=True)
    return [
        Timing(median=median, low=low, high=high, samples=row) for median, low, high, row in ends
    ]


def _interval(values: Floats) -> tuple[Floats, Floats]:
    """Return the lower and upper ends for float64[rows, samples], at least two samples."""
    from scipy.stats import bootstrap  # noqa: PLC0415  # a second that only timed sweeps pay

    interval = bootstrap(
        (values,),
        np.median,
        axis=1,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",  # BCa divides by zero where samples are equal
        rng=np.random.default_rng(RESAMPLE_SEED),
    ).confidence_interval
    # Interpolating between resamples rounds: an end may come out one ulp beyond what was measured.
    medians = np.median(values, axis=1)
    return (
        np.asarray(np.clip(interval.low, values.min(axis=1), medians)),
        np.asarray(np.clip(interval.high, medians, values.max(axis=1))),
    )
