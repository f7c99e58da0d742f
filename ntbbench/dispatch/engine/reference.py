# SPDX-License-Identifier: BSD-3-Clause
"""The dispatch in plain Python, for reading: every compiled kernel gives these counts.

Source: drivers/ntb/ntb_transport.c (ntb_transport_doorbell_callback, ntb_transport_isr),
include/linux/interrupt.h (tasklet_schedule), kernel/softirq.c (tasklet_action_common), Linux 7.3.

Deviates: one CPU takes the interrupts and runs the softirq between two of them; a run consumes
every packet of its QP. Neither the race check nor a repost schedules a tasklet here.
"""

from collections.abc import Sequence

from ntbbench.dispatch.engine.batch import (
    MISROUTED,
    MISSED,
    QP_SCHEDULE_CALLS,
    QP_SPURIOUS,
    QP_USEFUL,
    QP_WAKEUPS,
    SCAN_ITERATIONS,
    VECTOR_INTERRUPTS,
    VECTOR_SCHEDULE_CALLS,
    VECTOR_WAKEUPS,
    Batch,
    Counters,
)
from ntbbench.ntb.vectormap import bits_of


def dispatch(batch: Batch, counters: Counters) -> None:
    """Count a stream whose vectors reach the QPs through `ntb_db_vector_mask()`."""
    alive = batch.qp_bitmap & ~batch.qp_bitmap_free
    scanned = [alive & mask for mask in batch.db_vector_masks.tolist()]
    for vector in batch.by_interrupt[0].tolist():
        counters.head[SCAN_ITERATIONS] += len(bits_of(scanned[vector]))
    interrupts(batch, [mask & batch.active for mask in scanned], counters)


def dispatch_msi(batch: Batch, counters: Counters) -> None:
    """Count a stream under use_msi: a vector schedules its QP, active or not, without a scan."""
    interrupts(batch, batch.db_vector_masks.tolist(), counters)


def interrupts(batch: Batch, called_of_vector: Sequence[int], counters: Counters) -> None:
    """Count the interrupts: packets arrive, QPs are scheduled, every `drain` times a softirq."""
    sched = pending = 0
    vectors, rung_words = batch.by_interrupt
    stream = zip(vectors.tolist(), rung_words.tolist(), strict=True)
    for number, (vector, rung) in enumerate(stream, 1):
        called = called_of_vector[vector]
        counters.vector[VECTOR_INTERRUPTS, vector] += 1
        for qp_num in bits_of(called):
            counters.qp[QP_SCHEDULE_CALLS, qp_num] += 1
            counters.vector[VECTOR_SCHEDULE_CALLS, vector] += 1
            if not sched >> qp_num & 1:  # tasklet_schedule() is test_and_set_bit(SCHED)
                counters.qp[QP_WAKEUPS, qp_num] += 1
                counters.vector[VECTOR_WAKEUPS, vector] += 1
        missed = bits_of(rung & batch.active & ~called)
        if missed:
            counters.head[MISSED] += len(missed)
            counters.head[MISROUTED] += len(bits_of(called & ~rung))
        sched |= called
        pending |= rung & batch.active
        if number % batch.drain == 0:
            softirq(sched, pending, counters)
            pending &= ~sched
            sched = 0
    softirq(sched, pending, counters)


def softirq(sched: int, pending: int, counters: Counters) -> None:
    """Run every scheduled tasklet once: it finds a packet, or it does not."""
    for qp_num in bits_of(sched):
        counters.qp[QP_USEFUL if pending >> qp_num & 1 else QP_SPURIOUS, qp_num] += 1
