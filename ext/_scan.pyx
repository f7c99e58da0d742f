# SPDX-License-Identifier: BSD-3-Clause
"""The doorbell dispatch as the driver does it: one bit after the other, one flag a QP."""

from _bits cimport (
    MISROUTED, MISSED, PENDING, PHASE, QP_COUNT_MAX, QP_SCHEDULE_CALLS, QP_SPURIOUS, QP_USEFUL,
    QP_WAKEUPS, SCAN_ITERATIONS, SCHED, VECTOR_INTERRUPTS, VECTOR_SCHEDULE_CALLS, VECTOR_WAKEUPS,
    check_buffers, check_stream, ffs64, popcount64, uint8_t, uint64_t,
)


cdef int dispatch(
    const uint8_t[::1] vectors,
    const uint64_t[::1] rung,
    const uint64_t[::1] db_vector_masks,
    uint64_t qp_bitmap,
    uint64_t qp_bitmap_free,
    uint64_t active,
    uint64_t drain,
    uint64_t[::1] state,
    uint64_t[::1] totals,
    uint64_t[:, ::1] qp,
    uint64_t[:, ::1] vector,
) except -1 nogil:
    cdef uint8_t qp_active[QP_COUNT_MAX]
    cdef uint8_t qp_sched[QP_COUNT_MAX]
    cdef uint8_t qp_pending[QP_COUNT_MAX]
    cdef uint8_t tasklet_vec[QP_COUNT_MAX]  # the scheduled tasklets, as this_cpu's list
    cdef int tasklet_count = 0
    cdef uint64_t phase = state[PHASE]
    cdef uint64_t db_bits, bits, lost
    cdef unsigned int qp_num, v
    cdef int k
    cdef Py_ssize_t i

    for k in range(QP_COUNT_MAX):
        qp_active[k] = (active >> k) & 1
        qp_sched[k] = (state[SCHED] >> k) & 1
        qp_pending[k] = (state[PENDING] >> k) & 1
        if qp_sched[k]:
            tasklet_vec[tasklet_count] = k
            tasklet_count += 1

    for i in range(vectors.shape[0]):
        v = vectors[i]
        bits = rung[i] & active
        db_bits = qp_bitmap & ~qp_bitmap_free & db_vector_masks[v]
        lost = bits & ~db_bits
        if lost:
            totals[MISSED] += popcount64(lost)
            totals[MISROUTED] += popcount64(db_bits & active & ~bits)
        while bits:
            qp_num = ffs64(bits)
            qp_pending[qp_num] = 1
            bits &= ~(<uint64_t>1 << qp_num)
        vector[VECTOR_INTERRUPTS, v] += 1
        while db_bits:
            qp_num = ffs64(db_bits)
            totals[SCAN_ITERATIONS] += 1
            if qp_active[qp_num]:
                qp[QP_SCHEDULE_CALLS, qp_num] += 1
                vector[VECTOR_SCHEDULE_CALLS, v] += 1
                if not qp_sched[qp_num]:
                    qp_sched[qp_num] = 1
                    tasklet_vec[tasklet_count] = qp_num
                    tasklet_count += 1
                    qp[QP_WAKEUPS, qp_num] += 1
                    vector[VECTOR_WAKEUPS, v] += 1
            db_bits &= ~(<uint64_t>1 << qp_num)
        phase += 1
        if phase == drain:
            for k in range(tasklet_count):
                qp_num = tasklet_vec[k]
                qp_sched[qp_num] = 0
                qp[QP_USEFUL if qp_pending[qp_num] else QP_SPURIOUS, qp_num] += 1
                qp_pending[qp_num] = 0
            tasklet_count = 0
            phase = 0

    state[SCHED] = 0
    state[PENDING] = 0
    for k in range(QP_COUNT_MAX):
        state[SCHED] |= <uint64_t>qp_sched[k] << k
        state[PENDING] |= <uint64_t>qp_pending[k] << k
    state[PHASE] = phase
    return 0


def run(
    const uint8_t[::1] vectors,
    const uint64_t[::1] rung,
    const uint64_t[::1] db_vector_masks,
    uint64_t qp_bitmap,
    uint64_t qp_bitmap_free,
    uint64_t active,
    uint64_t drain,
    uint64_t[::1] state,
    uint64_t[::1] totals,
    uint64_t[:, ::1] qp,
    uint64_t[:, ::1] vector,
):
    check_buffers(db_vector_masks.shape[0], state, totals, qp, vector)
    check_stream(vectors.shape[0], rung.shape[0], drain, state)
    with nogil:
        dispatch(
            vectors, rung, db_vector_masks, qp_bitmap, qp_bitmap_free, active, drain,
            state, totals, qp, vector,
        )
