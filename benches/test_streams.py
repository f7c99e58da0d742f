# SPDX-License-Identifier: BSD-3-Clause
"""One benchmark a workload: the counts are those of the reference, the time is never asserted."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches import streams
from benches.streams import CASES, REFERENCE_INTERRUPTS, cells_of


@pytest.mark.parametrize(("workload", "drain"), CASES)
def test_stream(benchmark: BenchmarkFixture, workload: str, drain: int) -> None:
    chosen = cells_of(workload, drain, REFERENCE_INTERRUPTS)
    benchmark.group = f"drain {drain}"
    points = benchmark.pedantic(streams.counted, args=(chosen,), rounds=5, warmup_rounds=1)
    assert points == streams.counted_plainly(chosen)
    for point in points:
        assert point.interrupts == REFERENCE_INTERRUPTS
        assert point.schedule_calls == point.wakeups + point.merged
        where = f"{point.dispatch}-{point.vectors}"
        benchmark.extra_info[f"{where}-schedule_calls"] = point.schedule_calls
        benchmark.extra_info[f"{where}-wakeups"] = point.wakeups
