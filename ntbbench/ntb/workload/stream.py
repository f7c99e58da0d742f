# SPDX-License-Identifier: BSD-3-Clause
"""Streams of doorbell interrupts: what a workload becomes on a device.

The arrays are made with numpy; the rates, against which a sweep is checked, are worked out from
the workload's definition on a path of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ntbbench.ntb.vectormap import VectorMap

Rate = Fraction | float
U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.intp]
GUIDE_BUCKETS = 4096
FIRST_BURSTS = 1024
# Rings made at a time. It bounds the memory, and arrays of 128 KiB are twice as fast as larger
# ones, for which malloc takes fresh pages each time; a block of bursts takes more calls.
RINGS_BLOCK = 1 << 14
BURSTS_BLOCK = 1 << 16


@dataclass(frozen=True, eq=False)
class Stream:
    """The doorbell interrupts of one run, in order.

    Parameters
    ----------
    vectors : uint8[N], the interrupt source of each interrupt.
    rung : uint64[N], the doorbell bits that the interrupt delivers.
    rings : the sender's count; rings of a bit that is still pending coalesce.
    rates : share of each interrupt source in the interrupts, from the workload's definition.
    exact : the rates are those of these very N interrupts; else they are expectations.
    trials : independent draws behind the stream; 0 where it is exact.
    """

    vectors: U8
    rung: U64
    rings: int
    rates: tuple[Rate, ...]
    exact: bool
    trials: int


@dataclass(frozen=True)
class Cycle:
    """Queues rung one after the other, over and over."""

    queues: tuple[int, ...]

    def take(self, count: int, start: int, rng: np.random.Generator) -> Indices:
        """Return `count` queues, the first one at ring `start` of the run."""
        first = start % len(self.queues)
        copies = -(-(first + count) // len(self.queues))
        return np.tile(self._cycle, copies)[first : first + count]

    @cached_property
    def _cycle(self) -> Indices:
        return np.array(self.queues, dtype=np.intp)


@dataclass(frozen=True)
class Draws:
    """Queues drawn independently; queue q with weight `weights[q]`, and the weights sum to 1."""

    weights: tuple[Rate, ...]

    def take(self, count: int, start: int, rng: np.random.Generator) -> Indices:
        """Return `count` queues drawn from `rng`.

        Inversion with a guide table: most draws fall into a bucket that lies within one queue, and
        only the others are searched for, which makes it some four times faster than searching all.
        Reference: L. Devroye, Non-Uniform Random Variate Generation (1986), section III.2.4.
        """
        drawn = rng.random(count)
        # Exact: a multiplication by a power of two.
        buckets = (drawn * GUIDE_BUCKETS).astype(np.intp)
        queues = self._guide[buckets]
        unclear = np.flatnonzero(self._divided[buckets])
        queues[unclear] = np.searchsorted(self._edges, drawn[unclear], side="right")
        return queues

    @cached_property
    def _edges(self) -> npt.NDArray[np.float64]:
        """Where one queue's share of [0, 1) ends and the next one's begins."""
        return np.cumsum([float(weight) for weight in self.weights])[:-1]

    @cached_property
    def _guide(self) -> Indices:
        """The queue at the lower end of each bucket; one entry more than there are buckets."""
        borders = np.arange(GUIDE_BUCKETS + 1) / GUIDE_BUCKETS
        return np.searchsorted(self._edges, borders, side="right")

    @cached_property
    def _divided(self) -> npt.NDArray[np.bool_]:
        """Whether a bucket belongs to more than one queue."""
        return np.diff(self._guide) > 0


Pattern = Cycle | Draws


@dataclass(frozen=True, eq=False)
class Tables:
    """Interrupt source and bit of each queue."""

    sources: U8
    bits: U64


@dataclass(frozen=True)
class Sender:
    """What the sender does.

    Parameters
    ----------
    pattern : which queue is rung next.
    burst : rings between two interrupts; they coalesce to one interrupt a source, in the order of
        each source's first ring. 1: an interrupt a ring.
    bits : the doorbell bit of each queue.
    """

    pattern: Pattern
    burst: int
    bits: tuple[int, ...]


def ring_stream(
    sender: Sender, vector_map: VectorMap, interrupts: int, rng: np.random.Generator
) -> Stream:
    """Return the first `interrupts` interrupts that a sender raises; a last burst is cut off."""
    sources = [vector_map.irq_of_bit[bit] for bit in sender.bits]
    tables = Tables(
        np.array(sources, dtype=np.uint8),
        np.array([1 << bit for bit in sender.bits], dtype=np.uint64),
    )
    if sender.burst == 1:
        vectors, rung = one_by_one(sender.pattern, tables, interrupts, rng)
        rings = interrupts
    else:
        vectors, rung, sizes = coalesce(sender, tables, interrupts, rng)
        rings = int(sizes.sum())
    count = len(vector_map.irq_masks)
    if isinstance(sender.pattern, Cycle):
        shares = cycle_rates(sender.pattern, sender.burst, sources, count, interrupts)
        return Stream(vectors, rung, rings, shares, exact=True, trials=0)
    rates = draw_rates(sender.pattern, sender.burst, sources, count)
    return Stream(vectors, rung, rings, rates, exact=False, trials=-(-rings // sender.burst))


def one_by_one(
    pattern: Pattern, tables: Tables, interrupts: int, rng: np.random.Generator
) -> tuple[U8, U64]:
    """Return source and rung bit of `interrupts` interrupts, each from one ring."""
    vectors = np.empty(interrupts, dtype=np.uint8)
    rung = np.empty(interrupts, dtype=np.uint64)
    for first in range(0, interrupts, RINGS_BLOCK):
        queues = pattern.take(min(RINGS_BLOCK, interrupts - first), first, rng)
        vectors[first : first + RINGS_BLOCK] = tables.sources[queues]
        rung[first : first + RINGS_BLOCK] = tables.bits[queues]
    return vectors, rung


def coalesce(
    sender: Sender, tables: Tables, interrupts: int, rng: np.random.Generator
) -> tuple[U8, U64, Indices]:
    """Return source, rung bits and rings of the first `interrupts` interrupts of bursts."""
    blocks: list[tuple[U8, U64, Indices]] = []
    have = bursts = 0
    while have < interrupts:
        # Guessed from the interrupts a burst so far; a wrong guess costs one more round.
        wanted = (interrupts - have) * bursts // have + 1 if have else FIRST_BURSTS
        count = max(1, min(wanted, interrupts - have, BURSTS_BLOCK // sender.burst))
        queues = sender.pattern.take(count * sender.burst, bursts * sender.burst, rng)
        rows = queues.reshape(count, sender.burst)
        blocks.append(pending_sources(tables.sources[rows], tables.bits[rows]))
        have += len(blocks[-1][0])
        bursts += count
    vectors, rung, sizes = zip(*blocks, strict=True)
    return (
        np.concatenate(vectors)[:interrupts],
        np.concatenate(rung)[:interrupts],
        np.concatenate(sizes)[:interrupts],
    )


def pending_sources(sources: U8, bits: U64) -> tuple[U8, U64, Indices]:
    """Return the interrupts of bursts given as rows: source, rung bits, rings of each.

    A row's interrupts come in the order in which its sources were first rung.
    """
    rows, size = sources.shape
    # Stable, so that a source's rings keep their order and its first ring comes first.
    order = np.argsort(sources, axis=1, kind="stable") + (np.arange(rows) * size)[:, None]
    flat = order.ravel()
    grouped = sources.ravel()[flat]
    new = np.ones(rows * size, dtype=bool)
    new[1:] = grouped[1:] != grouped[:-1]
    new[::size] = True
    starts = np.flatnonzero(new)
    rung = np.bitwise_or.reduceat(bits.ravel()[flat], starts)
    rings = np.diff(starts, append=rows * size)
    by_first_ring = np.argsort(flat[starts])
    return grouped[starts][by_first_ring], rung[by_first_ring], rings[by_first_ring]


def cycle_rates(
    cycle: Cycle, burst: int, sources: Sequence[int], count: int, interrupts: int
) -> tuple[Fraction, ...]:
    """Return the exact shares of `count` sources in the first `interrupts` interrupts of a cycle.

    One period of bursts is walked ring by ring, then multiplied.
    """
    rung = [sources[queue] for queue in cycle.queues]
    distinct = len(set(rung))
    hits = [0] * count
    at = total = 0
    while total < interrupts:
        pending: dict[int, None] = {}
        for ring in range(burst):
            pending[rung[(at + ring) % len(rung)]] = None
            if len(pending) == distinct:
                break
        at = (at + burst) % len(rung)
        for source in list(pending)[: interrupts - total]:
            hits[source] += 1
        total += len(pending)
        if at == 0 and 2 * total <= interrupts:
            periods = interrupts // total
            hits = [hit * periods for hit in hits]
            total *= periods
    return tuple(Fraction(hit, interrupts) for hit in hits)


def draw_rates(draws: Draws, burst: int, sources: Sequence[int], count: int) -> tuple[Rate, ...]:
    """Return the expected shares of `count` sources: each is pending after a burst or it is not."""
    absent: list[Rate] = [Fraction(1)] * count
    for source in set(sources):
        weight = sum(
            (w for w, s in zip(draws.weights, sources, strict=True) if s == source), Fraction(0)
        )
        absent[source] = (1 - weight) ** burst
    pending = [1 - share for share in absent]
    total = sum(pending, Fraction(0))
    return tuple(share / total for share in pending)
