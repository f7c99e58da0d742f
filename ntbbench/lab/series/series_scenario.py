# SPDX-License-Identifier: BSD-3-Clause
"""What is asked of a series; no file is touched here."""

from typing import Annotated

from msgspec import Struct

from ntbbench.core.options import Count, Word, Words
from ntbbench.lab.pair.plan import (
    BEFORE,
    DRIVER,
    WINDOWS,
    Directions,
    Flows,
    Packets,
    PairPlan,
    PairSetup,
    Queues,
)
from ntbbench.pair.drivers.kernel_around import EP_DB_COUNT_MAX
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.setting import DIRECTIONS, DOORBELL, GAP, PACKETS, SLOTS_TEXT, Traffic

ALL, LAST, NONE = "all", "last", "none"
CHECK_ROUNDS = 1  # unbinds and binds on the debug kernel


class SeriesScenario(Struct, frozen=True, kw_only=True):
    """What a series is run with; paths and `debian:VERSION` are as the user wrote them."""

    series: str
    tree: str | None = None
    base: str = "debian:7.3"
    prerequisites: tuple[str, ...] = ()
    kernel: str = "debian:7.3"
    peers: Annotated[tuple[str, ...], Words((), f"old peers: {DRIVER}")] = (BEFORE,)
    ep_slots: Annotated[int, Count(0, EP_DB_COUNT_MAX, SLOTS_TEXT)] = 8
    mw_count: Annotated[int, WINDOWS] = 2
    queues: Queues = 4
    doorbell: Annotated[Doorbell, DOORBELL] = Doorbell.POLL
    direction: Directions = DIRECTIONS
    flows: Flows = None
    packets: Annotated[int, PACKETS] = 10
    gap_us: Annotated[int, GAP] = Traffic().gap_us
    check: Annotated[str, Word((LAST, ALL, NONE), "commits that a debug kernel runs too")] = LAST
    prefixes: Annotated[
        str, Word((ALL, NONE), "each prefix of one half against each of the other")
    ] = ALL

    def plan(self, ep_driver: str, rc_driver: str, *, checked: bool = False) -> PairPlan:
        """Return the boot of two drivers; `checked`: on the debug kernel."""
        setup = PairSetup(
            ep_driver=ep_driver,
            rc_driver=rc_driver,
            ep_slots=self.ep_slots,
            mw_count=self.mw_count,
            queues=self.queues,
            doorbell=self.doorbell,
        )
        sent = Packets(self.direction, self.flows, self.packets, self.gap_us)
        rounds = CHECK_ROUNDS if checked else 0
        return PairPlan(setup, sent.points(setup), rounds=rounds, probe=not checked, may_die=True)
