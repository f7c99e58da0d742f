# SPDX-License-Identifier: BSD-3-Clause
"""The pair's setting and traffic, declared once; both drivers joined by their wire in a setting."""

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from msgspec import Struct
from msgspec.structs import force_setattr

from ntbbench.core.options import Count, Word, check, shown
from ntbbench.ntb.transport import QpCount, qp_count
from ntbbench.pair.drivers.kernel_around import (
    EP_DB_COUNT_MAX,
    EP_MSIS,
    EPF_IRQ_DB_START,
    MW_COUNT_MAX,
    RC_VECTORS_MAX,
    RC_VECTORS_MIN,
    SPAD_COUNT,
    DbEvent,
    DriverError,
)
from ntbbench.pair.drivers.ntb_hw_epf import Epf, WriteDoorbell, contiguous_irqs
from ntbbench.pair.drivers.patches import SIDES, Driver, Side
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell, RaiseMsi, Vntb

Direction = Literal["ep-to-rc", "rc-to-ep", "host1-to-host2", "host2-to-host1"]
Arrive = Callable[[int], None]  # hands a slot's interrupt or write to the receiving driver
OnSlot = Callable[[int, Arrive], None]  # stands on the wire and calls Arrive
EP_TO_RC: Direction = "ep-to-rc"
RC_TO_EP: Direction = "rc-to-ep"
DIRECTIONS: tuple[Direction, Direction] = (EP_TO_RC, RC_TO_EP)
HOST1_TO_HOST2: Direction = "host1-to-host2"
HOST2_TO_HOST1: Direction = "host2-to-host1"
OfEnd = TypeVar("OfEnd")
EP_SLOTS_MIN = EPF_IRQ_DB_START + 1  # what patch 4 accepts: link, reserved, one doorbell
SLOTS_TEXT = "db_count of the endpoint, link and reserved slot included"
DOORBELL = Word(tuple(Doorbell), "how rings reach the endpoint; no effect on ep-to-rc")
FLOWS_MAX = 64
US = {"us": 1, "ms": 1000, "s": 1_000_000}
SPACED_US = 700  # from this gap on a doorbell's tasklets have run before the next ring, on one CPU
PACKETS = Count(1, 100_000, "packets of each flow")
GAP = Count(0, 10_000_000, "us after each packet; 0: a burst", US)


@dataclass(frozen=True)
class Ends:
    """The two ends that an endpoint function joins, first and second."""

    names: tuple[str, str]  # of options, and of the fields of a record
    titles: tuple[str, str]  # in tables and stories
    halves: tuple[Side, Side]  # which half of the series the driver of each is of
    directions: tuple[Direction, Direction]  # the first rings the second, and back

    @property
    def sides(self) -> tuple[Side, ...]:
        """The halves of the series that are in play, each once."""
        return tuple(dict.fromkeys(self.halves))


VNTB_ENDS = Ends(SIDES, ("EP", "RC"), SIDES, DIRECTIONS)
HOST_ENDS = Ends(
    ("host1", "host2"), ("host 1", "host 2"), ("rc", "rc"), (HOST1_TO_HOST2, HOST2_TO_HOST1)
)


def first_sends(direction: Direction) -> bool:
    """Return whether the first end rings the second."""
    return direction in (EP_TO_RC, HOST1_TO_HOST2)


def by_role(direction: Direction, first: OfEnd, second: OfEnd) -> tuple[OfEnd, OfEnd]:
    """Return what belongs to the sender, then what belongs to the receiver."""
    return (first, second) if first_sends(direction) else (second, first)


class Setting(Struct, frozen=True):
    """How the pair is configured; InputError: a value that no driver is ever given."""

    ends: ClassVar[Ends] = VNTB_ENDS
    ep_slots: Annotated[int, Count(EP_SLOTS_MIN, EP_DB_COUNT_MAX, SLOTS_TEXT)] = 8
    rc_vectors: Annotated[
        int, Count(RC_VECTORS_MIN, RC_VECTORS_MAX, "MSI(-X) vectors granted to the root complex")
    ] = EP_MSIS
    mw_count: Annotated[int, Count(1, MW_COUNT_MAX, "memory windows")] = 4
    doorbell: Annotated[Doorbell, DOORBELL] = Doorbell.POLL

    def __post_init__(self) -> None:
        check(self)
        force_setattr(self, "doorbell", Doorbell(self.doorbell))

    def slots_of(self, side: Side) -> int:
        """Return the slots of one side, link and reserved included."""
        return self.ep_slots if side == "ep" else self.rc_vectors

    @property
    def slots(self) -> tuple[int, int]:
        """The slots of both ends."""
        return self.ep_slots, self.rc_vectors

    def recorded(self) -> dict[str, Any]:
        """Return the setting as a record has it."""
        return shown(self)


class AnySlots(Setting, frozen=True):
    """A setting whose db_count only the drivers judge: those before patch 4 take 0 to 2 too."""

    ep_slots: Annotated[int, Count(0, EP_DB_COUNT_MAX, SLOTS_TEXT)] = 8


class Traffic(Struct, frozen=True):
    """One measured point: UDP flows that send in turn; InputError: a value out of range."""

    direction: Annotated[Direction, Word(DIRECTIONS, "which way packets go")] = EP_TO_RC
    # sockets; the stack's hash gives each a QP
    flows: Annotated[int, Count(1, FLOWS_MAX, "UDP flows that send in turn")] = 1
    packets: Annotated[int, PACKETS] = 20  # more than a ring of ntb_netdev has entries
    gap_us: Annotated[int, GAP] = 12_000  # two polls of a polled endpoint: no ring meets another

    def __post_init__(self) -> None:
        check(self)

    @property
    def name(self) -> str:
        """The point's name within its boot, and its recording's folder."""
        return f"{self.direction}-f{self.flows}-n{self.packets}-g{self.gap_us}"

    @property
    def sender(self) -> Side:
        """The side that sends; of hosts the first is `ep`."""
        return "ep" if first_sends(self.direction) else "rc"

    @property
    def receiver(self) -> Side:
        """The side that receives."""
        return "rc" if first_sends(self.direction) else "ep"

    @property
    def by_msi(self) -> bool:
        """Whether an MSI is what a doorbell becomes: ntb_hw_epf receives."""
        return self.direction != RC_TO_EP

    @property
    def spaced(self) -> bool:
        """Whether each doorbell was served before the next, on one CPU."""
        return self.gap_us >= SPACED_US


class Pair:
    """A bound endpoint and a probed root complex; each `event` receives its ntb_db_event().

    `irqs` are the Linux irq numbers of the root complex's vectors; None: one after the other.
    `on_slot` stands on the wire: it sees every slot that is rung.

    DriverError: a driver that refuses the setting.
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
        self.on_slot: OnSlot = lambda slot, arrive: arrive(slot)
        self.ep = bound_vntb(ep, setting.ep_slots, setting.doorbell, ep_event, self._take_msi)
        irqs = contiguous_irqs(setting.rc_vectors) if irqs is None else irqs
        self.rc = probed_epf(
            rc, irqs, rc_event, lambda slot: self.on_slot(slot, self.ep.write_doorbell)
        )

    @property
    def devices(self) -> tuple[Vntb, Epf]:
        """Both drivers, first and second end."""
        return self.ep, self.rc

    @property
    def lost(self) -> list[str]:
        """What the deferred work could not raise."""
        return self.ep.failed_raises

    def _take_msi(self, number: int) -> None:
        """Carry an MSI to the root complex; MSI n is slot n - 1."""
        if number > len(self.rc.irqs):
            granted = f"MSI {number} of {len(self.rc.irqs)} granted"
            raise DriverError(errno.EINVAL, "pci_epc_raise_irq", granted)
        self.on_slot(number - 1, self.rc.isr)


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


def transport_qps(db_valid_mask: int, mw_count: int, max_num_clients: int = 0) -> QpCount:
    """Return the QPs that ntb_transport makes of one side."""
    return qp_count(
        db_valid_mask,
        mw_count=mw_count,
        spad_count=SPAD_COUNT,
        use_msi=False,
        max_num_clients=max_num_clients,
    )


def ring_in_atomic(device: Vntb | Epf, db_bits: int) -> DriverError | None:
    """Ring as ntb_transport does, bottom halves off; return what peer_db_set() refused."""
    try:
        with device.sanitizer.atomic():
            device.peer_db_set(db_bits)
    except DriverError as error:
        return error
    return None
