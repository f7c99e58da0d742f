# SPDX-License-Identifier: BSD-3-Clause
"""p-values against published values and against scipy; the corrections of a family."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ntbbench.compare.policy import Correction
from ntbbench.compare.statistics import significance


def batch(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float64)


DARWIN = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]


@pytest.mark.parametrize(
    ("test", "base", "candidate", "p"),
    [
        # Mann and Whitney's U = 0 of 5 and 5: 2 / C(10, 5).
        (significance.mann_whitney, [1, 2, 3, 4, 5], [6, 7, 8, 9, 10], 2 / 252),
        # Diabetes by sex, from the documentation of scipy.stats.mannwhitneyu.
        (significance.mann_whitney, [19, 22, 16, 29, 24], [20, 11, 17, 12], 0.1111111111111111),
        # Darwin's pairs of crossed and self-fertilised plants: W = 24 (scipy, R). Ours ranks
        # ratios, not differences, so equal heights are what makes the two agree.
        (significance.wilcoxon, [1e6] * 15, [1e6 + d for d in DARWIN], 0.041259765625),
    ],
)
def test_published_p_values(test, base: list[float], candidate: list[float], p: float) -> None:
    assert test(batch(base), batch(candidate))[0] == pytest.approx(p)


@pytest.mark.parametrize("rows", [1, 5])
def test_t_tests_are_scipys(rows: int) -> None:
    rng = np.random.default_rng(1)
    base, candidate = rng.normal(10, 1, (rows, 9)), rng.normal(10.5, 3, (rows, 12))
    welch = stats.ttest_ind(base, candidate, axis=1, equal_var=False).pvalue
    assert significance.welch(base, candidate) == pytest.approx(welch)
    change = significance.symmetric_change(base, candidate[:, :9])
    paired = stats.ttest_1samp(change, 0, axis=1).pvalue
    assert significance.paired_t(base, candidate[:, :9]) == pytest.approx(paired)
    assert np.isnan(significance.paired_t(base, base)[0])
    for sides in ((base[:, :1], candidate), (base, candidate[:, :1])):
        assert np.isnan(significance.welch(*sides)).all()  # of one sample it does not exist


def test_permutations_are_scipys_exact_ones() -> None:
    rng = np.random.default_rng(2)
    base, candidate = rng.exponential(1, (1, 5)), rng.exponential(1, (1, 6))
    expected = stats.permutation_test(
        (base[0], candidate[0]),
        lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
        n_resamples=np.inf,
    ).pvalue
    assert significance.permutation(base, candidate)[0] == pytest.approx(expected)
    change = significance.symmetric_change(base, candidate[:, :5])[0]
    expected = stats.permutation_test(
        (change,), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert significance.sign_flips(base, candidate[:, :5])[0] == pytest.approx(expected)


def test_sampled_permutation_is_close_to_t() -> None:
    rng = np.random.default_rng(3)
    base, candidate = rng.normal(10, 1, (1, 30)), rng.normal(10.6, 1, (1, 30))
    expected = stats.ttest_ind(base[0], candidate[0]).pvalue
    assert significance.permutation(base, candidate)[0] == pytest.approx(expected, abs=0.01)


def test_ties_are_exact_where_the_normal_approximation_is_too_small() -> None:
    base, candidate = batch([1] * 5), batch([2] * 5)
    assert stats.mannwhitneyu(base[0], candidate[0]).pvalue < 2 / 252
    assert significance.mann_whitney(base, candidate)[0] == pytest.approx(2 / 252)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (9, 9), (12, 31), (50, 50), (50, 51), (5, 400)])
def test_mann_whitney_without_ties_is_scipys_exact_test(n: int, m: int) -> None:
    rng = np.random.default_rng(n * m)
    base, candidate = rng.normal(0, 1, (6, n)), rng.normal(0.4, 1, (6, m))
    expected = stats.mannwhitneyu(base, candidate, axis=1, method="exact").pvalue
    assert significance.mann_whitney(base, candidate) == pytest.approx(expected, rel=1e-9)
    assert significance.mann_whitney(candidate, base) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(9, 9), (5, 100), (50, 50), (25, 40)])
def test_ties_are_counted_exactly_beyond_what_can_be_listed(n: int, m: int) -> None:
    """Two values only: the rank sum is a count, so its distribution is hypergeometric."""
    for low, high in ((n // 4, m // 2), (0, m // 3), (n, m // 5)):
        sides = [batch([2.0] * k + [1.0] * (size - k)) for k, size in ((low, n), (high, m))]
        law = stats.hypergeom(n + m, low + high, n)
        expected = min(1.0, 2 * min(law.cdf(low), law.sf(low - 1)))
        for pair in (sides, sides[::-1]):
            assert significance.mann_whitney(*pair)[0] == pytest.approx(expected, rel=1e-9)


def test_ties_beyond_what_can_be_counted_are_drawn() -> None:
    """5 against 100 of the normal approximation is up to 15 times too small in the tail."""
    high = 60
    assert significance.drawn(60, 100)
    for twos in (44, 46, 55):
        base = batch([2.0] * twos + [1.0] * (60 - twos))
        candidate = batch([2.0] * high + [1.0] * 40)
        law = stats.hypergeom(160, twos + high, 60)
        exact = 2 * law.sf(twos - 1)
        p = significance.mann_whitney(base, candidate)[0]
        assert p == pytest.approx(exact, rel=1e-9 if exact < 5e-4 else 0.5)
        assert p != pytest.approx(stats.mannwhitneyu(base[0], candidate[0]).pvalue, rel=1e-6)
        assert p == significance.mann_whitney(base, candidate)[0]


@pytest.mark.parametrize(("n", "m", "levels"), [(700, 600, 0), (201, 300, 9)])
def test_very_many_samples_are_the_normal_approximation(n: int, m: int, levels: int) -> None:
    rng = np.random.default_rng(6)
    sides = [rng.normal(shift, 1, (3, size)) for shift, size in ((0, n), (0.1, m))]
    base, candidate = (np.round(side * levels / 4) if levels else side for side in sides)
    expected = stats.mannwhitneyu(base, candidate, axis=1, method="asymptotic").pvalue
    assert significance.mann_whitney(base, candidate) == pytest.approx(expected, rel=1e-12)
    assert significance.drawn(100, 300)
    assert not significance.drawn(101, 300)
    assert not significance.drawn(50, 50)


def test_tied_and_untied_rows_of_a_batch_are_told_apart() -> None:
    base = batch([1, 2, 3, 4, 5, 6, 7, 8, 9.5], [1, 1, 2, 2, 3, 3, 4, 4, 4], [7] * 9)
    candidate = batch([9, 10, 11, 12, 13, 14, 15, 16, 17], [2, 2, 2, 3, 3, 3, 4, 4, 5], [7] * 9)
    p = significance.mann_whitney(base, candidate)
    rows = [significance.mann_whitney(base[i : i + 1], candidate[i : i + 1])[0] for i in range(3)]
    assert p.tolist() == rows
    assert rows[2] == 1.0


@pytest.mark.parametrize(("n", "method"), [(20, "exact"), (51, "asymptotic")])
def test_wilcoxon_without_ties_is_scipys(n: int, method: str) -> None:
    """Of more than fifty pairs it is the normal approximation."""
    rng = np.random.default_rng(8)
    base = rng.normal(100, 3, (4, n))
    candidate = base * rng.lognormal(0.02, 0.05, (4, n))
    change = significance.symmetric_change(base, candidate)
    expected = stats.wilcoxon(change, axis=1, correction=True, method=method).pvalue
    assert significance.wilcoxon(base, candidate) == pytest.approx(expected, rel=1e-9)


def test_pairs_without_change_say_nothing() -> None:
    base = batch([100.0] * 60)
    candidate = batch([101.0, 102.0, 103.0, 104.0, 105.0] + [100.0] * 55)
    assert significance.wilcoxon(base, candidate)[0] == pytest.approx(2 / 32)
    assert significance.wilcoxon(base, base)[0] == 1.0


def test_normal_signed_ranks_are_corrected_for_continuity() -> None:
    ranked = np.array([-1.0, 2.0, 3.0, 4.0])
    z = (8 - 1) / np.sqrt(30)
    assert significance.normal_p(ranked) == pytest.approx(2 * stats.norm.sf(z))
    assert significance.normal_p(-ranked) == significance.normal_p(ranked)
    assert significance.normal_p(np.array([1.0, -1.0])) == 1.0


def test_symmetric_changes() -> None:
    base, candidate = batch([100.0, 0.0, 0.0, 50.0]), batch([150.0, 0.0, 7.0, 50.0])
    assert significance.symmetric_change(base, candidate).tolist() == [[0.2, 0.0, 1.0, 0.0]]
    assert significance.symmetric_change(candidate, base).tolist() == [[-0.2, 0.0, -1.0, 0.0]]
    base = batch([100.0, 200.0, 300.0, 77.0, 13.0])  # pairs with the same ratio stay tied
    assert np.ptp(significance.symmetric_change(base, base * 1.05)) == 0


def test_t_on_logarithms_judges_effects() -> None:
    rng = np.random.default_rng(12)
    base, candidate = rng.lognormal(0, 0.1, (4, 5)), rng.lognormal(0.1, 0.1, (4, 6))
    expected = stats.ttest_ind(np.log(base), np.log(candidate), axis=1, equal_var=False).pvalue
    assert significance.effect_p(base, candidate, paired=False) == pytest.approx(expected)
    paired = significance.effect_p(base, candidate[:, :5], paired=True)
    assert paired == pytest.approx(significance.paired_t(base, candidate[:, :5]))


@pytest.mark.parametrize("paired", [False, True])
def test_effects_of_steady_sides(paired: bool) -> None:
    base = batch([2.0] * 5, [2.0] * 5, [0.0, 1, 1, 1, 1], [2.0] * 5)
    candidate = batch([4.0] * 5, [2.0] * 5, [4.0] * 5, [0.0, 1, 1, 1, 1])
    p = significance.effect_p(base, candidate, paired=paired)
    assert p[:2].tolist() == [0.0, 1.0]
    assert np.isnan(p[2:]).all()
    assert np.isnan(significance.effect_p(base[:, :1], candidate[:, :1], paired=paired)).all()
    one_side = batch([2.0] * 5), batch([4.0, 4.1, 4.2, 4.3, 4.4])
    assert 0 < significance.effect_p(*one_side, paired=paired)[0] < 1e-4


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 5), (9, 9), (12, 60), (50, 50), (51, 60)])
def test_the_smallest_p_value_is_that_of_sides_apart(n: int, m: int) -> None:
    base, candidate = np.arange(1.0, n + 1)[None, :], np.arange(101.0, 101.0 + m)[None, :]
    found = significance.mann_whitney(base, candidate)[0]
    for sides in ((n, m), (m, n)):
        assert significance.smallest_p("mann-whitney", *sides, paired=False) == pytest.approx(found)
    assert found == pytest.approx(2 / math.comb(n + m, n))


@pytest.mark.parametrize("n", [2, 5, 14, 15, 50, 51, 80])
def test_the_smallest_p_value_of_pairs_is_that_of_changes_one_way(n: int) -> None:
    base = np.full((1, n), 1000.0)
    found = significance.wilcoxon(base, base + np.arange(1.0, n + 1))[0]
    assert significance.smallest_p("mann-whitney", n, n, paired=True) == pytest.approx(found)
    if n <= 50:
        assert found == pytest.approx(2 / 2**n)


@pytest.mark.parametrize(("n", "p"), [(8, 2 / 12870), (9, 1e-4)])
def test_the_smallest_p_value_of_permutations(n: int, p: float) -> None:
    base, candidate = np.arange(1.0, n + 1)[None, :], np.arange(1001.0, 1001.0 + n)[None, :]
    assert significance.smallest_p("permutation", n, n, paired=False) == pytest.approx(p)
    assert significance.permutation(base, candidate)[0] == pytest.approx(p)
    pairs = np.full((1, 7 + n), 100.0)  # 15 and 16 pairs: all flips are listed up to 14
    assert significance.sign_flips(pairs, 2 * pairs)[0] == pytest.approx(1e-4)
    assert significance.smallest_p("permutation", 7 + n, 7 + n, paired=True) == 1e-4
    assert significance.smallest_p("permutation", 14, 14, paired=True) == 2 / 2**14


@pytest.mark.parametrize("test", ["welch", "permutation", "mann-whitney"])
def test_the_smallest_p_value_of_welch_and_of_single_samples(test) -> None:
    assert significance.smallest_p("welch", 2, 2, paired=False) == 0.0
    for sizes in ((1, 9), (9, 1)):
        assert significance.smallest_p(test, *sizes, paired=False) == 1.0


@pytest.mark.parametrize("test", ["mann-whitney", "permutation"])
@pytest.mark.parametrize("paired", [False, True])
def test_the_smallest_p_value_never_rises_with_more_runs(test, paired: bool) -> None:
    smallest = [significance.smallest_p(test, n, n, paired=paired) for n in range(1, 50)]
    assert smallest == sorted(smallest, reverse=True)
    uneven = [significance.smallest_p(test, 7, n, paired=False) for n in range(1, 400)]
    assert uneven == sorted(uneven, reverse=True)


def test_floors_are_those_of_the_sizes_but_where_less_can_be_seen() -> None:
    base = batch([1.0, 3, 5, 7, 9], [2.0] * 5)
    candidate = batch([2.0, 6, 10, 14, 18], [2.0] * 5)
    expected = {"mann-whitney": [2 / 252] * 2, "permutation": [2 / 252] * 2, "welch": [0.0, 1.0]}
    for test, floors in expected.items():
        found = significance.floors(base, candidate, test, paired=False)
        assert found == pytest.approx(floors)
    paired = significance.floors(base, candidate, "welch", paired=True)
    assert paired.tolist() == [1.0, 1.0]  # all pairs change alike: t does not exist
    assert significance.floors(base[:, :1], candidate, "welch", paired=False).tolist() == [1.0, 1.0]
    assert (
        significance.floors(base, candidate, "mann-whitney", paired=True).tolist() == [1 / 16] * 2
    )


def test_floors_of_drawn_ties_are_those_of_the_draws() -> None:
    rng = np.random.default_rng(13)
    base = np.stack([rng.normal(size=90), rng.integers(0, 9, 90)])
    candidate = np.stack([rng.normal(size=200), rng.integers(0, 9, 200)])
    untied, tied = significance.floors(base, candidate, "mann-whitney", paired=False)
    assert untied == pytest.approx(2 / math.comb(290, 90), rel=1e-9)
    assert tied == 1e-4


@pytest.mark.parametrize("test", ["mann-whitney", "permutation"])
@given(st.lists(st.integers(1, 3).map(float), min_size=4, max_size=9), st.data())
def test_floors_of_ties_are_those_of_the_most_extreme_split(
    test, values: list[float], data: st.DataObject
) -> None:
    n = data.draw(st.integers(2, len(values) - 2))
    if len(set(values)) == 1:
        return  # ties say nothing there
    ordered = sorted(values)
    splits = [(ordered[:n], ordered[n:]), (ordered[-n:], ordered[:-n]),
              (ordered[:-n], ordered[-n:]), (ordered[n:], ordered[:n])]  # fmt: skip
    judge = getattr(significance, test.replace("-", "_"))
    least = min(judge(batch(one), batch(other))[0] for one, other in splits)
    found = significance.floors(batch(values[:n]), batch(values[n:]), test, paired=False)[0]
    assert found == pytest.approx(least)


def test_floors_of_pairs_are_those_of_the_pairs_that_changed() -> None:
    base = batch([1.0, 2, 3, 4, 5, 6])
    candidate = batch([2.0, 4, 6, 8, 10, 6])
    for test in ("mann-whitney", "permutation"):
        assert significance.floors(base, candidate, test, paired=True)[0] == 2 / 2**5
        assert significance.floors(base, base, test, paired=True)[0] == 2 / 2**6


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
    n: int, m: int, seed: int, levels
) -> None:
    rng = np.random.default_rng(seed)
    base, candidate = (rng.integers(1, 1 + levels, (3, k)).astype(float) for k in (n, m))
    for name in ("mann-whitney", "permutation"):
        test = getattr(significance, name.replace("-", "_"))
        p = test(base, candidate)
        assert ((p > 0) & (p <= 1)).all()
        assert p == pytest.approx(test(candidate, base))
        assert (p >= significance.smallest_p(name, n, m, paired=False) * (1 - 1e-9)).all()


@pytest.mark.parametrize(
    ("correction", "p", "adjusted"),
    [
        ("holm", [0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
        ("holm", [0.04, 0.01, 0.03], [0.06, 0.03, 0.06]),
        ("bh", [0.01, 0.013, 0.014, 0.19, 0.35, 0.5, 0.63, 0.67, 0.75, 0.81],
         [0.14 / 3, 0.14 / 3, 0.14 / 3, 0.475, 0.7]),
    ],
)  # fmt: skip
def test_corrections_are_rs_p_adjust(correction: Correction, p, adjusted) -> None:
    """The first is Holm's step-down as in Wright (1992), Biometrics 48."""
    found = significance.adjust(np.array(p), correction)
    assert found[: len(adjusted)] == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(deadline=None)
def test_corrections_never_lower_a_p_value(values: list[float]) -> None:
    p = np.array(values)
    for correction in ("holm", "bh", "none"):
        adjusted = significance.adjust(p, correction)
        assert (adjusted >= p * (1 - 1e-12)).all()
        assert (adjusted <= 1).all()
        assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= -1e-12).all()


def test_millions_of_samples_take_no_exact_count() -> None:
    """The number of arrangements of a million samples has 600,000 digits."""
    assert significance.smallest_p("mann-whitney", 10**6, 10**6, paired=False) == 0.0
    assert significance.smallest_p("permutation", 10**6, 10**6, paired=False) == 2 / 20_000
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


def test_one_odd_value_among_equal_ones_is_ranked() -> None:
    """The odd one falls to the smaller side in 2 of 11 ways, whichever end it is at."""
    for odd in (1.0, 3.0):
        p = significance.mann_whitney(batch([odd, 2.0]), batch([2.0] * 9))[0]
        assert p == pytest.approx(2 * 2 / 11)


@pytest.mark.parametrize(
    ("values", "correction", "level"),
    [
        ([0.001, 0.2, 0.3, 0.4], "bh", 0.025),
        ([0.05, 0.9], "bh", 0.05),  # touches its step
        ([0.06, 0.9], "bh", 0.025),
        ([0.001, 0.04, 0.045, 0.9], "bh", 0.05),
        ([0.025, 0.5], "holm", 0.025),  # adjusted to alpha itself: not rejected
        ([0.02, 0.5], "holm", 0.05),
        *(([], correction, 0.05) for correction in ("holm", "bh", "none")),
    ],
)
def test_the_level_of_one_more_p_value(values, correction: Correction, level: float) -> None:
    found = np.array(values, dtype=np.float64)
    assert significance.next_level(found, correction, 0.05) == pytest.approx(level)
    assert len(significance.adjust(found, correction)) == len(values)


@pytest.mark.parametrize(("n", "m"), [(465, 470), (200, 3000)])
def test_the_smallest_p_of_many_samples_is_that_of_sides_apart(n: int, m: int) -> None:
    base, candidate = np.arange(n, dtype=float)[None], 1e6 + np.arange(m, dtype=float)[None]
    p = significance.mann_whitney(base, candidate)[0]
    found = significance.smallest_p("mann-whitney", n, m, paired=False)
    assert found == pytest.approx(p, rel=1e-6, abs=0)


@pytest.mark.parametrize(("n", "m"), [(5, 9), (12, 4)])
def test_degrees_of_freedom_are_scipys(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    base, candidate = rng.normal(10, 1, n), rng.normal(12, 3, m)
    sides = [(np.array([side.var(ddof=1)]), len(side)) for side in (base, candidate)]
    total, freedom = significance.welch_freedom(sides)
    assert total[0] == pytest.approx(base.var(ddof=1) / n + candidate.var(ddof=1) / m)
    assert freedom[0] == pytest.approx(stats.ttest_ind(base, candidate, equal_var=False).df)
    equal = [(np.array([0.0]), n), (np.array([0.0]), m)]
    assert significance.welch_freedom(equal)[1][0] == min(n, m) - 1  # nothing varies
