# SPDX-License-Identifier: BSD-3-Clause
"""Which doorbell bits an interrupt stands for, and which QPs the NTB core then lets it wake."""

from dataclasses import dataclass, replace
from functools import cached_property

from ntbbench.core.errors import InputError

DB_BITS_MAX = 64  # db_bits is a u64 from end to end (include/linux/ntb.h)


@dataclass(frozen=True)
class VectorMap:
    """The doorbell interrupts of one device as the hardware raises them and the NTB core sees them.

    InputError: a mask outside u64, lists of different length, overlap, a bit of
        `db_valid_mask` that no source covers, or more than 64 sources.

    Source: drivers/ntb/core.c (ntb_db_event), include/linux/ntb.h (ntb_db_vector_count,
    ntb_db_vector_mask), Linux 7.3.
    """

    db_valid_mask: int  # u64 mask of the bits that the driver calls doorbells
    # one u64 mask per interrupt source, in source order: the bits whose ring raises it. Together
    # they cover `db_valid_mask`, and no two of them overlap.
    irq_masks: tuple[int, ...]
    db_vector_count: int  # what `ntb_db_vector_count()` returns: 1 without the driver's callback
    # one u64 mask per interrupt source: what `ntb_db_vector_mask()` returns for the vector that the
    # source reports. The core's fallback is `db_valid_mask` for every source.
    db_vector_masks: tuple[int, ...]

    def __post_init__(self) -> None:
        check_u64("db_valid_mask", self.db_valid_mask)
        for vector, mask in enumerate(self.irq_masks):
            check_u64(f"irq_masks[{vector}]", mask)
        for vector, mask in enumerate(self.db_vector_masks):
            check_u64(f"db_vector_masks[{vector}]", mask)
        if not len(self.irq_masks) == len(self.db_vector_masks) <= DB_BITS_MAX:
            raise InputError(
                "db_vector_masks",
                len(self.db_vector_masks),
                f"one mask per interrupt source ({len(self.irq_masks)}), at most {DB_BITS_MAX}",
            )
        covered = 0
        for vector, mask in enumerate(self.irq_masks):
            if covered & mask:
                raise InputError(
                    f"irq_masks[{vector}]", hex(mask), "a bit belongs to one interrupt source only"
                )
            covered |= mask
        if self.db_valid_mask & ~covered:
            raise InputError(
                "irq_masks", hex(self.db_valid_mask & ~covered), "a valid bit needs an interrupt"
            )

    @cached_property
    def irq_of_bit(self) -> tuple[int, ...]:
        """The interrupt source of each of the 64 bits; -1 for a bit without one."""
        sources = [-1] * DB_BITS_MAX
        for source, mask in enumerate(self.irq_masks):
            for bit in bits_of(mask):
                sources[bit] = source
        return tuple(sources)

    def as_fallback(self) -> "VectorMap":
        """Return this device without vector callbacks: every interrupt means `db_valid_mask`."""
        masks = (self.db_valid_mask,) * len(self.irq_masks)
        return replace(self, db_vector_count=1, db_vector_masks=masks)


def check_u64(field: str, value: int) -> None:
    """Raise InputError unless `value` is a u64."""
    if not 0 <= value < 1 << DB_BITS_MAX:
        raise InputError(field, value, "0 .. 2**64-1 (db_bits is a u64)")


def bits_of(mask: int) -> list[int]:
    """Return the numbers of the set bits of `mask`, lowest first."""
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]
