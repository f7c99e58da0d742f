# SPDX-License-Identifier: BSD-3-Clause
"""The test that may be looked at after every pair: exact where it can be counted out."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benches import sequences
from ntbbench.compare.compare import compare
from ntbbench.compare.decision import Bar, decision_of
from ntbbench.compare.noisy import estimate_batch
from ntbbench.compare.policy import Policy, Test
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.statistics import detectable, sequential
from ntbbench.core.errors import InputError

ALPHA = 0.05
ZERO = np.zeros(1)
sizes = st.lists(st.integers(0, 4).map(float), min_size=1, max_size=7)
changes = st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=1, max_size=12)


def wealth(change: np.ndarray) -> float:
    return math.exp(sequential.log_wealth(change, ZERO)[0])


def test_the_rank_of_each_size_is_among_those_so_far() -> None:
    assert sequential.sequential_ranks([3, 1, 2, 2, 9]) == [1, 1 / 2, 2 / 3, 3 / 4, 1]


@given(sizes)
def test_whoever_bets_on_a_fair_coin_gains_nothing(found: list[float]) -> None:
    """The mean wealth over all signs is 1, whatever the sizes: ties and zeros too."""
    signs = product((-1.0, 1.0), repeat=len(found))
    assert np.mean([wealth(np.array(found) * way) for way in signs]) == pytest.approx(1)


def test_no_more_than_alpha_of_all_signs_ever_look_like_a_change() -> None:
    """Counted out: of the 1024 signs of ten pairs, those that cross after any of them."""
    found = np.random.default_rng(3).lognormal(0, 1, 10)
    crossed = {
        way
        for length in range(1, 11)
        for way in product((-1.0, 1.0), repeat=length)
        if wealth(found[:length] * way) >= 1 / ALPHA
    }
    ever = sum(
        any(way[:length] in crossed for length in range(1, 11))
        for way in product((-1.0, 1.0), repeat=10)
    )
    assert 0 < ever / 1024 <= ALPHA


def test_seven_pairs_that_all_change_one_way_are_the_fewest() -> None:
    assert sequential.smallest_p(6) > ALPHA > sequential.smallest_p(7)
    assert wealth(np.full(7, 0.01)) == pytest.approx(1 / sequential.smallest_p(7))


def test_a_constant_change_is_known_exactly_once_it_is_known() -> None:
    assert sequential.interval(np.full(7, 0.01), ALPHA) == (0.01, 0.01, 0.01)
    assert sequential.interval(np.full(6, 0.01), ALPHA) == (0.01, -math.inf, math.inf)


@given(changes)
def test_a_shift_that_is_not_refused_is_in_the_interval(found: list[float]) -> None:
    change = np.array(found)
    _, low, high = sequential.interval(change, ALPHA)
    kept = [
        shift
        for shift in np.linspace(-1.5, 1.5, 31).round(sequential.DIGITS)
        if sequential.log_wealth(change, np.array([shift]))[0] < -math.log(ALPHA)
    ]
    assert low <= min(kept, default=math.inf) and high >= max(kept, default=-math.inf)


@given(changes, st.sampled_from([0.5, -0.25]))
def test_the_interval_moves_with_the_changes(found: list[float], shift: float) -> None:
    one = sequential.interval(np.array(found), ALPHA)
    other = sequential.interval(np.array(found) + shift, ALPHA)
    assert other == pytest.approx(tuple(bound + shift for bound in one), abs=1e-9)


def test_the_centre_is_that_of_hodges_and_lehmann() -> None:
    centre, _, _ = sequential.interval(np.array([0.0, 0.1, 0.5]), ALPHA)
    assert centre == pytest.approx(np.median([0, 0.1, 0.5, 0.05, 0.25, 0.3]))


@pytest.mark.parametrize("noise", sequences.NOISES)
def test_the_noise_raises_no_more_alarms_than_alpha(noise: str) -> None:
    """A seeded part of the table of docs/ab.md, looked at after every pair."""
    rng = np.random.default_rng(1)
    draw = sequences.NOISES[noise]
    runs = [np.diff(sequences.pairs_of(draw, 0.01, 0.0, rng))[:, 0] for _ in range(200)]
    alarms = sum(sequences.by_ranks(change) <= sequences.MOST for change in runs)
    assert alarms <= 200 * ALPHA


def test_three_per_cent_are_found_and_nothing_is_called_equivalent() -> None:
    rng = np.random.default_rng(2)
    policy = Policy(test="sequential")
    normal = sequences.NOISES["normal"]

    def decided(effect: float) -> set[str]:
        runs = (sequences.pairs_of(normal, 0.01, effect, rng) for _ in range(10))
        return {sequences.until_decided(logs, policy).verdict for logs in runs}

    assert decided(0.03) == {"regressed"}
    assert decided(0.0) == {"equivalent"}


def test_zeros_are_no_change_or_one_without_end() -> None:
    base, candidate = np.array([[0.0, 0.0, 1.0]]), np.array([[0.0, 2.0, 0.0]])
    assert sequential.log_changes(base, candidate).tolist() == [[0, 400, -400]]


def side(label: str, samples: list[float]) -> Variant:
    series = {"x": Series(metric="x", kind="noisy", samples=np.array(samples))}
    return Variant(label, "csv", series, row_numbers={"x": np.arange(len(samples))})


def test_it_is_a_test_of_pairs_alone() -> None:
    sides = side("a", [1.0] * 9), [side("b", [1.1] * 9)]
    with pytest.raises(InputError, match="--test: 'sequential': with --paired"):
        compare(*sides, Policy(test="sequential"))
    report = compare(*sides, Policy(test="sequential"), paired=True)
    assert [c.verdict for c in report.comparisons] == ["regressed"]
    assert report.test.startswith("sequential signed ranks")


def test_what_is_detectable_falls_with_the_pairs_and_rises_with_the_family() -> None:
    rng = np.random.default_rng(5)
    found = []
    for pairs in (10, 40):
        base, candidate = (rng.normal(100, 1, pairs).tolist() for _ in range(2))
        policy = Policy(test="sequential")
        report = compare(side("a", base), [side("b", candidate)], policy, paired=True)
        found.append(report.comparisons[0].minimal_detectable_effect)
    assert found[0] > found[1] > 0


@pytest.mark.parametrize("pairs", [14, 40, 90])
def test_the_detectable_change_is_called_regressed(pairs: int) -> None:
    """Given the threshold, in about 80 % of cases of normal noise."""
    rng = np.random.default_rng(pairs)
    rows, policy = 100, Policy(test="sequential")
    bar = Bar(policy.threshold, "lower", policy.alpha, policy.alpha, family=1)
    base, candidate = np.exp(rng.normal(0, 0.03, (2, rows, pairs)))
    spread = detectable.spread_of(base, candidate, paired=True)
    effects = detectable.minimal_effect(spread, policy.test, policy.alpha, np.full(rows, 0.02))
    slower = candidate * (1 + np.median(effects))
    guesses = estimate_batch(base, slower, policy, paired=True)
    verdicts = [decision_of(guess, guess.p_value, bar).verdict for guess in guesses]
    assert 65 <= verdicts.count("regressed") <= 95


def test_with_too_few_pairs_nothing_is_detectable() -> None:
    spread = detectable.Spread(np.full(1, 1e-4), np.zeros(1), detectable.Sizes(8, 8, paired=True))
    assert np.isnan(detectable.minimal_effect(spread, "sequential", 0.05, np.full(1, 0.02)))


@pytest.mark.parametrize("test", ["mann-whitney", "sequential"])
def test_pairs_need_no_allowance_for_drift(test: Test) -> None:
    """Both sides drift alike by 50 %, and their ratio a little."""
    trend = np.linspace(1, 1.5, 30)
    base, candidate = 100 * trend, 110 * trend ** np.linspace(1.0, 1.1, 30)
    sides = side("a", base.tolist()), [side("b", candidate.tolist())]
    (found,) = compare(*sides, Policy(test=test), paired=True).comparisons
    assert found.verdict == "regressed"
    assert "dependent-samples" not in [w.code for w in found.warnings]
