# SPDX-License-Identifier: BSD-3-Clause
"""One benchmark a workload: the counts are those of the reference, the time is never asserted."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches import streams
from benches.streams import CASES, REFERENCE_INTERRUPTS, cells_of


@pytest.mark.parametrize(("workload", "vectors", "drain"), CASES)
def test_stream(benchmark: BenchmarkFixture, workload: str, vectors: int, drain: int) -> None:
    group = cells_of(workload, vectors, drain, REFERENCE_INTERRUPTS)
    benchmark.group = f"{vectors} vectors, drain {drain}"
    points = benchmark.pedantic(streams.counted, args=(group,), rounds=5, warmup_rounds=1)
    assert points == streams.counted_plainly(group)
    for point in points:
        assert point.interrupts == REFERENCE_INTERRUPTS
        assert point.schedule_calls == point.wakeups + point.merged
        benchmark.extra_info[f"{point.dispatch}_schedule_calls"] = point.schedule_calls
        benchmark.extra_info[f"{point.dispatch}_wakeups"] = point.wakeups
