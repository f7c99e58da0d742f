# SPDX-License-Identifier: BSD-3-Clause
"""The compiled rings and bursts are those of the plain reference, bit for bit."""

from itertools import islice
from typing import Any

import numpy as np
import pytest
from engine_cases import ALL_ONES, EDGE_BITS
from hypothesis import given, settings
from hypothesis import strategies as st

from ntbbench.ntb.catalogue import generic
from ntbbench.ntb.vectormap import VectorMap
from ntbbench.ntb.workload import _rings, make_stream, parse_workload, reference
from ntbbench.ntb.workload.stream import (
    RING_STREAM,
    Cycle,
    Draws,
    Sender,
    Stream,
    generator,
    ring_stream,
)

seeds = st.one_of(st.sampled_from((0, 1, ALL_ONES)), st.integers(0, ALL_ONES))
shares = st.lists(st.sampled_from((0, 0, 1, 1, 3, 1e-9, 1e6)), min_size=2, max_size=64)


def draws_of(weights: list[float], seed: int, start: int, count: int) -> list[int]:
    rng = np.random.Generator(generator(seed, RING_STREAM))
    return reference.draw(weights, start + count, rng)[start:]


@given(shares.filter(any), seeds, st.integers(0, 5000), st.integers(0, 400))
@settings(deadline=None)
def test_draws_are_those_of_the_reference(
    parts: list[float], seed: int, start: int, count: int
) -> None:
    weights = [part / sum(parts) for part in parts]
    drawn = Draws(tuple(weights), seed).take(count, start)
    assert drawn.tolist() == draws_of(weights, seed, start, count)


@given(seeds, st.integers(0, 99), st.sampled_from((-np.inf, 0, np.inf)))
def test_a_draw_at_the_very_edge_of_a_queue_belongs_to_the_next(
    seed: int, place: int, side: float
) -> None:
    number = float(np.random.Generator(generator(seed, RING_STREAM)).random(place + 1)[place])
    edge = float(np.nextafter(number, side)) if side else number
    (queue,) = Draws((edge, 1 - edge), seed).take(1, place)
    assert queue == (number >= edge) == (side <= 0)


def test_weights_that_sum_to_more_than_one_draw_the_last_queue_still() -> None:
    weights = (0.5, 0.5000001, 0.0, 0.0)
    drawn = Draws(weights, 3).take(5000, 0)
    assert drawn.tolist() == draws_of(list(weights), 3, 0, 5000)
    assert set(drawn.tolist()) == {0, 1}


@st.composite
def devices(draw: st.DrawFn) -> VectorMap:
    """Draw a device of up to 64 bits, each bit of any source; the bits at a word's edges often."""
    bits = draw(st.sets(st.sampled_from(EDGE_BITS) | st.integers(0, 63), min_size=1, max_size=64))
    sources = draw(st.integers(1, 64))
    masks = [0] * sources
    for bit in bits:
        masks[draw(st.integers(0, sources - 1))] |= 1 << bit
    return VectorMap(sum(1 << bit for bit in bits), tuple(masks), sources, tuple(masks))


def check_bursts(stream: Stream, queues: list[int], sender: Sender, vector_map: VectorMap) -> None:
    found = reference.coalesce(queues, sender.burst, sender.bits, vector_map)
    expected = list(islice(found, stream.interrupts))
    stream = stream.by_interrupt()
    assert stream.vectors.tolist() == [source for source, _, _ in expected]
    assert stream.rung.tolist() == [rung for _, rung, _ in expected]
    assert stream.rings == sum(rings for _, _, rings in expected)


@given(devices(), st.data(), st.integers(1, 70), st.integers(1, 60))
@settings(max_examples=200, deadline=None)
def test_bursts_are_those_of_the_reference(
    vector_map: VectorMap, data: st.DataObject, burst: int, interrupts: int
) -> None:
    bits = [bit for bit in range(64) if vector_map.db_valid_mask >> bit & 1]
    cycle = data.draw(st.lists(st.integers(0, len(bits) - 1), min_size=1, max_size=100))
    sender = Sender(Cycle(tuple(cycle)), burst, tuple(bits))
    stream = ring_stream(sender, vector_map, interrupts)
    queues = Cycle(tuple(cycle)).take(burst * interrupts, 0).tolist()
    assert queues == [cycle[ring % len(cycle)] for ring in range(burst * interrupts)]
    check_bursts(stream, queues, sender, vector_map)


@pytest.mark.parametrize("sources", [1, 5, 16])
@pytest.mark.parametrize(("burst", "interrupts"), [(8, 70_000), (4096, 900), (3, 40_000)])
def test_many_blocks_of_bursts_are_one_stream(sources: int, burst: int, interrupts: int) -> None:
    vector_map = generic(16, sources).vector_map
    draws = Draws((0.3, 0.0, *(0.7 / 13,) * 13), 3)
    sender = Sender(draws, burst, tuple(range(15)))
    stream = ring_stream(sender, vector_map, interrupts)
    queues = draws_of(list(draws.weights), 3, 0, burst * interrupts)
    check_bursts(stream, queues, sender, vector_map)


def test_bursts_of_draws_are_the_same_draws_coalesced() -> None:
    vector_map = generic(16, 5).vector_map
    singles = make_stream(parse_workload("zipf:s=0.4"), vector_map, 15, 4000, 3).by_interrupt()
    queues = [int(mask).bit_length() - 1 for mask in singles.rung]
    expected = list(reference.coalesce(queues, 8, tuple(range(15)), vector_map))
    stream = make_stream(
        parse_workload("burst:size=8,of=zipf:s=0.4"), vector_map, 15, len(expected), 3
    )
    assert [*zip(stream.vectors, stream.rung, strict=True)] == [row[:2] for row in expected]
    assert (stream.rings, stream.trials) == (4000, 500)


WORDS = np.full(256, ALL_ONES, np.uint64)
BYTES = np.zeros(256, np.uint8)
DRAW: dict[str, Any] = {
    "generator": WORDS[:6], "limits": WORDS, "guide": np.zeros(4096, np.uint8),
    "queues": np.zeros(2, np.uint8),
}  # fmt: skip
COALESCE: dict[str, Any] = {
    "queues": BYTES[:8], "burst": 4, "sources": BYTES, "bits": WORDS, "masks": WORDS,
    "vectors": np.zeros(70, np.uint8), "rung": np.zeros(70, np.uint64),
}  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "good", "name", "value", "told"),
    [
        (_rings.draw, DRAW, "generator", WORDS[:5], "generator: 5 words: allowed 6"),
        (_rings.draw, DRAW, "limits", WORDS[:64], "limits: 64 words: allowed 256"),
        (_rings.draw, DRAW, "limits", np.zeros(256, np.uint64), "the last all ones"),
        (_rings.draw, DRAW, "guide", BYTES, "guide: 256 buckets: allowed 4096"),
        (_rings.draw, DRAW, "queues", np.zeros(2, np.int8), "Buffer dtype mismatch"),
        (_rings.coalesce, COALESCE, "burst", 0, "burst: 0 of 8 rings: allowed whole bursts"),
        (_rings.coalesce, COALESCE, "burst", 3, "burst: 3 of 8 rings: allowed whole bursts"),
        (_rings.coalesce, COALESCE, "masks", WORDS[:9], "256, 256, 9: allowed 256 each"),
        (_rings.coalesce, COALESCE, "rung", WORDS[:69], "70, 69: allowed as many of one"),
        (_rings.coalesce, COALESCE, "rung", WORDS[:70].astype(float), "Buffer dtype mismatch"),
    ],
)
def test_the_compiled_loops_check_their_buffers(
    entry: Any, good: dict[str, Any], name: str, value: Any, told: str
) -> None:
    entry(*good.values())
    with pytest.raises(ValueError, match=told):
        entry(*(good | {name: value}).values())
