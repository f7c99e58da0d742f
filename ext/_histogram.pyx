# SPDX-License-Identifier: BSD-3-Clause
"""The counts of a stream without merging and without misses, whose order then does not matter."""

from libc.string cimport memset

from _bits cimport (
    PENDING, QP_COUNT_MAX, QP_SCHEDULE_CALLS, QP_SPURIOUS, QP_USEFUL, QP_WAKEUPS, SCHED,
    VECTOR_COUNT_MAX, VECTOR_WAKEUPS, check_buffers, uint8_t, uint64_t,
)
from _tally cimport CODE_COUNT_MAX, add_to_bits, count_calls, tally_codes


cdef int check_codes(
    const uint8_t[::1] code_vectors,
    const uint64_t[::1] code_rung,
    const uint64_t[::1] db_vector_masks,
    uint64_t qp_mask,
    uint64_t active,
    const uint64_t[::1] counters,
) except -1:
    cdef Py_ssize_t code
    if not code_vectors.shape[0] == code_rung.shape[0] <= CODE_COUNT_MAX:
        raise ValueError(
            f"code_vectors, code_rung: {code_vectors.shape[0]}, {code_rung.shape[0]} codes: "
            f"allowed as many of one as of the other, at most {CODE_COUNT_MAX}"
        )
    for code in range(code_vectors.shape[0]):
        if code_vectors[code] >= VECTOR_COUNT_MAX:
            raise ValueError(f"code_vectors[{code}]: {code_vectors[code]}: allowed 0 .. 63")
        if code_rung[code] & active & ~(db_vector_masks[code_vectors[code]] & qp_mask):
            raise ValueError(f"code_rung[{code}]: {code_rung[code]:#x}: allowed bits of its vector")
    if counters[SCHED] or counters[PENDING]:
        raise ValueError(f"counters[0:2]: {counters[SCHED]}, {counters[PENDING]}: allowed 0, 0")
    return 0


cdef int dispatch(
    const uint8_t[::1] codes,
    const uint8_t[::1] code_vectors,
    const uint64_t[::1] code_rung,
    const uint64_t[::1] db_vector_masks,
    uint64_t qp_mask,
    uint64_t active,
    uint64_t[::1] counters,
) except -1 nogil:
    cdef uint64_t occurrences[CODE_COUNT_MAX]
    cdef uint64_t interrupts[VECTOR_COUNT_MAX]
    cdef uint64_t fan_out[VECTOR_COUNT_MAX]
    cdef uint64_t calls[QP_COUNT_MAX]
    cdef uint64_t useful[QP_COUNT_MAX]
    cdef Py_ssize_t code
    cdef int v, qp_num
    memset(occurrences, 0, sizeof(occurrences))
    memset(interrupts, 0, sizeof(interrupts))
    memset(calls, 0, sizeof(calls))
    memset(useful, 0, sizeof(useful))
    tally_codes(codes, <int>code_vectors.shape[0], occurrences)
    for code in range(code_vectors.shape[0]):
        if occurrences[code] == 0:
            continue
        interrupts[code_vectors[code]] += occurrences[code]
        add_to_bits(code_rung[code] & active, occurrences[code], useful)
    count_calls(interrupts, db_vector_masks, qp_mask, active, calls, fan_out, counters)
    for v in range(VECTOR_COUNT_MAX):
        counters[VECTOR_WAKEUPS + v] += interrupts[v] * fan_out[v]
    for qp_num in range(QP_COUNT_MAX):
        counters[QP_SCHEDULE_CALLS + qp_num] += calls[qp_num]
        counters[QP_WAKEUPS + qp_num] += calls[qp_num]
        counters[QP_USEFUL + qp_num] += useful[qp_num]
        counters[QP_SPURIOUS + qp_num] += calls[qp_num] - useful[qp_num]
    return 0


def run(
    const uint8_t[::1] codes,
    const uint8_t[::1] code_vectors,
    const uint64_t[::1] code_rung,
    const uint64_t[::1] db_vector_masks,
    uint64_t qp_bitmap,
    uint64_t qp_bitmap_free,
    uint64_t active,
    uint64_t[::1] counters,
):
    cdef uint64_t qp_mask = qp_bitmap & ~qp_bitmap_free
    check_buffers(codes.shape[0], codes.shape[0], db_vector_masks.shape[0], 1, counters)
    check_codes(code_vectors, code_rung, db_vector_masks, qp_mask, active, counters)
    with nogil:
        dispatch(codes, code_vectors, code_rung, db_vector_masks, qp_mask, active, counters)
