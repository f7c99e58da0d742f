# SPDX-License-Identifier: BSD-3-Clause
"""The interrupt slots on the wire between the two drivers, and the sizes that bound them."""

EPF_IRQ_LINK = 0
EPF_IRQ_RESERVED_DB = 1  # historically skipped; no side rings it on purpose
EPF_IRQ_DB_START = 2
ROOT_FIX_DB_START = 1  # the rejected alternative gives up the skipped slot

EP_DB_COUNT_MAX = 32  # pci-epf-vntb.c: MAX_DB_COUNT
EP_MSIS = 16  # pci-epf-vntb.c asks the controller for these, whatever db_count is
EP_DB_COUNT_UNSET = 0  # configfs has no default
MW_COUNT_MAX = 4  # pci-epf-vntb.c: MAX_MW; ntb_hw_epf.c: NTB_EPF_MAX_MW_COUNT
SPAD_COUNT = 64  # pci-epf-vntb.c
RC_DB_COUNT_MIN = 3  # ntb_hw_epf.c: NTB_EPF_MIN_DB_COUNT
RC_DB_COUNT_MAX = 31  # ntb_hw_epf.c: NTB_EPF_MAX_DB_COUNT
RC_VECTORS_MIN = RC_DB_COUNT_MIN + 1  # one vector more for the link
RC_VECTORS_MAX = RC_DB_COUNT_MAX + 1
DB_BAR_BYTES_MIN = 128  # pci-epf-core.c (pci_epf_alloc_space): no BAR is smaller
U32_BYTES = 4
U64 = (1 << 64) - 1
INT_BITS = 32
U64_BITS = 64


def ffs(db_bits: int) -> int:
    """Return the 1-based number of the lowest set bit, 0 for none, as the kernel's ffs() does.

    ffs() takes an int, so a doorbell bit of 32 or more is cut off and the result is 0.

    Source: include/linux/bitops.h; used in ntb_epf_peer_db_set() and, before patch 2, in
    vntb_epf_peer_db_set().
    """
    low = db_bits & ((1 << INT_BITS) - 1)
    return (low & -low).bit_length()


def ffs64(db_bits: int) -> int:
    """Return the 0-based number of the lowest set bit of a u64 that is not 0."""
    return (db_bits & -db_bits).bit_length() - 1


def slot_of(bit: int) -> int:
    """Return the slot that a doorbell bit rings, whatever the versions of the two drivers.

    Source: ntb_epf_peer_db_set() and, as MSI slot + 1, vntb_epf_peer_db_set(), Linux 6.12 and 7.3.
    """
    return EPF_IRQ_DB_START + bit


def slot_name(slot: int, db_start: int = EPF_IRQ_DB_START) -> str:
    """Return what a slot stands for."""
    if slot == EPF_IRQ_LINK:
        return "link"
    return "reserved" if slot < db_start else f"doorbell bit {slot - db_start}"
