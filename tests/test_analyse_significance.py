# SPDX-License-Identifier: BSD-3-Clause
"""p-values against published values and against scipy; the corrections of a family."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ntbbench.analyse import significance
from ntbbench.analyse.policy import Correction

# Holm's step-down on Wright (1992), Biometrics 48, and R's p.adjust(c(.01,.02,.03,.04,.05)).
P = np.array([0.01, 0.02, 0.03, 0.04, 0.05])


def batch(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float64)


def test_mann_whitney_gives_the_published_value() -> None:
    """Mann and Whitney's U = 0 of 5 and 5: 2 / C(10, 5)."""
    p = significance.mann_whitney(batch([1, 2, 3, 4, 5]), batch([6, 7, 8, 9, 10]))
    assert p[0] == pytest.approx(2 / 252)


def test_mann_whitney_of_scipys_documentation() -> None:
    """Diabetes by sex, from the documentation of scipy.stats.mannwhitneyu: p = 0.1111."""
    p = significance.mann_whitney(batch([19, 22, 16, 29, 24]), batch([20, 11, 17, 12]))
    assert p[0] == pytest.approx(0.1111111111111111)


def test_wilcoxon_of_darwins_maize() -> None:
    """Darwin's pairs of crossed and self-fertilised plants: W = 24, p = 0.04126 (scipy, R).

    Ours ranks ratios, not differences, so equal heights are what makes the two agree.
    """
    d = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]
    base = np.full((1, 15), 1e6)
    p = significance.wilcoxon(base, base + np.array([d], dtype=np.float64))
    assert p[0] == pytest.approx(0.041259765625)


def test_welch_matches_scipy() -> None:
    rng = np.random.default_rng(1)
    base, candidate = rng.normal(10, 1, (20, 7)), rng.normal(10.5, 3, (20, 12))
    expected = stats.ttest_ind(base, candidate, axis=1, equal_var=False).pvalue
    assert significance.welch(base, candidate) == pytest.approx(expected)


def test_permutation_matches_scipys_exact_test() -> None:
    rng = np.random.default_rng(2)
    base, candidate = rng.exponential(1, (1, 5)), rng.exponential(1, (1, 6))
    expected = stats.permutation_test(
        (base[0], candidate[0]),
        lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
        n_resamples=np.inf,
    ).pvalue
    assert significance.permutation(base, candidate)[0] == pytest.approx(expected)


def test_sampled_permutation_is_close_to_t() -> None:
    rng = np.random.default_rng(3)
    base, candidate = rng.normal(10, 1, (1, 30)), rng.normal(10.6, 1, (1, 30))
    expected = stats.ttest_ind(base[0], candidate[0]).pvalue
    assert significance.permutation(base, candidate)[0] == pytest.approx(expected, abs=0.01)


def test_ties_are_exact_where_the_normal_approximation_is_too_small() -> None:
    base, candidate = batch([1, 1, 1, 1, 1]), batch([2, 2, 2, 2, 2])
    rough = stats.mannwhitneyu(base[0], candidate[0]).pvalue
    assert rough < 2 / 252
    assert significance.mann_whitney(base, candidate)[0] == pytest.approx(2 / 252)


def test_equal_constants_are_no_difference() -> None:
    same = np.full((1, 6), 3.0)
    for test in (significance.mann_whitney, significance.permutation, significance.wilcoxon):
        assert test(same, same)[0] == 1.0
    assert np.isnan(significance.welch(same, same)[0])


@given(
    st.integers(2, 7), st.integers(2, 7), st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 1000])
)
@settings(max_examples=60, deadline=None)
def test_tests_are_symmetric_and_keep_to_their_smallest_p(
    n: int, m: int, seed: int, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    base = rng.integers(1, 1 + levels, (3, n)).astype(float)
    candidate = rng.integers(1, 1 + levels, (3, m)).astype(float)
    for name, test in (
        ("mann-whitney", significance.mann_whitney),
        ("permutation", significance.permutation),
    ):
        p = test(base, candidate)
        assert ((p > 0) & (p <= 1)).all()
        assert p == pytest.approx(test(candidate, base))
        assert (p >= significance.smallest_p(name, n, m, paired=False) * (1 - 1e-9)).all()


def test_holm_is_rs_p_adjust() -> None:
    assert significance.adjust(P, "holm") == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    unordered = np.array([0.04, 0.01, 0.03])
    assert significance.adjust(unordered, "holm") == pytest.approx([0.06, 0.03, 0.06])


def test_benjamini_hochberg_is_rs_p_adjust() -> None:
    p = np.array([0.01, 0.013, 0.014, 0.19, 0.35, 0.5, 0.63, 0.67, 0.75, 0.81])
    expected = [0.14 / 3, 0.14 / 3, 0.14 / 3, 0.475, 0.7]
    assert significance.adjust(p, "bh")[:5] == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(deadline=None)
def test_corrections_never_lower_a_p_value(values: list[float]) -> None:
    p = np.array(values)
    for correction in ("holm", "bh", "none"):
        adjusted = significance.adjust(p, correction)
        assert (adjusted >= p * (1 - 1e-12)).all()
        assert (adjusted <= 1).all()
        assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= -1e-12).all()


def test_pairs_with_the_same_ratio_stay_tied() -> None:
    base = np.array([[100.0, 200.0, 300.0, 77.0, 13.0]])
    assert np.ptp(significance.symmetric_change(base, base * 1.05)) == 0


def test_millions_of_samples_take_no_exact_count() -> None:
    """The number of arrangements of a million samples has 600,000 digits."""
    assert significance.smallest_p("mann-whitney", 10**6, 10**6, paired=False) == 0.0
    assert significance.smallest_p("permutation", 10**6, 10**6, paired=False) == 2 / 10_000
    assert significance.smallest_p("mann-whitney", 10**6, 10**6, paired=True) < 1e-300
    for n, m in ((5, 5), (8, 50), (30, 31)):
        assert significance.arrangements_of(n, m) == pytest.approx(math.comb(n + m, n), rel=1e-9)


@given(
    st.lists(st.sampled_from([1e-9, 1e-4, 0.004, 0.006, 0.01, 0.02, 0.03, 0.06, 0.5]), min_size=1),
    st.sampled_from(["holm", "bh", "none"]),
)
def test_the_next_level_is_what_a_further_p_value_must_reach(
    values: list[float], correction: Correction
) -> None:
    alpha = 0.05
    level = significance.next_level(np.array(values), correction, alpha)
    for index, value in enumerate(values):
        if significance.adjust(np.array(values), correction)[index] < alpha:
            assert value <= level
            continue
        for tried, reaches in ((level * (1 - 1e-9), True), (level * (1 + 1e-9), False)):
            others = np.array([*values[:index], tried, *values[index + 1 :]])
            reached = significance.adjust(others, correction)[index] < alpha
            # Of Benjamini and Hochberg's the level is a bound: what is not below it cannot reach.
            assert reached == reaches or (correction == "bh" and reaches)
