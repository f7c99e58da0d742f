# SPDX-License-Identifier: BSD-3-Clause
"""The rings of a sender: which queue comes next.

Every kind is a cycle of queues or independent draws of queues.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from ntbbench.core.errors import InputError
from ntbbench.ntb.workload.stream import FLOW_STREAM, Cycle, Draws, Pattern, Rate, generator

HASH_BITS = 32  # skb->hash is a u32


@dataclass(frozen=True)
class Uniform:
    """Every ring draws one of the queues, all alike."""

    spec: str = "uniform"

    def pattern(self, queues: int, seed: int) -> Pattern:
        """Return the rings on `queues` queues."""
        return draws([Fraction(1, queues)] * queues, seed)


@dataclass(frozen=True)
class RoundRobin:
    """The queues in turn."""

    spec: str = "round-robin"

    def pattern(self, queues: int, seed: int) -> Pattern:
        """Return the rings on `queues` queues."""
        return Cycle(tuple(range(queues)))


@dataclass(frozen=True)
class Hot:
    """One queue gets `share` of the rings; the others draw for the rest, all alike."""

    queue: int
    share: Fraction

    @property
    def spec(self) -> str:
        """The specification, in canonical form."""
        return f"hot:queue={self.queue},share={float(self.share):.12g}"

    def pattern(self, queues: int, seed: int) -> Pattern:
        """Return the rings on `queues` queues.

        Raises
        ------
        InputError : there is no such queue.
        """
        if self.queue >= queues:
            raise InputError("workload", self.spec, f"hot needs a queue below {queues}")
        if queues == 1:
            return Cycle((0,))
        weights = [(1 - self.share) / (queues - 1)] * queues
        weights[self.queue] = self.share
        return draws(weights, seed)


@dataclass(frozen=True)
class Zipf:
    """Queue q is drawn with a weight of (q + 1) ** -s: Zipf's law over ranks, finite support."""

    s: Fraction

    @property
    def spec(self) -> str:
        """The specification, in canonical form."""
        return f"zipf:s={float(self.s):.12g}"

    def pattern(self, queues: int, seed: int) -> Pattern:
        """Return the rings on `queues` queues."""
        raw = [float(rank) ** -float(self.s) for rank in range(1, queues + 1)]
        total = math.fsum(raw)
        return draws([weight / total for weight in raw], seed)


@dataclass(frozen=True)
class Flows:
    """`k` flows send in turn; each one's queue is its hash scaled to the number of queues.

    Source: include/linux/kernel.h (reciprocal_scale), net/core/dev.c (skb_tx_hash), Linux 7.3.
    Deviates: no RFS, XPS or sockets that remember their queue.
    """

    k: int

    @property
    def spec(self) -> str:
        """The specification, in canonical form."""
        return f"flows:k={self.k}"

    def pattern(self, queues: int, seed: int) -> Pattern:
        """Return the rings on `queues` queues; the hashes depend on the seed alone."""
        flows = np.random.Generator(generator(seed, FLOW_STREAM))
        hashes = flows.integers(1 << HASH_BITS, size=self.k, dtype=np.uint64)
        return Cycle(tuple((hashes * np.uint64(queues) >> np.uint64(HASH_BITS)).tolist()))


@dataclass(frozen=True)
class Burst:
    """`size` rings of another pattern between two interrupts."""

    size: int
    of: "Rings"

    @property
    def spec(self) -> str:
        """The specification, in canonical form."""
        return f"burst:size={self.size},of={self.of.spec}"


Rings = Uniform | RoundRobin | Hot | Zipf | Flows


def draws(weights: Sequence[Rate], seed: int) -> Pattern:
    """Return independent draws, or the cycle that they are where one queue gets all."""
    certain = [queue for queue, weight in enumerate(weights) if weight == 1]
    return Cycle(tuple(certain)) if certain else Draws(tuple(weights), seed)


@lru_cache(maxsize=64)
def pattern_of(rings: Rings, queues: int, seed: int) -> Pattern:
    """Return the rings of a workload on `queues` queues; it is the same object on every device."""
    return rings.pattern(queues, seed)
