# SPDX-License-Identifier: BSD-3-Clause
"""The input checks of every kernel: once, in front of the compiled loops."""

from dataclasses import dataclass
from operator import index
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from ntbbench.core.errors import InputError
from ntbbench.dispatch.engine.counts import VECTOR_COUNT_MAX, U64Array
from ntbbench.ntb.vectormap import check_u64

U8Array = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Receiver:
    """What stays the same during a run: the masks, and how often the softirq runs.

    Parameters
    ----------
    db_vector_masks : uint64[64]; those beyond `vector_count` are 0.
    vector_count : interrupt sources of the device, 0 .. 64.
    drain : interrupts before the softirq runs.
    """

    db_vector_masks: U64Array
    vector_count: int
    drain: int


@dataclass(frozen=True, eq=False)
class Segment:
    """A stretch of the stream during which the QP words stay the same; checked.

    Parameters
    ----------
    vectors : uint8[N], each below the receiver's `vector_count`.
    rung : uint64[N].
    qp_bitmap, qp_bitmap_free, active : u64.
    """

    vectors: U8Array
    rung: U64Array
    qp_bitmap: int
    qp_bitmap_free: int
    active: int


def check_receiver(masks: U64Array, drain: SupportsIndex) -> Receiver:
    """Return the checked receiver; InputError names what is wrong."""
    check_array("masks", masks, np.uint64)
    if masks.size > VECTOR_COUNT_MAX:
        raise InputError("masks", masks.size, f"at most {VECTOR_COUNT_MAX} vectors, one mask each")
    table = np.zeros(VECTOR_COUNT_MAX, np.uint64)
    table[: masks.size] = masks
    interrupts = check_int("drain", drain)
    if not 1 <= interrupts < 1 << 64:
        raise InputError("drain", interrupts, "1 .. 2**64-1 interrupts before the softirq runs")
    return Receiver(db_vector_masks=table, vector_count=masks.size, drain=interrupts)


def check_segment(
    receiver: Receiver,
    vectors: U8Array,
    rung: U64Array,
    *,
    qp_bitmap: SupportsIndex,
    qp_bitmap_free: SupportsIndex,
    active: SupportsIndex,
) -> Segment:
    """Return the checked segment; InputError names what is wrong."""
    check_array("vectors", vectors, np.uint8)
    check_array("rung", rung, np.uint64)
    if vectors.size != rung.size:
        raise InputError("rung", rung.size, f"one word an interrupt ({vectors.size})")
    highest = int(vectors.max(initial=0))
    if vectors.size and highest >= receiver.vector_count:
        raise InputError(
            "vectors", highest, f"below the number of masks, which is {receiver.vector_count}"
        )
    return Segment(
        vectors=vectors,
        rung=rung,
        qp_bitmap=check_word("qp_bitmap", qp_bitmap),
        qp_bitmap_free=check_word("qp_bitmap_free", qp_bitmap_free),
        active=check_word("active", active),
    )


def check_array(field: str, array: object, dtype: type[np.generic]) -> None:
    """Raise InputError unless `array` is a contiguous vector of `dtype` in native byte order."""
    if not isinstance(array, np.ndarray):
        raise InputError(field, type(array).__name__, f"a numpy array of {dtype.__name__}")
    if array.dtype != dtype:
        raise InputError(field, str(array.dtype), f"dtype {dtype.__name__}")
    if array.ndim != 1 or not array.flags.c_contiguous:
        raise InputError(field, array.shape, "one dimension, contiguous")
    if not array.flags.aligned:
        raise InputError(field, array.ctypes.data, f"aligned as {dtype.__name__} needs it")


def check_int(field: str, value: Any) -> int:
    """Return an integer of any kind as int; InputError for anything else."""
    try:
        return index(value)
    except TypeError:
        raise InputError(field, value, "an integer") from None


def check_word(field: str, value: SupportsIndex) -> int:
    """Return a u64 as int; InputError for anything else."""
    word = check_int(field, value)
    check_u64(field, word)
    return word
