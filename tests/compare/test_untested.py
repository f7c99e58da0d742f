# SPDX-License-Identifier: BSD-3-Clause
"""Verdicts at their edges: what so few runs, one process or a changed shape can and cannot show."""

import numpy as np
import pytest
from compare_data import noisy_sides, runs_csv, samples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ntbbench.compare.compare import compare
from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Comparison, Report
from ntbbench.core.errors import ExitCode


def report(policy: Policy | None = None, **pairs: tuple[list[float], list[float]]) -> Report:
    sides = noisy_sides(**pairs)
    return compare(sides[0], sides[1:], policy or Policy())


def quiet(count: int, n: int) -> dict[str, tuple[list[float], list[float]]]:
    """Metrics that did not change, with an interval far inside the threshold."""
    return {
        f"q{i}": (samples(i, n, 100, 0.1), samples(1000 + i, n, 100, 0.1)) for i in range(count)
    }


def only(found: Report, metric: str = "m") -> Comparison:
    return next(c for c in found.comparisons if c.metric == metric)


@pytest.mark.parametrize("correction", ["holm", "none"])
def test_a_doubled_time_of_five_runs_in_ten_metrics_is_a_regression(correction) -> None:
    """5 against 5 have no p-value below 0.0079, and ten metrics need 0.005."""
    twice = samples(1, 5, 100, 0.5), samples(2, 5, 200, 1)
    found = report(Policy(correction=correction), m=twice, **quiet(9, 5))
    rule = "test" if correction == "none" else "effect"
    assert (only(found).verdict, only(found).decided_by) == ("regressed", rule)
    assert found.exit_code == ExitCode.FINDING
    assert ("by effect" in only(found).reason) == (rule == "effect")


def test_effects_mirror() -> None:
    twice = samples(2, 5, 200, 1), samples(1, 5, 100, 0.5)
    found = report(m=twice, **quiet(9, 5))
    assert (only(found).verdict, only(found).decided_by) == ("improved", "effect")
    assert found.exit_code == 0


@pytest.mark.parametrize("n", [1, 2, 3])
def test_so_few_runs_are_never_passed(n: int) -> None:
    found = report(m=(samples(1, n, 100, 0.1), samples(2, n, 1000, 1)))
    assert (only(found).verdict, only(found).untested) == ("inconclusive", True)
    assert found.exit_code == ExitCode.INCONCLUSIVE
    assert found.causes == [
        "1 not tested, for so few runs show nothing: take at least 4 runs a side"
    ]
    passed = report(
        Policy(fail_untested=False), m=(samples(1, n, 100, 0.1), samples(2, n, 1000, 1))
    )
    assert passed.exit_code == 0
    assert report(Policy(gate_on="exact"), m=([1.0], [9.0])).exit_code == 0


def test_single_runs_say_how_many_the_whole_family_needs() -> None:
    found = report(**{f"m{i}": ([1.0], [9.0]) for i in range(10)})
    assert found.family.size == 0
    assert found.causes[0].endswith("take at least 6 runs a side")
    (warning,) = (w for w in found.comparisons[0].warnings if w.code == "cannot-reach-alpha")
    assert "in a family of 10 it takes at least 6 runs" in warning.message


def test_four_runs_and_no_correction_needed_are_tested() -> None:
    found = report(m=(samples(1, 4, 100, 9), samples(2, 4, 100, 9)))
    assert (only(found).verdict, only(found).untested, found.exit_code) == (
        "inconclusive",
        False,
        0,
    )


@pytest.mark.parametrize(
    ("base", "candidate", "why"),
    [
        ([100.0, 101, 102, 103, 104], [150.0, 151, 152, 153], "fewer than five"),
        ([100.0, 101, 102, 103, 300], [150.0, 151, 152, 153, 154], "a slower run of the base"),
        ([100.0, 101, 102, 103, 104], [102.5, 103, 103.5, 104, 104.5], "below the threshold"),
        ([100.0, 130, 170, 200, 240], [250.0, 300, 390, 500, 590], "too wide a scatter"),
    ],
)
def test_an_effect_needs_five_runs_apart_beyond_the_threshold(base, candidate, why) -> None:
    found = report(m=(base, candidate), **quiet(19, 5))
    assert only(found).verdict == "inconclusive", why
    assert only(found).untested
    assert found.exit_code == ExitCode.INCONCLUSIVE


def test_effects_are_judged_where_the_test_cannot_reach_alone() -> None:
    """8 against 8 reach 0.05 of 200 metrics, so overlapping sides are the test's to judge."""
    base = [100.0, 101, 102, 103, 104, 105, 106, 107]
    near = [106.5, 107.5, 108, 109, 110, 111, 112, 113]
    found = report(m=(base, near), **quiet(199, 8))
    assert (only(found).verdict, only(found).untested) == ("inconclusive", False)
    lone = report(m=(base, near))
    assert (only(lone).verdict, only(lone).decided_by) == ("regressed", "test")


@pytest.mark.parametrize("n", [8, 9, 10, 20, 50, 51])
def test_more_rows_of_the_same_data_never_pass(n: int) -> None:
    """200 metrics, one +50 %: 9 against 9 passed where 8 against 8 failed."""
    found = report(m=(samples(1, n, 100, 1), samples(2, n, 150, 1.5)), **quiet(199, n))
    assert (only(found).verdict, only(found).decided_by) == ("regressed", "test")
    assert found.exit_code == ExitCode.FINDING


levels = st.sampled_from([1.0, 0.5, 5.0])  # ties, fine ties, coarse ties


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(5, 12),
    more=st.integers(1, 12),
    metrics=st.sampled_from([1, 7, 30, 100]),
    shift=st.sampled_from([3.0, 8.0, 50.0]),
    spread=st.sampled_from([0.2, 2.0, 6.0]),
    step=levels,
    outlier=st.booleans(),
)
@example(
    seed=1, n=8, more=1, metrics=200, shift=50.0, spread=2.0, step=0.5, outlier=False
)  # 8 rows failed and 9 passed while the exact p-values ended at 8
@settings(max_examples=120)
def test_appending_agreeing_runs_never_turns_a_failure_into_a_pass(
    seed: int,
    n: int,
    more: int,
    metrics: int,
    shift: float,
    spread: float,
    step: float,
    outlier: bool,
) -> None:
    """Runs that agree lie with their side: below all others, or above."""
    rng = np.random.default_rng(seed)
    base = np.round(rng.normal(100, spread, n) / step) * step
    candidate = np.round(rng.normal(100 + shift, spread, n) / step) * step
    if outlier:
        candidate[0] = base.max()
    before = report(m=(base.tolist(), candidate.tolist()), **quiet(metrics - 1, n))
    if before.exit_code != ExitCode.FINDING:
        return
    low, high = min(base.min(), candidate.min()), max(base.max(), candidate.max())
    longer = (
        [*base, *(low - step * rng.integers(0, 2, more))],
        [*candidate, *(high + step * rng.integers(0, 2, more))],
    )
    after = report(
        m=tuple(list(map(float, side)) for side in longer), **quiet(metrics - 1, n + more)
    )
    assert not passed(after)


def passed(found: Report) -> bool:
    """Tell whether the gate passes, but for a significant change whose interval is in doubt.

    An interval of few or of tied samples may touch 0 % exactly; more of them then settle nothing.
    """
    return found.exit_code == 0 and not only(found).reason.startswith("significant, but the inter")


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(5, 10),
    more=st.integers(1, 8),
    same=st.integers(0, 2),
    shift=st.sampled_from([0.1, 0.3, 9.0]),
    test=st.sampled_from(["mann-whitney", "permutation"]),
)
@settings(max_examples=80)
def test_appending_pairs_never_turns_a_failure_into_a_pass(
    seed: int, n: int, more: int, same: int, shift: float, test
) -> None:
    """Pairs that changed as the others did, and up to two without change."""
    rng = np.random.default_rng(seed)
    base = rng.normal(100, 5, n + more)
    candidate = base * (1 + shift * rng.uniform(0.9, 1.1, n + more))
    policy = Policy(test=test)
    before = paired(policy, base[:n], candidate[:n])
    assert before.exit_code in (0, ExitCode.FINDING, ExitCode.INCONCLUSIVE)
    if before.exit_code == ExitCode.FINDING:
        still = base[:same]
        longer = np.concatenate([base, still]), np.concatenate([candidate, still])
        assert not passed(paired(policy, *longer))


def paired(policy: Policy, base: np.ndarray, candidate: np.ndarray) -> Report:
    sides = noisy_sides(m=(base.tolist(), candidate.tolist()))
    return compare(sides[0], sides[1:], policy, paired=True)


@pytest.mark.parametrize("test", ["mann-whitney", "permutation"])
def test_a_pair_without_change_makes_nothing_pass(test) -> None:
    base = np.array([100.0, 101, 102, 103, 104])
    found = paired(Policy(test=test), base, 10 * base)
    assert (found.exit_code, only(found).decided_by) == (ExitCode.FINDING, "effect")
    found = paired(Policy(test=test), np.append(base, 105), np.append(10 * base, 105))
    assert (found.exit_code, only(found).untested) == (ExitCode.INCONCLUSIVE, True)


@pytest.mark.parametrize("test", ["mann-whitney", "permutation"])
def test_what_ties_keep_from_alpha_is_untested(test) -> None:
    """Of 12 equal values and 4 others no split has a p-value below 0.0769."""
    found = report(Policy(test=test), m=([100.0] * 8, [100.0] * 4 + [200.0] * 4))
    assert only(found).p_value == pytest.approx(2 * 70 / 1820)
    assert (found.exit_code, only(found).untested) == (ExitCode.INCONCLUSIVE, True)
    assert "too many values are equal" in found.causes[0]


@pytest.mark.parametrize("n", [49, 50, 51, 60, 100])
def test_tied_runs_beyond_fifty_keep_the_verdict_of_a_large_family(n: int) -> None:
    """600 metrics, one of whole numbers at +25 % of a spread of 10 %."""
    rng = np.random.default_rng(n)
    base, candidate = np.round(rng.normal(100, 10, 100)), np.round(rng.normal(125, 10, 100))
    few = {f"q{i}": ([100.0] * n, [100.0] * n) for i in range(599)}
    found = report(m=(base[:n].tolist(), candidate[:n].tolist()), **few)
    assert (only(found).verdict, only(found).decided_by) == ("regressed", "test")


def test_a_few_runs_far_off_on_either_side_are_not_equivalent() -> None:
    base = samples(1, 20, 100, 0.5)
    candidate = [*samples(2, 12, 100, 0.5), *[150.0] * 4, *[50.0] * 4]
    found = only(report(m=(base, candidate)))
    assert (found.verdict, found.reason) == (
        "inconclusive", "the spread changed: one side varies far more"
    )  # fmt: skip


def test_times_that_double_in_three_runs_of_ten_are_not_equivalent() -> None:
    base = samples(1, 30, 100, 0.2)
    candidate = [x * (2 if i % 10 < 3 else 1) for i, x in enumerate(samples(2, 30, 100, 0.2))]
    found = only(report(m=(base, candidate)))
    assert found.verdict == "inconclusive"
    assert found.reason.startswith("median and mean disagree: the other one changed by +30")
    mirrored = only(report(m=(candidate, base)))
    assert mirrored.verdict == "inconclusive"
    assert "median and mean disagree" in mirrored.reason


def test_a_mean_that_stays_while_the_median_moves_is_not_equivalent() -> None:
    """Welch looks at the means; half of the runs are 4 % slower and some are far faster."""
    base = [100.0 + 0.1 * (i % 5) for i in range(200)]
    candidate = [104.2 if i % 25 else 3.4 for i in range(200)]
    found = only(report(Policy(test="welch"), m=(base, candidate)))
    assert found.ratio == pytest.approx(1.0, abs=0.005)
    assert found.verdict == "inconclusive"


def test_a_spread_that_grows_beyond_the_threshold_is_not_equivalent() -> None:
    base = samples(1, 200, 100, 0.3)
    noisy = samples(2, 200, 100, 4)
    found = only(report(m=(base, noisy)))
    assert (found.verdict, found.reason) == (
        "inconclusive", "the spread changed: one side varies far more"
    )  # fmt: skip
    small = only(report(m=(samples(1, 200, 100, 0.02), samples(2, 200, 100, 0.3))))
    assert small.verdict == "equivalent"  # all of it lies within the threshold


def test_means_have_the_interval_of_means() -> None:
    base = samples(1, 20, 100, 1)
    candidate = [x * (1.5 if i < 4 else 1) for i, x in enumerate(samples(2, 20, 100, 1))]
    for test in ("welch", "permutation"):
        found = report(Policy(test=test), m=(base, candidate))
        one = only(found)
        assert one.ratio == pytest.approx(np.mean(candidate) / np.mean(base))
        assert one.ratio_low is not None
        assert 1.0 < one.ratio_low < 1.05
        assert found.interval == "mean"
    assert report(m=(base, candidate)).interval == "median"


@pytest.mark.parametrize("in_pairs", [False, True])
@pytest.mark.parametrize("n", [5, 8])
@given(data=st.data())
@settings(max_examples=60)
def test_exchanged_sides_mirror_the_verdict(n: int, data: st.DataObject, in_pairs: bool) -> None:
    numbers = st.lists(st.integers(96, 108).map(float), min_size=n, max_size=n)
    base = data.draw(numbers)
    candidate = data.draw(st.one_of(numbers, st.permutations(base)))
    test = data.draw(st.sampled_from(["mann-whitney", "permutation", "welch"]))
    policy = Policy(test=test, resamples=400)
    one, other = (
        only(report(policy, m=(base, candidate))),
        only(report(policy, m=(candidate, base))),
    )
    mirror = {"regressed": "improved", "improved": "regressed"}
    assert mirror.get(one.verdict, one.verdict) == other.verdict
    assert (one.p_value, one.decided_by) == (other.p_value, other.decided_by)


def test_the_report_says_which_rule_decided(ntbbench, tmp_path) -> None:
    """Of a CSV with one doubled metric among ten, five runs a side."""
    pairs = {"m": (samples(1, 5, 100, 0.5), samples(2, 5, 200, 1)), **quiet(9, 5)}
    for side in (0, 1):
        runs_csv(tmp_path / f"{side}.csv", {name: pair[side] for name, pair in pairs.items()})
    files = (tmp_path / "0.csv", tmp_path / "1.csv")
    for form in ("text", "mail", "md", "github", "junit", "csv"):
        ran = ntbbench("gate", *files, "--format", form)
        assert ran.code == 1
        assert "by effect" in " ".join(ran.out.split()), form
    page = tmp_path / "page.html"
    assert ntbbench("gate", *files, "--html", page).code == 1
    assert "by effect" in page.read_text()
    ran = ntbbench("gate", tmp_path / "0.csv", tmp_path / "0.csv", "--format", "text")
    assert ran.code == 0
