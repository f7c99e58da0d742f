# SPDX-License-Identifier: BSD-3-Clause
"""What a kernel gets, checked once, in front of the loops; and what it counts."""

from dataclasses import dataclass
from operator import index
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from ntbbench.core.errors import InputError
from ntbbench.ntb.vectormap import DB_BITS_MAX, check_u64

QP_COUNT_MAX = DB_BITS_MAX  # qp_bitmap is a u64 (ntb_transport.c)
VECTOR_COUNT_MAX = DB_BITS_MAX  # a source raises at least one bit that no other source does

# The words of `counters`, as ext/_bits.pxd has them: the totals, then rows by qp_num and by vector.
SCAN_ITERATIONS, MISSED, MISROUTED, HEAD_WORDS = range(4)
QP_SCHEDULE_CALLS, QP_WAKEUPS, QP_USEFUL, QP_SPURIOUS, QP_ROWS = range(5)
VECTOR_INTERRUPTS, VECTOR_SCHEDULE_CALLS, VECTOR_WAKEUPS, VECTOR_ROWS = range(4)

U64Array = NDArray[np.uint64]


@dataclass(frozen=True)
class DispatchCounts:
    """The counts of one run, exact; `OkPoint` says what each is."""

    interrupts: int
    scan_iterations: int
    schedule_calls: int
    wakeups: int
    merged: int
    useful_wakeups: int
    spurious_wakeups: int
    missed: int
    misrouted: int
    qp_schedule_calls: list[int]  # 64, by qp_num
    qp_wakeups: list[int]
    qp_useful_wakeups: list[int]
    qp_spurious_wakeups: list[int]
    vector_interrupts: list[int]  # V, by interrupt source
    vector_schedule_calls: list[int]
    vector_wakeups: list[int]


class Counters:
    """The counts of one receiver, which every kernel updates in place.

    block: uint64[451]; what the compiled kernels get. The other three are views of it.
    head: uint64[3]; scan iterations, missed, misrouted.
    qp: uint64[4, 64]; schedule calls, wakeups, useful and spurious runs, by qp_num.
    vector: uint64[3, 64]; interrupts, schedule calls, wakeups, by interrupt source.
    """

    def __init__(self) -> None:
        qp_end = HEAD_WORDS + QP_ROWS * QP_COUNT_MAX
        self.block = np.zeros(qp_end + VECTOR_ROWS * VECTOR_COUNT_MAX, np.uint64)
        self.head = self.block[:HEAD_WORDS]
        self.qp = self.block[HEAD_WORDS:qp_end].reshape(QP_ROWS, QP_COUNT_MAX)
        self.vector = self.block[qp_end:].reshape(VECTOR_ROWS, VECTOR_COUNT_MAX)

    def read(self, vector_count: int) -> DispatchCounts:
        """Return the counts so far, for a device of `vector_count` vectors."""
        scan_iterations, missed, misrouted = self.head.tolist()
        by_qp, by_vector = self.qp.tolist(), self.vector[:, :vector_count].tolist()
        calls, wakeups, useful, spurious = map(sum, by_qp)
        interrupts = sum(by_vector[VECTOR_INTERRUPTS])
        runs = useful, spurious, missed, misrouted
        merged = calls - wakeups
        return DispatchCounts(
            interrupts, scan_iterations, calls, wakeups, merged, *runs, *by_qp, *by_vector
        )


CODE_COUNT_MAX = 64  # two codes are one index into the histogram's table of pairs
U8Array = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Batch:
    """A stream of interrupts and the receiver of them, as `check_batch()` takes them."""

    vectors: U8Array
    rung: U64Array
    codes: U8Array | None
    db_vector_masks: U64Array  # uint64[64]; those beyond `vector_count` are 0
    vector_count: int
    qp_bitmap: int
    qp_bitmap_free: int
    active: int
    drain: int

    @property
    def by_interrupt(self) -> tuple[U8Array, U64Array]:
        """The vector and the rung bits of each interrupt: uint8[N], uint64[N]."""
        if self.codes is None:
            return self.vectors, self.rung
        return self.vectors[self.codes], self.rung[self.codes]


def check_batch(
    vectors: U8Array,
    rung: U64Array,
    masks: U64Array,
    *,
    codes: U8Array | None = None,
    qp_bitmap: SupportsIndex,
    qp_bitmap_free: SupportsIndex = 0,
    active: SupportsIndex,
    drain: SupportsIndex = 1,
) -> Batch:
    """Return the checked batch; InputError names what is wrong.

    vectors: uint8[N], the source of each interrupt, below V; with codes uint8[C], of each code.
    rung: uint64[N], the doorbell bits that each interrupt delivers; with codes uint64[C].
    masks: uint64[V], what `ntb_db_vector_mask()` returns for each source; V up to 64.
    codes: uint8[N], which of C different interrupts comes, C up to 64; None: `vectors` and `rung`
        are by interrupt.
    qp_bitmap, qp_bitmap_free, active: u64; the QPs that exist, are not taken, have their link up.
    drain: interrupts before the softirq runs; 1 .. 2**64-1.
    """
    _check_array("masks", masks, np.uint64)
    if masks.size > VECTOR_COUNT_MAX:
        raise InputError("masks", masks.size, f"at most {VECTOR_COUNT_MAX} vectors, one mask each")
    _check_array("vectors", vectors, np.uint8)
    _check_array("rung", rung, np.uint64)
    if vectors.size != rung.size:
        raise InputError("rung", rung.size, f"one word for each vector ({vectors.size})")
    highest = int(vectors.max(initial=0))
    if vectors.size and highest >= masks.size:
        raise InputError("vectors", highest, f"below the number of masks, which is {masks.size}")
    if codes is not None:
        _check_codes(codes, vectors.size)
    interrupts = _check_int("drain", drain)
    if not 1 <= interrupts < 1 << 64:
        raise InputError("drain", interrupts, "1 .. 2**64-1 interrupts before the softirq runs")
    table = np.zeros(VECTOR_COUNT_MAX, np.uint64)
    table[: masks.size] = masks
    return Batch(
        vectors=vectors,
        rung=rung,
        codes=codes,
        db_vector_masks=table,
        vector_count=masks.size,
        qp_bitmap=_check_word("qp_bitmap", qp_bitmap),
        qp_bitmap_free=_check_word("qp_bitmap_free", qp_bitmap_free),
        active=_check_word("active", active),
        drain=interrupts,
    )


def _check_codes(codes: U8Array, count: int) -> None:
    _check_array("codes", codes, np.uint8)
    if count > CODE_COUNT_MAX:
        raise InputError("codes", count, f"at most {CODE_COUNT_MAX} different interrupts")
    highest = int(codes.max(initial=0))
    if codes.size and highest >= count:
        raise InputError("codes", highest, f"below the number of vectors, which is {count}")


def _check_array(field: str, array: object, dtype: type[np.generic]) -> None:
    """Raise InputError unless `array` is a contiguous vector of `dtype` in native byte order."""
    if not isinstance(array, np.ndarray):
        raise InputError(field, type(array).__name__, f"a numpy array of {dtype.__name__}")
    if array.dtype != dtype:
        raise InputError(field, str(array.dtype), f"dtype {dtype.__name__}")
    if array.ndim != 1 or not array.flags.c_contiguous:
        raise InputError(field, array.shape, "one dimension, contiguous")
    if not array.flags.aligned:
        raise InputError(field, array.ctypes.data, f"aligned as {dtype.__name__} needs it")


def _check_int(field: str, value: Any) -> int:
    try:
        return index(value)
    except TypeError:
        raise InputError(field, value, "an integer") from None


def _check_word(field: str, value: SupportsIndex) -> int:
    word = _check_int(field, value)
    check_u64(field, word)
    return word
