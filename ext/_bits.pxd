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

# The caller's `counters`, uint64[COUNTER_WORDS]: the totals, then one word a QP or a vector in each
# row. Constant offsets into one contiguous buffer: with a 2-D view the literal loop is a tenth
# slower, for want of strides known when compiling.
cdef enum:
    SCAN_ITERATIONS = 0
    MISSED = 1
    MISROUTED = 2
    QP_SCHEDULE_CALLS = 3
    QP_WAKEUPS = 67
    QP_USEFUL = 131
    QP_SPURIOUS = 195
    VECTOR_INTERRUPTS = 259
    VECTOR_SCHEDULE_CALLS = 323
    VECTOR_WAKEUPS = 387
    COUNTER_WORDS = 451


cdef inline uint64_t popcount64(uint64_t word) noexcept nogil:
    # Without a flag for the instruction, the builtin is a call into libgcc and three times slower.
    word -= (word >> 1) & 0x5555555555555555ULL
    word = (word & 0x3333333333333333ULL) + ((word >> 2) & 0x3333333333333333ULL)
    word = (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0FULL
    return (word * 0x0101010101010101ULL) >> 56


cdef inline int check_buffers(
    Py_ssize_t interrupts,
    Py_ssize_t rung,
    Py_ssize_t masks,
    uint64_t drain,
    const uint64_t[::1] counters,
) except -1:
    if interrupts != rung:
        raise ValueError(f"rung: {rung} words: allowed {interrupts}")
    if masks != VECTOR_COUNT_MAX:
        raise ValueError(f"masks: {masks} words: allowed {VECTOR_COUNT_MAX}")
    if drain == 0:
        raise ValueError("drain: 0: allowed 1 .. 2**64-1")
    if counters.shape[0] != COUNTER_WORDS:
        raise ValueError(f"counters: {counters.shape[0]} words: allowed {COUNTER_WORDS}")
    return 0
