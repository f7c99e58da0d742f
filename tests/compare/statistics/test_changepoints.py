# SPDX-License-Identifier: BSD-3-Clause
"""Steps and drift in simulated histories: seeded, small parts of benches/history_changes.py."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from benches.history_changes import CHANGED, STATIONARY, Scenario, autoregressive, ours
from ntbbench.compare.policy import Policy
from ntbbench.compare.statistics import changepoints, segments

NOISE = {scenario.name: scenario for scenario in STATIONARY}
STEPS = {scenario.name: scenario for scenario in CHANGED}


def found_in(scenario: Scenario, series: int, n: int = 100) -> list[list[int]]:
    rng = np.random.default_rng(3)
    return [ours(scenario.series(rng, n)) for _ in range(series)]


@pytest.mark.parametrize(
    ("name", "n", "most"),  # of 150 series: P(more) < 1e-3 at the rate that is promised
    [
        ("normal", 100, 12),  # 3 %
        ("normal", 12, 12),
        ("AR(1) 0.5", 100, 27),  # 10 %
        ("AR(1) 0.5", 20, 27),
        ("t, 3 d.f. (heavy tails)", 100, 17),  # 5 %
        ("normal, 3 % wild commits", 100, 17),
        ("two ticks, 1 in 2", 100, 12),
        ("two ticks, 1 in 10", 100, 12),
    ],
)
def test_a_level_that_stays_rarely_alarms(name: str, n: int, most: int) -> None:
    assert sum(map(bool, found_in(NOISE[name], 150, n))) <= most


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("5 sd, 2 commits ago", 46),
        ("5 sd, 3 commits ago", 49),
        ("5 sd for 10 commits", 49),
        ("5 sd in AR(1) 0.5", 47),
    ],
)
def test_steps_are_found_where_they_are(name: str, least: int) -> None:
    assert sum(map(STEPS[name].holds, found_in(STEPS[name], 50))) >= least


def test_a_step_among_ticks_is_one_step() -> None:
    scenario = STEPS["10 ticks, two ticks"]
    assert sum(map(scenario.only, found_in(scenario, 50))) >= 49


@pytest.mark.parametrize("wild", [[30], [30, 60], [98], [99]])
def test_wild_commits_by_themselves_are_no_step(wild: list[int]) -> None:
    values = NOISE["normal"].series(np.random.default_rng(2))
    values[wild] *= 1.5
    assert ours(values) == []


def test_a_clock_of_few_ticks_needs_more_than_two_commits() -> None:
    def after(commits: int) -> list[int]:
        return ours(np.array([100.0] * 60 + [101.0] * commits))

    assert (after(2), after(6)) == ([], [60])


def test_several_steps_have_their_levels_and_directions() -> None:
    values = STEPS["5 sd for 10 commits"].series(np.random.default_rng(5))
    up, down = changepoints.changes({"m": values}, {"m": "lower"}, Policy(threshold=0.01))
    assert [(c.kind, c.index, c.worse) for c in (up, down)] == [
        ("step", 40, True),
        ("step", 50, False),
    ]
    assert up.ratio == pytest.approx(np.exp(0.05), abs=0.01)
    assert (up.after, up.before) == pytest.approx((down.before, down.after), rel=0.01)


def test_slow_drift_is_found_from_where_it_may_begin() -> None:
    rng = np.random.default_rng(6)
    values = {"m": 100 * np.exp(np.linspace(0, 0.03, 60) + rng.normal(0, 0.01, 60))}
    (whole,) = changepoints.examine(values, {"m": "lower"}, Policy())
    assert [(c.kind, c.index) for c in whole.changes] == [("drift", 59)]
    (late,) = changepoints.examine(values, {"m": "lower"}, Policy(), {"m": 50})
    assert late.changes == []


def test_the_autocorrelation_is_that_of_the_noise_not_of_the_levels() -> None:
    def noise(r: float) -> NDArray[np.float64]:
        return autoregressive(np.random.default_rng(7), 400, r)

    for r in (0.0, 0.5):
        levels = np.repeat([0.0, 30.0, 5.0, 60.0], 100)
        assert segments.autocorrelation(noise(r) + levels, [100, 200, 300]) == pytest.approx(
            r, abs=0.1
        )


def test_widened_p_values_are_those_of_fewer_commits() -> None:
    z, r = 3.0, 0.5
    wider = segments.widened(np.array([2 * stats.norm.sf(z), 0.0, 1.0]), r)
    assert wider == pytest.approx([2 * stats.norm.sf(z / np.sqrt(3)), 0.0, 1.0])
    assert segments.widened(np.array([0.01]), -0.5) == pytest.approx([0.01])


def test_the_fewest_commits_are_what_the_smallest_p_value_allows() -> None:
    assert changepoints.fewest(1, 0.05) == changepoints.FEWEST
    sizes = [changepoints.fewest(metrics, 0.05) for metrics in (1, 10, 100, 1000)]
    assert sizes == sorted(sizes) and len(set(sizes)) == 4
    short = np.array([100.0, 101.0] * 3)
    assert changepoints.examine({"m": short}, {"m": "lower"}, Policy()) == []
