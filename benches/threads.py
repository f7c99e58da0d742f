# SPDX-License-Identifier: BSD-3-Clause
"""How much faster two threads are than one, each with buffers of its own.

    python -m benches.threads [--rounds N]

A round does the same work of each row on one thread and on two, in turn, so what else the machine
does falls on both. Printed are the median times and the median and quartiles of the rounds' ratios;
2 is all that two CPUs can give. With a GIL too the kernels run at once, and the Python around them
does not. Every run must give the same counts, or the bench ends.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median, quantiles

from tabulate import tabulate

from benches.cases import make_case
from benches.datapath_systems import FAST, system
from ntbbench.datapath.engine import simulate
from ntbbench.ntb.workload.stream import Draws

THREADS = 2
Job = Callable[[], object]  # returns what it counted


def dispatched(kernel: str, turns: int, interrupts: int) -> Job:
    """Count one stream again and again, prepared once: nearly all of it is the kernel."""
    prepared = make_case(16, "fallback", 1, interrupts).prepare(kernel)

    def count() -> object:
        for _ in range(turns):
            prepared.run()
        return prepared.counts()

    return count


def simulated(runs: int, end_ps: int) -> Job:
    """Simulate some seeds of a board: the shorter, the more of it is Python."""
    board = system("fallback", "spread", FAST, end_ps)
    return lambda: [simulate(board, seed) for seed in range(runs)]


def drawn(rings: int) -> Job:
    """Draw the queues of many rings."""
    draws = Draws((0.25, 0.25, 0.5), 1)
    return lambda: draws.draw(rings, 0).tobytes()


# By name: what makes the job of a thread, its share of the whole size, and buffers of its own.
JOBS: dict[str, Callable[[float], Job]] = {
    "scan": lambda size: dispatched("scan", 4, round(250_000 * size)),
    "bitset": lambda size: dispatched("bitset", 100, round(1_000_000 * size)),
    "draws": lambda size: drawn(round(40_000_000 * size)),
    "simulate, a long run": lambda size: simulated(1, round(3 * 10**11 * size)),
    "simulate, short runs": lambda size: simulated(round(100 * size), 10**9),
}


def timed(run: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    found = run()
    return time.perf_counter() - start, found


def measure(jobs: list[Job], rounds: int) -> tuple[list[float], list[float]]:
    """Return the seconds of all jobs on one thread, and with a thread each, by round."""
    one, each = [], []
    with ThreadPoolExecutor(1) as single, ThreadPoolExecutor(len(jobs)) as pool:
        for turn in range(rounds + 1):
            alone, expected = timed(lambda: list(single.map(lambda job: job(), jobs)))
            together, found = timed(lambda: list(pool.map(lambda job: job(), jobs)))
            if found != expected:
                sys.exit("one thread and two counted something else")
            if turn:  # the first one touches the memory and starts the threads
                one.append(alone)
                each.append(together)
    return one, each


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    if len(os.sched_getaffinity(0)) < THREADS:
        sys.exit(f"needs {THREADS} CPUs")
    rows = []
    for name, make in JOBS.items():
        one, each = measure([make(1) for _ in range(THREADS)], rounds)
        low, middle, high = quantiles([a / b for a, b in zip(one, each, strict=True)], n=4)
        rows.append(
            [name, median(one) * 1e3, median(each) * 1e3, middle, f"{low:.2f} to {high:.2f}"]
        )
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()  # new in Python 3.13
    print(f"Python {sys.version.split()[0]}, {'with' if gil else 'without'} a GIL")
    headers = ["work of two", "one thread, ms", "two, ms", "one / two", "quartiles"]
    print(tabulate(rows, headers, floatfmt=("", ".1f", ".1f", ".2f", "")))


if __name__ == "__main__":
    main()
