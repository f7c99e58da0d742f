# SPDX-License-Identifier: BSD-3-Clause
"""The doorbell dispatch as the driver does it: one bit after the other, one flag a QP."""

from _bits cimport (
    MISROUTED, MISSED, QP_COUNT_MAX, QP_SCHEDULE_CALLS, QP_SPURIOUS, QP_USEFUL, QP_WAKEUPS,
    SCAN_ITERATIONS, VECTOR_COUNT_MAX, VECTOR_INTERRUPTS, VECTOR_SCHEDULE_CALLS, VECTOR_WAKEUPS,
    check_buffers, ffs64, popcount64, uint8_t, uint64_t,
)


cdef struct Receiver:
    uint8_t active[QP_COUNT_MAX]
    uint8_t sched[QP_COUNT_MAX]
    uint8_t pending[QP_COUNT_MAX]
    uint8_t tasklet_vec[QP_COUNT_MAX]  # the scheduled tasklets, as on the CPU's list
    unsigned int tasklet_count


cdef inline int rest(Receiver *receiver, uint64_t active) except -1 nogil:
    cdef int qp_num
    receiver.tasklet_count = 0  # word by word: after memset() GCC's loop is a twentieth slower
    for qp_num in range(QP_COUNT_MAX):
        receiver.active[qp_num] = active >> qp_num & 1
        receiver.sched[qp_num] = 0
        receiver.pending[qp_num] = 0
    return 0


cdef inline int doorbell(
    Receiver *receiver, uint64_t db_bits, unsigned int vector, uint64_t[::1] counters
) except -1 nogil:
    cdef uint64_t scan_iterations = 0
    cdef uint64_t schedule_calls = 0
    cdef uint64_t wakeups = 0
    cdef unsigned int qp_num
    while db_bits:
        qp_num = ffs64(db_bits)
        scan_iterations += 1
        if receiver.active[qp_num]:
            schedule_calls += 1
            counters[QP_SCHEDULE_CALLS + qp_num] += 1
            if not receiver.sched[qp_num]:
                receiver.sched[qp_num] = 1
                receiver.tasklet_vec[receiver.tasklet_count] = qp_num
                receiver.tasklet_count += 1
                wakeups += 1
                counters[QP_WAKEUPS + qp_num] += 1
        db_bits &= ~(<uint64_t>1 << qp_num)
    counters[SCAN_ITERATIONS] += scan_iterations
    counters[VECTOR_INTERRUPTS + vector] += 1
    counters[VECTOR_SCHEDULE_CALLS + vector] += schedule_calls
    counters[VECTOR_WAKEUPS + vector] += wakeups
    return 0


cdef inline int softirq(Receiver *receiver, uint64_t[::1] counters) except -1 nogil:
    cdef unsigned int qp_num, k
    for k in range(receiver.tasklet_count):
        qp_num = receiver.tasklet_vec[k]
        receiver.sched[qp_num] = 0
        if receiver.pending[qp_num]:
            counters[QP_USEFUL + qp_num] += 1
        else:
            counters[QP_SPURIOUS + qp_num] += 1
        receiver.pending[qp_num] = 0
    receiver.tasklet_count = 0
    return 0


cdef int dispatch(
    const uint8_t[::1] vectors,
    const uint64_t[::1] rung,
    const uint64_t[::1] db_vector_masks,
    uint64_t qp_bitmap,
    uint64_t qp_bitmap_free,
    uint64_t active,
    uint64_t drain,
    uint64_t[::1] counters,
) except -1 nogil:
    cdef Receiver receiver
    cdef uint64_t phase = 0
    cdef uint64_t arrived, db_bits, missed
    cdef unsigned int vector
    cdef Py_ssize_t i
    rest(&receiver, active)
    for i in range(vectors.shape[0]):
        vector = vectors[i] & (VECTOR_COUNT_MAX - 1)
        arrived = rung[i] & active
        db_bits = qp_bitmap & ~qp_bitmap_free & db_vector_masks[vector]
        missed = arrived & ~db_bits
        if missed:
            counters[MISSED] += popcount64(missed)
            counters[MISROUTED] += popcount64(db_bits & active & ~arrived)
        while arrived:
            receiver.pending[ffs64(arrived)] = 1
            arrived &= arrived - 1
        doorbell(&receiver, db_bits, vector, counters)
        phase += 1
        if phase == drain:
            softirq(&receiver, counters)
            phase = 0
    softirq(&receiver, counters)
    return 0


def run(
    const uint8_t[::1] vectors,
    const uint64_t[::1] rung,
    const uint64_t[::1] db_vector_masks,
    uint64_t qp_bitmap,
    uint64_t qp_bitmap_free,
    uint64_t active,
    uint64_t drain,
    uint64_t[::1] counters,
):
    check_buffers(vectors.shape[0], rung.shape[0], db_vector_masks.shape[0], drain, counters)
    with nogil:
        dispatch(
            vectors, rung, db_vector_masks, qp_bitmap, qp_bitmap_free, active, drain, counters
        )
