# SPDX-License-Identifier: BSD-3-Clause
"""BCa intervals against scipy's, their coverage, and the cases in which they degenerate."""

import numpy as np
import pytest
from scipy import stats

from ntbbench.compare.statistics import location


def bounds(base: list[float], candidate: list[float], resamples: int = 2000):
    return location.ratio_of_medians(
        np.array([base]), np.array([candidate]), level=0.95, resamples=resamples
    )


@pytest.mark.parametrize(("n", "m"), [(9, 12), (20, 15), (31, 40)])
def test_the_interval_is_scipys(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    base, candidate = rng.normal(100, 5, n), rng.normal(104, 5, m)
    ours = bounds(base.tolist(), candidate.tolist(), 20_000)
    theirs = stats.bootstrap(
        (base, candidate),
        lambda x, y, axis: np.median(y, axis=axis) / np.median(x, axis=axis),
        n_resamples=20_000,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low[0] == pytest.approx(theirs.low, abs=0.1 * width)
    assert ours.high[0] == pytest.approx(theirs.high, abs=0.1 * width)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 11, 12])
def test_drawn_ranks_are_those_of_resampled_medians(n: int) -> None:
    rng = np.random.default_rng(7)
    low, high = location.middles(n, 40_000, rng)
    drawn = np.sort(rng.integers(0, n, (40_000, n)), axis=1)
    for ours, theirs in ((low, drawn[:, (n - 1) // 2]), (high, drawn[:, n // 2])):
        counts = [np.bincount(x, minlength=n) for x in (ours, theirs)]
        assert np.abs(counts[0] - counts[1]).max() < 6 * np.sqrt(40_000 / 2)


@pytest.mark.parametrize("n", [2, 3, 6, 7])
def test_jackknife_medians_are_those_of_the_definition(n: int) -> None:
    ordered = np.sort(np.random.default_rng(n).normal(size=(1, n)))
    values, weights = location.jackknife_medians(ordered)
    expected = sorted(np.median(np.delete(ordered[0], i)) for i in range(n))
    assert sorted(np.repeat(values[0], weights.astype(int))) == pytest.approx(expected)


def test_ninety_five_per_cent_of_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(5)
    for n, m in ((5, 5), (6, 20), (30, 30)):
        base, candidate = (100 + rng.lognormal(0, 0.8, (2000, size)) for size in (n, m))
        found = location.ratio_of_medians(base, candidate, level=0.95, resamples=1000)
        assert ((found.low <= 1) & (found.high >= 1)).mean() > 0.93


def test_a_single_sample_has_no_interval() -> None:
    found = bounds([2.0], [3.0, 4.0])
    assert found.ratio[0] == 1.75
    assert np.isnan(found.low[0])
    assert np.isnan(found.high[0])


def test_constants_have_an_interval_of_no_width() -> None:
    found = bounds([4.0] * 6, [5.0] * 7)
    assert (found.low[0], found.ratio[0], found.high[0]) == (1.25, 1.25, 1.25)


def test_zeros_give_no_nan() -> None:
    assert bounds([0.0] * 5, [0.0] * 5).ratio[0] == 1.0
    assert bounds([0.0] * 5, [1.0] * 5).low[0] == np.inf
    found = bounds([0.0, 0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 2.0, 3.0, 4.0])
    assert not np.isnan([found.low[0], found.high[0]]).any()


def test_exchanging_the_sides_mirrors_a_paired_interval() -> None:
    base = np.array([[100.0, 120.0, 90.0, 105.0, 99.0, 101.0]])
    found = location.median_of_ratios(base, base * 1.05, level=0.95, resamples=500)
    assert found.low[0] == pytest.approx(1.05)
    assert found.high[0] == pytest.approx(1.05)
