# SPDX-License-Identifier: BSD-3-Clause
"""The kernels on several threads at once: each counts as it does alone, and no GIL comes back."""

import sys
import sysconfig
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from engine_cases import ALL_ONES, Case

import ntbbench
import ntbbench.core._build  # the compiled module that no other here imports
from ntbbench.datapath.engine import COMPILED, simulate
from ntbbench.datapath.system import Cost, Costs, Draw, Flow, InterruptSource, Queue, System
from ntbbench.dispatch.engine import KERNELS
from ntbbench.ntb.vectormap import VectorMap
from ntbbench.ntb.workload.stream import Cycle, Draws, Sender, ring_stream

PACKAGE = Path(ntbbench.__file__).parent
THREADS = 4
TURNS = 20
N = 20_000
BITS = np.uint64(1) << np.arange(64, dtype=np.uint64)
TWO_VECTORS = VectorMap(0b11, (1, 2), 2, (1, 2))
POINT = System(
    receiver_cpus=2,
    sender_cpus=1,
    flows=tuple(Flow(n, 2, 1500, "closed", window=8) for n in range(2)),
    queues=tuple(Queue(n, n, 100, 100) for n in range(2)),
    sources=tuple(InterruptSource(n, (0b11,)) for n in range(2)),
    end_ps=2 * 10**9,
    costs=Costs(send=Cost(10**6), copy=Cost(2 * 10**6, draw=Draw("exponential"))),
)


def dispatched(kernel: str, coded: bool, number: int) -> object:
    """Count a stream of its own in buffers of its own; numbers differ in stream and device."""
    codes = np.random.default_rng(number).integers(0, 64, N, np.uint8)
    masks = np.roll(BITS, number)
    case = Case(np.arange(64, dtype=np.uint8), BITS, codes, masks, ALL_ONES, 0, ALL_ONES, 3)
    return case.count(kernel, coded=coded)


def drawn(number: int) -> object:
    return Draws((0.25, 0.25, 0.5), number).draw(N, 0).tobytes()


def burst(number: int) -> object:
    sender = Sender(Cycle((0, 1, number % 2)), 4, (0, 1))
    stream = ring_stream(sender, TWO_VECTORS, N + number)
    return stream.rings, stream.vectors.tobytes(), stream.rung.tobytes()


def simulated(engine: str, number: int) -> object:
    return simulate(replace(POINT, end_ps=POINT.end_ps + number), number, engine)


RUNS: dict[str, Callable[[int], object]] = {
    f"{kernel}{'-coded' * coded}": partial(dispatched, kernel, coded)
    for kernel in KERNELS
    if not kernel.startswith("reference")
    for coded in (False, True)
}
RUNS |= {"draws": drawn, "bursts": burst}
RUNS |= {name: partial(simulated, name) for name in COMPILED}


@pytest.mark.parametrize("name", RUNS)
def test_a_kernel_counts_on_threads_as_it_does_alone(name: str) -> None:
    run = RUNS[name]
    alone = [run(number) for number in range(THREADS)]
    assert len({repr(result) for result in alone}) == THREADS  # a mix-up would show
    together = Barrier(THREADS)

    def turns(number: int) -> list[object]:
        together.wait()
        return [run(number) for _ in range(TURNS)]

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(turns, range(THREADS)))
    assert found == [[result] * TURNS for result in alone]


def test_importing_the_kernels_brings_no_gil_back() -> None:
    compiled = {path.name.partition(".")[0] for path in PACKAGE.rglob("_*.so")}
    assert compiled
    assert compiled <= {name.rpartition(".")[2] for name in sys.modules}
    built_without = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()  # new in Python 3.13
    assert has_gil != built_without
