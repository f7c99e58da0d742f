# SPDX-License-Identifier: BSD-3-Clause
"""Intervals and quantiles of a simulation: numbers that are right."""

import math
from pathlib import Path

import numpy as np
import pytest
from datapath_systems import latency_bucket_low
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from simulate_runs import loaded

from ntbbench.datapath.outcome import latency_bucket
from ntbbench.datapath.records import OkSimulation
from ntbbench.datapath.replicate import histogram_of, quantiles
from ntbbench.datapath.summary import estimate, gains


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


@given(st.integers(0, 3600 * 10**9 - 1))
def test_the_engines_buckets_are_those_of_the_library(latency_ns: int) -> None:
    library = HdrHistogram(1, 3600 * 10**9, 3)
    low = latency_bucket_low(latency_bucket(latency_ns))
    assert low == library.get_lowest_equivalent_value(latency_ns)
    assert latency_bucket_low(latency_bucket(latency_ns) + 1) - 1 == (
        library.get_highest_equivalent_value(latency_ns)
    )


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


def test_gains_are_ratios_of_the_same_replication(result_file: Path) -> None:
    points = [p for p in loaded(result_file).points if isinstance(p, OkSimulation)]
    found = gains(points)
    assert len(found) == 2 * 3  # of two queues: all but fallback, single
    for point, ratio in found:
        (base,) = [
            other
            for other in points
            if (other.dispatch, other.affinity) == ("fallback", "single")
            and (other.queues, other.protocol) == (point.queues, point.protocol)
        ]
        pairs = zip(point.replications, base.replications, strict=True)
        ratios = [run.throughput_bps / under.throughput_bps for run, under in pairs]
        assert ratio.mean == pytest.approx(np.mean(ratios))
        assert ratio.low is not None
        assert ratio.low <= ratio.mean
