# SPDX-License-Identifier: BSD-3-Clause
"""The cost that gives a throughput, and its range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulate_runs import WHOLE_RUN

from ntbbench.datapath.fit import crossing, fit, target_of, throughput, with_byte
from ntbbench.datapath.scenario_file import preset, with_settings


@given(cost=st.integers(1, 10**9), fixed=st.integers(1, 10**12), below=st.floats(0, 0.9))
def test_a_crossing_is_found(cost: int, fixed: int, below: float) -> None:
    """A rate that stays flat first, as where the sender is the slower side."""

    def rate(byte: int) -> float:
        return 1e15 / max(fixed + byte * 65_000, fixed / (1 - below))

    wanted = rate(cost)
    found = crossing(rate, wanted, rate(0), 10**11)
    assert rate(found) == pytest.approx(wanted, rel=3e-4) or rate(found + 1) < wanted


def test_a_fit_recovers_the_cost_that_made_the_throughput() -> None:
    scenario = with_settings(preset("generic"), [*WHOLE_RUN, "warmup=10ms", "duration=20ms"])
    for byte in (300_000, 2_000_000):
        made = throughput(with_byte(scenario, "tcp", byte), "tcp", byte, "specialised")
        found = fit(scenario, "tcp", target_of([made], 0.01), "specialised")
        assert found.high_fs is not None
        assert found.low_fs < byte < found.high_fs
        assert found.byte_fs == pytest.approx(byte, rel=0.01)


def test_targets() -> None:
    one = target_of([100.0], 0.02)
    assert (one.low, one.mean, one.high) == pytest.approx((98, 100, 102))
    several = target_of([98.0, 100.0, 102.0], 0.02)
    assert several.mean == 100
    assert several.high - 100 == pytest.approx(4.302653 * 2 / 3**0.5)  # t of 2 degrees
