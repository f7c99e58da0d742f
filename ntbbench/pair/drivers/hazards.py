# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel around the drivers would say: errnos, and hazards that a debug kernel reports."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum

from ntbbench.core.errors import ExitCode, NtbbenchError
from ntbbench.pair.drivers.slots import U64

# Linux has two names for this number, and C libraries prefer the other one.
ERRNO_NAMES = {errno.EOPNOTSUPP: "EOPNOTSUPP"}


class Hazard(StrEnum):
    """What may go wrong although the doorbell arrives."""

    SLEEPS = "sleeps in atomic context"
    OUT_OF_RANGE = "out-of-range shift or read"
    MISREAD = "vector misread from non-contiguous irqs"
    WRONG_BIT = "wrong bit in db_read"


class DriverError(NtbbenchError):
    """An errno that a driver returned, with the words of its message.

    Parameters
    ----------
    code : a positive errno; the kernel returns its negative.
    call : the function or configfs attribute that returned it.
    """

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, code: int, call: str, message: str) -> None:
        self.code = code
        self.call = call
        self.words = message
        self.name = ERRNO_NAMES.get(code, errno.errorcode[code])
        super().__init__(f"{call}: -{self.name}: {message}")


class Sanitizer:
    """The checks of a debug kernel: DEBUG_ATOMIC_SLEEP, UBSAN's shifts, KASAN's bounds.

    A check that fails is recorded in `reports` and execution goes on, as in the kernel. Where C
    leaves the result undefined, the model goes on with 0.
    """

    def __init__(self) -> None:
        self.reports: list[tuple[Hazard, str]] = []
        self._atomic_depth = 0

    @property
    def hazards(self) -> frozenset[Hazard]:
        """The kinds of hazard seen so far."""
        return frozenset(kind for kind, _ in self.reports)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Run the body in atomic context: a hardirq, a held spinlock, bottom halves off."""
        self._atomic_depth += 1
        try:
            yield
        finally:
            self._atomic_depth -= 1

    def might_sleep(self, what: str) -> None:
        """Report `what` if the context is atomic."""
        if self._atomic_depth:
            self.reports.append((Hazard.SLEEPS, what))

    def bit(self, number: int, width: int, what: str) -> int:
        """Return 1 << number as a u64, computed in a C type of `width` bits (32: signed)."""
        if not 0 <= number < width:
            self.reports.append((Hazard.OUT_OF_RANGE, f"{what}: shift by {number} of {width}"))
            return 0
        one = 1 << number
        if number == width - 1:
            one = -one  # the sign bit of an int: widened to u64 it sets every bit above
        return one & U64

    def load(self, array: Sequence[int], index: int, what: str) -> int:
        """Return array[index]; a read outside gives 0."""
        if not 0 <= index < len(array):
            self.reports.append((Hazard.OUT_OF_RANGE, f"{what}[{index}] of {len(array)}"))
            return 0
        return array[index]
