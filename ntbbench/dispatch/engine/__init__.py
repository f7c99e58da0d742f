# SPDX-License-Identifier: BSD-3-Clause
"""The counting kernels; the only importer of compiled modules.

Four queues without db_vector_mask: each doorbell schedules all of them.

>>> import numpy as np
>>> vectors = np.array([0, 1, 2, 3], np.uint8)
>>> rung = np.uint64(1) << vectors.astype(np.uint64)
>>> masks = np.full(4, 0b1111, np.uint64)
>>> counts = count("scan", vectors, rung, masks, qp_bitmap=0b1111, active=0b1111)
>>> counts.interrupts, counts.schedule_calls, counts.useful_wakeups, counts.spurious_wakeups
(4, 16, 4, 12)
"""

from collections.abc import Callable
from functools import partial
from typing import Any, SupportsIndex

import numpy as np

from ntbbench.core.errors import InputError
from ntbbench.dispatch.engine import _bitset, _msi, _scan, reference
from ntbbench.dispatch.engine.batch import (
    VECTOR_COUNT_MAX,
    Batch,
    Counters,
    Counts,
    U8Array,
    U64Array,
    check_batch,
)

__all__ = ["KERNELS", "Counts", "Prepared", "count", "prepare"]


Run = Callable[[], None]
Kernel = Callable[[Batch, Counters], Run]
EVERY_VECTOR = np.arange(VECTOR_COUNT_MAX, dtype=np.uint8)
NO_SCAN = np.zeros(VECTOR_COUNT_MAX, np.uint64)


def _bind_reference(batch: Batch, counters: Counters) -> Run:
    return partial(reference.dispatch, batch, counters)


def _bind_reference_msi(batch: Batch, counters: Counters) -> Run:
    _one_hot(batch)
    return partial(reference.dispatch_msi, batch, counters)


def _bind_scan(batch: Batch, counters: Counters) -> Run:
    return partial(
        _scan.run,
        *batch.by_interrupt,
        batch.db_vector_masks,
        batch.qp_bitmap,
        batch.qp_bitmap_free,
        batch.active,
        batch.drain,
        counters.block,
    )


def _bind_msi(batch: Batch, counters: Counters) -> Run:
    masks = _one_hot(batch)
    return partial(_msi.run, *batch.by_interrupt, masks, batch.active, batch.drain, counters.block)


def _bind_bitset(batch: Batch, counters: Counters) -> Run:
    scanned = batch.db_vector_masks & np.uint64(batch.qp_bitmap & ~batch.qp_bitmap_free)
    return _bind_words(batch, scanned, scanned & np.uint64(batch.active), counters)


def _bind_bitset_msi(batch: Batch, counters: Counters) -> Run:
    return _bind_words(batch, NO_SCAN, _one_hot(batch), counters)


def _bind_words(batch: Batch, scanned: U64Array, called: U64Array, counters: Counters) -> Run:
    # uint64[64] by vector: the bits that its loop goes through, the QPs that it schedules.
    words = scanned, called, batch.rung, batch.active, batch.drain, counters.block
    if batch.codes is None:
        return partial(_bitset.run, batch.vectors, EVERY_VECTOR[: batch.vector_count], *words)
    return partial(_bitset.run_coded, batch.codes, batch.vectors, *words)


def _one_hot(batch: Batch) -> U64Array:
    """Return the masks of a device with one MSI a QP; InputError where a mask is not one bit."""
    masks = batch.db_vector_masks.copy()
    for vector, mask in enumerate(masks[: batch.vector_count].tolist()):
        if mask.bit_count() != 1:
            raise InputError(f"masks[{vector}]", hex(mask), "one bit: an MSI schedules one QP")
    masks[batch.vector_count :] = 1  # never raised; the kernel wants one bit in each
    return masks


KERNEL_OF_NAME: dict[str, Kernel] = {
    "reference": _bind_reference,
    "scan": _bind_scan,
    "bitset": _bind_bitset,
    "reference-msi": _bind_reference_msi,
    "msi": _bind_msi,
    "bitset-msi": _bind_bitset_msi,
}
KERNELS = tuple(KERNEL_OF_NAME)


class Prepared:
    """A stream, checked and bound to its buffers, that can be counted again and again."""

    def __init__(self, kernel: str, batch: Batch) -> None:
        if kernel not in KERNEL_OF_NAME:
            raise InputError("kernel", kernel, f"one of {', '.join(KERNELS)}")
        self._vector_count = batch.vector_count
        self._counters = Counters()
        self._run = KERNEL_OF_NAME[kernel](batch, self._counters)

    def run(self) -> None:
        """Count the whole stream, from a receiver at rest to its last softirq."""
        self._counters.reset()
        self._run()

    def counts(self) -> Counts:
        """Return a copy of what the last run counted."""
        return self._counters.read(self._vector_count)


def prepare(
    kernel: str,
    vectors: U8Array,
    rung: U64Array,
    masks: U64Array,
    *,
    codes: U8Array | None = None,
    qp_bitmap: SupportsIndex,
    qp_bitmap_free: SupportsIndex = 0,
    active: SupportsIndex,
    drain: SupportsIndex = 1,
) -> Prepared:
    """Check a stream once, and allocate all that counting it needs.

    kernel: a name of `KERNELS`.
    vectors: uint8[N], the source of each interrupt, below V; with codes uint8[C], of each code.
    rung: uint64[N], the doorbell bits that each interrupt delivers; with codes uint64[C].
    masks: uint64[V], what `ntb_db_vector_mask()` returns for each source; V up to 64.
    codes: uint8[N], which of C different interrupts comes, C up to 64; None: `vectors` and `rung`
        are by interrupt.
    qp_bitmap, qp_bitmap_free, active: u64; the QPs that exist, are not taken, have their link up.
    drain: interrupts before the softirq runs; 1 .. 2**64-1.
    Prepared: may hold the arrays themselves, not copies; do not change them.

    InputError: names the argument that is wrong, and what is allowed; also where an MSI kernel
        gets a mask that is not one bit.
    """
    words = {"qp_bitmap": qp_bitmap, "qp_bitmap_free": qp_bitmap_free, "active": active}
    batch = check_batch(vectors, rung, masks, codes=codes, drain=drain, **words)
    return Prepared(kernel, batch)


def count(kernel: str, vectors: U8Array, rung: U64Array, masks: U64Array, **others: Any) -> Counts:
    """Count a stream once; arguments and errors as of `prepare`."""
    prepared = prepare(kernel, vectors, rung, masks, **others)
    prepared.run()
    return prepared.counts()
