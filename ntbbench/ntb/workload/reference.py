# SPDX-License-Identifier: BSD-3-Clause
"""The rings and interrupts of a sender, for reading: the compiled ones are equal to them.

Queues are drawn by inversion: L. Devroye, Non-Uniform Random Variate Generation (1986), III.2.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from ntbbench.ntb.vectormap import VectorMap
from ntbbench.ntb.workload.stream import Rate


def draw(weights: Sequence[Rate], count: int, generator: np.random.Generator) -> list[int]:
    """Return `count` queues drawn independently; queue q with weight `weights[q]`."""
    edges = np.cumsum([float(weight) for weight in weights])[:-1]
    queues: list[int] = np.searchsorted(edges, generator.random(count), side="right").tolist()
    return queues


def coalesce(
    queues: Sequence[int], burst: int, bits: Sequence[int], vector_map: VectorMap
) -> Iterator[tuple[int, int, int]]:
    """Yield source, rung bits and rings of each interrupt, `burst` rings between two interrupts.

    A burst's interrupts come in the order in which their sources were first rung.
    """
    for start in range(0, len(queues), burst):
        pending: dict[int, tuple[int, int]] = {}
        for queue in queues[start : start + burst]:
            source = vector_map.irq_of_bit[bits[queue]]
            rung, rings = pending.get(source, (0, 0))
            pending[source] = rung | 1 << bits[queue], rings + 1
        for source, (rung, rings) in pending.items():
            yield source, rung, rings
