# SPDX-License-Identifier: BSD-3-Clause
"""A storm of doorbells on the deferred work: its counts add up, and budgets shorten the wait."""

import pytest

from ntbbench.core.errors import InputError
from ntbbench.pair.drivers.deferral import storm


@pytest.mark.parametrize("budget", range(1, 17))
def test_storm_counts_add_up(budget: int) -> None:
    found = storm(budget, seed=3)
    assert found.rings == storm(1, seed=3).rings > found.msis >= found.snapshots >= found.runs > 0
    assert found.longest_run <= budget
    assert found.runs * budget >= found.snapshots
    assert 1 <= found.snapshot_latency_mean <= found.snapshot_latency_max <= 2
    assert 0 < found.tick_latency_mean <= found.tick_latency_max


def test_storm_is_seeded_and_larger_budgets_wait_less() -> None:
    assert storm(5, seed=7) == storm(5, seed=7) != storm(5, seed=8)
    waits = [storm(budget, seed=7).tick_latency_mean for budget in (1, 2, 5, 16)]
    assert waits == sorted(waits, reverse=True)
    with pytest.raises(InputError, match="--seed"):
        storm(5, seed=-1)
