# SPDX-License-Identifier: BSD-3-Clause
"""What a kernel counts: the buffers that it fills, and the record that a caller gets."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ntbbench.ntb.vectormap import DB_BITS_MAX

QP_COUNT_MAX = DB_BITS_MAX  # qp_bitmap is a u64 (ntb_transport.c)
VECTOR_COUNT_MAX = DB_BITS_MAX  # a source raises at least one bit that no other source does

# The words of `counters`, as ext/_bits.pxd has them: the totals, then rows by qp_num and by vector.
SCAN_ITERATIONS, MISSED, MISROUTED, HEAD_WORDS = range(4)
QP_SCHEDULE_CALLS, QP_WAKEUPS, QP_USEFUL, QP_SPURIOUS, QP_ROWS = range(5)
VECTOR_INTERRUPTS, VECTOR_SCHEDULE_CALLS, VECTOR_WAKEUPS, VECTOR_ROWS = range(4)

U64Array = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Counts:
    """The counts of one run, exact; two are equal when every count is.

    Parameters
    ----------
    interrupts : doorbell interrupts delivered.
    scan_iterations : iterations of the bit loop.
    schedule_calls : `tasklet_schedule()` calls; `wakeups` set SCHED, `merged` found it set.
    useful_wakeups, spurious_wakeups : tasklet runs that found a packet, and those that did not.
    missed : bits rung on an active QP that their own interrupt did not schedule.
    misrouted : QPs scheduled though not rung, by interrupts that missed a bit.
    qp_schedule_calls, qp_wakeups, qp_useful_wakeups, qp_spurious_wakeups : uint64[64], by qp_num.
    vector_interrupts, vector_schedule_calls, vector_wakeups : uint64[V], by interrupt source.
    """

    interrupts: int
    scan_iterations: int
    schedule_calls: int
    wakeups: int
    merged: int
    useful_wakeups: int
    spurious_wakeups: int
    missed: int
    misrouted: int
    qp_schedule_calls: U64Array
    qp_wakeups: U64Array
    qp_useful_wakeups: U64Array
    qp_spurious_wakeups: U64Array
    vector_interrupts: U64Array
    vector_schedule_calls: U64Array
    vector_wakeups: U64Array

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]  # its arrays have no hash


class Counters:
    """The counts of one receiver, which every kernel updates in place.

    block : uint64[451]; what the compiled kernels get. The other three are views of it.
    head : uint64[3]; scan iterations, missed, misrouted.
    qp : uint64[4, 64]; schedule calls, wakeups, useful and spurious runs, by qp_num.
    vector : uint64[3, 64]; interrupts, schedule calls, wakeups, by interrupt source.
    """

    def __init__(self) -> None:
        qp_end = HEAD_WORDS + QP_ROWS * QP_COUNT_MAX
        self.block = np.zeros(qp_end + VECTOR_ROWS * VECTOR_COUNT_MAX, np.uint64)
        self.head = self.block[:HEAD_WORDS]
        self.qp = self.block[HEAD_WORDS:qp_end].reshape(QP_ROWS, QP_COUNT_MAX)
        self.vector = self.block[qp_end:].reshape(VECTOR_ROWS, VECTOR_COUNT_MAX)

    def reset(self) -> None:
        """Forget every count."""
        self.block.fill(0)

    def read(self, vector_count: int) -> Counts:
        """Return a copy of the counts so far, for a device of `vector_count` vectors."""
        vector = self.vector[:, :vector_count].copy()
        qp = self.qp.copy()
        schedule_calls, wakeups, useful, spurious = qp.sum(axis=1).tolist()
        return Counts(
            interrupts=int(vector[VECTOR_INTERRUPTS].sum()),
            scan_iterations=int(self.head[SCAN_ITERATIONS]),
            schedule_calls=schedule_calls,
            wakeups=wakeups,
            merged=schedule_calls - wakeups,
            useful_wakeups=useful,
            spurious_wakeups=spurious,
            missed=int(self.head[MISSED]),
            misrouted=int(self.head[MISROUTED]),
            qp_schedule_calls=qp[QP_SCHEDULE_CALLS],
            qp_wakeups=qp[QP_WAKEUPS],
            qp_useful_wakeups=qp[QP_USEFUL],
            qp_spurious_wakeups=qp[QP_SPURIOUS],
            vector_interrupts=vector[VECTOR_INTERRUPTS],
            vector_schedule_calls=vector[VECTOR_SCHEDULE_CALLS],
            vector_wakeups=vector[VECTOR_WAKEUPS],
        )
