# SPDX-License-Identifier: BSD-3-Clause
"""What a kernel counts: the buffers that it fills, and the record that a caller gets."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Counts:
    """The counts of one run, exact.

    Parameters
    ----------
    interrupts : doorbell interrupts delivered.
    scan_iterations : iterations of the bit loop.
    schedule_calls : `tasklet_schedule()` calls; `wakeups` set SCHED, `merged` found it set.
    useful_wakeups, spurious_wakeups : tasklet runs that found a packet, and those that did not.
    missed : bits rung on an active QP that their own interrupt did not schedule.
    misrouted : QPs scheduled though not rung, by interrupts that missed a bit.
    qp_schedule_calls, qp_wakeups, qp_useful_wakeups, qp_spurious_wakeups : 64 each, by qp_num.
    vector_interrupts, vector_schedule_calls, vector_wakeups : V each, by interrupt source.
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
    qp_schedule_calls: list[int]
    qp_wakeups: list[int]
    qp_useful_wakeups: list[int]
    qp_spurious_wakeups: list[int]
    vector_interrupts: list[int]
    vector_schedule_calls: list[int]
    vector_wakeups: list[int]


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
        """Return the counts so far, for a device of `vector_count` vectors."""
        scan_iterations, missed, misrouted = self.head.tolist()
        calls, wakeups, useful, spurious = self.qp.tolist()
        interrupts, vector_calls, vector_wakeups = self.vector[:, :vector_count].tolist()
        return Counts(
            interrupts=sum(interrupts),
            scan_iterations=scan_iterations,
            schedule_calls=sum(calls),
            wakeups=sum(wakeups),
            merged=sum(calls) - sum(wakeups),
            useful_wakeups=sum(useful),
            spurious_wakeups=sum(spurious),
            missed=missed,
            misrouted=misrouted,
            qp_schedule_calls=calls,
            qp_wakeups=wakeups,
            qp_useful_wakeups=useful,
            qp_spurious_wakeups=spurious,
            vector_interrupts=interrupts,
            vector_schedule_calls=vector_calls,
            vector_wakeups=vector_wakeups,
        )
