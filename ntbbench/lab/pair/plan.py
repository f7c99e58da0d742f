# SPDX-License-Identifier: BSD-3-Clause
"""Which runs of the driver pair are possible, and what comes back; no file is touched here."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Struct
from msgspec.structs import replace

from ntbbench.core.errors import InputError
from ntbbench.core.names import parse_int_axis
from ntbbench.core.options import Count, Counts, Word, Words
from ntbbench.pair.drivers.kernel_around import EP_DB_COUNT_MAX
from ntbbench.pair.drivers.patches import Side, number_ranges, side_patches
from ntbbench.pair.drivers.pci_epf_ntb import align_up
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.joined_hosts import HostSetting
from ntbbench.pair.setting import (
    DIRECTIONS,
    FLOWS_MAX,
    GAP,
    HOST_ENDS,
    PACKETS,
    AnySlots,
    Direction,
    Ends,
    Traffic,
)

BEFORE, AFTER = "before", "after"
EP: Side = "ep"
RC: Side = "rc"
# The guest's two NTB devices, by PCI address: vntb's virtual bus and the controller's host bus.
DEVICES: dict[Side, str] = {EP: "0000:10:00.0", RC: "0010:00:00.0"}
HOST_DEVICES: dict[Side, str] = {EP: "0010:00:00.0", RC: "0011:00:00.0"}  # of two hosts
WINDOWS_MAX = 2  # ntb_hw_epf.c: mx8_map has BARs for two
WINDOW_MIN, WINDOW_MAX = 1 << 20, 1 << 24  # bytes; the most that epc_loop's windows hold
# BAR 2 holds window 1 and, in front of it, as much for the doorbells: both are one of epc_loop's
# windows, of which two controllers have 8 MiB each.
HOST_WINDOW_MAX = 4 << 20
DOORBELL_BYTES = 4096  # of a slot: what epc_loop aligns outbound memory to
ENTRIES = 16  # of a QP's ring: more than ntb_netdev's tx_start, so that it carries traffic
FRAME = 1 << 16  # ntb_transport.c: transport_mtu
QUEUES_MAX = 64  # ntb_netdev.c: NTB_NETDEV_MAX_QUEUES
ROUNDS_MAX = 1000
CPUS_MAX = 8  # of the guest's kernel: CONFIG_NR_CPUS
NONE, FULL = "none", "full"
DRIVER = "before or after the series, debian:VERSION, a C file, a kernel tree"
NTB_DRIVER = f"pci-epf-ntb: {DRIVER}"
WINDOWS = Count(1, WINDOWS_MAX, "memory windows")
NTB_SLOTS = Count(1, EP_DB_COUNT_MAX, "db_count of pci-epf-ntb, link and unused slot included")
DriverName = Annotated[str, Word((), DRIVER)]
DriverNames = Annotated[tuple[str, ...], Words((), DRIVER)]
Queues = Annotated[
    int | None, Count(1, QUEUES_MAX, "max_num_clients of ntb_transport; unset: all QPs")
]
Directions = Annotated[tuple[Direction, ...], Words(DIRECTIONS, "which way packets go")]
Flows = Annotated[
    int | None,
    Count(1, FLOWS_MAX, "UDP flows; flow i goes to QP i while there are QPs; unset: one per QP"),
]


@dataclass(frozen=True)
class PatchList(Counts):
    """Patches of one half of the series: none, full, 1-7, or 2,3,5."""

    metavar: ClassVar[str] = "LIST"

    def parse(self, name: str, value: object) -> tuple[int, ...]:
        """Return the numbers, sorted."""
        if value in (NONE, FULL):
            return tuple(range(self.low, self.high + 1)) if value == FULL else ()
        try:
            return tuple(sorted(parse_int_axis(str(value), name, self.low, self.high)))
        except InputError:
            raise InputError(name, value, self.allowed) from None

    def show(self, value: tuple[int, ...] | None) -> object:
        """Return the text that `parse` reads back."""
        return None if value is None else number_ranges(value) or NONE

    @property
    def allowed(self) -> str:
        """The forms in words."""
        half = f"{self.low}-{self.high}"
        return f"{NONE}, {FULL}, or patches of {half} as {half} or {self.low},{self.high}"


def _patches_of(side: Side) -> PatchList:
    numbers = side_patches(side)
    text = "patches that the driver carries; another behaviour is a finding; unset: inferred"
    return PatchList(numbers[0], numbers[-1], text)


class PairSetup(AnySlots, frozen=True, kw_only=True):
    """What one boot binds together: the setting and the two drivers in it.

    InputError: a value that no guest can have.
    """

    mw_count: Annotated[int, WINDOWS] = 2
    queues: Queues = None
    ep_driver: DriverName = AFTER
    rc_driver: DriverName = AFTER
    ep_patches: Annotated[tuple[int, ...] | None, _patches_of("ep")] = None
    rc_patches: Annotated[tuple[int, ...] | None, _patches_of("rc")] = None
    # the guest's; more than one only outside deterministic mode
    cpus: Annotated[int, Count(1, CPUS_MAX, "CPUs of the guest")] = 1

    devices: ClassVar[dict[Side, str]] = DEVICES

    @property
    def driver_specs(self) -> tuple[str, ...]:
        """The drivers of a boot, as they are asked for."""
        return self.ep_driver, self.rc_driver

    @property
    def interrupts_endpoint(self) -> bool:
        """Whether rings reach the endpoint as interrupts, for which it needs a register."""
        return self.doorbell != Doorbell.POLL

    @property
    def window_size(self) -> int:
        """The bytes of a memory window."""
        return _window_size(self, WINDOW_MAX)

    @property
    def most_qps(self) -> int:
        """The most QPs that either transport can make, however many bits its driver has.

        Source: drivers/ntb/ntb_transport.c (ntb_transport_probe): max_num_clients, else the windows
        limit them; the root complex has a doorbell bit for each MSI but two.
        """
        return min(self.queues or self.mw_count, self.rc_vectors - 1)

    @property
    def label(self) -> str:
        """The setup in words, for findings and errors."""
        return (
            f"EP {self.ep_driver}, RC {self.rc_driver}, {self.ep_slots} slots, "
            f"{self.mw_count} windows, {self.doorbell}"
        )


class HostSetup(HostSetting, frozen=True, kw_only=True):
    """What one boot joins: the setting and ntb_hw_epf on either host.

    InputError: a value that no guest can have.
    """

    ends: ClassVar[Ends] = HOST_ENDS
    devices: ClassVar[dict[Side, str]] = HOST_DEVICES
    interrupts_endpoint: ClassVar[bool] = False  # nobody rings the function between the hosts
    ep_patches: ClassVar[None] = None
    rc_patches: ClassVar[None] = None
    ep_slots: Annotated[int, NTB_SLOTS] = 8
    mw_count: Annotated[int, WINDOWS] = 2
    queues: Queues = None
    host1_driver: DriverName = AFTER
    host2_driver: DriverName = AFTER
    ntb_driver: Annotated[str, Word((), NTB_DRIVER)] = AFTER
    cpus: Annotated[int, Count(1, CPUS_MAX, "CPUs of the guest")] = 1

    @property
    def driver_specs(self) -> tuple[str, ...]:
        """The drivers of a boot, as they are asked for."""
        return self.host1_driver, self.host2_driver, self.ntb_driver

    @property
    def ep_driver(self) -> str:
        """The driver of the first end."""
        return self.host1_driver

    @property
    def rc_driver(self) -> str:
        """The driver of the second end."""
        return self.host2_driver

    @property
    def rc_vectors(self) -> int:
        """The vectors of either host."""
        return self.offered

    @property
    def window_size(self) -> int:
        """The bytes of a memory window."""
        return _window_size(self, HOST_WINDOW_MAX)

    @property
    def mw1_offset(self) -> int:
        """The bytes of BAR 2 in front of the first window, where the doorbells are.

        Source: pci-epf-ntb.c (epf_ntb_alloc_peer_mem).
        """
        return align_up(self.ep_slots * DOORBELL_BYTES, self.window_size)

    @property
    def most_qps(self) -> int:
        """The most QPs that either transport can make; see `PairSetup.most_qps`."""
        return min(self.queues or self.mw_count, self.offered - 1)

    @property
    def label(self) -> str:
        """The setup in words, for findings and errors."""
        return (
            f"host 1 {self.host1_driver}, host 2 {self.host2_driver}, {self.ep_slots} slots, "
            f"{self.mw_count} windows"
        )


AnySetup = PairSetup | HostSetup


def _window_size(setup: AnySetup, most: int) -> int:
    """Return the size of a memory window in bytes: its QPs' rings must carry traffic.

    ntb_netdev stops a queue below its tx_stop free entries, so a ring of few carries nothing.
    """
    wanted = -(-setup.most_qps // setup.mw_count) * ENTRIES * FRAME
    return min(max(WINDOW_MIN, 1 << (wanted - 1).bit_length()), most)


class Packets(Struct, frozen=True):
    """What each boot sends: the same flows in each direction."""

    point: ClassVar[type[Traffic]] = Traffic
    direction: Directions = DIRECTIONS
    flows: Flows = None
    packets: Annotated[int, PACKETS] = Traffic().packets
    gap_us: Annotated[int, GAP] = Traffic().gap_us

    def points(self, setup: AnySetup) -> tuple[Traffic, ...]:
        """Return the points of one boot; by default they have a flow for each QP."""
        flows = self.flows or setup.most_qps
        return tuple(
            self.point(direction, flows, self.packets, self.gap_us) for direction in self.direction
        )

    def whole(self, setup: AnySetup) -> tuple[Traffic, ...]:
        """Return the points, then the same as bursts."""
        spaced = self.points(setup)
        return *spaced, *(replace(point, gap_us=0) for point in spaced)


class Rounds(Struct, frozen=True):
    """What `lab pair check` does after the points."""

    rounds: Annotated[
        int, Count(0, ROUNDS_MAX, "times that the endpoint is unbound and bound again")
    ] = 3


@dataclass(frozen=True)
class PairPlan:
    """One boot: a setup and the points measured on it, in order."""

    setup: AnySetup
    traffic: tuple[Traffic, ...] = (Traffic(),)
    # how often the endpoint is unbound and bound again after the points (`lab pair check`)
    rounds: int = 0
    # both drivers are also asked for what no traffic of ntb_transport shows
    probe: bool = False
    # a guest that panics, hangs or gives up is a result: with the points it finished
    may_die: bool = False
    deterministic: bool = True  # QEMU counts instructions: two runs give the same counts

    def __post_init__(self) -> None:
        names = [point.name for point in self.traffic]
        for name in names:
            if names.count(name) > 1:
                raise InputError("traffic", name, "each point once")
        if self.deterministic and self.setup.cpus > 1:
            raise InputError("--cpus", self.setup.cpus, "1 in deterministic mode")


def named_patches(side: Side, spec: str) -> tuple[int, ...] | None:
    """Return the patches that `before` and `after` stand for; None: of another driver."""
    return {BEFORE: (), AFTER: side_patches(side)}.get(spec)
