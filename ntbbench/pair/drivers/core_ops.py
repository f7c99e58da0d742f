# SPDX-License-Identifier: BSD-3-Clause
"""What the NTB core sees of a driver: its operations, and the core's rules where it has none."""

from collections.abc import Callable
from typing import Protocol

DbEvent = Callable[[int], None]  # ntb_db_event(): the driver reports a vector to the core


class NtbDevice(Protocol):
    """The doorbell operations of one side's `struct ntb_dev`."""

    has_vector_ops: bool  # a driver has both vector callbacks or neither (ntb_dev_ops_is_valid)

    def db_valid_mask(self) -> int:
        """Return the u64 of bits that the driver calls doorbells."""

    def db_vector_count(self) -> int:
        """Return the number of vectors; the core asks only a driver with vector callbacks."""

    def db_vector_mask(self, vector: int) -> int:
        """Return the u64 of a vector's bits; the core asks as for db_vector_count()."""

    def db_read(self) -> int:
        """Return the local doorbell register, a u64."""

    def db_clear(self, db_bits: int) -> None:
        """Clear bits of the local doorbell register."""


def db_vector_count(ndev: NtbDevice) -> int:
    """Return ntb_db_vector_count(): 1 for a driver without the callback.

    Source: include/linux/ntb.h (ntb_db_vector_count), Linux 7.3.
    """
    return ndev.db_vector_count() if ndev.has_vector_ops else 1


def db_vector_mask(ndev: NtbDevice, vector: int) -> int:
    """Return ntb_db_vector_mask(): `db_valid_mask` whatever the vector, without the callback.

    Source: include/linux/ntb.h (ntb_db_vector_mask), Linux 7.3.
    """
    return ndev.db_vector_mask(vector) if ndev.has_vector_ops else ndev.db_valid_mask()
