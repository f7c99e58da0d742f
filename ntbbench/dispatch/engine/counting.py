# SPDX-License-Identifier: BSD-3-Clause
"""Counting a stream: at once, again and again on the same buffers, or segment by segment."""

from typing import SupportsIndex

from ntbbench.dispatch.engine.counts import Counters, Counts, U64Array
from ntbbench.dispatch.engine.kernels import kernel_of
from ntbbench.dispatch.engine.segment import U8Array, check_receiver, check_segment


class SegmentedRun:
    """A run whose QP words change on the way: state and counts outlive each segment.

    A QP that goes inactive while its tasklet is scheduled still runs, and keeps its packets.

    Parameters
    ----------
    kernel : a name of `KERNELS`.
    masks : uint64[V], what `ntb_db_vector_mask()` returns for each interrupt source; V up to 64.
    drain : interrupts before the softirq runs, counted across segments; 1 .. 2**64-1.

    Raises
    ------
    InputError : names the argument that is wrong, and what is allowed.
    """

    def __init__(self, kernel: str, masks: U64Array, *, drain: SupportsIndex = 1) -> None:
        self._kernel = kernel_of(kernel)
        self._receiver = check_receiver(masks, drain)
        self._counters = Counters()

    def feed(
        self,
        vectors: U8Array,
        rung: U64Array,
        *,
        qp_bitmap: SupportsIndex,
        qp_bitmap_free: SupportsIndex = 0,
        active: SupportsIndex,
    ) -> None:
        """Count the next segment of the stream; arguments and errors as of `prepare`."""
        words = {"qp_bitmap": qp_bitmap, "qp_bitmap_free": qp_bitmap_free, "active": active}
        segment = check_segment(self._receiver, vectors, rung, **words)
        self._kernel.bind(self._receiver, segment, self._counters)()

    def finish(self) -> None:
        """End the stream: the softirq runs the tasklets that are still scheduled."""
        self._kernel.softirq(self._counters)()

    def counts(self) -> Counts:
        """Return a copy of the counts so far."""
        return self._counters.read(self._receiver.vector_count)


class Prepared:
    """A stream, checked and bound to its buffers, that can be counted again and again."""

    def __init__(
        self,
        kernel: str,
        masks: U64Array,
        drain: SupportsIndex,
        vectors: U8Array,
        rung: U64Array,
        **words: SupportsIndex,
    ) -> None:
        chosen = kernel_of(kernel)
        receiver = check_receiver(masks, drain)
        segment = check_segment(receiver, vectors, rung, **words)
        self._vector_count = receiver.vector_count
        self._counters = Counters()
        self._dispatch = chosen.bind(receiver, segment, self._counters)
        self._softirq = chosen.softirq(self._counters)

    def run(self) -> None:
        """Count the whole stream from a receiver at rest; allocates nothing."""
        self._counters.reset()
        self._dispatch()
        self._softirq()

    def counts(self) -> Counts:
        """Return a copy of what the last run counted."""
        return self._counters.read(self._vector_count)


def prepare(
    kernel: str,
    vectors: U8Array,
    rung: U64Array,
    masks: U64Array,
    *,
    qp_bitmap: SupportsIndex,
    qp_bitmap_free: SupportsIndex = 0,
    active: SupportsIndex,
    drain: SupportsIndex = 1,
) -> Prepared:
    """Check a stream once, and allocate all that counting it needs.

    Parameters
    ----------
    kernel : a name of `KERNELS`.
    vectors : uint8[N], the source of each interrupt, below V.
    rung : uint64[N], the doorbell bits that each interrupt delivers.
    masks : uint64[V], what `ntb_db_vector_mask()` returns for each source; V up to 64.
    qp_bitmap, qp_bitmap_free, active : u64; the QPs that exist, are not taken, have their link up.
    drain : interrupts before the softirq runs; 1 .. 2**64-1.

    Returns
    -------
    Prepared : holds `vectors` and `rung` themselves, not copies; do not change them.

    Raises
    ------
    InputError : names the argument that is wrong, and what is allowed; also where `kernel` cannot
        count this stream (`histogram`: docs/kernels.md; `msi`: a mask that is not one bit).
    """
    words = {"qp_bitmap": qp_bitmap, "qp_bitmap_free": qp_bitmap_free, "active": active}
    return Prepared(kernel, masks, drain, vectors, rung, **words)


def count(
    kernel: str,
    vectors: U8Array,
    rung: U64Array,
    masks: U64Array,
    *,
    qp_bitmap: SupportsIndex,
    qp_bitmap_free: SupportsIndex = 0,
    active: SupportsIndex,
    drain: SupportsIndex = 1,
) -> Counts:
    """Count a stream once; arguments and errors as of `prepare`."""
    words = {"qp_bitmap": qp_bitmap, "qp_bitmap_free": qp_bitmap_free, "active": active}
    prepared = Prepared(kernel, masks, drain, vectors, rung, **words)
    prepared.run()
    return prepared.counts()
