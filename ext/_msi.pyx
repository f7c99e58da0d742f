# SPDX-License-Identifier: BSD-3-Clause
"""The dispatch with use_msi: the interrupt names its QP, so there is no bit loop."""

from _bits cimport (
    MISROUTED, MISSED, PENDING, PHASE, QP_SCHEDULE_CALLS, QP_SPURIOUS, QP_USEFUL, QP_WAKEUPS,
    SCHED, VECTOR_INTERRUPTS, VECTOR_SCHEDULE_CALLS, VECTOR_WAKEUPS, check_buffers, check_stream,
    ffs64, popcount64, uint8_t, uint64_t,
)


cdef int dispatch(
    const uint8_t[::1] vectors,
    const uint64_t[::1] rung,
    const uint64_t[::1] qp_masks,
    uint64_t active,
    uint64_t drain,
    uint64_t[::1] state,
    uint64_t[::1] totals,
    uint64_t[:, ::1] qp,
    uint64_t[:, ::1] vector,
) except -1 nogil:
    cdef uint64_t sched = state[SCHED]
    cdef uint64_t pending = state[PENDING]
    cdef uint64_t phase = state[PHASE]
    cdef uint64_t qp_mask, lost, bits
    cdef unsigned int qp_num, v
    cdef Py_ssize_t i

    for i in range(vectors.shape[0]):
        v = vectors[i]
        qp_mask = qp_masks[v]
        qp_num = ffs64(qp_mask)
        pending |= rung[i] & active
        lost = rung[i] & active & ~qp_mask
        if lost:
            totals[MISSED] += popcount64(lost)
            totals[MISROUTED] += (qp_mask & rung[i]) == 0
        vector[VECTOR_INTERRUPTS, v] += 1
        vector[VECTOR_SCHEDULE_CALLS, v] += 1
        qp[QP_SCHEDULE_CALLS, qp_num] += 1
        if not sched & qp_mask:
            qp[QP_WAKEUPS, qp_num] += 1
            vector[VECTOR_WAKEUPS, v] += 1
        sched |= qp_mask
        phase += 1
        if phase == drain:
            bits = sched
            while bits:
                qp_num = ffs64(bits)
                qp[QP_USEFUL if (pending >> qp_num) & 1 else QP_SPURIOUS, qp_num] += 1
                bits &= bits - 1
            pending &= ~sched
            sched = 0
            phase = 0

    state[SCHED] = sched
    state[PENDING] = pending
    state[PHASE] = phase
    return 0


cdef int check_one_hot(const uint64_t[::1] qp_masks) except -1:
    cdef Py_ssize_t v
    for v in range(qp_masks.shape[0]):
        if qp_masks[v] == 0 or qp_masks[v] & (qp_masks[v] - 1):
            raise ValueError(f"qp_masks[{v}]: {qp_masks[v]:#x}: allowed one bit: an MSI has one QP")
    return 0


def run(
    const uint8_t[::1] vectors,
    const uint64_t[::1] rung,
    const uint64_t[::1] qp_masks,
    uint64_t active,
    uint64_t drain,
    uint64_t[::1] state,
    uint64_t[::1] totals,
    uint64_t[:, ::1] qp,
    uint64_t[:, ::1] vector,
):
    check_buffers(qp_masks.shape[0], state, totals, qp, vector)
    check_stream(vectors.shape[0], rung.shape[0], drain, state)
    check_one_hot(qp_masks)
    with nogil:
        dispatch(vectors, rung, qp_masks, active, drain, state, totals, qp, vector)
