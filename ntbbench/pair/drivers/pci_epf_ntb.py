# SPDX-License-Identifier: BSD-3-Clause
"""pci-epf-ntb, the function that joins two hosts through two endpoint controllers."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, field

from ntbbench.core.errors import InputError
from ntbbench.core.names import unknown
from ntbbench.pair.drivers.kernel_around import (
    EP_DB_COUNT_MAX,
    EPF_IRQ_LINK,
    MW_COUNT_MAX,
    SPAD_COUNT,
    U32_BYTES,
    DriverError,
    Sanitizer,
)
from ntbbench.pair.drivers.pci_epf_vntb import kstrtou32

CONFIGURE_DOORBELL, TEARDOWN_DOORBELL = 1, 2
CONFIGURE_MW, TEARDOWN_MW = 3, 4
LINK_UP, LINK_DOWN = 5, 6
STATUS_NONE, STATUS_OK, STATUS_ERROR = 0, 1, 2
DB_COUNT_MASK = (1 << 16) - 1  # of the argument of CONFIGURE_DOORBELL; bit 16 asks for MSI-X
CTRL_BYTES = 0x134  # struct epf_ntb_ctrl: 13 words, then db_data and db_offset of 32 slots
MSI_DATA = 0x4000  # of the host's MSI capability: any number whose low five bits are clear
MSI_NUMBER_MASK = 0x1F
BAR_BYTES_MIN = 128  # epf_ntb_alloc_peer_mem() asks for no less
PRIMARY, SECONDARY = 0, 1
HOSTS = (PRIMARY, SECONDARY)
FIRST_WINDOW_BAR = 2  # BARs 0 and 1: control with own scratchpads, the peer's scratchpads
Raise = Callable[[int, int], None]  # raises the MSI of a 1-based number at one of HOSTS


@dataclass
class ControlRegion:
    """What one host finds in its BAR 0 (struct epf_ntb_ctrl); offsets and sizes in bytes."""

    num_mws: int
    spad_count: int
    spad_offset: int
    db_entry_size: int
    mw1_offset: int = 0
    link_up: bool = False
    command_status: int = STATUS_NONE
    # by slot: what this host writes to ring the other one
    db_data: list[int] = field(default_factory=lambda: [0] * EP_DB_COUNT_MAX)


@dataclass
class Interface:
    """One controller of the SoC and the host behind it."""

    ctrl: ControlRegion
    spads: list[int]
    bars: dict[int, int]  # size in bytes, by BAR
    link_enabled: bool = False  # the host sent LINK_UP
    doorbells: int = 0  # of this host that the other's BAR 2 leads to
    windows: dict[int, tuple[int, int]] = field(default_factory=dict)  # (address, size) mapped


def align_up(size: int, align: int) -> int:
    """Return ALIGN(), which takes `align` for a power of two whether it is one or not."""
    return (size + align - 1) & ~(align - 1)


def power_of_two(size: int) -> int:
    """Return roundup_pow_of_two()."""
    return 1 << (size - 1).bit_length()


class EpfNtb:
    """One pci-epf-ntb between two hosts, by number: 0 behind `primary`, 1 behind `secondary`.

    align: bytes; what the controllers align outbound mappings to, 0 for none: a doorbell's entry.
    zero_checked: the prerequisite that refuses a db_count of 0.
    raise_msi: raises an MSI at a host; slot s is MSI s + 1.

    Source: drivers/pci/endpoint/functions/pci-epf-ntb.c, Linux 7.3; pci_epc_map_msi_irq() as
    drivers/pci/controller/cadence/pcie-cadence-ep.c has it.

    Deviates: all six BARs are free and of any size. MSI-X differs in where a slot's message comes
    from, not in which slot it is, and is not told apart. A write of a slot that maps to nothing is
    lost; a real controller may answer it with an error.
    """

    def __init__(self, raise_msi: Raise, *, align: int = 4096, zero_checked: bool = True) -> None:
        self.align = align
        self.zero_checked = zero_checked
        self.db_count = 0
        self.spad_count = 0
        self.num_mws = 0
        self.mws_size = [0] * MW_COUNT_MAX
        self.interfaces: tuple[Interface, ...] = ()
        self.sanitizer = Sanitizer()
        self.lost: list[str] = []  # writes that rang nothing
        self._raise_msi = raise_msi

    # configfs

    def store(self, attribute: str, text: str) -> None:
        """Write `text` to an attribute; InputError: no such attribute.

        Nothing is refused after bind: the numbers then no longer fit what is mapped.

        DriverError: EINVAL for no number, more windows than four, a window beyond num_mws.
        """
        windows = [f"mw{number}" for number in range(1, MW_COUNT_MAX + 1)]
        known = ("db_count", "spad_count", "num_mws", *windows)
        if attribute not in known:
            raise unknown("attribute", attribute, known)
        try:
            value = kstrtou32(attribute, text)
        except DriverError as error:
            raise DriverError(errno.EINVAL, attribute, error.words) from None
        if attribute == "num_mws" and value > MW_COUNT_MAX:
            raise DriverError(errno.EINVAL, attribute, f"{value} windows, at most {MW_COUNT_MAX}")
        if attribute in windows:
            number = windows.index(attribute)
            if number >= self.num_mws:
                raise DriverError(errno.EINVAL, attribute, f"num_mws is {self.num_mws}")
            self.mws_size[number] = value
        else:
            setattr(self, attribute, value)

    # bind, once both controllers are linked into `primary` and `secondary`

    def bind(self) -> None:
        """Set up both controllers; DriverError: EINVAL for a db_count that is refused."""
        low = int(self.zero_checked)
        if not low <= self.db_count <= EP_DB_COUNT_MAX:
            out = f"DB count {self.db_count} out of range (1 - {EP_DB_COUNT_MAX})"
            raise DriverError(errno.EINVAL, "epf_ntb_configure_interrupt", out)
        self.interfaces = tuple(self._interface() for _ in HOSTS)

    def _interface(self) -> Interface:
        ctrl_bytes, spad_bytes = CTRL_BYTES, self.spad_count * U32_BYTES
        if self.align:
            ctrl_bytes, spad_bytes = (align_up(n, self.align) for n in (ctrl_bytes, spad_bytes))
        else:
            ctrl_bytes, spad_bytes = power_of_two(ctrl_bytes), power_of_two(spad_bytes)
        ctrl_bytes = max(ctrl_bytes, spad_bytes)  # so that the scratchpads lie at their size
        entry = self.align or U32_BYTES
        ctrl = ControlRegion(self.num_mws, self.spad_count, ctrl_bytes, entry)
        bars = {0: ctrl_bytes + spad_bytes, 1: spad_bytes}
        for window, size in enumerate(self.mws_size[: self.num_mws]):
            if not window:  # the doorbells stand in front of the first window
                ctrl.mw1_offset = align_up(self.db_count * entry, size)
            before = 0 if window else ctrl.mw1_offset
            bars[FIRST_WINDOW_BAR + window] = self._outbound(before + size)
        return Interface(ctrl, [0] * self.spad_count, bars)

    def _outbound(self, size: int) -> int:
        size = max(size, BAR_BYTES_MIN)
        return align_up(size, self.align) if self.align else power_of_two(size)

    @property
    def msis(self) -> int:
        """The MSIs that either host is offered: MSI counts in powers of two."""
        return power_of_two(self.db_count)

    # the command handler, every 5 ms for each host

    def command(
        self, host: int, command: int, argument: int = 0, address: int = 0, size: int = 0
    ) -> int:
        """Carry out a host's command; return what the host then reads of its status.

        STATUS_NONE: an unknown command; the host waits a second for its status.
        """
        own, peer = self._both(host)
        status = STATUS_OK
        if command == CONFIGURE_DOORBELL:
            status = self._configure_doorbell(own, peer, argument & DB_COUNT_MASK)
        elif command == TEARDOWN_DOORBELL:
            own.doorbells = 0  # the other host's db_data stays as it is
        elif command == CONFIGURE_MW:
            status = self._configure_mw(own, argument, address, size)
        elif command == TEARDOWN_MW:
            own.windows.pop(argument, None)
        elif command == LINK_UP:
            own.link_enabled = True
            if peer.link_enabled:
                self._link(up=True)
        elif command == LINK_DOWN:
            own.link_enabled = False
            self._link(up=False)
        else:
            status = STATUS_NONE
        own.ctrl.command_status = status
        return status

    def _both(self, host: int) -> tuple[Interface, Interface]:
        return self.interfaces[host], self.interfaces[not host]

    def _configure_doorbell(self, own: Interface, peer: Interface, count: int) -> int:
        """Map the MSIs of a host into the other's BAR 2 and tell the other what to write."""
        if not 1 <= count <= min(EP_DB_COUNT_MAX, self.msis):
            return STATUS_ERROR
        own.doorbells = count
        for slot in range(count):
            peer.ctrl.db_data[slot] = MSI_DATA | slot
        return STATUS_OK

    def _configure_mw(self, own: Interface, window: int, address: int, size: int) -> int:
        """Map memory of a host behind the other's window; the window's number is not checked."""
        limit = self.sanitizer.load(self.mws_size, window, "mws_size")
        if size > limit:
            return STATUS_ERROR
        own.windows[window] = address, size
        return STATUS_OK

    def _link(self, *, up: bool) -> None:
        for host in HOSTS:
            self.interfaces[host].ctrl.link_up = up
            self._raise_msi(host, EPF_IRQ_LINK + 1)

    # what a host's writes do

    def write_doorbell(self, host: int, slot: int) -> None:
        """Take a host's write of its db_data of a slot into that slot's entry of its BAR 2."""
        own, peer = self._both(host)
        data = own.ctrl.db_data[slot]
        if slot >= peer.doorbells:
            self.lost.append(f"slot {slot} leads nowhere: the other host has {peer.doorbells}")
            return
        self._raise_msi(int(not host), (data & MSI_NUMBER_MASK) + 1)

    def write_window(self, host: int, window: int, offset: int) -> int | None:
        """Return the address in the other host's memory that a host's write reaches; None: none.

        Source: as of the class (epf_ntb_configure_mw); ntb_hw_epf.c (ntb_epf_peer_mw_get_addr).
        """
        mapped = self._both(host)[1].windows.get(window)
        if mapped is None or not 0 <= offset < mapped[1]:
            return None
        return mapped[0] + offset

    def write_spad(self, host: int, index: int, value: int) -> None:
        """Write a scratchpad of a host's own; InputError: beyond spad_count."""
        self._spads(host, index)[index] = value

    def write_peer_spad(self, host: int, index: int, value: int) -> None:
        """Write one of the other host's, which stand in BAR 1; InputError: beyond spad_count."""
        self._spads(int(not host), index)[index] = value

    def read_spad(self, host: int, index: int) -> int:
        """Return a scratchpad of a host's own; InputError: beyond spad_count."""
        return self._spads(host, index)[index]

    def _spads(self, host: int, index: int) -> list[int]:
        spads = self.interfaces[host].spads
        if not 0 <= index < len(spads):
            raise InputError("scratchpad", index, f"0 to {len(spads) - 1}")
        return spads


def bound_ntb(slots: int, mw_count: int, window_bytes: int, raise_msi: Raise) -> EpfNtb:
    """Return a function that was configured with a db_count of `slots` and bound."""
    ntb = EpfNtb(raise_msi)
    numbers = {"db_count": slots, "spad_count": SPAD_COUNT, "num_mws": mw_count}
    numbers |= {f"mw{number}": window_bytes for number in range(1, mw_count + 1)}
    for attribute, value in numbers.items():
        ntb.store(attribute, str(value))
    ntb.bind()
    return ntb
