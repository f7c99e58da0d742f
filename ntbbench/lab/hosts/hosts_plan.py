# SPDX-License-Identifier: BSD-3-Clause
"""Which runs of two hosts that pci-epf-ntb joins are possible: as `plan`, with other ends.

Host 1 is the first end, `ep` in the guest's files, and host 2 the second, `rc`.
"""

from typing import Annotated, ClassVar

from msgspec import Struct

from ntbbench.core.options import Axis, Word, Words
from ntbbench.lab.pair.plan import (
    AFTER,
    BEFORE,
    NTB_DRIVER,
    NTB_SLOTS,
    WINDOWS,
    DriverNames,
    Flows,
    HostSetup,
    Packets,
    PairPlan,
    Queues,
)
from ntbbench.pair.setting import (
    GAP,
    HOST1_TO_HOST2,
    HOST_ENDS,
    PACKETS,
    Direction,
    Traffic,
)

WAYS = HOST_ENDS.directions
WAYS_TEXT = "which way packets go"


class HostTraffic(Traffic, frozen=True):
    """One measured point between two hosts."""

    direction: Annotated[Direction, Word(WAYS, WAYS_TEXT)] = HOST1_TO_HOST2


class HostPackets(Packets, frozen=True):
    """What each boot of two hosts sends."""

    point: ClassVar[type[Traffic]] = HostTraffic
    direction: Annotated[tuple[Direction, ...], Words(WAYS, WAYS_TEXT)] = WAYS


RENAMED = {
    "ep_driver": "host1_drivers",
    "rc_driver": "host2_drivers",
    "mw_count": "mw_counts",
    "direction": "directions",
}


class HostScenario(Struct, frozen=True, kw_only=True, rename=RENAMED):
    """What a matrix of two hosts covers: as `MatrixScenario`."""

    function: str = "ntb"
    kernel: str
    source: str | None = None
    ep_driver: DriverNames = (BEFORE, AFTER)
    rc_driver: DriverNames = (BEFORE, AFTER)
    ntb_driver: Annotated[str, Word((), NTB_DRIVER)] = AFTER
    ep_slots: Annotated[tuple[int, ...], Axis(NTB_SLOTS.low, NTB_SLOTS.high, NTB_SLOTS.text)] = (8,)
    mw_count: Annotated[tuple[int, ...], Axis(WINDOWS.low, WINDOWS.high, WINDOWS.text)] = (2,)
    queues: Queues = None
    direction: Annotated[tuple[Direction, ...], Words(WAYS, WAYS_TEXT)] = WAYS
    flows: Flows = None
    packets: Annotated[int, PACKETS] = Traffic().packets
    gap_us: Annotated[int, GAP] = Traffic().gap_us

    def plans(self) -> list[PairPlan]:
        """Return the boots in the order of the axes, windows outermost, drivers innermost;
        InputError: a value that no guest can have."""
        sent = HostPackets(
            direction=self.direction, flows=self.flows, packets=self.packets, gap_us=self.gap_us
        )
        setups = [
            HostSetup(
                host1_driver=one,
                host2_driver=two,
                ntb_driver=self.ntb_driver,
                ep_slots=slots,
                mw_count=windows,
                queues=self.queues,
            )
            for windows in self.mw_count
            for slots in self.ep_slots
            for one in self.ep_driver
            for two in self.rc_driver
        ]
        return [PairPlan(setup, sent.points(setup), may_die=True) for setup in setups]
