# SPDX-License-Identifier: BSD-3-Clause
"""What a kernel counts: the buffers that it fills, and the record that a caller gets."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ntbbench.model.vectormap import DB_BITS_MAX

QP_COUNT_MAX = DB_BITS_MAX  # qp_bitmap is a u64 (ntb_transport.c)
# Every value of a uint8 vector is inside the tables, so that a stream changed behind the
# engine's back counts wrongly but never touches foreign memory.
VECTOR_TABLE = 256

# The rows and words of the buffers, as ext/_bits.pxd has them.
SCHED, PENDING, PHASE, STATE_WORDS = range(4)
SCAN_ITERATIONS, MISSED, MISROUTED, TOTAL_WORDS = range(4)
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
    """The buffers of one receiver, which every kernel updates in place.

    state : uint64[3]; the QPs whose tasklet is scheduled, the QPs with a packet that no run has
        consumed, and the interrupts since the softirq last ran.
    totals : uint64[3]; scan iterations, missed, misrouted.
    qp : uint64[4, 64]; schedule calls, wakeups, useful and spurious runs, by qp_num.
    vector : uint64[3, 256]; interrupts, schedule calls, wakeups, by interrupt source.
    """

    def __init__(self) -> None:
        words = STATE_WORDS + TOTAL_WORDS
        qp_words = QP_ROWS * QP_COUNT_MAX
        # One block, so that a reset is one call.
        self._block = np.zeros(words + qp_words + VECTOR_ROWS * VECTOR_TABLE, np.uint64)
        self.state = self._block[:STATE_WORDS]
        self.totals = self._block[STATE_WORDS:words]
        self.qp = self._block[words : words + qp_words].reshape(QP_ROWS, QP_COUNT_MAX)
        self.vector = self._block[words + qp_words :].reshape(VECTOR_ROWS, VECTOR_TABLE)

    def reset(self) -> None:
        """Forget the state and every count."""
        self._block.fill(0)

    def read(self, vector_count: int) -> Counts:
        """Return a copy of the counts so far, for a device of `vector_count` vectors."""
        vector = self.vector[:, :vector_count].copy()
        qp = self.qp.copy()
        schedule_calls = int(qp[QP_SCHEDULE_CALLS].sum())
        wakeups = int(qp[QP_WAKEUPS].sum())
        return Counts(
            interrupts=int(vector[VECTOR_INTERRUPTS].sum()),
            scan_iterations=int(self.totals[SCAN_ITERATIONS]),
            schedule_calls=schedule_calls,
            wakeups=wakeups,
            merged=schedule_calls - wakeups,
            useful_wakeups=int(qp[QP_USEFUL].sum()),
            spurious_wakeups=int(qp[QP_SPURIOUS].sum()),
            missed=int(self.totals[MISSED]),
            misrouted=int(self.totals[MISROUTED]),
            qp_schedule_calls=qp[QP_SCHEDULE_CALLS],
            qp_wakeups=qp[QP_WAKEUPS],
            qp_useful_wakeups=qp[QP_USEFUL],
            qp_spurious_wakeups=qp[QP_SPURIOUS],
            vector_interrupts=vector[VECTOR_INTERRUPTS],
            vector_schedule_calls=vector[VECTOR_SCHEDULE_CALLS],
            vector_wakeups=vector[VECTOR_WAKEUPS],
        )
