# SPDX-License-Identifier: BSD-3-Clause
"""The vector map and what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.ntb.vectormap import VectorMap, bits_of

EDGES = (0, 31, 32, 62, 63)


@given(st.lists(st.integers(0, 63), unique=True, max_size=64), st.integers(1, 64))
def test_every_bit_finds_its_interrupt(bits: list[int], sources: int) -> None:
    masks = [sum(1 << bit for bit in bits[source::sources]) for source in range(sources)]
    valid = sum(1 << bit for bit in bits)
    vector_map = VectorMap(valid, tuple(masks), sources, tuple(masks))
    for bit in range(64):
        source = vector_map.irq_of_bit[bit]
        assert (source >= 0) == (bit in bits)
        assert source < 0 or masks[source] >> bit & 1
    fallback = vector_map.as_fallback()
    assert fallback.db_vector_masks == (valid,) * sources
    assert (fallback.irq_masks, fallback.db_vector_count) == (tuple(masks), 1)


@given(st.integers(0, 2**64 - 1))
def test_bits_of(mask: int) -> None:
    bits = bits_of(mask)
    assert bits == sorted(set(bits))
    assert sum(1 << bit for bit in bits) == mask


@pytest.mark.parametrize("bit", EDGES)
def test_edges(bit: int) -> None:
    one = 1 << bit
    assert VectorMap(one, (0, one), 2, (0, one)).irq_of_bit[bit] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2**64, (2**64 - 1,), 1, (0,)), "db_valid_mask: 18446744073709551616"),
        ((-1, (0,), 1, (0,)), "db_valid_mask: -1"),
        ((0, (2**64,), 1, (0,)), r"irq_masks\[0\]"),
        ((0, (0,), 1, (-1,)), r"db_vector_masks\[0\]: -1"),
        ((1, (1,), 1, ()), "db_vector_masks: 0: one mask per interrupt source .1."),
        ((0, (0,) * 65, 65, (0,) * 65), "at most 64"),
        ((3, (1, 3), 2, (1, 3)), r"irq_masks\[1\]: '0x3': a bit belongs to one"),
        ((3, (1,), 1, (1,)), "irq_masks: '0x2': a valid bit needs an interrupt"),
    ],
)
def test_refuses(
    arguments: tuple[int, tuple[int, ...], int, tuple[int, ...]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        VectorMap(*arguments)


@pytest.mark.parametrize(
    ("db_valid_mask", "count", "masks"), [(1, 2, (1, 1)), (2**64 + 1, 1, (1,))]
)
def test_masks_beyond_the_sources_or_the_word(db_valid_mask: int, count: int, masks) -> None:
    with pytest.raises(InputError):
        VectorMap(db_valid_mask, (1,), count, masks)
