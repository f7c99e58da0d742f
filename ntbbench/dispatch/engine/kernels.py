# SPDX-License-Identifier: BSD-3-Clause
"""The kernels by name: each binds a checked segment to the buffers that it will count into."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ntbbench.core.errors import InputError
from ntbbench.dispatch.engine import _bitset, _histogram, _msi, _scan, _softirq, reference
from ntbbench.dispatch.engine.counts import Counters, U64Array
from ntbbench.dispatch.engine.encoding import encode
from ntbbench.dispatch.engine.segment import Receiver, Segment

Run = Callable[[], None]


@dataclass(frozen=True)
class Kernel:
    """One way to the counts.

    Parameters
    ----------
    bind : from what is counted and the buffers, the call that counts; InputError where the
        kernel cannot count this segment.
    softirq : from the buffers, the call that runs the tasklets still scheduled at the end.
    """

    bind: Callable[[Receiver, Segment, Counters], Run]
    softirq: Callable[[Counters], Run]


def bind_reference(receiver: Receiver, segment: Segment, counters: Counters) -> Run:
    """Bind the plain-Python kernel."""
    return partial(reference.dispatch, receiver, segment, counters)


def bind_scan(receiver: Receiver, segment: Segment, counters: Counters) -> Run:
    """Bind the literal bit loop."""
    return partial(
        _scan.run,
        segment.vectors,
        segment.rung,
        receiver.db_vector_masks,
        segment.qp_bitmap,
        segment.qp_bitmap_free,
        segment.active,
        receiver.drain,
        counters.block,
    )


def bind_bitset(receiver: Receiver, segment: Segment, counters: Counters) -> Run:
    """Bind the kernel with a word where the driver has a flag a QP."""
    return partial(
        _bitset.run,
        segment.vectors,
        segment.rung,
        receiver.db_vector_masks,
        segment.qp_bitmap,
        segment.qp_bitmap_free,
        segment.active,
        receiver.drain,
        counters.block,
    )


def bind_histogram(receiver: Receiver, segment: Segment, counters: Counters) -> Run:
    """Bind the kernel that counts from a histogram; the order must not matter."""
    coded = encode(receiver, segment)
    return partial(
        _histogram.run,
        coded.codes,
        coded.code_vectors,
        coded.code_rung,
        receiver.db_vector_masks,
        segment.qp_bitmap,
        segment.qp_bitmap_free,
        segment.active,
        counters.block,
    )


def bind_msi(receiver: Receiver, segment: Segment, counters: Counters) -> Run:
    """Bind the dispatch of use_msi; every mask names one QP."""
    return partial(
        _msi.run,
        segment.vectors,
        segment.rung,
        one_hot(receiver),
        segment.active,
        receiver.drain,
        counters.block,
    )


def one_hot(receiver: Receiver) -> U64Array:
    """Return the masks of a device with one MSI a QP; InputError where a mask is not one bit."""
    masks = receiver.db_vector_masks.copy()
    for vector, mask in enumerate(masks[: receiver.vector_count].tolist()):
        if mask.bit_count() != 1:
            raise InputError(f"masks[{vector}]", hex(mask), "one bit: an MSI schedules one QP")
    masks[receiver.vector_count :] = 1  # never raised; the kernel wants one bit in each
    return masks


def softirq_reference(counters: Counters) -> Run:
    """Bind the plain-Python softirq."""
    return partial(reference.softirq, counters)


def softirq_compiled(counters: Counters) -> Run:
    """Bind the compiled softirq."""
    return partial(_softirq.run, counters.block)


KERNEL_OF_NAME = {
    "reference": Kernel(bind_reference, softirq_reference),
    "scan": Kernel(bind_scan, softirq_compiled),
    "bitset": Kernel(bind_bitset, softirq_compiled),
    "histogram": Kernel(bind_histogram, softirq_compiled),
    "msi": Kernel(bind_msi, softirq_compiled),
}
KERNELS = tuple(KERNEL_OF_NAME)


def kernel_of(name: str) -> Kernel:
    """Return the kernel called `name`; InputError lists the names."""
    try:
        return KERNEL_OF_NAME[name]
    except KeyError:
        raise InputError("kernel", name, f"one of {', '.join(KERNELS)}") from None
