# SPDX-License-Identifier: BSD-3-Clause
"""Null distributions: against listing every arrangement, and against scipy's."""

from collections.abc import Iterable
from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ntbbench.compare.statistics import arrangements

SIZES = [(1, 1), (1, 4), (2, 2), (3, 2), (4, 4), (5, 3), (2, 7)]


def tails(sums: Iterable[float], observed: float) -> float:
    """By definition: twice the smaller tail of all sums."""
    found = np.array(list(sums))
    below, above = (found <= observed + 1e-9).sum(), (found >= observed - 1e-9).sum()
    return min(1.0, 2 * min(below, above) / len(found))


def listed_p(values: np.ndarray, n: int) -> float:
    return tails(map(sum, combinations(values.tolist(), n)), values[:n].sum())


def flipped_p(values: np.ndarray) -> float:
    signs = product((-1, 1), repeat=len(values))
    return tails((np.dot(sign, np.abs(values)) for sign in signs), values.sum())


@pytest.mark.parametrize(("k", "m"), SIZES)
def test_rank_sums_are_those_of_every_choice(k: int, m: int) -> None:
    u = np.array([sum(c) - k * (k - 1) // 2 for c in combinations(range(k + m), k)])
    expected = [(u <= value).sum() / comb(k + m, k) for value in range(k * m // 2 + 1)]
    assert arrangements.rank_sums(k, m) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("k", "m"), [(9, 9), (50, 50), (50, 8), (20, 37)])
def test_rank_sums_are_scipys(k: int, m: int) -> None:
    """Every value of U up to the middle; U is that of samples made to have it."""
    ours = arrangements.rank_sums(k, m)
    for u in range(0, k * m // 2 + 1, max(1, k * m // 60)):
        above, part = divmod(u, m)  # `above` of the k lie above all m, one above `part` of them
        low = [float(-i - 1) for i in range(k - above - (part > 0))]
        high = [m + 1.0 + i for i in range(above)]
        one = [part + 0.5] * (part > 0)
        sample = np.array(low + one + high)
        p = stats.mannwhitneyu(
            sample, np.arange(1.0, m + 1), alternative="less", method="exact"
        ).pvalue
        assert ours[u] == pytest.approx(p, rel=1e-9)


def test_rank_sums_of_large_samples_keep_their_tails() -> None:
    """No cancellation: the first counts are the partitions of 0, 1, 2, 3, 4."""
    for k, m in ((50, 50), (200, 200), (50, 400)):
        first = np.array([1, 2, 4, 7, 12]) / comb(k + m, k)
        found = arrangements.rank_sums(k, m)
        assert found[:5] == pytest.approx(first, rel=1e-10)
        middle = 0.5 if (k * m) % 2 else 0.5 + (found[-1] - found[-2]) / 2
        assert found[-1] == pytest.approx(middle, rel=1e-9)


def test_what_is_counted_ends_at_what_it_costs() -> None:
    for sizes in ((464, 464), (50, 1000), (1000, 50), (8, 1_562_500)):
        assert arrangements.counted(*sizes)
    for sizes in ((465, 465), (8, 1_562_501)):
        assert not arrangements.counted(*sizes)
    assert arrangements.tied_steps(50, 50) == arrangements.TIED_STEPS
    assert arrangements.tied_steps(5, 100) == arrangements.tied_steps(100, 5) == 525_000


tied = st.lists(st.integers(1, 4).map(float), min_size=2, max_size=9)


@given(tied, st.data())
def test_tied_rank_sums_are_those_of_every_choice(values: list[float], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(values) - 1))
    ranks = stats.rankdata(values)
    assert arrangements.tied_rank_sum_p(ranks, n) == pytest.approx(listed_p(ranks, n), rel=1e-9)


@pytest.mark.parametrize(
    ("n", "m", "levels"), [(5, 100, 3), (5, 100, 40), (30, 80, 6), (60, 60, 4)]
)
def test_drawn_rank_sums_are_close_to_the_exact_ones(n: int, m: int, levels: int) -> None:
    rng = np.random.default_rng(n + levels)
    for shift in (0, 0, 1, 2):
        values = np.concatenate([rng.integers(0, levels, n) + shift, rng.integers(0, levels, m)])
        ranks = stats.rankdata(values)
        exact = arrangements.tied_rank_sum_p(ranks, n)
        error = 5 * np.sqrt(exact / arrangements.SHUFFLES) + 3 / arrangements.SHUFFLES
        assert abs(arrangements.drawn_rank_sum_p(ranks, n) - exact) < error


def test_a_drawn_p_value_counts_the_observed_arrangement() -> None:
    ranks = stats.rankdata(np.array([1.0] * 100 + [2.0] * 100))
    smallest = 2 / (arrangements.SHUFFLES + 1)
    assert arrangements.drawn_rank_sum_p(ranks, 100) == smallest
    assert arrangements.drawn_rank_sum_p(ranks[::-1], 100) == smallest
    assert arrangements.drawn_rank_sum_p(ranks, 100) == arrangements.drawn_rank_sum_p(ranks, 100)


@given(st.lists(st.integers(-3, 3).filter(bool), min_size=1, max_size=9))
def test_signed_ranks_are_those_of_every_flip(values: list[int]) -> None:
    ranked = stats.rankdata(np.abs(values)) * np.sign(values)
    assert arrangements.signed_rank_p(ranked) == pytest.approx(flipped_p(ranked), rel=1e-9)


def test_signed_ranks_of_fifty_pairs_are_scipys() -> None:
    rng = np.random.default_rng(3)
    for n in (15, 30, 50):
        change = rng.normal(0.2, 1, n)
        ranked = stats.rankdata(np.abs(change)) * np.sign(change)
        expected = stats.wilcoxon(change, method="exact").pvalue
        assert arrangements.signed_rank_p(ranked) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.integers(0, 9).map(float), min_size=2, max_size=8), st.data())
def test_relabelled_sums_are_those_of_every_choice(
    values: list[float], data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, len(values) - 1))
    row = np.array(values)
    (found,) = arrangements.split_p(row[None, :], n)
    assert found == pytest.approx(listed_p(row, n), rel=1e-9)


@given(st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=8))
def test_flipped_sums_are_those_of_every_flip(values: list[float]) -> None:
    row = np.array(values)
    (found,) = arrangements.sign_p(row[None, :])
    assert found == pytest.approx(flipped_p(row), rel=1e-9)


def test_all_splits_and_flips_are_listed_once() -> None:
    (weights,) = arrangements.splits(7, 3)
    assert len({tuple(row) for row in weights.tolist()}) == len(weights) == comb(7, 3)
    assert set(weights.sum(axis=1)) == {3.0}
    (signs,) = arrangements.flips(6)
    assert len({tuple(row) for row in signs.tolist()}) == len(signs) == 64
    assert set(np.abs(signs).ravel()) == {1.0}


@pytest.mark.parametrize(
    "rows", [arrangements.splits(18, 9), arrangements.flips(15)], ids=["splits", "flips"]
)
def test_beyond_the_listing_the_observed_arrangement_and_random_ones(rows) -> None:
    first, *others = rows
    drawn = np.concatenate(others)
    assert len(first) == 1
    assert len(drawn) == arrangements.SHUFFLES
    assert (first == np.where(np.arange(first.shape[1]) < 9, 1, 0)).all() or (first == 1).all()
    assert np.abs(drawn.mean(axis=0) - drawn.mean()).max() < 0.05
    assert len({tuple(row) for row in drawn[:500].tolist()}) > 400


def test_the_listing_ends_where_random_ones_reach_as_far() -> None:
    """More data must not have a larger smallest p-value."""
    assert 2 / (arrangements.SHUFFLES + 1) <= 2 / arrangements.ENUMERATED
    assert len(next(arrangements.splits(16, 8))) == comb(16, 8)
    assert len(next(arrangements.splits(18, 9))) == 1
    assert len(next(arrangements.flips(14))) == 2**14
    assert len(next(arrangements.flips(15))) == 1


def test_random_rows_are_drawn_in_pieces_of_bounded_size() -> None:
    pieces = [len(rows) for rows in arrangements.shuffled(lambda n: np.zeros((n, 1)), 1_000_000)]
    assert max(pieces) == arrangements.CHUNK // 1_000_000
    assert sum(pieces) == arrangements.SHUFFLES
    assert [len(r) for r in arrangements.shuffled(lambda n: np.zeros((n, 1)), 10**9)][:2] == [1, 1]


def test_large_batches_are_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 8))
    whole = arrangements.split_p(values, 4)
    monkeypatch.setattr(arrangements, "CHUNK", 200)  # 70 ways: two rows a piece
    assert arrangements.split_p(values, 4).tolist() == whole.tolist()
