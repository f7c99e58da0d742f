# SPDX-License-Identifier: BSD-3-Clause
"""Nanoseconds per interrupt of the sweep's counting, from the workload to the checked counts.

    python -m benches.streams [--rounds N]

Each row is a small sweep of one workload: eight queues on three devices, each in the two default
dispatch modes. As in any sweep, modes share a stream and devices what was drawn; each round draws
anew. Printed are the least and the median of the rounds, in CPU time of the thread, beside the
plain-Python reference in the same rounds. The counts of both are equal, or the run ends. Exit
code 1: a limit is missed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count, islice, product
from statistics import median

import numpy as np
from tabulate import tabulate

from ntbbench.dispatch import cell as cells
from ntbbench.dispatch.cell import SweepCell
from ntbbench.dispatch.records import OkPoint
from ntbbench.dispatch.scenario import SweepScenario, expand
from ntbbench.dispatch.sweep import groups_of
from ntbbench.ntb.transport import queue_bits
from ntbbench.ntb.workload import Burst, pattern_of, reference
from ntbbench.ntb.workload.stream import RING_STREAM, Cycle, Stream, generator

INTERRUPTS = 100_000  # what a sweep has unless told otherwise
REFERENCE_INTERRUPTS = 2000
RINGS = 8 * REFERENCE_INTERRUPTS  # enough of them: no burst here has more than eight per interrupt
LIMIT, BURST_LIMIT = 2.5, 8.0  # nanoseconds per interrupt
WORKLOADS = (
    "round-robin",
    "uniform",
    "hot:share=0.9",
    "zipf:s=1.1",
    "flows:k=16",
    "burst:size=4,of=uniform",
    "burst:size=4,of=round-robin",
)
VECTORS = [16, 4, 1]  # for sixteen doorbells, of which the queues have the lower half
DRAINS = (1, 8)  # without merging, and with it
CASES = list(product(WORKLOADS, DRAINS))
Counted = list[OkPoint]


def cells_of(workload: str, drain: int, interrupts: int, seed: int = 1) -> list[SweepCell]:
    """Return the cells of a small sweep."""
    scenario = SweepScenario(
        hardware=["generic"],
        queues=[8],
        doorbells=[16],
        vectors=VECTORS,
        workload=[workload],
        interrupts=interrupts,
        drain=drain,
        seed=seed,
    )
    found = [SweepCell(spec) for spec in expand(scenario)]
    assert all(cell.spec.provision.reason is None for cell in found)
    return found


def counted(chosen: list[SweepCell]) -> Counted:
    """Count the cells as a sweep does."""
    points: Counted = []
    for group in groups_of(chosen):
        stream = group[0].stream(group[0].spec.scenario.interrupts)
        points += [cells.count(cell, stream) for cell in group]
    return points


def plain_stream(cell: SweepCell) -> Stream:
    """Return the stream of a cell as the reference makes it; of the rates it takes the cell's."""
    spec, asked = cell.spec, cell.spec.scenario
    stream = cell.stream(asked.interrupts)
    burst, rings = 1, spec.workload
    if isinstance(rings, Burst):
        burst, rings = rings.size, rings.of
    pattern = pattern_of(rings, spec.provision.queues, asked.seed)
    if isinstance(pattern, Cycle):
        queues = [pattern.queues[ring % len(pattern.queues)] for ring in range(RINGS)]
    else:
        rng = np.random.Generator(generator(asked.seed, RING_STREAM))
        queues = reference.draw(pattern.weights, RINGS, rng)
    bits = queue_bits(cell.vector_map.db_valid_mask)
    interrupts = reference.coalesce(queues, burst, bits, cell.vector_map)
    vectors, rung, behind = zip(*islice(interrupts, asked.interrupts), strict=True)
    return replace(
        stream,
        vectors=np.array(vectors, np.uint8),
        rung=np.array(rung, np.uint64),
        rings=sum(behind),
        codes=None,
    )


def counted_plainly(chosen: list[SweepCell]) -> Counted:
    """Count the cells with the references of the stream and of the dispatch."""
    points: Counted = []
    for group in groups_of(chosen):
        stream = plain_stream(group[0])
        points += [cells.count(cell, stream, "reference") for cell in group]
    return points


def limit(workload: str) -> float:
    """Return the nanoseconds per interrupt that a workload may take."""
    return BURST_LIMIT if workload.startswith("burst") else LIMIT


def per_interrupt(way: Callable[[list[SweepCell]], Counted], chosen: list[SweepCell]) -> float:
    """Return the nanoseconds per interrupt of one turn."""
    start = time.thread_time_ns()
    points = way(chosen)
    return (time.thread_time_ns() - start) / sum(point.interrupts for point in points)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    turns: dict[tuple[str, int], tuple[list[float], list[float]]] = {}
    for case in CASES:
        short = cells_of(*case, REFERENCE_INTERRUPTS)
        if counted(short) != counted_plainly(short):
            sys.exit(f"{case}: the reference counts otherwise")
        turns[case] = [], []
    seeds = count(1)
    for _ in range(rounds):
        for case, (compiled, plain) in turns.items():
            seed = next(seeds)
            compiled.append(per_interrupt(counted, cells_of(*case, INTERRUPTS, seed)))
            short = cells_of(*case, REFERENCE_INTERRUPTS, seed)
            plain.append(per_interrupt(counted_plainly, short))
    rows = [
        [*case, min(compiled), median(compiled), min(plain), limit(case[0])]
        for case, (compiled, plain) in turns.items()
    ]
    headers = ["workload", "drain", "least", "median", "reference", "limit"]
    print("ns per interrupt, end to end")
    print(tabulate(rows, headers, floatfmt=".2f"))
    missed = [f"{row[0]}, drain {row[1]}" for row in rows if row[2] > row[5]]
    print("missed: " + "; ".join(missed) if missed else "all limits met")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
