# SPDX-License-Identifier: BSD-3-Clause
"""The dispatch with a u64 word where the driver has a flag a QP: no bit loop, the same counts."""

from libc.string cimport memset

from _bits cimport (
    MISROUTED, MISSED, PENDING, PHASE, QP_COUNT_MAX, QP_SCHEDULE_CALLS, QP_SPURIOUS, QP_USEFUL,
    QP_WAKEUPS, SCHED, VECTOR_COUNT_MAX, VECTOR_WAKEUPS, check_buffers, ffs64, popcount64, uint8_t,
    uint64_t,
)
from _tally cimport (
    WORDS_A_BLOCK, BitTally, count_calls, tally_block, tally_codes, tally_finish,
    tally_word,
)


cdef int count_missed(
    const uint8_t[::1] vectors,
    const uint64_t[::1] rung,
    const uint64_t *called,
    uint64_t active,
    uint64_t[::1] counters,
) except -1 nogil:
    # Misses depend on no state, and are rare: a first pass finds out whether there are any.
    cdef uint64_t missed = 0
    cdef uint64_t arrived, bits
    cdef Py_ssize_t i
    for i in range(vectors.shape[0]):
        missed |= rung[i] & ~called[vectors[i] & (VECTOR_COUNT_MAX - 1)]
    if missed & active == 0:
        return 0
    for i in range(vectors.shape[0]):
        arrived = rung[i] & active
        bits = called[vectors[i] & (VECTOR_COUNT_MAX - 1)]
        if arrived & ~bits:
            counters[MISSED] += popcount64(arrived & ~bits)
            counters[MISROUTED] += popcount64(bits & ~arrived)
    return 0


cdef int dispatch_each(
    const uint8_t[::1] vectors,
    const uint64_t[::1] rung,
    const uint64_t *called,
    uint64_t active,
    uint64_t *useful,
    uint64_t[::1] counters,
) except -1 nogil:
    # drain 1: no tasklet is scheduled when an interrupt comes, so every call is a wakeup and only
    # the packets of missed bits are carried over.
    cdef BitTally tally
    cdef uint64_t block[WORDS_A_BLOCK]
    cdef uint64_t pending = counters[PENDING]
    cdef uint64_t bits
    cdef Py_ssize_t base = 0
    cdef Py_ssize_t i
    memset(&tally, 0, sizeof(tally))
    memset(block, 0, sizeof(block))
    while base < vectors.shape[0]:
        if base + WORDS_A_BLOCK > vectors.shape[0]:
            memset(block, 0, sizeof(block))
        for i in range(base, min(base + WORDS_A_BLOCK, vectors.shape[0])):
            bits = called[vectors[i] & (VECTOR_COUNT_MAX - 1)]
            pending |= rung[i] & active
            block[i - base] = pending & bits
            pending &= ~bits
        tally_block(&tally, block, useful)
        base += WORDS_A_BLOCK
    tally_finish(&tally, useful)
    counters[PENDING] = pending
    return 0


cdef bint vectors_share(const uint64_t *called) noexcept nogil:
    cdef uint64_t seen = 0
    cdef int v
    for v in range(VECTOR_COUNT_MAX):
        if seen & called[v]:
            return True
        seen |= called[v]
    return False


cdef int count_vector_wakeups(
    const uint8_t[::1] vectors,
    const uint64_t *called,
    uint64_t drain,
    const uint64_t *wakeups,
    uint64_t sched,
    uint64_t[::1] counters,
) except -1 nogil:
    # Where vectors share a QP, the one that came first woke it; else its vector follows from the
    # QP. A loop of its own: with it, that of dispatch_merging runs out of registers.
    cdef uint64_t phase = counters[PHASE]
    cdef uint64_t bits
    cdef Py_ssize_t i
    cdef int v
    if vectors_share(called):
        for i in range(vectors.shape[0]):
            bits = called[vectors[i] & (VECTOR_COUNT_MAX - 1)]
            counters[VECTOR_WAKEUPS + (vectors[i] & (VECTOR_COUNT_MAX - 1))] += popcount64(
                bits & ~sched
            )
            sched |= bits
            phase += 1
            if phase == drain:
                sched = 0
                phase = 0
        return 0
    for v in range(VECTOR_COUNT_MAX):
        bits = called[v]
        while bits:
            counters[VECTOR_WAKEUPS + v] += wakeups[ffs64(bits)]
            bits &= bits - 1
    return 0


cdef int dispatch_merging(
    const uint8_t[::1] vectors,
    const uint64_t[::1] rung,
    const uint64_t *called,
    uint64_t active,
    uint64_t drain,
    uint64_t *wakeups,
    uint64_t *useful,
    uint64_t[::1] counters,
) except -1 nogil:
    # A QP is woken once between two softirqs, however many calls it gets: the words of the softirq
    # say who ran, and with what.
    cdef BitTally woken, found
    cdef uint64_t sched = counters[SCHED]
    cdef uint64_t carried = sched  # woken and counted in an earlier segment
    cdef uint64_t pending = counters[PENDING]
    cdef uint64_t phase = counters[PHASE]
    cdef Py_ssize_t i
    memset(&woken, 0, sizeof(woken))
    memset(&found, 0, sizeof(found))
    for i in range(vectors.shape[0]):
        sched |= called[vectors[i] & (VECTOR_COUNT_MAX - 1)]
        pending |= rung[i] & active
        phase += 1
        if phase == drain:
            tally_word(&woken, sched & ~carried, wakeups)
            tally_word(&found, sched & pending, useful)
            pending &= ~sched
            sched = 0
            carried = 0
            phase = 0
    tally_word(&woken, sched & ~carried, wakeups)  # woken, not yet run
    tally_finish(&woken, wakeups)
    tally_finish(&found, useful)
    count_vector_wakeups(vectors, called, drain, wakeups, counters[SCHED], counters)
    counters[SCHED] = sched
    counters[PENDING] = pending
    counters[PHASE] = phase
    return 0


cdef int add_qp_counts(
    const uint64_t *calls,
    const uint64_t *wakeups,
    const uint64_t *useful,
    uint64_t carried,
    uint64_t[::1] counters,
) except -1 nogil:
    cdef uint64_t runs
    cdef int qp_num
    for qp_num in range(QP_COUNT_MAX):
        # Runs are the wakeups and what an earlier segment left, less what this one leaves.
        runs = wakeups[qp_num] + (carried >> qp_num & 1) - (counters[SCHED] >> qp_num & 1)
        counters[QP_SCHEDULE_CALLS + qp_num] += calls[qp_num]
        counters[QP_WAKEUPS + qp_num] += wakeups[qp_num]
        counters[QP_USEFUL + qp_num] += useful[qp_num]
        counters[QP_SPURIOUS + qp_num] += runs - useful[qp_num]
    return 0


cdef int dispatch(
    const uint8_t[::1] vectors,
    const uint64_t[::1] rung,
    const uint64_t[::1] db_vector_masks,
    uint64_t qp_mask,
    uint64_t active,
    uint64_t drain,
    uint64_t[::1] counters,
) except -1 nogil:
    cdef uint64_t called[VECTOR_COUNT_MAX]
    cdef uint64_t interrupts[VECTOR_COUNT_MAX]
    cdef uint64_t fan_out[VECTOR_COUNT_MAX]
    cdef uint64_t calls[QP_COUNT_MAX]
    cdef uint64_t wakeups[QP_COUNT_MAX]
    cdef uint64_t useful[QP_COUNT_MAX]
    cdef uint64_t carried = counters[SCHED]
    cdef int v, qp_num
    memset(interrupts, 0, sizeof(interrupts))
    memset(calls, 0, sizeof(calls))
    memset(wakeups, 0, sizeof(wakeups))
    memset(useful, 0, sizeof(useful))
    for v in range(VECTOR_COUNT_MAX):
        called[v] = qp_mask & active & db_vector_masks[v]
    tally_codes(vectors, VECTOR_COUNT_MAX, interrupts)
    count_missed(vectors, rung, called, active, counters)
    count_calls(interrupts, db_vector_masks, qp_mask, active, calls, fan_out, counters)
    if drain == 1:
        dispatch_each(vectors, rung, called, active, useful, counters)
        for v in range(VECTOR_COUNT_MAX):
            counters[VECTOR_WAKEUPS + v] += interrupts[v] * fan_out[v]
        for qp_num in range(QP_COUNT_MAX):
            wakeups[qp_num] = calls[qp_num]
    else:
        dispatch_merging(vectors, rung, called, active, drain, wakeups, useful, counters)
    add_qp_counts(calls, wakeups, useful, carried, counters)
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
            vectors, rung, db_vector_masks, qp_bitmap & ~qp_bitmap_free, active, drain, counters
        )
