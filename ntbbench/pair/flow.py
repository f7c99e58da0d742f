# SPDX-License-Identifier: BSD-3-Clause
"""A flow of packets over the pair: what the receiving side does for a sequence of rings.

The input has rings and polls and no more: there is no field for a recorded event, schedule or run.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.drivers.kernel_around import Client, Transport
from ntbbench.pair.drivers.ntb_hw_epf import Epf
from ntbbench.pair.drivers.patches import Driver
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell, Vntb
from ntbbench.pair.joined_hosts import AnySetting, joined
from ntbbench.pair.ring_trace import ring
from ntbbench.pair.setting import Arrive, Direction, by_role, ring_in_atomic


class Poll(Enum):
    """The endpoint looked at its doorbell words (epf_ntb_cmd_handler, every 5 ms)."""

    POLL = "poll"


@dataclass(frozen=True)
class Packet:
    """A packet on each QP of `db_bits` (u64) whose ring comes later."""

    db_bits: int


@dataclass(frozen=True)
class Told:
    """The doorbell callback was called with `vector`: only where rings come too close to order."""

    vector: int


@dataclass(frozen=True)
class Raised:
    """The endpoint raised the MSI of this 1-based number: only where rings come too close."""

    number: int


POLL = Poll.POLL
Item = int | Poll  # the db_bits (u64) of one peer_db_set(), or a poll
Seen = Item | Told | Raised  # what a trace has of a flow


@dataclass
class FlowTally:
    """What the model says a sequence of rings does; lists are by qp_num of the receiver."""

    # MSIs raised towards the root complex by their 1-based number
    msis: Counter[int] = field(default_factory=Counter)
    # how often each vector was reported to the NTB core
    vectors: Counter[int] = field(default_factory=Counter)
    runs: Counter[int] = field(default_factory=Counter)  # receive-tasklet runs by qp_num
    # of those, the ones that a db_read() hit put back
    race_checks: Counter[int] = field(default_factory=Counter)
    # rings whose peer_db_set() returned an errno, by its text
    refused: Counter[str] = field(default_factory=Counter)


class PairFlow:
    """Both drivers, and ntb_transport with ntb_netdev above the receiving one.

    qp_bitmap: u64, the QPs of the receiver that ntb_netdev owns and whose link is up.
    preempts: asked after each callback of a poll: does ksoftirqd preempt the poll here, and run
        what was scheduled so far? A kernel that does not preempt kernel code never does.
    DriverError: a driver that refuses the setting.

    Deviates: one CPU, and every doorbell's tasklets have run before the next ring. Those of a
    polled ring run in ksoftirqd: after the poll that finds it, or earlier (`preempts`).
    """

    def __init__(
        self,
        direction: Direction,
        first: Driver,
        second: Driver,
        setting: AnySetting,
        qp_bitmap: int,
        *,
        preempts: Callable[[], bool] = lambda: False,
    ) -> None:
        self._preempts = preempts
        self.tally = FlowTally()
        wire = joined(first, second, setting, self._event)
        wire.on_slot = self._on_slot
        ends: tuple[Vntb | Epf, Vntb | Epf] = wire.devices
        self._sender, receiver = by_role(direction, *ends)
        self._receiver = receiver
        self.polled = isinstance(receiver, Vntb) and setting.doorbell is Doorbell.POLL
        self._transport = Transport(receiver, qp_bitmap, Client.REPOSTS)

    def run(self, items: Iterable[Item]) -> FlowTally:
        """Let packets be sent and polls happen in order and return what they did.

        Each ring carries one packet on each of its QPs. Polls count only where the receiver polls;
        a ring that no poll follows is left waiting.
        """
        for item in items:
            if isinstance(item, int):
                self._packet(item)
            self.run_apart([item])
        return self.tally

    def run_apart(self, items: Iterable[Packet | Item]) -> FlowTally:
        """As `run`, but a packet is an item of its own and a ring carries none."""
        for item in items:
            if isinstance(item, Poll):
                self._poll()
            elif isinstance(item, Packet):
                self._packet(item.db_bits)
            elif isinstance(item, int):
                self._ring(item)
        return self.tally

    def _poll(self) -> None:
        if self.polled and isinstance(self._receiver, Vntb):
            self._receiver.poll()
            self._softirq()

    def _packet(self, db_bits: int) -> None:
        for qp_num in bits_of(db_bits & self._transport.qp_bitmap):
            self._transport.packets[qp_num] = self._transport.packets.get(qp_num, 0) + 1

    def _ring(self, db_bits: int) -> None:
        refused = ring_in_atomic(self._sender, db_bits)
        if refused is not None:
            self.tally.refused[str(refused)] += 1
        if isinstance(self._sender, Vntb):
            self._sender.run_peer_db_work()
        if not self.polled:
            self._softirq()

    def _on_slot(self, slot: int, arrive: Arrive) -> None:
        if isinstance(self._receiver, Epf):
            self.tally.msis[slot + 1] += 1
        arrive(slot)

    def _event(self, vector: int) -> None:
        self.tally.vectors[vector] += 1
        self._transport.doorbell_callback(vector)
        if self.polled and self._preempts():
            self._softirq()

    def _softirq(self) -> None:
        transport = self._transport
        transport.softirq()
        self.tally.runs.update(transport.runs)
        self.tally.race_checks.update(transport.race_checks)
        for seen in (transport.runs, transport.race_checks, transport.schedule_calls):
            seen.clear()


@dataclass(frozen=True)
class RingEffect:
    """What the ring of one bit, alone on an idle pair, makes the receiver see."""

    msis: tuple[int, ...]  # raised towards the root complex, by their 1-based number
    vectors: tuple[int, ...]  # reported to the NTB core, in order
    masks: tuple[int, ...]  # `ntb_db_vector_mask()` of each
    shown: int  # db_read() afterwards, nothing cleared


def ring_effects(
    direction: Direction, first: Driver, second: Driver, setting: AnySetting, qp_count: int
) -> tuple[RingEffect, ...]:
    """Return the effect of the rings of bits 0 .. qp_count-1, each on a pair of its own."""
    receiver = by_role(direction, first, second)[1]
    rung = [ring(direction, first, second, setting, 1 << bit).slots for bit in range(qp_count)]
    return tuple(
        RingEffect(
            msis=tuple(slot.slot + 1 for slot in slots if receiver.side == "rc"),
            vectors=tuple(vector for slot in slots for vector in slot.vectors),
            masks=tuple(mask for slot in slots for mask in slot.masks),
            shown=slots[-1].db_read if slots else 0,
        )
        for slots in rung
    )


@dataclass(frozen=True)
class RunBounds:
    """The fewest and the most runs that each QP's tasklet may make, by qp_num."""

    least: list[int]
    most: list[int]


def run_bounds(
    effects: Sequence[RingEffect],
    vectors: Mapping[int, int],
    rings: Sequence[int],
    rx_max_entry: int,
) -> RunBounds:
    """Return the bounds that any order of the same rings and callbacks allows.

    A scheduled tasklet runs at least once; packets whose ring was lost need no run. Each callback
    schedules a QP of its mask at most once; each interrupt lets db_read() show a bit at most once;
    each run that consumed packets reposts, and each that served rx_max_entry of them goes on, which
    adds at most one run.

    `effects` are of each bit, as `ring_effects` gives them; `vectors` the recorded calls of the
    doorbell callback; `rings` by qp_num: no more packets than these can have been served.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_rxc_db, ntb_transport_rx_enqueue), Linux 7.3.
    """
    masks: dict[int, int] = {}
    shown: dict[int, int] = {}
    for effect in effects:
        for vector, mask in zip(effect.vectors, effect.masks, strict=True):
            masks[vector] = masks.get(vector, 0) | mask
            shown[vector] = shown.get(vector, 0) | effect.shown
    least, most = [], []
    for qp_num, count in enumerate(rings):
        scheduled = sum(n for v, n in vectors.items() if masks.get(v, 0) >> qp_num & 1)
        races = sum(n for v, n in vectors.items() if shown.get(v, 0) >> qp_num & 1)
        least.append(int(scheduled > 0))
        most.append(scheduled + races + count + count // rx_max_entry)
    return RunBounds(least, most)


def placed_by_events(
    effects: Sequence[RingEffect], items: Iterable[Seen]
) -> Iterator["Packet | Item"]:
    """Yield the items of a flow whose rings may coalesce: a ring takes place where it was told.

    Packets arrive where they were rung. A bit that is pending coalesces; the first vector that its
    ring tells delivers it. What nothing told is rung at the end.
    """
    pending: list[int] = []
    for item in items:
        if isinstance(item, Told):
            bit = next((b for b in pending if effects[b].vectors[:1] == (item.vector,)), None)
            if bit is not None:
                pending.remove(bit)
                yield 1 << bit
        elif isinstance(item, int):
            yield Packet(item)
            pending += [bit for bit in bits_of(item) if bit not in pending]
        elif isinstance(item, Poll):
            yield item
    for bit in pending:
        yield 1 << bit
