# SPDX-License-Identifier: BSD-3-Clause
"""The compiled modules are the variant that was asked for, and let other threads run."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from ntbbench.core.build import BUILD
from ntbbench.datapath.engine import COMPILED
from ntbbench.datapath.engine.buffers import Buffers
from ntbbench.datapath.engine.engine_plan import plan
from ntbbench.datapath.system import Cost, Costs, Flow, Queue, Source, System
from ntbbench.dispatch.engine import _bitset, _histogram, _msi, _scan
from ntbbench.dispatch.engine.counts import Counters


def test_the_variant_asked_for_is_the_one_under_test() -> None:
    # Else the run with sanitizers could pass on the plain modules.
    assert BUILD.checked == (os.environ.get("NTBBENCH_CHECKED") == "1")


def test_the_build_is_recorded() -> None:
    assert BUILD.compiler.split()[0] in ("gcc", "clang")
    assert ("-fsanitize=address,undefined" in BUILD.flags) == BUILD.checked
    assert "-march=native" not in BUILD.flags


N = 100_000
VECTORS = np.zeros(N, np.uint8)
RUNG = np.ones(N, np.uint64)
ONES = np.ones(64, np.uint64)
RUNS = {
    "scan": partial(_scan.run, VECTORS, RUNG, ONES, 1, 0, 1, 1, Counters().block),
    "bitset": partial(_bitset.run, VECTORS, RUNG, ONES, 1, 0, 1, 1, Counters().block),
    "msi": partial(_msi.run, VECTORS, RUNG, ONES, 1, 1, Counters().block),
    "histogram": partial(
        _histogram.run, VECTORS, VECTORS[:64], RUNG[:64], ONES, 1, 0, 1, Counters().block
    ),
}

POINT = System(
    receiver_cpus=1,
    sender_cpus=1,
    flows=(Flow(0, 1, 64, "closed", window=4),),
    queues=(Queue(0, 0, 16, 16),),
    sources=(Source(0, (1,)),),
    end_ps=10**10,
    costs=Costs(send=Cost(10**6)),
)


def go(engine: str) -> None:
    Buffers(plan(POINT), 1, COMPILED[engine], 0).go_until(POINT.end_ps)


RUNS |= {engine: partial(go, engine) for engine in COMPILED}


@pytest.fixture
def cooperative_threads() -> Iterator[None]:
    """No thread is asked to give up the GIL: another runs only when one releases it."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("cooperative_threads")
@pytest.mark.parametrize("kernel", RUNS)
def test_a_kernel_releases_the_gil(kernel: str) -> None:
    run: Callable[[], None] = RUNS[kernel]
    gate = threading.Lock()
    ran: list[bool] = []
    gate.acquire()

    def other() -> None:
        with gate:
            ran.append(True)

    thread = threading.Thread(target=other)
    thread.start()
    gate.release()
    # The thread may run now, but only while a kernel has let go of the GIL.
    for _ in range(100_000):
        run()
        if ran:
            break
    assert ran
    thread.join()
