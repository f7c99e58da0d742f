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
    VECTOR_COUNT_MAX = 256  # every value of a uint8 vector indexes inside the tables

# state: uint64[3], carried from one segment of a run to the next
cdef enum:
    SCHED, PENDING, PHASE, STATE_WORDS

# totals: uint64[3]
cdef enum:
    SCAN_ITERATIONS, MISSED, MISROUTED, TOTAL_WORDS

# qp: uint64[4, 64]
cdef enum:
    QP_SCHEDULE_CALLS, QP_WAKEUPS, QP_USEFUL, QP_SPURIOUS, QP_ROWS

# vector: uint64[3, 256]
cdef enum:
    VECTOR_INTERRUPTS, VECTOR_SCHEDULE_CALLS, VECTOR_WAKEUPS, VECTOR_ROWS


cdef inline uint64_t popcount64(uint64_t word) noexcept nogil:
    # Without a flag for the instruction, the builtin is a call into libgcc and three times slower.
    word -= (word >> 1) & 0x5555555555555555ULL
    word = (word & 0x3333333333333333ULL) + ((word >> 2) & 0x3333333333333333ULL)
    word = (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0FULL
    return (word * 0x0101010101010101ULL) >> 56


cdef inline int check_buffers(
    Py_ssize_t masks,
    const uint64_t[::1] state,
    const uint64_t[::1] totals,
    const uint64_t[:, ::1] qp,
    const uint64_t[:, ::1] vector,
) except -1:
    if masks != VECTOR_COUNT_MAX:
        raise ValueError(f"db_vector_masks: {masks} masks: allowed 256, unused vectors 0")
    if state.shape[0] != STATE_WORDS:
        raise ValueError(f"state: {state.shape[0]} words: allowed 3")
    if totals.shape[0] != TOTAL_WORDS:
        raise ValueError(f"totals: {totals.shape[0]} words: allowed 3")
    if qp.shape[0] != QP_ROWS or qp.shape[1] != QP_COUNT_MAX:
        raise ValueError(f"qp: {qp.shape[0]} x {qp.shape[1]}: allowed 4 x 64")
    if vector.shape[0] != VECTOR_ROWS or vector.shape[1] != VECTOR_COUNT_MAX:
        raise ValueError(f"vector: {vector.shape[0]} x {vector.shape[1]}: allowed 3 x 256")
    return 0


cdef inline int check_stream(
    Py_ssize_t vectors, Py_ssize_t rung, uint64_t drain, const uint64_t[::1] state
) except -1:
    if vectors != rung:
        raise ValueError(f"rung: {rung} words for {vectors} vectors: allowed one an interrupt")
    if drain == 0:
        raise ValueError("drain: 0: allowed 1 .. 2**64-1")
    if state[PHASE] >= drain:
        raise ValueError(f"state: {state[PHASE]} interrupts since the softirq: allowed below drain")
    return 0
