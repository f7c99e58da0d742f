# SPDX-License-Identifier: BSD-3-Clause
"""One benchmark an implementation and case; the counts are asserted, the time never.

The groups of pytest-benchmark put the implementations of a case side by side. It times them one
after the other, so ratios are those of `python -m benches.kernels`.
"""

from dataclasses import asdict
from itertools import product

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches.baseline import Baseline
from benches.cases import DISPATCHES, DRAINS, QUEUES, make_case
from benches.kernels import implementations
from ntbbench.dispatch.engine.batch import DispatchCounts

INTERRUPTS = 1 << 14
ROUNDS = 5
ANY_DRAIN = ("reference", "numpy", "C", "scan", "bitset", "coded")


def check_law(
    counts: DispatchCounts, interrupts: int, queues: int, dispatch: str, drain: int
) -> None:
    """Assert what the fan-out alone decides."""
    fan_out = queues if dispatch == "fallback" else 1
    assert counts.interrupts == interrupts
    assert counts.schedule_calls == counts.scan_iterations == interrupts * fan_out
    assert counts.wakeups + counts.merged == counts.schedule_calls
    assert counts.useful_wakeups + counts.spurious_wakeups == counts.wakeups
    assert counts.missed == counts.misrouted == 0
    if dispatch == "fallback":
        assert counts.wakeups == -(-interrupts // drain) * queues
    if drain == 1:
        assert counts.useful_wakeups == interrupts


@pytest.mark.parametrize("queues", QUEUES)
@pytest.mark.parametrize("dispatch", DISPATCHES)
@pytest.mark.parametrize(
    ("name", "drain"),
    [*product(ANY_DRAIN, DRAINS), ("bincount", 1)],
)
def test_kernel(
    benchmark: BenchmarkFixture,
    baseline: Baseline,
    name: str,
    queues: int,
    dispatch: str,
    drain: int,
) -> None:
    case = make_case(queues, dispatch, drain, INTERRUPTS)
    prepared = {found.name: found for found in implementations(case, baseline)}
    timed, scan = prepared[name], prepared["scan"]
    benchmark.group = case.name
    benchmark.pedantic(timed.run, rounds=ROUNDS, warmup_rounds=1)
    scan.run()
    check_law(scan.counts(), INTERRUPTS, queues, dispatch, drain)
    counts = timed.counts()
    if name == "reference":  # counts the first interrupts only
        check_law(counts, timed.case.vectors.size, queues, dispatch, drain)
    else:
        assert counts == scan.counts()
    benchmark.extra_info.update(asdict(counts))
