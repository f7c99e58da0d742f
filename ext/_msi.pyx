# SPDX-License-Identifier: BSD-3-Clause
"""The dispatch with use_msi: the interrupt names its QP, so there is no bit loop."""

from _bits cimport (
    MISROUTED, MISSED, QP_SCHEDULE_CALLS, QP_SPURIOUS, QP_USEFUL, QP_WAKEUPS, VECTOR_COUNT_MAX,
    VECTOR_INTERRUPTS, VECTOR_SCHEDULE_CALLS, VECTOR_WAKEUPS, check_buffers, ffs64, popcount64,
    uint8_t, uint64_t,
)


cdef inline int softirq(
    uint64_t sched, uint64_t pending, uint64_t[::1] counters
) except -1 nogil:
    cdef unsigned int qp_num
    while sched:
        qp_num = ffs64(sched)
        counters[(QP_USEFUL if pending >> qp_num & 1 else QP_SPURIOUS) + qp_num] += 1
        sched &= sched - 1
    return 0


cdef int dispatch(
    const uint8_t[::1] vectors,
    const uint64_t[::1] rung,
    const uint64_t[::1] qp_masks,
    uint64_t active,
    uint64_t drain,
    uint64_t[::1] counters,
) except -1 nogil:
    cdef uint64_t sched = 0
    cdef uint64_t pending = 0
    cdef uint64_t phase = 0
    cdef uint64_t qp_mask, missed
    cdef unsigned int qp_num, v
    cdef Py_ssize_t i
    for i in range(vectors.shape[0]):
        v = vectors[i] & (VECTOR_COUNT_MAX - 1)
        qp_mask = qp_masks[v]
        qp_num = ffs64(qp_mask)
        pending |= rung[i] & active
        missed = rung[i] & active & ~qp_mask
        if missed:
            counters[MISSED] += popcount64(missed)
            counters[MISROUTED] += (qp_mask & rung[i]) == 0
        counters[VECTOR_INTERRUPTS + v] += 1
        counters[VECTOR_SCHEDULE_CALLS + v] += 1
        counters[QP_SCHEDULE_CALLS + qp_num] += 1
        if not sched & qp_mask:
            counters[QP_WAKEUPS + qp_num] += 1
            counters[VECTOR_WAKEUPS + v] += 1
        sched |= qp_mask
        phase += 1
        if phase == drain:
            softirq(sched, pending, counters)
            pending &= ~sched
            sched = 0
            phase = 0
    softirq(sched, pending, counters)
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
    uint64_t[::1] counters,
):
    check_buffers(vectors.shape[0], rung.shape[0], qp_masks.shape[0], drain, counters)
    check_one_hot(qp_masks)
    with nogil:
        dispatch(vectors, rung, qp_masks, active, drain, counters)
