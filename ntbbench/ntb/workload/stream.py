# SPDX-License-Identifier: BSD-3-Clause
"""Streams of doorbell interrupts: what a workload becomes on a device.

Compiled code makes the streams; the rates, against which a sweep is checked, are worked out from
the workload's definition on a path of their own.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from ntbbench.ntb.vectormap import DB_BITS_MAX, VectorMap
from ntbbench.ntb.workload import _rings

Rate = Fraction | float
U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
FLOW_STREAM, RING_STREAM = 0, 1  # spawn keys: flow hashes and rings are drawn independently
WORD_MAX = (1 << 64) - 1
DOUBLE_BITS = 53  # numpy makes a double of the highest bits of a random word
GUIDE_BUCKETS = 4096
BYTES = 256  # entries of a table by queue: any byte has one
CYCLE_MIN = 4096  # a shorter cycle costs a copy for each few rings
FIRST_BURSTS = 1024
SHARED_MAX = 1 << 17  # rings of one draw that are kept for the next device; of all, 32 MB at most
RINGS_BLOCK = 1 << 16  # rings of bursts made at a time: they stay in a core's cache


@dataclass(frozen=True, eq=False)
class Stream:
    """The doorbell interrupts of one run, in order."""

    # uint8[N], the source of each interrupt; uint8[C], of each code, where there are codes
    vectors: U8
    rung: U64  # uint64[N] or uint64[C], the doorbell bits that it delivers
    rings: int  # the sender's count; rings of a bit that is still pending coalesce
    # share of each interrupt source in the interrupts, from the workload's definition
    rates: tuple[Rate, ...]
    exact: bool  # the rates are those of these very N interrupts; else they are expectations
    trials: int  # independent draws behind the stream; 0 where it is exact
    codes: U8 | None = None  # uint8[N], below 64; None: `vectors` and `rung` are by interrupt

    @property
    def interrupts(self) -> int:
        """The length of the stream."""
        return len(self.vectors if self.codes is None else self.codes)

    def by_interrupt(self) -> "Stream":
        """Return the same stream without codes."""
        if self.codes is None:
            return self
        vectors, rung = self.vectors[self.codes], self.rung[self.codes]
        return replace(self, vectors=vectors, rung=rung, codes=None)


@dataclass(frozen=True)
class Cycle:
    """Queues rung one after the other, over and over."""

    queues: tuple[int, ...]

    def take(self, count: int, start: int) -> U8:
        """Return `count` queues, the first one at ring `start` of the run."""
        first = start % len(self._cycles)
        copies = -(-(first + count) // len(self._cycles))
        return np.tile(self._cycles, copies)[first : first + count]

    @cached_property
    def _cycles(self) -> U8:
        return np.tile(np.array(self.queues, np.uint8), -(-CYCLE_MIN // len(self.queues)))


@dataclass(frozen=True, eq=False)
class Draws:
    """Queues drawn independently; queue q with weight `weights[q]`, and the weights sum to 1."""

    weights: tuple[Rate, ...]
    seed: int

    def take(self, count: int, start: int) -> U8:
        """Return `count` queues, the first one at ring `start` of the run.

        Inversion with a guide table: most draws fall into a bucket that lies within one queue.
        Reference: L. Devroye, Non-Uniform Random Variate Generation (1986), section III.2.4.
        """
        return shared(self, count, start) if count <= SHARED_MAX else self.draw(count, start)

    def draw(self, count: int, start: int) -> U8:
        """Draw what `take()` returns."""
        queues = np.empty(count, np.uint8)
        _rings.draw(halves(self.seed, start, count), *self._tables, queues)
        return queues

    @cached_property
    def _tables(self) -> tuple[U64, U8]:
        """The largest word that draws each queue, and the queue at the lower end of each bucket."""
        edges = list(accumulate(map(float, self.weights)))[:-1]
        limits = np.full(BYTES, WORD_MAX, np.uint64)
        limits[: len(edges)] = [
            ((first_at(edge, 1 << DOUBLE_BITS) << 64 - DOUBLE_BITS) - 1) & WORD_MAX
            for edge in edges
        ]
        firsts = [first_at(edge, GUIDE_BUCKETS) for edge in edges]
        sizes = [end - first for first, end in pairwise([0, *firsts, GUIDE_BUCKETS])]
        return limits, np.repeat(np.arange(len(sizes), dtype=np.uint8), sizes)


def first_at(edge: float, whole: int) -> int:
    """Return the first whole number at or above the edge, which is exact for a power of two."""
    return min(math.ceil(edge * whole), whole)


@lru_cache(maxsize=256)
def shared(draws: Draws, count: int, start: int) -> U8:
    """Return what `draws` draws; cells of other devices ring the same queues."""
    queues = draws.draw(count, start)
    queues.flags.writeable = False
    return queues


Pattern = Cycle | Draws


def halves(seed: int, start: int, count: int) -> U64:
    """Return where each half of `count` draws begins: uint64[6] of state, state and increment."""
    bits = generator(seed, RING_STREAM).advance(start)
    first = bits.state["state"]
    second = bits.advance(count // 2).state["state"]
    numbers = (first["state"], second["state"], first["inc"])
    return np.array([word for n in numbers for word in (n >> 64, n & WORD_MAX)], np.uint64)


def generator(seed: int, key: int) -> np.random.PCG64DXSM:
    """Return the generator of one purpose of one seed."""
    return np.random.PCG64DXSM(np.random.SeedSequence(seed, spawn_key=(key,)))


@dataclass(frozen=True)
class Sender:
    """What the sender does."""

    pattern: Pattern  # which queue is rung next
    # rings between two interrupts; they coalesce to one interrupt per source, in the order of each
    # source's first ring. 1: an interrupt per ring.
    burst: int
    bits: tuple[int, ...]  # the doorbell bit of each queue


def ring_stream(sender: Sender, vector_map: VectorMap, interrupts: int) -> Stream:
    """Return the first `interrupts` interrupts that a sender raises; a last burst is cut off."""
    sources = [vector_map.irq_of_bit[bit] for bit in sender.bits]
    count = len(vector_map.irq_masks)
    if sender.burst == 1:
        vectors = np.array(sources, np.uint8)
        rung = np.array([1 << bit for bit in sender.bits], np.uint64)
        rings, codes = interrupts, sender.pattern.take(interrupts, 0)
    else:
        vectors, rung, rings = coalesce(sender, vector_map, interrupts)
        codes = None
    if isinstance(sender.pattern, Cycle):
        rates = cycle_rates(sender.pattern, sender.burst, sources, count, interrupts)
        return Stream(vectors, rung, rings, rates, exact=True, trials=0, codes=codes)
    shares = draw_rates(sender.pattern, sender.burst, sources, count)
    trials = -(-rings // sender.burst)
    return Stream(vectors, rung, rings, shares, exact=False, trials=trials, codes=codes)


def coalesce(sender: Sender, vector_map: VectorMap, interrupts: int) -> tuple[U8, U64, int]:
    """Return source and rung bits of the first interrupts of bursts, and the rings behind them."""
    sources = np.zeros(BYTES, np.uint8)
    bits, masks = np.zeros((2, BYTES), np.uint64)
    for queue, bit in enumerate(sender.bits):
        sources[queue] = vector_map.irq_of_bit[bit]
        bits[queue] = 1 << bit
        masks[queue] = vector_map.irq_masks[sources[queue]]
    # A last burst goes beyond what is asked for, by an interrupt per source at most.
    vectors = np.empty(interrupts + DB_BITS_MAX, np.uint8)
    rung = np.empty(interrupts + DB_BITS_MAX, np.uint64)
    have = bursts = rings = 0
    while have < interrupts:
        # Guessed from the interrupts per burst so far; a wrong guess costs one more round.
        wanted = (interrupts - have) * bursts // have + 1 if have else FIRST_BURSTS
        count = max(1, min(wanted, interrupts - have, RINGS_BLOCK // sender.burst))
        queues = sender.pattern.take(count * sender.burst, bursts * sender.burst)
        found, behind = _rings.coalesce(
            queues, sender.burst, sources, bits, masks, vectors[have:], rung[have:]
        )
        have += found
        rings += behind
        bursts += count
    return vectors[:interrupts], rung[:interrupts], rings


def cycle_rates(
    cycle: Cycle, burst: int, sources: Sequence[int], count: int, interrupts: int
) -> tuple[Fraction, ...]:
    """Return the exact shares of `count` sources in the first `interrupts` interrupts of a cycle.

    One period of bursts is walked ring by ring, then multiplied.
    """
    rung = [sources[queue] for queue in cycle.queues]
    if burst == 1:
        periods, rest = divmod(interrupts, len(rung))
        whole, part = Counter(rung), Counter(rung[:rest])
        times = [periods * whole[source] + part[source] for source in range(count)]
        return tuple(Fraction(hit, interrupts) for hit in times)
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
    whole, weights = in_proportion(draws.weights)
    weight_of: list[float] = [0] * count
    for weight, source in zip(weights, sources, strict=True):
        weight_of[source] += weight
    pending = [whole**burst - (whole - weight) ** burst for weight in weight_of]
    total = sum(pending)
    if isinstance(total, int):
        return tuple(Fraction(int(share), total) for share in pending)
    return tuple(share / total for share in pending)


def in_proportion(weights: Sequence[Rate]) -> tuple[int, Sequence[float]]:
    """Return what weights sum to, and exact ones as whole numbers: fractions would be slow."""
    exact = [weight for weight in weights if isinstance(weight, Fraction)]
    if len(exact) < len(weights):
        return 1, [float(weight) for weight in weights]
    whole = math.lcm(*(weight.denominator for weight in exact))
    return whole, [weight.numerator * (whole // weight.denominator) for weight in exact]
