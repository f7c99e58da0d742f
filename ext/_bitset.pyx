# SPDX-License-Identifier: BSD-3-Clause
"""The dispatch with a u64 word where the driver has a flag a QP: no bit loop, the same counts.

An interrupt is a byte, its code, which says its vector. What it rings stands with the code (then
the stream is `coded`), or with each interrupt.
"""

from libc.string cimport memcpy, memset

from _bits cimport (
    MISROUTED, MISSED, QP_COUNT_MAX, QP_SCHEDULE_CALLS, QP_SPURIOUS, QP_USEFUL, QP_WAKEUPS,
    SCAN_ITERATIONS, VECTOR_COUNT_MAX, VECTOR_WAKEUPS, check_buffers, ffs64, popcount64, uint8_t,
    uint64_t,
)
from _tally cimport (
    CODE_COUNT_MAX, WORDS_A_BLOCK, BitTally, add_to_bits, count_calls, tally_block, tally_codes,
    tally_finish, tally_word,
)

cdef enum:
    BYTES = 256  # any byte has its entry, also where the stream is changed behind the kernel's back

cdef struct Codes:
    int count
    uint64_t occurrences[CODE_COUNT_MAX]
    uint8_t vector[BYTES]
    uint64_t called[BYTES]
    uint64_t arrived[BYTES]  # rung on active QPs; of a coded stream alone


cdef inline int load(
    Codes *of,
    const uint8_t[::1] codes,
    const uint8_t[::1] code_vectors,
    const uint64_t[::1] called,
    const uint64_t[::1] rung,
    bint coded,
    uint64_t active,
) except -1 nogil:
    cdef int code
    memset(of, 0, sizeof(Codes))
    of.count = <int>code_vectors.shape[0]
    for code in range(of.count):
        of.vector[code] = code_vectors[code] & (VECTOR_COUNT_MAX - 1)
        of.called[code] = called[of.vector[code]]
        of.arrived[code] = rung[code] & active if coded else 0
    return tally_codes(codes, of.count, of.occurrences)


cdef inline bint add_missed(
    uint64_t rung, uint64_t active, uint64_t called, uint64_t times, uint64_t[::1] counters
) noexcept nogil:
    cdef uint64_t missed = rung & active & ~called
    if missed == 0:
        return False
    counters[MISSED] += times * popcount64(missed)
    counters[MISROUTED] += times * popcount64(called & ~rung)
    return True


cdef inline bint count_missed(
    const Codes *of,
    const uint8_t[::1] codes,
    const uint64_t[::1] rung,
    bint coded,
    uint64_t active,
    uint64_t[::1] counters,
) noexcept nogil:
    """Count the missed bits, and return whether there are any; they depend on no state."""
    cdef uint64_t missed = 0
    cdef bint found = False
    cdef Py_ssize_t i
    cdef int code
    if coded:
        for code in range(of.count):
            if of.occurrences[code]:
                found |= add_missed(
                    rung[code], active, of.called[code], of.occurrences[code], counters
                )
        return found
    for i in range(codes.shape[0]):  # they are rare: a first pass finds out
        missed |= rung[i] & ~of.called[codes[i]]
    if missed & active == 0:
        return False
    for i in range(codes.shape[0]):
        add_missed(rung[i], active, of.called[codes[i]], 1, counters)
    return True


cdef inline int count_useful(
    const Codes *of, const uint64_t[::1] rung, bint coded, uint64_t active, uint64_t *useful
) except -1 nogil:
    # Every interrupt runs what it schedules, and it schedules all that it rings.
    cdef BitTally tally
    cdef uint64_t block[WORDS_A_BLOCK]
    cdef Py_ssize_t base = 0
    cdef Py_ssize_t i
    cdef int code
    if coded:
        for code in range(of.count):
            add_to_bits(of.arrived[code], of.occurrences[code], useful)
        return 0
    memset(&tally, 0, sizeof(tally))
    while base + WORDS_A_BLOCK <= rung.shape[0]:
        for i in range(WORDS_A_BLOCK):
            block[i] = rung[base + i] & active
        tally_block(&tally, block, useful)
        base += WORDS_A_BLOCK
    for i in range(base, rung.shape[0]):
        tally_word(&tally, rung[i] & active, useful)
    tally_finish(&tally, useful)
    return 0


cdef inline Py_ssize_t end_of_period(
    Py_ssize_t start, Py_ssize_t size, uint64_t drain
) noexcept nogil:
    return start + <Py_ssize_t>drain if drain < <uint64_t>(size - start) else size


cdef inline int count_merging(
    const Codes *of,
    const uint8_t[::1] codes,
    const uint64_t[::1] rung,
    bint coded,
    uint64_t active,
    uint64_t drain,
    uint64_t *wakeups,
    uint64_t *useful,
) except -1 nogil:
    # A QP is woken once between two softirqs, however many calls it gets: the words of the softirq
    # say who ran, and with what.
    cdef BitTally woken, found
    cdef uint64_t sched
    cdef uint64_t pending = 0
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t end, i
    memset(&woken, 0, sizeof(woken))
    memset(&found, 0, sizeof(found))
    while start < codes.shape[0]:
        end = end_of_period(start, codes.shape[0], drain)
        sched = 0
        for i in range(start, end):
            sched |= of.called[codes[i]]
            pending |= of.arrived[codes[i]] if coded else rung[i] & active
        tally_word(&woken, sched, wakeups)
        tally_word(&found, sched & pending, useful)
        pending &= ~sched
        start = end
    tally_finish(&woken, wakeups)
    tally_finish(&found, useful)
    return 0


cdef inline uint64_t every_if_shared(const uint64_t *called) noexcept nogil:
    """Return the QPs that any vector schedules, or 0 where no two vectors share one."""
    cdef uint64_t every = 0
    cdef bint shared = False
    cdef int v
    for v in range(VECTOR_COUNT_MAX):
        shared |= (every & called[v]) != 0
        every |= called[v]
    return every if shared else 0


cdef inline int count_vector_wakeups(
    const Codes *of,
    const uint8_t[::1] codes,
    const uint64_t *called,
    uint64_t drain,
    const uint64_t *wakeups,
    uint64_t[::1] counters,
) except -1 nogil:
    # Where vectors share a QP, the one that came first since the softirq woke it; else its vector
    # follows from the QP.
    cdef uint64_t every = every_if_shared(called)
    cdef uint64_t sched, woken
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t end, i
    cdef int v
    if every == 0:
        for v in range(VECTOR_COUNT_MAX):
            woken = called[v]
            while woken:
                counters[VECTOR_WAKEUPS + v] += wakeups[ffs64(woken)]
                woken &= woken - 1
        return 0
    while start < codes.shape[0]:
        end = end_of_period(start, codes.shape[0], drain)
        sched = 0
        i = start
        while i < end and sched != every:
            woken = of.called[codes[i]] & ~sched
            if woken:
                counters[VECTOR_WAKEUPS + of.vector[codes[i]]] += popcount64(woken)
                sched |= woken
            i += 1
        start = end
    return 0


cdef inline int dispatch(
    const uint8_t[::1] codes,
    const uint8_t[::1] code_vectors,
    const uint64_t[::1] scanned,
    const uint64_t[::1] called,
    const uint64_t[::1] rung,
    bint coded,
    uint64_t active,
    uint64_t drain,
    uint64_t[::1] counters,
) except -1 nogil:
    cdef Codes of
    cdef uint64_t interrupts[VECTOR_COUNT_MAX]
    cdef uint64_t raised[VECTOR_COUNT_MAX]  # called by the vectors that come at all
    cdef uint64_t fan_out[VECTOR_COUNT_MAX]
    cdef uint64_t calls[QP_COUNT_MAX]
    cdef uint64_t wakeups[QP_COUNT_MAX]
    cdef uint64_t useful[QP_COUNT_MAX]
    cdef int code, v, qp_num
    load(&of, codes, code_vectors, called, rung, coded, active)
    memset(interrupts, 0, sizeof(interrupts))
    memset(raised, 0, sizeof(raised))
    memset(calls, 0, sizeof(calls))
    memset(wakeups, 0, sizeof(wakeups))
    memset(useful, 0, sizeof(useful))
    for code in range(of.count):
        if of.occurrences[code]:
            v = of.vector[code]
            interrupts[v] += of.occurrences[code]
            raised[v] = of.called[code]
            counters[SCAN_ITERATIONS] += of.occurrences[code] * popcount64(scanned[v])
    count_calls(interrupts, raised, calls, fan_out, counters)
    if not count_missed(&of, codes, rung, coded, active, counters) and drain == 1:
        memcpy(wakeups, calls, sizeof(calls))
        count_useful(&of, rung, coded, active, useful)
    else:
        count_merging(&of, codes, rung, coded, active, drain, wakeups, useful)
    if drain == 1:
        for v in range(VECTOR_COUNT_MAX):
            counters[VECTOR_WAKEUPS + v] += interrupts[v] * fan_out[v]
    else:
        count_vector_wakeups(&of, codes, raised, drain, wakeups, counters)
    for qp_num in range(QP_COUNT_MAX):
        counters[QP_SCHEDULE_CALLS + qp_num] += calls[qp_num]
        counters[QP_WAKEUPS + qp_num] += wakeups[qp_num]
        counters[QP_USEFUL + qp_num] += useful[qp_num]
        counters[QP_SPURIOUS + qp_num] += wakeups[qp_num] - useful[qp_num]
    return 0


cdef int check_codes(const uint8_t[::1] code_vectors, const uint64_t[::1] scanned) except -1:
    if code_vectors.shape[0] > CODE_COUNT_MAX:
        raise ValueError(f"code_vectors: {code_vectors.shape[0]}: allowed {CODE_COUNT_MAX} or less")
    if scanned.shape[0] != VECTOR_COUNT_MAX:
        raise ValueError(f"scanned: {scanned.shape[0]} words: allowed {VECTOR_COUNT_MAX}")
    return 0


def run(
    const uint8_t[::1] vectors,
    const uint8_t[::1] every_vector,
    const uint64_t[::1] scanned,
    const uint64_t[::1] called,
    const uint64_t[::1] rung,
    uint64_t active,
    uint64_t drain,
    uint64_t[::1] counters,
):
    check_buffers(vectors.shape[0], rung.shape[0], called.shape[0], drain, counters)
    check_codes(every_vector, scanned)
    with nogil:
        dispatch(vectors, every_vector, scanned, called, rung, False, active, drain, counters)


def run_coded(
    const uint8_t[::1] codes,
    const uint8_t[::1] code_vectors,
    const uint64_t[::1] scanned,
    const uint64_t[::1] called,
    const uint64_t[::1] code_rung,
    uint64_t active,
    uint64_t drain,
    uint64_t[::1] counters,
):
    check_buffers(code_vectors.shape[0], code_rung.shape[0], called.shape[0], drain, counters)
    check_codes(code_vectors, scanned)
    with nogil:
        dispatch(codes, code_vectors, scanned, called, code_rung, True, active, drain, counters)
