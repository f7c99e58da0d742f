# SPDX-License-Identifier: BSD-3-Clause
"""Two hosts with ntb_hw_epf, joined by pci-epf-ntb: their setting, and both drivers on the wire."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Struct

from ntbbench.core.errors import InputError
from ntbbench.core.options import Count, Word, check, shown
from ntbbench.pair.drivers.kernel_around import (
    EP_DB_COUNT_MAX,
    MW_COUNT_MAX,
    RC_VECTORS_MAX,
    RC_VECTORS_MIN,
    DbEvent,
)
from ntbbench.pair.drivers.ntb_hw_epf import Epf, contiguous_irqs
from ntbbench.pair.drivers.patches import Driver, Side
from ntbbench.pair.drivers.pci_epf_ntb import (
    CONFIGURE_DOORBELL,
    HOSTS,
    LINK_UP,
    bound_ntb,
    power_of_two,
)
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.host_records import InHostSetting
from ntbbench.pair.records import InSetting
from ntbbench.pair.setting import (
    EP_SLOTS_MIN,
    HOST_ENDS,
    Ends,
    OnSlot,
    Pair,
    Setting,
    probed_epf,
)

IrqType = Literal["msi", "msix"]
IRQ_TYPES: tuple[IrqType, IrqType] = ("msi", "msix")
WINDOW_BYTES = 1 << 20  # of no effect on doorbells
VECTORS = Annotated[
    int | None,
    Count(RC_VECTORS_MIN, RC_VECTORS_MAX, "vectors granted to the host; unset: all offered"),
]


class HostSetting(Struct, frozen=True):
    """How two hosts are joined; InputError: a value that no driver is ever given.

    Source: drivers/pci/endpoint/functions/pci-epf-ntb.c (epf_ntb_configure_interrupt): each host
    is offered db_count MSI-X, or MSIs, which count in powers of two. drivers/ntb/hw/epf/
    ntb_hw_epf.c (ntb_epf_init_isr): at least 4, MSI-X first, then MSI. Linux 7.3.
    """

    ends: ClassVar[Ends] = HOST_ENDS
    doorbell: ClassVar[Doorbell] = Doorbell.MSI  # of a host: an irq a slot
    ep_slots: Annotated[
        int,
        Count(
            EP_SLOTS_MIN,
            EP_DB_COUNT_MAX,
            "db_count of the endpoint function, link and unused slot included",
        ),
    ] = 8
    mw_count: Annotated[int, Count(1, MW_COUNT_MAX, "memory windows")] = 4
    irq_type: Annotated[IrqType, Word(IRQ_TYPES, "what the two controllers offer")] = "msi"
    host1_vectors: VECTORS = None
    host2_vectors: VECTORS = None

    def __post_init__(self) -> None:
        check(self)
        for name in ("host1_vectors", "host2_vectors"):
            given = getattr(self, name)
            if given is not None and given > self.offered:
                allowed = f"at most the {self.offered} that db_count {self.ep_slots} offers"
                raise InputError(f"--{name.replace('_', '-')}", given, allowed)

    @property
    def offered(self) -> int:
        """The vectors that each host is offered; too few MSI-X are none, and MSI is taken."""
        if self.irq_type == "msix" and self.ep_slots >= RC_VECTORS_MIN:
            return self.ep_slots
        return power_of_two(self.ep_slots)

    @property
    def slots(self) -> tuple[int, int]:
        """The vectors of both hosts, link and unused slot included."""
        return self.host1_vectors or self.offered, self.host2_vectors or self.offered

    def slots_of(self, side: Side) -> int:
        """Return the vectors of host 1, whose driver `patches` looks at by itself."""
        assert side == "rc"
        return self.slots[0]

    def recorded(self) -> dict[str, Any]:
        """Return the setting as a record has it: with the vectors that were granted."""
        names = (f"{name}_vectors" for name in self.ends.names)
        return shown(self) | dict(zip(names, self.slots, strict=True))


AnySetting = Setting | HostSetting


class Hosts:
    """Two bound ntb_hw_epf and the function between them; as `Pair`.

    DriverError: a driver that refuses the setting.
    """

    def __init__(
        self,
        first: Driver,
        second: Driver,
        setting: HostSetting,
        event: DbEvent,
        irqs: Callable[[int], Sequence[int]] = contiguous_irqs,
    ) -> None:
        self.setting = setting
        self.on_slot: OnSlot = lambda slot, arrive: arrive(slot)
        self.ntb = bound_ntb(setting.ep_slots, setting.mw_count, WINDOW_BYTES, self._raise_msi)
        self.devices: tuple[Epf, Epf] = (
            self._probed(0, first, irqs, event),
            self._probed(1, second, irqs, event),
        )
        for host in HOSTS:
            self.ntb.command(host, CONFIGURE_DOORBELL, len(self.devices[host].irqs))
        for host in HOSTS:
            self.ntb.command(host, LINK_UP)

    def _probed(
        self, host: int, own: Driver, irqs: Callable[[int], Sequence[int]], event: DbEvent
    ) -> Epf:
        granted = irqs(self.setting.slots[host])
        return probed_epf(own, granted, event, lambda slot: self.ntb.write_doorbell(host, slot))

    def _raise_msi(self, host: int, number: int) -> None:
        self.on_slot(number - 1, self.devices[host].isr)

    @property
    def lost(self) -> list[str]:
        """What was rung and leads to no MSI."""
        return self.ntb.lost


def joined(
    first: Driver,
    second: Driver,
    setting: AnySetting,
    event: DbEvent,
    irqs: Callable[[int], Sequence[int]] = contiguous_irqs,
) -> Pair | Hosts:
    """Return both drivers of a setting, bound; `event` receives the receiver's ntb_db_event().

    DriverError: a driver that refuses the setting.
    """
    if isinstance(setting, HostSetting):
        return Hosts(first, second, setting, event, irqs)
    granted = irqs(setting.rc_vectors)
    return Pair(first, second, setting, ep_event=event, rc_event=event, irqs=granted)


def setting_of(result: InSetting | InHostSetting) -> AnySetting:
    """Return the setting that a record is of."""
    kind = HostSetting if isinstance(result, InHostSetting) else Setting
    return kind(**{name: getattr(result, name) for name in kind.__struct_fields__})
