# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel benches count: uniform rings of one bit on Q queues of a device with Q bits."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from ntbbench.dispatch import engine
from ntbbench.dispatch.engine.batch import U8Array, U64Array

QUEUES = (1, 2, 4, 8, 16, 32, 64)
DISPATCHES = ("fallback", "per-vector")
DRAINS = (1, 8)  # without merging, and with it
SEED = 20260306


@dataclass(frozen=True, eq=False)
class Case:
    """A stream and a device, as `engine.prepare` takes them.

    Parameters
    ----------
    vectors : uint8[N].
    bits, masks : uint64[queues], what an interrupt of each vector rings, and what it may schedule.
    """

    queues: int
    dispatch: str
    drain: int
    vectors: U8Array
    bits: U64Array
    masks: U64Array

    @property
    def name(self) -> str:
        return f"{self.dispatch}-drain{self.drain}-Q{self.queues}"

    @property
    def qp_bitmap(self) -> int:
        return (1 << self.queues) - 1

    @property
    def rung(self) -> U64Array:
        return self.bits[self.vectors]

    def prepare(self, kernel: str, *, coded: bool = False) -> engine.Prepared:
        """Bind the stream to a kernel: as vectors and words, or as codes."""
        words: dict[str, Any] = {"qp_bitmap": self.qp_bitmap, "active": self.qp_bitmap}
        stream = self.vectors, self.rung
        if coded:
            stream = np.arange(self.queues, dtype=np.uint8), self.bits
            words["codes"] = self.vectors
        return engine.prepare(kernel, *stream, self.masks, drain=self.drain, **words)


def make_case(queues: int, dispatch: str, drain: int, interrupts: int) -> Case:
    """Return the case; the same one for the same arguments."""
    vectors = np.random.default_rng(SEED).integers(0, queues, interrupts, np.uint8)
    one_bit = np.uint64(1) << np.arange(queues, dtype=np.uint64)
    whole = np.full(queues, np.bitwise_or.reduce(one_bit))
    masks = whole if dispatch == "fallback" else one_bit
    return Case(queues, dispatch, drain, vectors, one_bit, masks)


def all_cases(interrupts: int) -> Iterator[Case]:
    """Make the cases of the targets in docs/kernels.md, one after the other."""
    for dispatch, drain, queues in product(DISPATCHES, DRAINS, QUEUES):
        yield make_case(queues, dispatch, drain, interrupts)
