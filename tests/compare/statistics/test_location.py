# SPDX-License-Identifier: BSD-3-Clause
"""Ratios, intervals and p-values of two sides: of what the test looks at, and in either order.

BC intervals against a plain bootstrap, their coverage, and the cases in which they degenerate.
"""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ntbbench.compare.policy import Policy, Test
from ntbbench.compare.statistics import location, quantiles, significance

values = st.lists(st.integers(90, 110).map(float), min_size=1, max_size=9)


@given(values, values, st.sampled_from(get_args(Test)), st.booleans())
def test_exchanged_sides_give_the_inverse_to_the_last_draw(
    base: list[float], candidate: list[float], test: Test, paired: bool
) -> None:
    paired = paired or test == "sequential"  # a test of pairs alone
    if paired:
        base, candidate = (side[: min(len(base), len(candidate))] for side in (base, candidate))
    policy = Policy(test=test, resamples=300)
    sides = np.array([base]), np.array([candidate])
    one = location.located(*sides, policy, paired=paired)
    other = location.located(*reversed(sides), policy, paired=paired)
    for name in ("p", "p_least", "p_effect", "apart"):
        left, right = getattr(one, name), getattr(other, name)
        np.testing.assert_array_equal(left, right)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(one.bounds.ratio, 1 / other.bounds.ratio, rtol=1e-12)
        np.testing.assert_allclose(one.bounds.low, 1 / other.bounds.high, rtol=1e-12)
        np.testing.assert_allclose(one.bounds.high, 1 / other.bounds.low, rtol=1e-12)
        np.testing.assert_allclose(one.second, 1 / other.second, rtol=1e-12)


def test_rows_of_a_batch_are_turned_each_for_itself() -> None:
    rng = np.random.default_rng(1)
    base, candidate = rng.normal(100, 3, (20, 7)), rng.normal(100, 3, (20, 7))
    turned = location.comes_second(base, candidate)
    assert 0 < turned.sum() < 20
    assert (turned != location.comes_second(candidate, base)).all()
    whole = location.located(base, candidate, Policy(), paired=False)
    for i in range(20):
        one = location.located(base[i : i + 1], candidate[i : i + 1], Policy(), paired=False)
        assert whole.bounds.low[i] == one.bounds.low[0]
        assert whole.p[i] == one.p[0]


def test_the_order_of_runs_does_not_turn_a_row() -> None:
    base, candidate = np.array([[3.0, 1.0, 2.0]]), np.array([[4.0, 1.0, 2.0]])
    assert location.comes_second(candidate, base).tolist() == [True]
    assert location.comes_second(candidate[:, ::-1], base).tolist() == [True]
    assert location.comes_second(base, base).tolist() == [False]
    assert location.comes_second(base, candidate[:, :2]).tolist() == [True]
    assert location.comes_second(base[:, :2], candidate).tolist() == [False]


@pytest.mark.parametrize("test", ["welch", "permutation"])
def test_means_are_what_tests_of_means_report(test: Test) -> None:
    rng = np.random.default_rng(2)
    base, candidate = rng.lognormal(0, 0.3, (5, 9)), rng.lognormal(0.2, 0.3, (5, 12))
    found = location.located(base, candidate, Policy(test=test), paired=False)
    assert found.bounds.ratio == pytest.approx(candidate.mean(axis=1) / base.mean(axis=1))
    medians = np.median(candidate, axis=1) / np.median(base, axis=1)
    assert found.second == pytest.approx(medians)
    ranks = location.located(base, candidate, Policy(), paired=False)
    assert ranks.bounds.ratio == pytest.approx(medians)
    assert ranks.second == pytest.approx(found.bounds.ratio)


def test_the_interval_of_means_excludes_one_where_welch_of_logarithms_nearly_does() -> None:
    """The interval is of what was tested: of small spreads both say the same."""
    rng = np.random.default_rng(3)
    base, candidate = rng.normal(100, 1, (400, 8)), rng.normal(101, 1.5, (400, 6))
    found = location.ratio_of_means(base, candidate)
    p = stats.ttest_ind(base, candidate, axis=1, equal_var=False).pvalue
    sure = np.abs(p - 0.05) > 0.003
    excludes = (found.low > 1) | (found.high < 1)
    assert (excludes == (p < 0.05))[sure].all()
    assert excludes.any()
    assert not excludes.all()


@pytest.mark.parametrize(("n", "m"), [(5, 5), (5, 20), (30, 12)])
def test_intervals_of_means_hold_the_truth(n: int, m: int) -> None:
    rng = np.random.default_rng(4)
    found = location.ratio_of_means(rng.normal(100, 4, (4000, n)), rng.normal(110, 8, (4000, m)))
    held = ((found.low < 1.1) & (found.high > 1.1)).mean()
    assert 0.93 < held < 0.97


def test_intervals_of_mean_changes_are_those_of_t() -> None:
    rng = np.random.default_rng(5)
    base = rng.normal(100, 5, (3, 9))
    candidate = base * rng.lognormal(0.1, 0.05, (3, 9))
    change = significance.symmetric_change(base, candidate)
    found = location.mean_of_changes(change)
    for i in range(3):
        low, high = stats.t.interval(0.95, 8, loc=change[i].mean(), scale=stats.sem(change[i]))
        assert found.low[i] == pytest.approx((1 + low) / (1 - low))
        assert found.high[i] == pytest.approx((1 + high) / (1 - high))
        mean = change[i].mean()
        assert found.ratio[i] == pytest.approx((1 + mean) / (1 - mean))


def test_intervals_of_means_where_they_degenerate() -> None:
    nothing, some = np.zeros((1, 4)), np.full((1, 4), 2.0)
    for base, candidate, expected in (
        (nothing, nothing, 1.0), (nothing, some, np.inf), (some, nothing, 0.0), (some, some, 1.0)
    ):  # fmt: skip
        found = location.ratio_of_means(base, candidate)
        assert [found.ratio[0], found.low[0], found.high[0]] == [expected] * 3
        change = significance.symmetric_change(base, candidate)
        pairs = location.mean_of_changes(change)
        assert [pairs.ratio[0], pairs.low[0], pairs.high[0]] == pytest.approx([expected] * 3)
    for found in (
        location.ratio_of_means(some, some[:, :1]),
        location.mean_of_changes(some[:, :1] * 0),
    ):
        assert found.ratio[0] == 1.0
        assert np.isnan([found.low[0], found.high[0]]).all()
    wild = np.array([[-0.9, 0.9, 0.95]])
    pairs = location.mean_of_changes(wild)
    assert (pairs.low[0], pairs.high[0]) == (0.0, np.inf)


def test_sides_are_apart_where_no_run_overlaps() -> None:
    base = np.array([[1.0, 2.0], [1.0, 2.0], [3.0, 4.0], [1.0, 3.0]])
    candidate = np.array([[2.5, 3.0], [2.0, 3.0], [1.0, 2.0], [2.0, 4.0]])
    assert location.apart(base, candidate, paired=False).tolist() == [True, False, True, False]
    assert location.apart(base, candidate, paired=True).tolist() == [True, True, True, True]
    crossed = np.array([[0.5, 3.0]])
    assert location.apart(base[:1], crossed, paired=True).tolist() == [False]
    assert location.apart(base[:1], base[:1], paired=True).tolist() == [False]


def bounds(base: list[float], candidate: list[float], resamples: int = 2000):
    return quantiles.ratio_of_quantiles(np.array([base]), np.array([candidate]), resamples)


@pytest.mark.parametrize(("n", "m"), [(9, 12), (20, 15), (31, 40)])
def test_the_interval_is_that_of_a_plain_bootstrap(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    base, candidate = rng.normal(100, 5, n), rng.normal(104, 5, m)
    ours = bounds(base.tolist(), candidate.tolist(), 20_000)
    picks = [rng.integers(0, k, (20_000, k)) for k in (n, m)]
    drawn = np.median(candidate[picks[1]], axis=1) / np.median(base[picks[0]], axis=1)
    ratio = ours.ratio[0]
    bias = stats.norm.ppf((drawn < ratio).mean() + (drawn == ratio).mean() / 2)
    low, high = np.quantile(drawn, stats.norm.cdf(2 * bias + stats.norm.ppf([0.025, 0.975])))
    assert ours.low[0] == pytest.approx(low, abs=0.1 * (high - low))
    assert ours.high[0] == pytest.approx(high, abs=0.1 * (high - low))


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 11, 12])
def test_drawn_ranks_are_those_of_resampled_medians(n: int) -> None:
    rng = np.random.default_rng(7)
    low, high = quantiles.drawn_ranks(n, 40_000, rng)
    drawn = np.sort(rng.integers(0, n, (40_000, n)), axis=1)
    for ours, theirs in ((low, drawn[:, (n - 1) // 2]), (high, drawn[:, n // 2])):
        counts = [np.bincount(x, minlength=n) for x in (ours, theirs)]
        assert np.abs(counts[0] - counts[1]).max() < 6 * np.sqrt(40_000 / 2)


def test_ninety_five_per_cent_of_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(5)
    for n, m in ((5, 5), (6, 20), (30, 30)):
        base, candidate = (100 + rng.lognormal(0, 0.8, (2000, size)) for size in (n, m))
        found = quantiles.ratio_of_quantiles(base, candidate, 1000)
        assert ((found.low <= 1) & (found.high >= 1)).mean() > 0.93


def test_intervals_that_degenerate() -> None:
    single = bounds([2.0], [3.0, 4.0])
    assert single.ratio[0] == 1.75
    assert np.isnan([single.low[0], single.high[0]]).all()
    steady = bounds([4.0] * 6, [5.0] * 7)
    assert (steady.low[0], steady.ratio[0], steady.high[0]) == (1.25, 1.25, 1.25)
    assert bounds([0.0] * 5, [0.0] * 5).ratio[0] == 1.0
    assert bounds([0.0] * 5, [1.0] * 5).low[0] == np.inf
    found = bounds([0.0, 0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 2.0, 3.0, 4.0])
    assert not np.isnan([found.low[0], found.high[0]]).any()
    base = np.array([[100.0, 120.0, 90.0, 105.0, 99.0, 101.0]])
    pairs = location.median_of_ratios(base, base * 1.05, 500)
    assert [pairs.low[0], pairs.high[0]] == pytest.approx([1.05, 1.05])
