# SPDX-License-Identifier: BSD-3-Clause
"""Intervals, quantiles and cells of a simulation: numbers that are right and readable."""

import math

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ntbbench.datapath.grid.estimate import estimate
from ntbbench.datapath.grid.histogram import histogram_of, quantiles
from ntbbench.datapath.outcome import latency_bucket, latency_bucket_low
from ntbbench.datapath.records import Estimate
from ntbbench.report.simulation_cells import rate_cells, short, spread


@settings(deadline=None)  # the machine is shared
@given(st.lists(st.integers(0, 10**12).map(float), min_size=2, max_size=8))
def test_the_interval_is_students(values: list[float]) -> None:
    found = estimate(values)
    if len(set(values)) == 1:
        assert (found.low, found.mean, found.high) == (values[0],) * 3
        return
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert found.high is not None
    assert found.mean == pytest.approx(np.mean(values))
    assert found.high == pytest.approx(high)
    assert found.low == pytest.approx(max(low, 0), abs=1e-6 * found.high)


@settings(deadline=None)  # the machine is shared
@given(st.integers(0, 3600 * 10**9 - 1))
def test_the_engines_buckets_are_those_of_the_library(latency_ns: int) -> None:
    library = HdrHistogram(1, 3600 * 10**9, 3)
    low = latency_bucket_low(latency_bucket(latency_ns))
    assert low == library.get_lowest_equivalent_value(latency_ns)
    assert latency_bucket_low(latency_bucket(latency_ns) + 1) - 1 == (
        library.get_highest_equivalent_value(latency_ns)
    )


@settings(deadline=None)  # the machine is shared
@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=200))
def test_quantiles_are_right_to_three_digits(latencies: list[int]) -> None:
    counted: dict[int, int] = {}
    for latency in latencies:
        bucket = latency_bucket(latency)
        counted[bucket] = counted.get(bucket, 0) + 1
    found = quantiles(histogram_of(sorted(counted.items())))
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
        rank = max(math.floor(share * len(latencies) + 0.5), 1)
        exact = sorted(latencies)[rank - 1]
        value = found[name]
        assert value is not None
        assert exact * 1e-9 <= value <= exact * 1e-9 * 1.001 + 1e-9


def test_no_packet_no_latency() -> None:
    assert set(quantiles(histogram_of([])).values()) == {None}


@pytest.mark.parametrize(
    ("rate", "cells"),
    [
        ((95_000e6, 81_057e6, 109_100e6), ("95000", "81057-109100")),
        ((583.12e6, 80e6, 1086.3e6), ("583.1", "80.0-1086.3")),
        ((0.5e6, 0.25e6, 0.75e6), ("0.5000", "0.2500-0.7500")),
        ((0.0, 0.0, 0.0), ("0", "0-0")),
        ((999_999e6, 999_998e6, 999_999.2e6), ("999999", "999998-999999")),
    ],
)
def test_a_range_of_rates_has_one_format(
    rate: tuple[float, float, float], cells: tuple[str, str]
) -> None:
    mean, low, high = rate
    found = rate_cells(Estimate(mean=mean, low=low, high=high))
    assert found == cells
    assert len(found[1]) <= len("580.01-583.12")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"), (0.0004, "<.001"), (0.0006, "0.001"), (0.74812, "0.748"), (0.9999, "1.000"),
        (11.14, "11.1"), (99.96, "100"), (999.6, "1000"), (99999.4, "99999"),
    ],
)  # fmt: skip
def test_a_narrow_number_takes_five_characters(value: float, shown: str) -> None:
    assert short(value) == shown
    assert len(shown) <= 5


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Estimate(mean=8.0, low=6.0, high=10.0), "8 +-25.0%"),
        (Estimate(mean=8.0, low=0.0, high=16.0), "8 +-100.0%"),
        (Estimate(mean=8.0, low=0.0, high=30.21), "8 (0..30.2)"),
        (Estimate(mean=4813.8, low=0.0, high=10218.0), "4813.8 (0..10218)"),
        (Estimate(mean=123456.7, low=None, high=None), "123457"),
        (Estimate(mean=8.0, low=None, high=None), "8"),
        (Estimate(mean=0.0, low=0.0, high=0.0), "0"),
        (None, "-"),
    ],
)
def test_a_spread_wider_than_its_mean_is_an_interval(value: Estimate | None, shown: str) -> None:
    assert spread(value) == shown
