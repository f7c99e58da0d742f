# SPDX-License-Identifier: BSD-3-Clause
"""The softirq at the end of a stream: every scheduled tasklet runs once."""

from _bits cimport (
    PENDING, PHASE, QP_COUNT_MAX, QP_ROWS, QP_SPURIOUS, QP_USEFUL, SCHED, STATE_WORDS, ffs64, uint64_t,
)


def run(uint64_t[::1] state, uint64_t[:, ::1] qp):
    cdef uint64_t bits
    cdef unsigned int qp_num
    if state.shape[0] != STATE_WORDS:
        raise ValueError(f"state: {state.shape[0]} words: allowed 3")
    if qp.shape[0] != QP_ROWS or qp.shape[1] != QP_COUNT_MAX:
        raise ValueError(f"qp: {qp.shape[0]} x {qp.shape[1]}: allowed 4 x 64")
    with nogil:
        bits = state[SCHED]
        while bits:
            qp_num = ffs64(bits)
            if (state[PENDING] >> qp_num) & 1:
                qp[QP_USEFUL, qp_num] += 1
            else:
                qp[QP_SPURIOUS, qp_num] += 1
            bits &= bits - 1
        state[PENDING] &= ~state[SCHED]
        state[SCHED] = 0
        state[PHASE] = 0
