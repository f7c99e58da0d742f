# SPDX-License-Identifier: BSD-3-Clause
"""A stream as one byte an interrupt, for the kernel whose cost is the reading of the stream."""

from dataclasses import dataclass

import numpy as np

from ntbbench.core.errors import InputError
from ntbbench.dispatch.engine.counts import U64Array
from ntbbench.dispatch.engine.segment import Receiver, Segment, U8Array

CODE_COUNT_MAX = 64  # two codes are one index into the kernel's table of pairs


@dataclass(frozen=True, eq=False)
class Coded:
    """A stream of codes, and what each code stands for.

    Parameters
    ----------
    codes : uint8[N], below C, which is at most 64.
    code_vectors : uint8[C], the source of an interrupt of each code.
    code_rung : uint64[C], the bits that it delivers.
    """

    codes: U8Array
    code_vectors: U8Array
    code_rung: U64Array


def encode(receiver: Receiver, segment: Segment) -> Coded:
    """Number the different (vector, rung) pairs of a stream whose order does not matter.

    Raises
    ------
    InputError : tasklets can merge (drain above 1); a vector does not schedule an active QP that
        one of its interrupts rings (its packet would wait for some later interrupt); or more than
        64 different pairs.
    """
    if receiver.drain != 1:
        raise InputError("drain", receiver.drain, "1 for kernel 'histogram'; merging needs order")
    rung_of, rung_nums = np.unique(segment.rung, return_inverse=True)
    pairs = rung_nums * len(receiver.db_vector_masks) + segment.vectors
    pair_of, codes = np.unique(pairs, return_inverse=True)
    if len(pair_of) > CODE_COUNT_MAX:
        raise InputError(
            "rung",
            f"{len(pair_of)} different pairs of vector and rung bits",
            f"at most {CODE_COUNT_MAX} for kernel 'histogram'",
        )
    rung_num_of, vector_of = np.divmod(pair_of, len(receiver.db_vector_masks))
    coded = Coded(codes.astype(np.uint8), vector_of.astype(np.uint8), rung_of[rung_num_of])
    check_scheduled(receiver, segment, coded)
    return coded


def check_scheduled(receiver: Receiver, segment: Segment, coded: Coded) -> None:
    """Raise InputError where an active QP is rung by an interrupt that does not schedule it."""
    exists = segment.qp_bitmap & ~segment.qp_bitmap_free
    for vector, rung in zip(coded.code_vectors.tolist(), coded.code_rung.tolist(), strict=True):
        missed = rung & segment.active & ~(exists & int(receiver.db_vector_masks[vector]))
        if missed:
            raise InputError(
                "rung",
                hex(missed),
                f"only bits that vector {vector} schedules, for kernel 'histogram': "
                "a missed packet waits for some later interrupt, which needs an order",
            )
