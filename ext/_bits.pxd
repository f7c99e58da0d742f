# SPDX-License-Identifier: BSD-3-Clause
# The C types and the layout of the caller's buffers that every kernel shares.

from libc.stdint cimport uint8_t, uint64_t

cdef extern from *:
    """
    #include <assert.h>

    /* __ffs64() of the kernel: undefined for 0, as there (include/linux/bitops.h). */
    static inline unsigned int ntb_ffs64(unsigned long long word)
    {
        assert(word != 0);
        return (unsigned int)__builtin_ctzll(word);
    }
    """
    unsigned int ffs64 "ntb_ffs64"(uint64_t word) noexcept nogil

cdef enum:
    QP_COUNT_MAX = 64  # qp_bitmap is a u64
    # A power of two: kernels take vectors modulo this, so that a stream changed behind their back
    # counts wrongly but touches no foreign memory.
    VECTOR_COUNT_MAX = 64

# The caller's `counters`, uint64[COUNTER_WORDS]: the state that a run carries from one segment to
# the next, the totals, then one word a QP and one word a vector in each row. Constant offsets into
# one contiguous buffer: with a 2-D view the literal loop is a tenth slower, for want of strides
# known when compiling.
cdef enum:
    SCHED = 0
    PENDING = 1
    PHASE = 2
    SCAN_ITERATIONS = 3
    MISSED = 4
    MISROUTED = 5
    QP_SCHEDULE_CALLS = 6
    QP_WAKEUPS = 70
    QP_USEFUL = 134
    QP_SPURIOUS = 198
    VECTOR_INTERRUPTS = 262
    VECTOR_SCHEDULE_CALLS = 326
    VECTOR_WAKEUPS = 390
    COUNTER_WORDS = 454


cdef inline uint64_t popcount64(uint64_t word) noexcept nogil:
    # Without a flag for the instruction, the builtin is a call into libgcc and three times slower.
    word -= (word >> 1) & 0x5555555555555555ULL
    word = (word & 0x3333333333333333ULL) + ((word >> 2) & 0x3333333333333333ULL)
    word = (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0FULL
    return (word * 0x0101010101010101ULL) >> 56


cdef inline int check_buffers(
    Py_ssize_t vectors,
    Py_ssize_t rung,
    Py_ssize_t masks,
    uint64_t drain,
    const uint64_t[::1] counters,
) except -1:
    if vectors != rung:
        raise ValueError(f"rung: {rung} words for {vectors} vectors: allowed one an interrupt")
    if masks != VECTOR_COUNT_MAX:
        raise ValueError(f"db_vector_masks: {masks} masks: allowed {VECTOR_COUNT_MAX}")
    if drain == 0:
        raise ValueError("drain: 0: allowed 1 .. 2**64-1")
    if counters.shape[0] != COUNTER_WORDS:
        raise ValueError(f"counters: {counters.shape[0]} words: allowed {COUNTER_WORDS}")
    if counters[PHASE] >= drain:
        raise ValueError(f"counters[2]: {counters[PHASE]} interrupts: allowed below drain, {drain}")
    return 0


cdef inline int run_tasklets(
    uint64_t sched, uint64_t pending, uint64_t[::1] counters
) except -1 nogil:
    """Count a run of each scheduled tasklet by whether it finds a packet."""
    cdef unsigned int qp_num
    while sched:
        qp_num = ffs64(sched)
        counters[(QP_USEFUL if pending >> qp_num & 1 else QP_SPURIOUS) + qp_num] += 1
        sched &= sched - 1
    return 0
