# SPDX-License-Identifier: BSD-3-Clause
"""The rule of flows over ntb_netdev: runs by doorbells and vectors, and likely causes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from netdev_flows import SPACED, SPACED_RUNS

from ntbbench.lab.netdev_client import likely_cause, predicted_runs, run_bounds

NOT_UNDER = "the doorbell callback scheduled a QP whose bit is not under its vector"


@pytest.mark.parametrize(
    ("vectors", "doorbells", "runs"),
    [
        (0, [20, 30, 90, 20], [180, 190, 250, 180]),  # counted on Linux 7.3.4, four queues
        (16, [50, 40, 20, 50], [100, 80, 40, 100]),
        (0, [80, 80, 60, 100], [400, 400, 380, 420]),
        (2, [1, 10, 0, 0], [2, 20, 1, 10]),
    ],
)
def test_runs_of_spaced_doorbells(vectors: int, doorbells: list[int], runs: list[int]) -> None:
    assert predicted_runs(doorbells, vectors) == runs


@pytest.mark.parametrize(
    ("doorbells", "runs", "vectors", "told"),
    [
        (SPACED, SPACED_RUNS, 16, NOT_UNDER),
        (SPACED, predicted_runs(SPACED, 0), 16, "as without vector callbacks"),
        (SPACED, [150, 90, 60, 180], 16, "1 run more per packet of its own QP"),
        ([40] * 4, [120] * 4, 16, "or the doorbell callback schedules 1 QP too many"),
        (SPACED, SPACED, 16, "1 run fewer per packet of its own QP"),
        (SPACED, [80, 60, 40, 120], 16, "skipped a QP under its vector"),
        (SPACED, [101, 60, 40, 120], 16, "no single cause"),
        ([40, 0], [80, 3], 16, "no single cause"),
    ],
)
def test_likely_causes(doorbells: list[int], runs: list[int], vectors: int, told: str) -> None:
    assert told in likely_cause(doorbells, runs, vectors)


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=14), st.integers(0, 16))
def test_the_prediction_lies_within_the_bounds(doorbells: list[int], vectors: int) -> None:
    least, most = run_bounds(doorbells, doorbells, vectors, 31)
    for low, runs, high in zip(least, predicted_runs(doorbells, vectors), most, strict=True):
        assert low <= runs <= high
