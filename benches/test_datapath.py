# SPDX-License-Identifier: BSD-3-Clause
"""One benchmark an engine and system; the counts are asserted, the time never."""

from dataclasses import asdict, replace

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches.datapath import ENGINES
from benches.datapath_systems import SYSTEMS, system

EVENTS_SHARE = 100


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("engine", ENGINES)
def test_engine(benchmark: BenchmarkFixture, engine: str, name: str) -> None:
    whole = system(*SYSTEMS[name])
    point = replace(whole, end_ps=whole.end_ps // EVENTS_SHARE)
    benchmark.group = name
    outcome = benchmark.pedantic(ENGINES[engine], args=(point,), rounds=3)
    assert outcome == ENGINES["specialised"](point)
    assert sum(queue.packets for queue in outcome.queues) == sum(f.delivered for f in outcome.flows)
    assert all(flow.sent > 0 for flow in outcome.flows)
    benchmark.extra_info["events"] = outcome.events
    benchmark.extra_info["queues"] = [asdict(queue) for queue in outcome.queues]
