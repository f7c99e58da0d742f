# SPDX-License-Identifier: BSD-3-Clause
"""The softirq at the end of a stream: every scheduled tasklet runs once."""

from _bits cimport (
    COUNTER_WORDS, PENDING, PHASE, QP_SPURIOUS, QP_USEFUL, SCHED, ffs64, uint64_t,
)


cdef int run_tasklets(uint64_t[::1] counters) except -1 nogil:
    cdef uint64_t sched = counters[SCHED]
    cdef uint64_t pending = counters[PENDING]
    cdef uint64_t bits = sched
    cdef unsigned int qp_num
    while bits:
        qp_num = ffs64(bits)
        counters[(QP_USEFUL if pending >> qp_num & 1 else QP_SPURIOUS) + qp_num] += 1
        bits &= bits - 1
    counters[SCHED] = 0
    counters[PENDING] = pending & ~sched
    counters[PHASE] = 0
    return 0


def run(uint64_t[::1] counters):
    if counters.shape[0] != COUNTER_WORDS:
        raise ValueError(f"counters: {counters.shape[0]} words: allowed {COUNTER_WORDS}")
    with nogil:
        run_tasklets(counters)
