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
from ntbbench.dispatch import engine
from ntbbench.ntb.catalogue import generic
from ntbbench.ntb.workload.stream import Cycle, Draws, Sender, ring_stream


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
ONE_QP = {"qp_bitmap": 1, "active": 1}
RUNS = {
    kernel: engine.prepare(kernel, VECTORS, RUNG, RUNG[:1], **ONE_QP).run
    for kernel in ("scan", "bitset", "msi")
}
RUNS["draws"] = partial(Draws((0.5, 0.5), 1).draw, N, 0)
RUNS["bursts"] = partial(ring_stream, Sender(Cycle((0, 1)), 4, (0, 1)), generic(2, 2).vector_map, N)

POINT = System(
    receiver_cpus=1,
    sender_cpus=1,
    flows=(Flow(0, 1, 64, "closed", window=4),),
    queues=(Queue(0, 0, 16, 16),),
    sources=(Source(0, (1,)),),
    end_ps=10**10,
    costs=Costs(send=Cost(10**6)),
)


def go(name: str) -> None:
    Buffers(plan(POINT), 1, COMPILED[name], 0).go_until(POINT.end_ps)


RUNS |= {name: partial(go, name) for name in COMPILED}


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
