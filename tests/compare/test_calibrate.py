# SPDX-License-Identifier: BSD-3-Clause
"""The gate's promises, by simulation: a small seeded part of benches/false_alarms.py."""

import math

import pytest

from benches.false_alarms import NOISES, Noise, rates
from ntbbench.compare.policy import Policy

FAMILIES = 300
# The probability of this many alarms or more in 300 families at a true 0.05 is below 1e-4.
MOST = 0.05 + 3.8 * math.sqrt(0.05 * 0.95 / FAMILIES)


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
@pytest.mark.parametrize("sizes", [(5, 5), (5, 20), (12, 12), (50, 30)])
def test_family_wise_false_alarms_stay_below_alpha(noise: Noise, sizes: tuple[int, int]) -> None:
    found = rates(
        noise,
        sizes,
        shift=0.0,
        families=FAMILIES,
        seed=11,
        policy=Policy(threshold=0.0, resamples=400),
    )
    assert found.any_alarm <= MOST


def test_without_the_correction_they_do_not() -> None:
    """The check above can fail: ten uncorrected tests alarm in far more than 5 % of families."""
    policy = Policy(threshold=0.0, correction="none", resamples=400)
    found = rates(NOISES[0], (20, 20), shift=0.0, families=FAMILIES, seed=11, policy=policy)
    assert found.any_alarm > 0.2


@pytest.mark.parametrize("noise", NOISES[:4], ids=lambda noise: noise.name)
def test_equivalence_is_rarely_claimed_at_the_threshold(noise: Noise) -> None:
    found = rates(noise, (10, 10), shift=0.02, families=100, seed=12, policy=Policy())
    assert found.equivalent < 0.05


def test_a_clear_shift_is_found() -> None:
    found = rates(NOISES[0], (10, 10), shift=0.1, families=50, seed=13, policy=Policy())
    assert found.found > 0.95
