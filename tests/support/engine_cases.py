# SPDX-License-Identifier: BSD-3-Clause
"""Streams and devices for the tests of the engine, drawn where 64-bit code breaks."""

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from ntbbench.dispatch import engine
from ntbbench.dispatch.engine.batch import DispatchCounts

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


any_masks = mask_lists()


@dataclass(frozen=True)
class Case:
    """The arguments of `engine.count`, but for the kernel; `vectors` and `rung` are by code."""

    vectors: np.ndarray
    rung: np.ndarray
    codes: np.ndarray
    masks: np.ndarray
    qp_bitmap: int
    qp_bitmap_free: int
    active: int
    drain: int

    @property
    def words(self) -> dict[str, int]:
        names = ("qp_bitmap", "qp_bitmap_free", "active", "drain")
        return {name: getattr(self, name) for name in names}

    def count(self, kernel: str, *, coded: bool = False) -> DispatchCounts:
        vectors, rung, codes = self.vectors, self.rung, self.codes
        if not coded:
            vectors, rung, codes = vectors[codes], rung[codes], None
        return engine.count(kernel, vectors, rung, self.masks, codes=codes, **self.words)


@st.composite
def cases(draw: st.DrawFn, masks: st.SearchStrategy[list[int]] = any_masks) -> Case:
    """Draw any stream on any device: misses, overlaps and inactive QPs included."""
    db_vector_masks = draw(masks)
    count = draw(st.integers(1, 64))
    pool = draw(st.lists(words, min_size=1, max_size=6))
    chosen = draw(st.binary(min_size=2 * count, max_size=2 * count))
    codes = draw(st.binary(max_size=70))
    return Case(
        vectors=np.array([byte % len(db_vector_masks) for byte in chosen[:count]], np.uint8),
        rung=np.array([pool[byte % len(pool)] for byte in chosen[count:]], np.uint64),
        codes=np.array([byte % count for byte in codes], np.uint8),
        masks=np.array(db_vector_masks, np.uint64),
        qp_bitmap=draw(qp_words),
        qp_bitmap_free=draw(st.one_of(st.just(0), words)),
        active=draw(qp_words),
        drain=draw(drains),
    )


@st.composite
def cases_without_misses(draw: st.DrawFn) -> Case:
    """Draw a stream in which every interrupt schedules what it rings."""
    case = draw(cases())
    reach = case.masks & np.uint64(case.qp_bitmap & ~case.qp_bitmap_free)
    inactive = np.uint64(ALL_ONES & ~case.active)
    return replace(case, rung=case.rung & (reach[case.vectors] | inactive))
