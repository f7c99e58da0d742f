# SPDX-License-Identifier: BSD-3-Clause
"""Both drivers joined by their wire: a setting, the link, and one ring in either direction."""

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ntbbench.core.names import check_range
from ntbbench.ntb.transport import QpCount, qp_count
from ntbbench.pair.drivers.core_ops import DbEvent
from ntbbench.pair.drivers.hazards import DriverError
from ntbbench.pair.drivers.ntb_hw_epf import Epf, WriteDoorbell, contiguous_irqs
from ntbbench.pair.drivers.patches import Driver, Side
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell, RaiseMsi, Vntb
from ntbbench.pair.drivers.slots import (
    EP_DB_COUNT_MAX,
    EPF_IRQ_DB_START,
    MW_COUNT_MAX,
    RC_VECTORS_MAX,
    RC_VECTORS_MIN,
    SPAD_COUNT,
)

Direction = Literal["ep-to-rc", "rc-to-ep"]
Arrive = Callable[[int], None]  # hands a slot's interrupt or write to the receiving driver
OnSlot = Callable[[int, Arrive], None]  # stands on the wire and calls Arrive
DIRECTIONS: tuple[Direction, Direction] = ("ep-to-rc", "rc-to-ep")
EP_SLOTS_MIN = EPF_IRQ_DB_START + 1  # what patch 4 accepts: link, reserved, one doorbell


@dataclass(frozen=True)
class Setting:
    """How the pair is configured.

    Parameters
    ----------
    ep_slots : db_count written to configfs on the endpoint: all slots.
    rc_vectors : MSI or MSI-X vectors granted to the root complex: all slots.
    mw_count : memory windows.
    doorbell : how rings reach the endpoint; no effect on rings towards the root complex.

    Raises
    ------
    DriverError : a number that a driver refuses.
    InputError : a number that no driver is ever given.
    """

    ep_slots: int = 8
    rc_vectors: int = 16
    mw_count: int = 4
    doorbell: Doorbell = Doorbell.POLL

    def __post_init__(self) -> None:
        check_slots(self.ep_slots)
        check_vectors(self.rc_vectors)
        check_windows(self.mw_count)

    def slots_of(self, side: Side) -> int:
        """Return the slots of one side, link and reserved included."""
        return self.ep_slots if side == "ep" else self.rc_vectors


class AnySlots(Setting):
    """A setting whose db_count only the drivers judge: those before patch 4 take 0 to 2 too."""

    def __post_init__(self) -> None:
        check_range("--ep-slots", self.ep_slots, 0, EP_DB_COUNT_MAX)
        check_vectors(self.rc_vectors)
        check_windows(self.mw_count)


def check_slots(ep_slots: int) -> None:
    """Raise what the series says of an unusable db_count: EINVAL (patch 4)."""
    if not EP_SLOTS_MIN <= ep_slots <= EP_DB_COUNT_MAX:
        raise DriverError(
            errno.EINVAL,
            f"--ep-slots: {ep_slots}: db_count",
            f"out of range ({EP_SLOTS_MIN} - {EP_DB_COUNT_MAX})",
        )


def check_vectors(rc_vectors: int) -> None:
    """Raise what pci_alloc_irq_vectors() says of too few vectors; more are never asked for."""
    if rc_vectors < RC_VECTORS_MIN:
        raise DriverError(
            errno.ENOSPC,
            f"--rc-vectors: {rc_vectors}: pci_alloc_irq_vectors",
            f"out of range ({RC_VECTORS_MIN} - {RC_VECTORS_MAX})",
        )
    check_range("--rc-vectors", rc_vectors, RC_VECTORS_MIN, RC_VECTORS_MAX)


def check_windows(mw_count: int) -> None:
    """Raise what configfs says of too many windows; without one there is no QP."""
    if mw_count > MW_COUNT_MAX:
        raise DriverError(
            errno.EINVAL, f"--mw-count: {mw_count}: num_mws", f"out of range (1 - {MW_COUNT_MAX})"
        )
    check_range("--mw-count", mw_count, 1, MW_COUNT_MAX)


class Pair:
    """A bound endpoint and a probed root complex.

    Parameters
    ----------
    ep, rc : the two drivers.
    setting : the configuration.
    irqs : Linux irq numbers of the root complex's vectors; None: one after the other.
    ep_event, rc_event : receive ntb_db_event() on either side.

    `on_slot` stands on the wire: it sees every slot that is rung.

    Raises
    ------
    DriverError : a driver that refuses the setting.
    """

    def __init__(
        self,
        ep: Driver,
        rc: Driver,
        setting: Setting,
        *,
        ep_event: DbEvent,
        rc_event: DbEvent,
        irqs: Sequence[int] | None = None,
    ) -> None:
        self.setting = setting
        self.on_slot: OnSlot = _arrive
        self.ep = bound_vntb(ep, setting.ep_slots, setting.doorbell, ep_event, self._take_msi)
        irqs = contiguous_irqs(setting.rc_vectors) if irqs is None else irqs
        self.rc = probed_epf(rc, irqs, rc_event, self._take_write)

    def _take_msi(self, number: int) -> None:
        """Carry an MSI to the root complex; MSI n is slot n - 1."""
        if number > len(self.rc.irqs):
            raise DriverError(
                errno.EINVAL,
                "pci_epc_raise_irq",
                f"MSI {number} of {len(self.rc.irqs)} granted",
            )
        self.on_slot(number - 1, self.rc.isr)

    def _take_write(self, slot: int) -> None:
        """Carry a doorbell write to the endpoint."""
        self.on_slot(slot, self.ep.write_doorbell)


def _arrive(slot: int, arrive: Arrive) -> None:
    arrive(slot)


def bound_vntb(
    driver: Driver, slots: int, doorbell: Doorbell, db_event: DbEvent, raise_msi: RaiseMsi
) -> Vntb:
    """Return an endpoint that was configured with a db_count of `slots` and bound."""
    vntb = Vntb(driver, doorbell, db_event, raise_msi)
    vntb.config.store("db_count", str(slots))
    vntb.config.store("num_mws", str(MW_COUNT_MAX))
    vntb.bind()
    return vntb


def probed_epf(
    driver: Driver, irqs: Sequence[int], db_event: DbEvent, write_doorbell: WriteDoorbell
) -> Epf:
    """Return a root complex that was granted `irqs`."""
    epf = Epf(driver, irqs, db_event, write_doorbell)
    epf.probe(MW_COUNT_MAX)
    return epf


def transport_qps(db_valid_mask: int, mw_count: int, spad_count: int = SPAD_COUNT) -> QpCount:
    """Return the QPs that ntb_transport makes of one side."""
    return qp_count(
        db_valid_mask,
        mw_count=mw_count,
        spad_count=spad_count,
        use_msi=False,
        max_num_clients=0,
    )
