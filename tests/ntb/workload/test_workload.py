# SPDX-License-Identifier: BSD-3-Clause
"""Workloads against a plain simulation of their definition, and what every stream holds."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.ntb.catalogue import generic, resolve
from ntbbench.ntb.device import dispatch_map
from ntbbench.ntb.vectormap import VectorMap
from ntbbench.ntb.workload import make_stream, parse_workload, queues_needed
from ntbbench.ntb.workload.stream import Stream

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
def test_what_every_stream_holds(
    spec: str, queues: int, vectors: int, interrupts: int, seed: int
) -> None:
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
def test_streams_by_hand(
    spec: str, vector_map: VectorMap, vectors: list[int], rung: list[int]
) -> None:
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
