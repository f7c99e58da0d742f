# SPDX-License-Identifier: BSD-3-Clause
"""What a guest may take grows with what it is told to do: with its packets, and with its sleep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.lab.loopback.netdev_flows import NetdevPlan
from ntbbench.lab.machine.guest_task import PointPlan, points_task
from ntbbench.lab.machine.watch import Limits
from ntbbench.lab.pair.pair_task import limits
from ntbbench.lab.pair.plan import PairPlan, PairSetup
from ntbbench.pair.setting import EP_TO_RC, GAP, Traffic

MEASURED_ASLEEP = 0.045  # s of processor time a second that the guest sleeps
GAPS = st.integers(0, GAP.high)


def pair(gap_us: int, packets: int = 20, flows: int = 1, factor: int = 1) -> Limits:
    return limits(PairPlan(PairSetup(), (Traffic(EP_TO_RC, flows, packets, gap_us),)), factor)


def points(gap_us: int, packets: int = 20) -> Limits:
    point = PointPlan("p", 0, True, gap_us, packets, "turn", (0, 1))
    return points_task([point], 2).limits


def netdev(gap_us: int, packets: int = 20) -> Limits:
    return NetdevPlan(gap_us=gap_us, packets=packets).task().limits


@pytest.mark.parametrize("lab", [pair, points, netdev])
@given(gaps=st.tuples(GAPS, GAPS), packets=st.integers(1, 1000))
def test_limits_grow_with_the_gap(lab, gaps, packets) -> None:
    low, high = sorted(gaps)
    shorter, longer = lab(low, packets), lab(high, packets)
    slept = (high - low) * 1e-6 * packets
    spare = 1e-6 * slept  # floats
    assert longer.cpu_seconds - shorter.cpu_seconds >= 5 * MEASURED_ASLEEP * slept - spare
    assert longer.idle_seconds - shorter.idle_seconds >= slept - spare


@given(gap=GAPS, packets=st.integers(1, 1000), flows=st.integers(1, 4))
def test_a_pair_may_sleep_each_gap_of_each_flow(gap, packets, flows) -> None:
    slept = gap * 1e-6 * packets * flows
    assert pair(gap, packets, flows).cpu_seconds >= 40 + 6 * MEASURED_ASLEEP * slept
    assert pair(gap, packets, flows, factor=4).cpu_seconds >= 160 + 24 * MEASURED_ASLEEP * slept
