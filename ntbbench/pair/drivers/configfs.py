# SPDX-License-Identifier: BSD-3-Clause
"""The configfs attributes of pci-epf-vntb: what a write does before and after EPC attach."""

import errno
import re

from ntbbench.core.names import unknown
from ntbbench.pair.drivers.hazards import DriverError
from ntbbench.pair.drivers.patches import Driver
from ntbbench.pair.drivers.slots import EP_DB_COUNT_MAX, EP_DB_COUNT_UNSET, MW_COUNT_MAX, SPAD_COUNT

U32_MAX = (1 << 32) - 1
ATTRIBUTES = ("db_count", "num_mws", "spad_count")


class VntbConfig:
    """The numbers that configfs sets, and the errnos of a wrong write.

    Source: drivers/pci/endpoint/functions/pci-epf-vntb.c (EPF_NTB_W, epf_ntb_db_count_store,
    epf_ntb_num_mws_store, epf_ntb_configure_interrupt), Linux 6.12.95 and 7.3; lib/kstrtox.c.

    Deviates: the attributes of single windows, BARs and PCI ids are left out; so is the upper
    limit of spad_count, which only memory sets.
    """

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.attached = False
        self.db_count = EP_DB_COUNT_UNSET
        self.num_mws = 0
        self.spad_count = SPAD_COUNT

    @property
    def db_count_min(self) -> int:
        """The smallest db_count of the patched driver: link, reserved, one doorbell."""
        return self.driver.db_start + 1

    def store(self, attribute: str, text: str) -> None:
        """Write `text` to an attribute.

        Raises
        ------
        DriverError : EOPNOTSUPP after attach (patch 5), EINVAL or ERANGE for what is no u32, EINVAL
            outside the attribute's range (db_count: with patch 4).
        InputError : no such attribute.
        """
        if attribute not in ATTRIBUTES:
            raise unknown("attribute", attribute, ATTRIBUTES)
        if self.driver.has(5) and self.attached:
            raise DriverError(errno.EOPNOTSUPP, attribute, "the EPC is attached")
        value = kstrtou32(attribute, text)
        if attribute == "num_mws":
            _check(attribute, "", value, 0, MW_COUNT_MAX)
        if attribute == "db_count" and self.driver.has(4):
            _check(attribute, "DB count ", value, self.db_count_min, EP_DB_COUNT_MAX)
        setattr(self, attribute, value)

    def configure_interrupt(self) -> None:
        """Check db_count as bind does.

        Raises
        ------
        DriverError : EINVAL for a db_count that the driver refuses.
        """
        low = int("db-count-zero" in self.driver.prerequisites)
        low = self.db_count_min if self.driver.has(4) else low
        _check("epf_ntb_configure_interrupt", "DB count ", self.db_count, low, EP_DB_COUNT_MAX)


def _check(call: str, what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise DriverError(errno.EINVAL, call, f"{what}{value} out of range ({low} - {high})")


def kstrtou32(call: str, text: str) -> int:
    """Return the u32 in `text`, read as kstrtou32() with base 0 does.

    Raises
    ------
    DriverError : EINVAL for no number, ERANGE for one beyond a u32.
    """
    match = re.fullmatch(r"\+?(0[xX][0-9a-fA-F]+|[0-9]+)\n?", text)
    if match is None:
        raise DriverError(errno.EINVAL, call, "not a number")
    digits = match[1]
    octal = digits.startswith("0") and digits.isdigit() and len(digits) > 1
    try:
        value = int(digits, 8 if octal else 0)
    except ValueError:
        raise DriverError(errno.EINVAL, call, "not a number") from None
    if value > U32_MAX:
        raise DriverError(errno.ERANGE, call, "beyond 32 bits")
    return value
