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
from typing import Any

import numpy as np

from ntbbench.core.errors import InputError
from ntbbench.dispatch.engine import _bitset, _msi, _scan, reference
from ntbbench.dispatch.engine.batch import (
    VECTOR_COUNT_MAX,
    Batch,
    Counters,
    DispatchCounts,
    U8Array,
    U64Array,
    check_batch,
)

__all__ = ["KERNELS", "DispatchCounts", "Prepared", "count", "prepare"]

KERNELS = ("reference", "scan", "bitset", "reference-msi", "msi", "bitset-msi")
EVERY_VECTOR = np.arange(VECTOR_COUNT_MAX, dtype=np.uint8)
NO_SCAN = np.zeros(VECTOR_COUNT_MAX, np.uint64)


class Prepared:
    """A stream, checked and bound to its buffers, that can be counted again and again."""

    def __init__(self, kernel: str, batch: Batch) -> None:
        if kernel not in KERNELS:
            raise InputError("kernel", kernel, f"one of {', '.join(KERNELS)}")
        self._vector_count = batch.vector_count
        self._counters = Counters()
        self._run = _bind(kernel, batch, self._counters)

    def run(self) -> None:
        """Count the whole stream, from a receiver at rest to its last softirq."""
        self._counters.block.fill(0)
        self._run()

    def counts(self) -> DispatchCounts:
        """Return a copy of what the last run counted."""
        return self._counters.read(self._vector_count)


def _bind(kernel: str, batch: Batch, counters: Counters) -> Callable[[], None]:
    msi = kernel.endswith("msi")
    masks = _one_hot(batch) if msi else batch.db_vector_masks
    if kernel.startswith("reference"):
        dispatch = reference.dispatch_msi if msi else reference.dispatch
        return partial(dispatch, batch, counters)
    end = batch.active, batch.drain, counters.block
    if kernel in ("scan", "msi"):
        vectors, rung = batch.by_interrupt
        if msi:
            return partial(_msi.run, vectors, rung, masks, *end)
        words = batch.qp_bitmap, batch.qp_bitmap_free, *end
        return partial(_scan.run, vectors, rung, masks, *words)
    # uint64[64] by vector: the bits that its loop goes through, the QPs that it schedules.
    scanned = NO_SCAN if msi else masks & np.uint64(batch.qp_bitmap & ~batch.qp_bitmap_free)
    called = masks if msi else scanned & np.uint64(batch.active)
    tables = scanned, called, batch.rung
    if batch.codes is None:
        every_vector = EVERY_VECTOR[: batch.vector_count]
        return partial(_bitset.run, batch.vectors, every_vector, *tables, *end)
    return partial(_bitset.run_coded, batch.codes, batch.vectors, *tables, *end)


def _one_hot(batch: Batch) -> U64Array:
    """Return the masks of a device with one MSI a QP; InputError where a mask is not one bit."""
    masks = batch.db_vector_masks.copy()
    for vector, mask in enumerate(masks[: batch.vector_count].tolist()):
        if mask.bit_count() != 1:
            raise InputError(f"masks[{vector}]", hex(mask), "one bit: an MSI schedules one QP")
    masks[batch.vector_count :] = 1  # never raised; the kernel wants one bit in each
    return masks


def prepare(
    kernel: str, vectors: U8Array, rung: U64Array, masks: U64Array, **others: Any
) -> Prepared:
    """Check a stream once, and allocate all that counting it needs; arguments of `check_batch()`.

    It may hold the arrays themselves, not copies; do not change them.
    InputError: names the argument that is wrong, and what is allowed; also where an MSI kernel
        gets a mask that is not one bit.
    """
    return Prepared(kernel, check_batch(vectors, rung, masks, **others))


def count(
    kernel: str, vectors: U8Array, rung: U64Array, masks: U64Array, **others: Any
) -> DispatchCounts:
    """Count a stream once; arguments and errors as of `prepare`."""
    prepared = prepare(kernel, vectors, rung, masks, **others)
    prepared.run()
    return prepared.counts()
