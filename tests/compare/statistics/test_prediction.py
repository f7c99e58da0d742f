# SPDX-License-Identifier: BSD-3-Clause
"""The t prediction of one more value, against scipy and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from ntbbench.compare.statistics.prediction import detectable, fewest_before, predicted


def test_the_p_value_is_that_of_a_pooled_t_with_one_value_on_a_side() -> None:
    before, new = np.array([98.0, 101.0, 100.0, 99.5, 102.0]), 107.0
    found = predicted(before, new)
    t = stats.ttest_ind(np.log(before), np.log([new]), equal_var=True)
    assert found.p == pytest.approx(t.pvalue)
    assert found.low < found.ratio < found.high
    assert (found.low > 1) == (found.p < 0.05)


def test_values_that_never_vary_make_any_other_a_difference() -> None:
    same = np.full(9, 3.0)
    assert predicted(same, 3.0).p == 1.0
    assert predicted(same, 3.1).p == 0.0


def test_one_tick_beyond_two_ticks_is_no_finding() -> None:
    before = np.array([100.0] * 29 + [101.0])
    assert predicted(before, 101.0).p > 0.05
    assert predicted(before, 104.0).p < 0.05


@pytest.mark.parametrize(("before", "new"), [([1.0], 1.0), ([1.0, 0.0, 1.0], 1.0), ([1.0] * 5, 0)])
def test_where_nothing_is_known_nothing_is_said(before: list[float], new: float) -> None:
    found = predicted(np.array(before), new)
    assert all(map(math.isnan, (found.p, found.ratio, found.low, found.high)))
    assert math.isnan(detectable(found, len(before), 0.05))


@pytest.mark.parametrize("n", [5, 20])
def test_alarms_are_as_rare_as_promised(n: int) -> None:
    rng = np.random.default_rng(n)
    rows = 100 * np.exp(rng.normal(0, 0.02, (2000, n + 1)))
    alarms = sum(predicted(row[:-1], row[-1]).p < 0.05 for row in rows)
    assert 70 <= alarms <= 130  # 100 +- 3 standard errors


def test_what_is_detectable_is_found_with_the_power_that_is_said() -> None:
    rng = np.random.default_rng(1)
    rows = np.exp(rng.normal(0, 0.02, (1500, 21)))
    effects = [detectable(predicted(row[:-1], row[-1]), 20, 0.05) for row in rows]
    shift = 1 + float(np.median(effects))
    assert np.mean([predicted(r[:-1], shift * r[-1]).p < 0.05 for r in rows]) == pytest.approx(
        0.8, abs=0.05
    )
    sizes = [fewest_before(0.05 / metrics) for metrics in (1, 40, 1000)]
    assert sizes == sorted(set(sizes))
