# SPDX-License-Identifier: BSD-3-Clause
"""The stream of a recorded log on a device."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ntbbench.core.errors import InputError
from ntbbench.ntb.vectormap import VectorMap, bits_of
from ntbbench.ntb.workload.stream import Stream
from ntbbench.ntb.workload.workload_log import Log

U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]


def log_stream(log: Log, vector_map: VectorMap, active: int) -> Stream:
    """Return every interrupt of a log; the length of a stream is that of its log.

    A row with rung bits is one interrupt for each source that has one of them, the source of the
    lowest bit first. A row with a vector alone rings one of the vector's active bits, which take
    turns; where none is active, its valid bits do. A row with both rings these bits and no other.

    Parameters
    ----------
    active : u64 mask of the doorbell bits of the queues that exist.

    Raises
    ------
    InputError : a vector or a bit that the device does not have.
    """
    if log.db_bits is None:
        vectors, rung = bits_in_turn(log, vector_map, active)
    else:
        check_bits(log, vector_map)
        vectors, rung = split_by_source(log.db_bits, vector_map)
    rings = sum(
        int(mask).bit_count() * int(count)
        for mask, count in zip(*np.unique(rung, return_counts=True), strict=True)
    )
    return Stream(vectors, rung, rings, log_rates(log, vector_map), exact=True, trials=0)


def bits_in_turn(log: Log, vector_map: VectorMap, active: int) -> tuple[U8, U64]:
    """Return the interrupts of a log of vectors, each with the next bit of its vector."""
    if log.vectors is None:
        raise InputError(f"log {log.path!r}", "", "a vector column")
    rung = np.zeros(len(log.vectors), dtype=np.uint64)
    for source in np.unique(log.vectors).tolist():
        rows = np.flatnonzero(log.vectors == source)
        known = len(vector_map.irq_masks)
        mask = vector_map.irq_masks[source] & vector_map.db_valid_mask if source < known else 0
        bits = bits_of(mask & active) or bits_of(mask)
        if not bits:
            allowed = f"a vector with doorbells, of 0 to {known - 1}"
            raise InputError(f"log {log.path!r}: row {rows[0] + 1}: vector", source, allowed)
        turns = np.array([1 << bit for bit in bits], dtype=np.uint64)
        rung[rows] = turns[np.arange(len(rows)) % len(turns)]
    return log.vectors, rung


def check_bits(log: Log, vector_map: VectorMap) -> None:
    """Raise InputError at the first row whose bits the device, or the row's vector, has not."""
    if log.db_bits is None:
        return
    allowed = np.full(len(log.db_bits), vector_map.db_valid_mask, dtype=np.uint64)
    if log.vectors is not None:
        table = np.zeros(256, dtype=np.uint64)
        table[: len(vector_map.irq_masks)] = vector_map.irq_masks
        allowed &= table[log.vectors]
    wrong = np.flatnonzero(log.db_bits & ~allowed)
    if len(wrong):
        row = wrong[0]
        raise InputError(
            f"log {log.path!r}: row {row + 1}: db_bits",
            hex(log.db_bits[row]),
            f"doorbell bits of this device and vector: {int(allowed[row]):#x}",
        )


def split_by_source(db_bits: U64, vector_map: VectorMap) -> tuple[U8, U64]:
    """Return one interrupt for each source of each row, the source of the lowest bit first."""
    rows, sources, parts = [], [], []
    for source, mask in enumerate(vector_map.irq_masks):
        part = db_bits & np.uint64(mask)
        hit = np.flatnonzero(part)
        rows.append(hit)
        sources.append(np.full(len(hit), source, dtype=np.uint8))
        parts.append(part[hit])
    row, vectors, rung = np.concatenate(rows), np.concatenate(sources), np.concatenate(parts)
    # x & -x is the lowest set bit; it orders the sources of one row.
    order = np.lexsort((rung & (~rung + np.uint64(1)), row))
    return vectors[order], rung[order]


def log_rates(log: Log, vector_map: VectorMap) -> tuple[Fraction, ...]:
    """Return the exact share of each source in the interrupts of the log."""
    hits = [0] * len(vector_map.irq_masks)
    if log.db_bits is None and log.vectors is not None:
        for source, count in zip(*np.unique(log.vectors, return_counts=True), strict=True):
            hits[source] += int(count)
    elif log.db_bits is not None:
        for mask, count in zip(*np.unique(log.db_bits, return_counts=True), strict=True):
            for source in {vector_map.irq_of_bit[bit] for bit in bits_of(int(mask))}:
                hits[source] += int(count)
    return tuple(Fraction(hit, sum(hits)) for hit in hits)
