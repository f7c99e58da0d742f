# SPDX-License-Identifier: BSD-3-Clause
"""The softirq at the end of a stream: every scheduled tasklet runs once."""

from _bits cimport COUNTER_WORDS, PENDING, PHASE, SCHED, run_tasklets, uint64_t


def run(uint64_t[::1] counters):
    if counters.shape[0] != COUNTER_WORDS:
        raise ValueError(f"counters: {counters.shape[0]} words: allowed {COUNTER_WORDS}")
    with nogil:
        run_tasklets(counters[SCHED], counters[PENDING], counters)
        counters[PENDING] &= ~counters[SCHED]
        counters[SCHED] = 0
        counters[PHASE] = 0
