# SPDX-License-Identifier: BSD-3-Clause
"""The four-state verdict: its symmetry, its edges, and what the warnings say."""

import math
import re
from typing import Literal, get_args

import numpy as np
import pytest
from compare_data import noisy_sides
from hypothesis import given, settings
from hypothesis import strategies as st

from ntbbench.compare import noisy as cautions
from ntbbench.compare.compare import compare
from ntbbench.compare.policy import Policy, Test
from ntbbench.compare.records import Comparison
from ntbbench.compare.statistics import detectable
from ntbbench.compare.warning_list import CAUTIONS, warned

MIRROR = {"regressed": "improved", "improved": "regressed"}


def judged(base: list[float], candidate: list[float], policy: Policy | None = None) -> Comparison:
    sides = noisy_sides(m=(base, candidate))
    return compare(sides[0], sides[1:], policy or Policy()).comparisons[0]


numbers = st.lists(st.integers(900, 1100).map(float), min_size=1, max_size=14)


@given(numbers, numbers, st.sampled_from([0.0, 0.02, 0.5]))
@settings(max_examples=60, deadline=None)
def test_exchanging_the_sides_mirrors_the_verdict(
    base: list[float], candidate: list[float], threshold: float
) -> None:
    policy = Policy(threshold=threshold)
    one, other = judged(base, candidate, policy), judged(candidate, base, policy)
    assert one.p_value == pytest.approx(other.p_value) if one.p_value else other.p_value is None
    if "equivalent" not in (one.verdict, other.verdict):  # bounds are drawn anew for each side
        close = (one.verdict, other.verdict)
        assert (
            close[1] in (MIRROR.get(close[0], close[0]), "inconclusive")
            or close[0] == "inconclusive"
        )
    assert one.verdict not in MIRROR or other.verdict != one.verdict


@given(numbers)
@settings(max_examples=40, deadline=None)
def test_a_result_compared_with_itself_is_never_changed(values: list[float]) -> None:
    assert judged(values, values).verdict in ("equivalent", "inconclusive")


@given(numbers, numbers, st.sampled_from([1e-9, 1e3]))
@settings(max_examples=40, deadline=None)
def test_the_unit_does_not_matter(base: list[float], candidate: list[float], unit: float) -> None:
    one = judged(base, candidate)
    other = judged([x * unit for x in base], [x * unit for x in candidate])
    assert one.verdict == other.verdict
    assert one.ratio == pytest.approx(other.ratio)


def test_a_change_of_exactly_the_threshold_is_not_equivalent() -> None:
    assert judged([100.0] * 10, [102.0] * 10).verdict == "inconclusive"
    assert judged([100.0] * 10, [101.0] * 10).verdict == "equivalent"
    assert judged([100.0] * 10, [103.0] * 10).verdict == "regressed"
    assert judged([100.0] * 10, [100.0] * 10, Policy(threshold=0.0)).verdict == "equivalent"


def test_significant_and_small_is_told() -> None:
    rng = np.random.default_rng(1)
    found = judged(rng.normal(100, 0.1, 30).tolist(), rng.normal(101, 0.1, 30).tolist())
    assert found.verdict == "equivalent"
    assert found.p_value is not None
    assert found.p_value < 0.001
    assert "small-difference" in {w.code for w in found.warnings}
    same = judged(rng.normal(100, 0.1, 30).tolist(), rng.normal(100, 0.1, 30).tolist())
    far = judged(rng.normal(100, 0.1, 30).tolist(), rng.normal(110, 0.1, 30).tolist())
    for other in (same, far):
        assert "small-difference" not in {w.code for w in other.warnings}


def test_runs_needed_do_settle_it() -> None:
    rng = np.random.default_rng(2)
    found = judged(rng.normal(100, 3, 8).tolist(), rng.normal(100, 3, 8).tolist())
    assert found.verdict == "inconclusive"
    assert found.runs_needed is not None
    settled = [
        judged(
            rng.normal(100, 3, found.runs_needed).tolist(),
            rng.normal(100, 3, found.runs_needed).tolist(),
        ).verdict
        for _ in range(20)
    ]
    assert settled.count("equivalent") >= 12


variances = st.one_of(st.floats(0, 1e100), st.sampled_from([0.0, 1e-320, math.nan, math.inf]))
thresholds = st.one_of(st.floats(0, 10), st.sampled_from([0.0, 1e-300]))


@given(
    rows=st.lists(st.tuples(variances, variances, thresholds), min_size=1, max_size=5),
    sizes=st.builds(detectable.Sizes, st.integers(2, 50), st.integers(2, 50), st.booleans()),
    test=st.sampled_from(get_args(Test)),
    level=st.floats(1e-12, 0.999),
)
def test_runs_needed_are_enough_for_an_interval_or_none(
    rows: list[tuple[float, float, float]], sizes: detectable.Sizes, test: Test, level: float
) -> None:
    """Whatever the samples: a number from 5 to a million, or 0 for no number."""
    base, candidate, threshold = np.array(rows).T
    spread = detectable.Spread(base, candidate if not sizes.paired else np.zeros(len(base)), sizes)
    runs = detectable.runs_needed(spread, test, level, threshold)
    assert np.all((runs == 0) | (runs >= cautions.FEW))
    assert np.all(runs <= detectable.MOST_RUNS)


@pytest.mark.parametrize("code", CAUTIONS)
def test_warnings_of_a_simulation_speak_of_replications(code: str) -> None:
    told = warned(code, "at least 8 runs a side", simulated=True)
    assert not re.search(r"\bruns\b", f"{told.message} {told.remedy}")
    assert told.message.endswith("at least 8 replications a side")
    assert warned(code, "8 runs").message.endswith("8 runs")


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("outliers", [100, 101, 99, 100, 102, 98, 100, 101, 99, 160]),
        ("bimodal", [100, 101, 99, 100, 102, 130, 131, 129, 130, 132, 100, 130]),
        ("drifting", list(range(100, 112))),
        ("unstable", [80, 120, 90, 110, 100, 70, 130]),
        ("zero-variance", [100] * 6),
        ("too-few-samples", [100, 101]),
        ("zero-values", [0, 100, 100, 101, 102, 103]),
    ],
)
def test_each_warning_is_raised_and_only_there(code: str, values: list[float]) -> None:
    quiet = 100 + np.array([[0.1, -0.8, 1.6, -0.3, 0.8, -1.6, 0.3, -0.1, 1.1, -1.1, 0.5, -0.5]])
    assert code in {c for c, _ in cautions.cautions_of(np.array([values], dtype=float))[0]}
    assert cautions.cautions_of(quiet) == [[]]


def test_warnings_of_quiet_noise_are_rare() -> None:
    rng = np.random.default_rng(4)
    for n in (10, 20, 50):
        samples = rng.normal(100, 1, (4000, n))
        assert cautions.bimodal(samples).mean() < 0.02
        assert cautions.drifting(samples).mean() < 0.004


def family(policy: Policy, **pairs: tuple[list[float], list[float]]) -> dict[str, Comparison]:
    sides = noisy_sides(**pairs)
    return {c.metric: c for c in compare(sides[0], sides[1:], policy).comparisons}


def apart(n: int) -> tuple[list[float], list[float]]:
    """Two sides without overlap: the smallest p-value that n against n can have."""
    return [100 + 0.01 * i for i in range(n)], [110 + 0.01 * i for i in range(n)]


@pytest.mark.parametrize("correction", ["holm", "bh"])
def test_what_was_found_could_be_found(correction: Literal["holm", "bh"]) -> None:
    # p is 0.0079 with 5 against 5, above 0.05 / 10: only what else is found lets it count.
    large = {f"m{i}": apart(50) for i in range(9)}
    found = family(Policy(correction=correction), few=apart(5), **large)["few"]
    assert found.verdict == "regressed"
    assert found.minimal_detectable_effect is not None
    assert "cannot-reach-alpha" not in {w.code for w in found.warnings}


def test_ten_metrics_of_five_runs_can_be_found_by_bh_and_not_by_holm() -> None:
    metrics = {f"m{i}": apart(5) for i in range(10)}
    for correction, rule in (("bh", "test"), ("holm", "effect")):
        for c in family(Policy(correction=correction), **metrics).values():
            assert (c.verdict, c.decided_by) == ("regressed", rule)
            known = c.minimal_detectable_effect is not None
            warned = "cannot-reach-alpha" in {w.code for w in c.warnings}
            assert (known, warned) == (rule == "test", rule == "effect")


def test_no_number_of_runs_lets_random_arrangements_reach_a_large_family() -> None:
    metrics = {f"m{i}": apart(12) for i in range(500)}
    for c in family(Policy(test="permutation"), **metrics).values():
        assert (c.verdict, c.decided_by, c.runs_needed) == ("regressed", "effect", None)
        assert c.minimal_detectable_effect is None
        (warning,) = (w for w in c.warnings if w.code == "cannot-reach-alpha")
        assert warning.message.endswith("no number of runs is enough for --test permutation")
        assert "--test mann-whitney" in warning.remedy


def test_the_reason_is_what_keeps_it_from_a_verdict() -> None:
    rng = np.random.default_rng(7)
    low, high = rng.normal(100, 0.5, 24), rng.normal(120, 0.5, 24)
    two_modes = [*low[:12], *high[:12]], [*(low[:10] * 1.03), *(high[:14] * 1.03)]
    judged_modes = judged(*([float(v) for v in side] for side in two_modes))
    assert judged_modes.p_adjusted is not None
    assert judged_modes.p_adjusted < 0.05
    assert judged_modes.ratio_low is not None
    assert judged_modes.ratio_low <= 1
    assert judged_modes.reason == "significant, but the interval includes 0 %"
    near = judged([100 + 0.1 * i for i in range(9)], [102 + 0.1 * i for i in range(9)])
    assert near.ratio_low is not None
    assert 1 < near.ratio_low < 1.02
    assert near.reason == "significant, but the interval includes the threshold"


@pytest.mark.parametrize(("n", "metrics", "needed"), [(3, 1, 4), (3, 2, 5), (5, 10, 6)])
def test_the_runs_that_are_needed_are_those_that_can_reach_alpha(
    n: int, metrics: int, needed: int
) -> None:
    few = family(Policy(), **{f"m{i}": apart(n) for i in range(metrics)})
    for c in few.values():
        (warning,) = (w for w in c.warnings if w.code == "cannot-reach-alpha")
        told = f"in a family of {metrics} it takes at least {needed} runs a side"
        assert warning.message.endswith(told)
        assert "so large a family" not in warning.message
    enough = family(Policy(), **{f"m{i}": apart(needed) for i in range(metrics)})
    assert {c.verdict for c in enough.values()} == {"regressed"}
