# SPDX-License-Identifier: BSD-3-Clause
"""Workloads against a simulation of their definition; the compiled loops against the reference."""

import math
from collections import Counter
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import pytest
from engine_cases import ALL_ONES, EDGE_BITS
from hypothesis import given, settings
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.ntb.catalogue import generic, resolve
from ntbbench.ntb.device import dispatch_map
from ntbbench.ntb.vectormap import VectorMap
from ntbbench.ntb.workload import _rings, make_stream, parse_workload, queues_needed, reference
from ntbbench.ntb.workload.stream import (
    RING_STREAM,
    Cycle,
    Draws,
    Sender,
    Stream,
    generator,
    ring_stream,
)

EXACT = ("round-robin", "hot:share=1", "flows:k=7", "flows:k=1", "burst:size=3,of=round-robin")
RANDOM = ("uniform", "hot:queue=1,share=0.7", "zipf:s=1.3", "burst:size=5,of=zipf:s=0.5")
SPECS = st.sampled_from([*EXACT, *RANDOM, "burst:size=70,of=flows:k=9", "burst:size=2,of=hot"])


def stream_of(
    spec: str, vector_map: VectorMap, queues: int, interrupts: int, seed: int = 1
) -> Stream:
    return make_stream(parse_workload(spec), vector_map, queues, interrupts, seed).by_interrupt()


def shares(stream: Stream, sources: int) -> tuple[Fraction, ...]:
    counts = np.bincount(stream.vectors, minlength=sources)
    return tuple(Fraction(int(count), len(stream.vectors)) for count in counts)


@given(SPECS, st.integers(2, 31), st.integers(1, 40), st.integers(1, 300), st.integers(0, 2**64))
@settings(max_examples=60)
def test_what_every_stream_holds(spec, queues, vectors, interrupts, seed) -> None:
    vector_map = generic(32, vectors).vector_map
    stream = stream_of(spec, vector_map, queues, interrupts, seed)
    again = stream_of(spec, vector_map, queues, interrupts, seed)
    assert stream.vectors.dtype == np.uint8
    assert stream.rung.dtype == np.uint64
    assert stream.vectors.shape == stream.rung.shape == (interrupts,)
    assert np.array_equal(stream.vectors, again.vectors)
    assert np.array_equal(stream.rung, again.rung)
    bits = [int(mask).bit_count() for mask in stream.rung]
    assert min(bits) > 0
    assert stream.rings >= sum(bits)
    for source, rung in zip(stream.vectors.tolist(), stream.rung.tolist(), strict=True):
        assert rung & ~vector_map.irq_masks[source] == 0
        assert rung < 1 << queues
    assert len(stream.rates) == len(vector_map.irq_masks)
    if stream.exact:
        assert stream.rates == shares(stream, vectors)
        assert stream.trials == 0
    else:
        assert math.isclose(float(sum(stream.rates)), 1)
        assert 0 < stream.trials <= interrupts


HOLES = VectorMap(0b1010_0101, (0x0F, 0xF0), 2, (0x0F, 0xF0))
MSI = dispatch_map(resolve("ntb_hw_switchtec"), "msi", 3)


@pytest.mark.parametrize(
    ("spec", "vector_map", "vectors", "rung"),
    [
        ("round-robin", generic(8, 4).vector_map, [0, 0, 1, 0, 0, 1, 0], [1, 2, 4, 1, 2, 4, 1]),
        ("hot:queue=2,share=1", generic(8, 8).vector_map, [2] * 3, [4] * 3),
        ("round-robin", HOLES, [0, 0, 1], [0b1, 0b100, 0b100000]),
        ("round-robin", MSI, [0, 1, 2, 0], [1, 2, 4, 1]),
    ],
    ids=["in turn", "one queue alone", "lowest bits of a map with holes", "a source per QP"],
)
def test_streams_by_hand(spec, vector_map, vectors, rung) -> None:
    stream = stream_of(spec, vector_map, 3, len(rung))
    assert stream.vectors.tolist() == vectors
    assert stream.rung.tolist() == rung
    assert (stream.rings, stream.exact) == (len(rung), True)
    assert stream.rates == shares(stream, len(vector_map.irq_masks))


@pytest.mark.parametrize(
    ("spec", "weights"),
    [
        ("uniform", [0.25] * 4),
        ("hot", [0.9, 0.1 / 3, 0.1 / 3, 0.1 / 3]),
        ("hot:queue=3,share=0.4", [0.2, 0.2, 0.2, 0.4]),
        ("hot:queue=1,share=0", [1 / 3, 0, 1 / 3, 1 / 3]),
        ("zipf:s=1", [12 / 25, 6 / 25, 4 / 25, 3 / 25]),
        ("zipf:s=0", [0.25] * 4),
    ],
)
def test_draws_follow_their_weights(spec: str, weights: list[float]) -> None:
    count = 200_000
    stream = stream_of(spec, generic(8, 8).vector_map, 4, count, 7)
    assert not stream.exact
    assert np.allclose([float(rate) for rate in stream.rates[:4]], weights, atol=1e-15)
    seen = np.bincount(stream.vectors, minlength=4) / count
    # Six standard deviations of a binomial share, which is at most sqrt(1/4/n).
    assert np.abs(seen - weights).max() < 6 * math.sqrt(0.25 / count)
    assert all(seen[queue] == 0 for queue, weight in enumerate(weights) if weight == 0)


@pytest.mark.parametrize("size", [2, 4, 16])
def test_burst_rates_are_the_chance_that_a_source_is_pending(size: int) -> None:
    spec = f"burst:size={size},of=hot:share=0.7"
    stream = stream_of(spec, generic(8, 2).vector_map, 7, 90_000, 5)
    absent = [1 - (0.7 + 3 * 0.05), 1 - 3 * 0.05]
    pending = [1 - share**size for share in absent]
    expected = [share / sum(pending) for share in pending]
    assert np.allclose([float(rate) for rate in stream.rates], expected)
    seen = np.bincount(stream.vectors, minlength=2) / 90_000
    assert np.abs(seen - expected).max() < 6 * math.sqrt(0.25 / 40_000)


def test_flows_are_hashed_as_the_stack_does() -> None:
    """Four flows share one of two queues with probability 1/8: three follow the first."""
    vector_map = generic(8, 8).vector_map
    spread = Counter(
        len(set(stream_of("flows:k=4", vector_map, 2, 4, seed).vectors.tolist()))
        for seed in range(4000)
    )
    assert set(spread) == {1, 2}
    assert abs(spread[1] / 4000 - 1 / 8) < 6 * math.sqrt(1 / 8 * 7 / 8 / 4000)


def test_a_flow_keeps_its_hash_when_the_queues_change() -> None:
    vector_map = generic(32, 32).vector_map
    of_8 = stream_of("flows:k=50", vector_map, 8, 50, 11).vectors
    of_16 = stream_of("flows:k=50", vector_map, 16, 50, 11).vectors
    assert np.array_equal(of_16 // 2, of_8)
    assert np.array_equal(stream_of("flows:k=50", vector_map, 8, 100, 11).vectors, np.tile(of_8, 2))


def test_seeds_differ() -> None:
    vector_map = generic(8, 8).vector_map
    one, two = (stream_of("uniform", vector_map, 4, 99, s) for s in (1, 2))
    assert not np.array_equal(one.vectors, two.vectors)


@pytest.mark.parametrize(
    ("spec", "canonical"),
    [
        ("uniform", "uniform"),
        (" round-robin ", "round-robin"),
        ("hot", "hot:queue=0,share=0.9"),
        ("hot:share=.25", "hot:queue=0,share=0.25"),
        ("hot:share=1,queue=0x1f", "hot:queue=31,share=1"),
        ("zipf", "zipf:s=1.1"),
        ("zipf:s=2.50", "zipf:s=2.5"),
        ("flows", "flows:k=16"),
        ("burst", "burst:size=4,of=uniform"),
        ("burst:size=2", "burst:size=2,of=uniform"),
        ("burst:of=hot:queue=1,share=0.5", "burst:size=4,of=hot:queue=1,share=0.5"),
        ("burst:size=9,of=flows:k=3", "burst:size=9,of=flows:k=3"),
    ],
)
def test_canonical_specification(spec: str, canonical: str) -> None:
    assert parse_workload(spec).spec == canonical
    assert parse_workload(canonical) == parse_workload(spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "workload: '': unknown; known: burst, flows, hot, log, round-robin, uniform, zipf"),
        ("roundrobin", r"did you mean round-robin\?"),
        ("uniform:x=1", "uniform takes no settings"),
        ("hot:quue=1", r"did you mean queue\?"),
        ("hot:queue=32", "workload hot: queue: 32: a whole number from 0 to 31"),
        ("hot:share=1.1", "workload hot: share: '1.1': a decimal number from 0 to 1"),
        ("hot:share=nan", "decimal"),
        ("hot:share=1e-3", "decimal"),
        ("zipf:s=65", "from 0 to 64"),
        ("zipf:s=-1", "decimal"),
        ("flows:k=0", "from 1 to 65536"),
        ("burst:size=0", "from 1 to 4096"),
        ("burst:of=", "workload: '': unknown"),
        ("burst:of=burst", "neither burst nor log"),
        ("burst:of=uniform,size=3", "unknown"),
        ("burst:size=3,size=4", "given twice"),
        ("log:", "a .csv, .npy or .npz file"),
        ("log:missing.csv", "No such file"),
    ],
)
def test_bad_specification(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_workload(spec)
    assert "\n" not in str(caught.value)


NAMES = st.sampled_from(["uniform", "round-robin", "hot", "zipf", "flows", "burst"])
REST = st.text("queshatkiznofr=,.:0123456789", max_size=20) | st.text(max_size=6)


@given(st.one_of(REST, st.builds("{}:{}".format, NAMES, REST)))
def test_a_specification_parses_or_is_an_input_error(spec: str) -> None:
    try:
        workload = parse_workload(spec)
    except InputError:
        return
    assert parse_workload(workload.spec) == workload
    queues = max(queues_needed(workload), 2)
    assert make_stream(workload, generic(64, 64).vector_map, queues, 20, 1).interrupts == 20


def test_queues_needed() -> None:
    assert queues_needed(parse_workload("hot:queue=3")) == 4
    assert queues_needed(parse_workload("burst:of=hot:queue=5")) == 6
    assert queues_needed(parse_workload("uniform")) == 1


@pytest.mark.parametrize(
    ("queues", "interrupts", "field"), [(0, 1, "queues"), (5, 1, "queues"), (1, 0, "interrupts")]
)
def test_bad_stream_arguments(queues: int, interrupts: int, field: str) -> None:
    with pytest.raises(InputError, match=f"^{field}: "):
        stream_of("uniform", generic(4, 4).vector_map, queues, interrupts, 1)


def test_a_hot_queue_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="hot needs a queue below 2"):
        stream_of("hot:queue=2", generic(4, 4).vector_map, 2, 1, 1)


seeds = st.one_of(st.sampled_from((0, 1, ALL_ONES)), st.integers(0, ALL_ONES))
parts_lists = st.lists(st.sampled_from((0, 0, 1, 1, 3, 1e-9, 1e6)), min_size=2, max_size=64)


def draws_of(weights: list[float], seed: int, start: int, count: int) -> list[int]:
    rng = np.random.Generator(generator(seed, RING_STREAM))
    return reference.draw(weights, start + count, rng)[start:]


@given(parts_lists.filter(any), seeds, st.integers(0, 5000), st.integers(0, 400))
@settings(deadline=None)
def test_draws_are_those_of_the_reference(parts, seed, start, count) -> None:
    weights = [part / sum(parts) for part in parts]
    drawn = Draws(tuple(weights), seed).take(count, start)
    assert drawn.tolist() == draws_of(weights, seed, start, count)


@given(seeds, st.integers(0, 99), st.sampled_from((-np.inf, 0, np.inf)))
def test_a_draw_at_the_very_edge_of_a_queue_belongs_to_the_next(seed, place, side) -> None:
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
def test_bursts_are_those_of_the_reference(vector_map, data, burst, interrupts) -> None:
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
def test_the_compiled_loops_check_their_buffers(entry, good, name, value, told) -> None:
    entry(*good.values())
    with pytest.raises(ValueError, match=told):
        entry(*(good | {name: value}).values())
