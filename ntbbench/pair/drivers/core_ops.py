# SPDX-License-Identifier: BSD-3-Clause
"""What the NTB core sees of a driver: its operations, and the core's rules where it has none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

DbEvent = Callable[[int], None]  # ntb_db_event(): the driver tells the core a vector


@dataclass(frozen=True)
class DbVectorOps:
    """The two vector callbacks of `struct ntb_dev_ops`: a driver has both or neither.

    Source: include/linux/ntb.h (ntb_dev_ops_is_valid), Linux 7.3.
    """

    db_vector_count: Callable[[], int]
    db_vector_mask: Callable[[int], int]


class NtbDevice(Protocol):
    """The doorbell operations of one side's `struct ntb_dev`."""

    @property
    def db_vector_ops(self) -> DbVectorOps | None:
        """The vector callbacks, or None for a driver without them."""

    def db_valid_mask(self) -> int:
        """Return the u64 of bits that the driver calls doorbells."""

    def db_read(self) -> int:
        """Return the local doorbell register, a u64."""

    def db_clear(self, db_bits: int) -> None:
        """Clear bits of the local doorbell register."""


def db_vector_count(ndev: NtbDevice) -> int:
    """Return ntb_db_vector_count(): 1 for a driver without the callback.

    Source: include/linux/ntb.h (ntb_db_vector_count), Linux 7.3.
    """
    ops = ndev.db_vector_ops
    return 1 if ops is None else ops.db_vector_count()


def db_vector_mask(ndev: NtbDevice, vector: int) -> int:
    """Return ntb_db_vector_mask(): `db_valid_mask` whatever the vector, without the callback.

    Source: include/linux/ntb.h (ntb_db_vector_mask), Linux 7.3.
    """
    ops = ndev.db_vector_ops
    return ndev.db_valid_mask() if ops is None else ops.db_vector_mask(vector)
