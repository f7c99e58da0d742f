# SPDX-License-Identifier: BSD-3-Clause
"""Streams and devices for the tests of the engine, drawn where 64-bit code breaks."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

ALL_ONES = (1 << 64) - 1
EDGE_BITS = (0, 31, 32, 62, 63)
EDGE_WORDS = (
    0,
    ALL_ONES,
    *(1 << bit for bit in EDGE_BITS),
    *((1 << bit) - 1 for bit in EDGE_BITS),
    *(ALL_ONES ^ 1 << bit for bit in EDGE_BITS),
)

# st.integers() prefers small ones, and so leaves most of the high bits alone.
dense_words = st.binary(min_size=8, max_size=8).map(lambda word: int.from_bytes(word, "little"))
words = st.one_of(st.sampled_from(EDGE_WORDS), dense_words)
qp_words = st.one_of(st.just(ALL_ONES), words)
drains = st.sampled_from((1, 1, 1, 2, 3, 7, 64, 1000))


@st.composite
def mask_lists(draw: st.DrawFn) -> list[int]:
    """Draw what ntb_db_vector_mask() returns for each vector of some device."""
    vector_count = draw(st.integers(1, 64))
    kind = draw(st.sampled_from(("fallback", "shift", "permuted", "any")))
    if kind == "fallback":
        return [draw(qp_words)] * vector_count
    if kind == "shift":
        width = draw(st.integers(1, 64))
        return [((1 << width) - 1) << width * v & ALL_ONES for v in range(vector_count)]
    if kind == "permuted":
        return [1 << bit for bit in draw(st.permutations(range(64)))[:vector_count]]
    return draw(st.lists(words, min_size=vector_count, max_size=vector_count))


@dataclass(frozen=True)
class Case:
    """The arguments of `engine.count`, but for the kernel."""

    vectors: np.ndarray
    rung: np.ndarray
    masks: np.ndarray
    qp_bitmap: int
    qp_bitmap_free: int
    active: int
    drain: int

    @property
    def positional(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.vectors, self.rung, self.masks

    @property
    def words(self) -> dict[str, int]:
        return {
            "qp_bitmap": self.qp_bitmap,
            "qp_bitmap_free": self.qp_bitmap_free,
            "active": self.active,
        }

    @property
    def keywords(self) -> dict[str, int]:
        return {**self.words, "drain": self.drain}


@st.composite
def segments(
    draw: st.DrawFn, vector_count: int, max_interrupts: int = 70
) -> tuple[np.ndarray, np.ndarray]:
    """Draw (vectors, rung), the rung words from a small pool so that they repeat."""
    interrupts = draw(st.integers(0, max_interrupts))
    pool = draw(st.lists(words, min_size=1, max_size=6))
    sources = draw(st.binary(min_size=interrupts, max_size=interrupts))
    choices = draw(st.binary(min_size=interrupts, max_size=interrupts))
    vectors = np.array([byte % vector_count for byte in sources], np.uint8)
    rung = np.array([pool[byte % len(pool)] for byte in choices], np.uint64)
    return vectors, rung


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw any stream on any device: misses, overlaps and inactive QPs included."""
    masks = draw(mask_lists())
    vectors, rung = draw(segments(len(masks)))
    return Case(
        vectors,
        rung,
        np.array(masks, np.uint64),
        qp_bitmap=draw(qp_words),
        qp_bitmap_free=draw(st.one_of(st.just(0), words)),
        active=draw(qp_words),
        drain=draw(drains),
    )


@st.composite
def orderless_cases(draw: st.DrawFn) -> Case:
    """Draw a stream whose order does not matter: drain 1, and every ring schedules its QP."""
    case = draw(cases())
    reach = case.masks & np.uint64(case.qp_bitmap & ~case.qp_bitmap_free)
    inactive = np.uint64(ALL_ONES & ~case.active)
    return Case(
        case.vectors,
        case.rung & (reach[case.vectors] | inactive),
        case.masks,
        **case.words,
        drain=1,
    )
