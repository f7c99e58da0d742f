# SPDX-License-Identifier: BSD-3-Clause
"""The counts with numpy alone: what somebody without compiled kernels would write."""

import numpy as np
from numpy.typing import NDArray

from benches.cases import Case
from ntbbench.dispatch.engine.batch import (
    QP_COUNT_MAX,
    QP_SCHEDULE_CALLS,
    QP_SPURIOUS,
    QP_USEFUL,
    QP_WAKEUPS,
    SCAN_ITERATIONS,
    VECTOR_COUNT_MAX,
    VECTOR_INTERRUPTS,
    VECTOR_SCHEDULE_CALLS,
    VECTOR_WAKEUPS,
    Counters,
    DispatchCounts,
    U64Array,
)

WORD_BYTES = 8


def bits_of(words: U64Array) -> NDArray[np.uint8]:
    """Return uint8[N, 64], the bits of each word, lowest first."""
    rows = words.astype("<u8").view(np.uint8).reshape(-1, WORD_BYTES)
    return np.unpackbits(rows, axis=1, bitorder="little")


class NumpyDispatch:
    """Whole arrays instead of a loop, for streams whose rings are all scheduled (no misses)."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._counters = Counters()
        self._called = case.masks & np.uint64(case.qp_bitmap)
        if np.any(case.rung & ~self._called[case.vectors]):
            raise ValueError("rung: a bit that its vector does not schedule: allowed none")

    def run(self) -> None:
        """Count the case once."""
        case, counters = self._case, self._counters
        interrupts = np.bincount(case.vectors, minlength=case.masks.size)
        fan_out = bits_of(self._called).sum(axis=1, dtype=np.int64)
        calls = interrupts @ bits_of(self._called).astype(np.int64)
        woken, first_woken, arrived = self._windows()
        useful = bits_of(woken & arrived).sum(axis=0)
        runs = bits_of(woken).sum(axis=0)
        vector_wakeups = np.bincount(
            case.vectors, bits_of(first_woken).sum(axis=1), minlength=case.masks.size
        )
        vectors = slice(0, case.masks.size)
        counters.head[SCAN_ITERATIONS] = interrupts @ fan_out
        counters.qp[QP_SCHEDULE_CALLS] = calls
        counters.qp[QP_WAKEUPS] = runs
        counters.qp[QP_USEFUL] = useful
        counters.qp[QP_SPURIOUS] = runs - useful
        counters.vector[VECTOR_INTERRUPTS, vectors] = interrupts
        counters.vector[VECTOR_SCHEDULE_CALLS, vectors] = interrupts * fan_out
        counters.vector[VECTOR_WAKEUPS, vectors] = vector_wakeups

    def _windows(self) -> tuple[U64Array, U64Array, U64Array]:
        """Return the QPs woken by each softirq period, by each interrupt, and the rung ones."""
        case = self._case
        size = case.vectors.size
        periods = -(-size // case.drain)
        called = np.zeros(periods * case.drain, np.uint64)
        called[:size] = self._called[case.vectors]
        rung = np.zeros(periods * case.drain, np.uint64)
        rung[:size] = case.rung
        called, rung = called.reshape(periods, -1), rung.reshape(periods, -1)
        sched = np.bitwise_or.accumulate(called, axis=1)
        first_woken = called.copy()
        first_woken[:, 1:] &= ~sched[:, :-1]
        return sched[:, -1].copy(), first_woken.ravel()[:size], np.bitwise_or.reduce(rung, axis=1)

    def counts(self) -> DispatchCounts:
        """Return what the last run counted."""
        return self._counters.read(self._case.masks.size)


class BincountProduct:
    """np.bincount of the codes, then one matrix product; each interrupt has one bit."""

    def __init__(self, case: Case) -> None:
        called = case.masks & np.uint64(case.qp_bitmap)
        by_vector = np.eye(case.queues, VECTOR_COUNT_MAX, dtype=np.int64)
        fan_out = bits_of(called).sum(axis=1, dtype=np.int64)[:, None]
        useful = bits_of(called & case.bits)
        self._codes = case.vectors
        self._matrix = np.hstack([bits_of(called), useful, by_vector, by_vector * fan_out, fan_out])
        self._totals = np.zeros(self._matrix.shape[1], np.int64)
        self._vector_count = case.masks.size

    def run(self) -> None:
        """Count the case once."""
        np.matmul(
            np.bincount(self._codes, minlength=len(self._matrix)), self._matrix, out=self._totals
        )

    def counts(self) -> DispatchCounts:
        """Return what the last run counted."""
        calls, useful, interrupts, vector_calls, scanned = np.split(
            self._totals, np.cumsum([QP_COUNT_MAX] * 2 + [VECTOR_COUNT_MAX] * 2)
        )
        counters = Counters()
        counters.head[SCAN_ITERATIONS] = scanned[0]
        counters.qp[QP_SCHEDULE_CALLS] = counters.qp[QP_WAKEUPS] = calls
        counters.qp[QP_USEFUL] = useful
        counters.qp[QP_SPURIOUS] = calls - useful
        counters.vector[VECTOR_INTERRUPTS] = interrupts
        counters.vector[VECTOR_SCHEDULE_CALLS] = counters.vector[VECTOR_WAKEUPS] = vector_calls
        return counters.read(self._vector_count)
