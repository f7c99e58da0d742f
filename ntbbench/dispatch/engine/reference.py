# SPDX-License-Identifier: BSD-3-Clause
"""The dispatch in plain Python, for reading: every compiled kernel gives these counts.

Source: drivers/ntb/ntb_transport.c (ntb_transport_doorbell_callback, ntb_transport_isr),
include/linux/interrupt.h (tasklet_schedule), kernel/softirq.c (tasklet_action_common), Linux 7.3.

Deviates: one CPU takes the interrupts and runs the softirq between two of them; a run consumes
every packet of its QP. Neither the race check nor a repost schedules a tasklet here.
"""

from ntbbench.dispatch.engine.counts import (
    MISROUTED,
    MISSED,
    PENDING,
    PHASE,
    QP_SCHEDULE_CALLS,
    QP_SPURIOUS,
    QP_USEFUL,
    QP_WAKEUPS,
    SCAN_ITERATIONS,
    SCHED,
    VECTOR_INTERRUPTS,
    VECTOR_SCHEDULE_CALLS,
    VECTOR_WAKEUPS,
    Counters,
)
from ntbbench.dispatch.engine.segment import Receiver, Segment
from ntbbench.ntb.vectormap import bits_of


def dispatch(receiver: Receiver, segment: Segment, counters: Counters) -> None:
    """Count a segment whose vectors reach the QPs through `ntb_db_vector_mask()`."""
    alive = segment.qp_bitmap & ~segment.qp_bitmap_free
    for vector, rung in zip(segment.vectors.tolist(), segment.rung.tolist(), strict=True):
        db_bits = alive & int(receiver.db_vector_masks[vector])
        counters.head[SCAN_ITERATIONS] += len(bits_of(db_bits))
        interrupt(
            counters,
            vector,
            rung=rung,
            called=db_bits & segment.active,
            active=segment.active,
            drain=receiver.drain,
        )


def dispatch_msi(receiver: Receiver, segment: Segment, counters: Counters) -> None:
    """Count a segment under use_msi: a vector schedules its QP, active or not, without a scan."""
    for vector, rung in zip(segment.vectors.tolist(), segment.rung.tolist(), strict=True):
        qp_mask = int(receiver.db_vector_masks[vector])
        interrupt(
            counters,
            vector,
            rung=rung,
            called=qp_mask,
            active=segment.active,
            drain=receiver.drain,
        )


def interrupt(
    counters: Counters, vector: int, *, rung: int, called: int, active: int, drain: int
) -> None:
    """Count one interrupt: its packets arrive, then each QP in `called` is scheduled."""
    arrived = rung & active
    sched, pending, phase = counters.head[: PHASE + 1].tolist()
    counters.vector[VECTOR_INTERRUPTS, vector] += 1
    for qp_num in bits_of(called):
        counters.qp[QP_SCHEDULE_CALLS, qp_num] += 1
        counters.vector[VECTOR_SCHEDULE_CALLS, vector] += 1
        if not sched >> qp_num & 1:  # tasklet_schedule() is test_and_set_bit(SCHED)
            counters.qp[QP_WAKEUPS, qp_num] += 1
            counters.vector[VECTOR_WAKEUPS, vector] += 1
    missed = bits_of(arrived & ~called)
    if missed:
        counters.head[MISSED] += len(missed)
        counters.head[MISROUTED] += len(bits_of(called & ~rung))
    counters.head[SCHED] = sched | called
    counters.head[PENDING] = pending | arrived
    counters.head[PHASE] = phase + 1
    if phase + 1 == drain:
        softirq(counters)


def softirq(counters: Counters) -> None:
    """Run every scheduled tasklet once."""
    sched, pending, _ = counters.head[: PHASE + 1].tolist()
    for qp_num in bits_of(sched):
        counters.qp[QP_USEFUL if pending >> qp_num & 1 else QP_SPURIOUS, qp_num] += 1
    counters.head[SCHED] = 0
    counters.head[PENDING] = pending & ~sched
    counters.head[PHASE] = 0
