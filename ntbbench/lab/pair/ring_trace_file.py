# SPDX-License-Identifier: BSD-3-Clause
"""The trace of one point: rings, polls, MSIs, callbacks and runs of one direction, in order.

And the slots of the wire: which one each doorbell bit rang, and which ones its receiver served.

Source: drivers/ntb/hw/epf/ntb_hw_epf.c, drivers/pci/endpoint/functions/pci-epf-vntb.c: bit b rings
slot b + 2, towards the root complex as MSI b + 3. Peers of any version rely on it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ntbbench.capture.readers.trace_events import Event, TraceText, read_events
from ntbbench.core.text_file import bad_line
from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.drivers.kernel_around import (
    EP_DB_COUNT_MAX,
    EPF_IRQ_DB_START,
    U32_BYTES,
    slot_of,
)
from ntbbench.pair.drivers.patches import Side
from ntbbench.pair.flow import POLL, Raised, Seen, Told
from ntbbench.pair.setting import Traffic

FIELD = re.compile(r"\b(\w+)=(-?(?:0x)?[0-9a-fA-F]{1,16})\b")
ARRAY = re.compile(r"\bslots=\{((?:0x[0-9a-f]{1,8},)*0x[0-9a-f]{1,8})\}")
U64 = 1 << 64
NO_SLOT = -1  # a word of the doorbells that the endpoint gave to no slot
WORDS = {U32_BYTES * slot: slot for slot in range(EP_DB_COUNT_MAX)}  # as every vntb lays them out
Owner = TypeVar("Owner")


@dataclass(frozen=True)
class Addresses:
    """Whose an address in a trace is."""

    qps: Mapping[int, tuple[Side, int]]  # address of a QP -> (side, qp_num)
    contexts: Mapping[int, Side]  # address of a transport's context -> side
    devices: Mapping[int, Side]  # address of an NTB device -> side
    # byte offset of a doorbell word -> its slot
    words: Mapping[int, int] = field(default_factory=lambda: WORDS)


@dataclass
class Wake:
    """One ring, or the rings that one poll finds, and the QPs that ran before the next."""

    # rung, ran: qp_nums
    rung: set[int] = field(default_factory=set)
    ran: set[int] = field(default_factory=set)
    events: int = 0  # doorbell callbacks
    found: bool = False  # the receiver has come to its rings: it polled, or was interrupted
    # some of `ran` or `events` may be another wake's, or its own be counted there
    doubtful: bool = False


@dataclass
class WireSlots:
    """What one direction's doorbells did on the wire, in the order of one CPU.

    An interrupt is a bit's where no other bit's may still be to come. Doorbells may share one: that
    is not known again once a bit rang more often than it was told. A doorbell that finds its word
    set changes nothing: it is in neither `rung` nor `absent`.
    """

    # byte offset of a doorbell word -> its slot
    words: Mapping[int, int] = field(default_factory=lambda: WORDS)
    # (bit, slot) -> doorbells of that bit that were seen to come to that slot
    rung: Counter[tuple[int, int]] = field(default_factory=Counter)
    # by bit, doorbells after which the slot that they must ring was not set
    absent: Counter[int] = field(default_factory=Counter)
    # by slot, doorbells that came to it: its word was set, or its interrupt came
    arrived: Counter[int] = field(default_factory=Counter)
    # by slot, how often the receiver took it: a poll emptied it, or its interrupt came
    served: Counter[int] = field(default_factory=Counter)
    _ringing: list[int] = field(default_factory=list)  # bits of the last call
    _waiting: Counter[int] = field(default_factory=Counter)  # doorbells by bit, not yet told
    _set: set[int] = field(default_factory=set)  # slots

    def ring(self, db_bits: int) -> None:
        """Take a call of peer_db_set()."""
        self._ringing = bits_of(db_bits)
        self._waiting.update(self._ringing)

    def interrupt(self, slot: int) -> None:
        """Take the interrupt of a slot."""
        self.arrived[slot] += 1
        self.served[slot] += 1
        bit = slot - EPF_IRQ_DB_START
        if len(self._waiting) == 1:
            (bit,) = self._waiting
            self.rung[bit, slot] += 1
        self._waiting -= Counter([bit])

    def rang(self, words: Iterable[int]) -> None:
        """Take what the doorbell words hold as peer_db_set() returns."""
        now = self._slots(words)
        fresh, self._set = now - self._set, now
        self.arrived.update(fresh)
        if len(self._ringing) == 1:
            (bit,) = self._ringing
            self.rung.update((bit, slot) for slot in fresh)
            if not fresh and slot_of(bit) not in now:
                self.absent[bit] += 1
        self._ringing = []

    def polled(self, words: Iterable[int]) -> None:
        """Take what the doorbell words hold as a poll ends."""
        now = self._slots(words)
        self.served.update(self._set - now)
        self._set = now

    def _slots(self, words: Iterable[int]) -> set[int]:
        offsets = (U32_BYTES * number for number, word in enumerate(words) if word)
        return {self.words.get(offset, NO_SLOT) for offset in offsets}

    def of_bits(self) -> dict[int, list[int]]:
        """Return the slots that each bit was seen to ring, by bit."""
        found: dict[int, list[int]] = {}
        for bit, slot in sorted(self.rung):
            found.setdefault(bit, []).append(slot)
        return found


@dataclass
class PairTrace:
    """What one direction did, counted, and its order where that matters."""

    # rings of the sender, polls of the endpoint, MSIs that it raised and callbacks of the receiver,
    # in order
    items: list[Seen] = field(default_factory=list)
    doorbells: Counter[int] = field(default_factory=Counter)  # rings of the sender by bit
    # raised towards the root complex, by their 1-based number (ep-to-rc only)
    msis: Counter[int] = field(default_factory=Counter)
    # calls of the receiver's doorbell callback by vector
    vectors: Counter[int] = field(default_factory=Counter)
    runs: Counter[int] = field(default_factory=Counter)  # runs of the receiver's tasklets by qp_num
    wakes: list[Wake] = field(default_factory=list)  # what each group of rings led to, in order
    # which slots the sender's bits rang, and which ones the receiver served
    slots: WireSlots = field(default_factory=WireSlots)
    cpus: set[int] = field(default_factory=set)  # that rings, MSIs, callbacks and runs were seen on
    backward: int = 0  # rings of the receiver: traffic the other way

    @property
    def rings(self) -> int:
        """How often the sender rang."""
        return sum(isinstance(item, int) for item in self.items)


def read_pair_trace(
    path: Path, traffic: Traffic, addresses: Addresses, *, polled: bool
) -> PairTrace:
    """Read the ftrace text at `path`, as far as it is of `traffic`'s direction.

    `polled`: the receiver finds its doorbells by polling, so that several rings may be one wake.
    InputError: the file is none, lost events, or names an address that is nobody's.
    """
    reader = _Reader(path, traffic, addresses, polled, PairTrace(slots=WireSlots(addresses.words)))
    for event in read_events(path, TraceText()):
        reader.add(event)
    wakes = reader.trace.wakes
    if polled and wakes and not wakes[-1].found:
        wakes[-1].doubtful = True
    return reader.trace


@dataclass
class _Reader:
    path: Path
    traffic: Traffic
    addresses: Addresses
    polled: bool
    trace: PairTrace

    def add(self, event: Event) -> None:
        """Add one event, as far as it is of the traffic's direction."""
        to_rc = self.traffic.by_msi
        match event.name:
            case "peer_db_set":
                self._add_ring(event)
            case "raise_irq" if to_rc:
                number = self._number(event, "msi")
                self.trace.cpus.add(event.cpu)
                self.trace.msis[number] += 1
                self.trace.items.append(Raised(number))
                self.trace.slots.interrupt(number - 1)  # MSI n is slot n - 1
            case "poll":
                self.trace.items.append(POLL)
                self._find(by_poll=True)
            case "db_event":
                self._add_callback(event)
            case "rxc_db":
                self._add_run(event)
            # what the doorbell words, or the interrupts, of the endpoint tell of its slots
            case "rung" if not to_rc:
                self.trace.slots.rang(self._words(event))
            case "served" if not to_rc:
                self.trace.slots.polled(self._words(event))
            case "slot" if not to_rc:
                self.trace.slots.interrupt(self._number(event, "slot"))

    def _add_ring(self, event: Event) -> None:
        trace, wakes = self.trace, self.trace.wakes
        if self._owner(event, self.addresses.devices, "ntb") != self.traffic.sender:
            trace.backward += 1
            return
        bits = self._number(event, "bits")
        trace.cpus.add(event.cpu)
        trace.items.append(bits)
        trace.slots.ring(bits)
        if not wakes or wakes[-1].found or not self.polled:
            wakes.append(Wake())
        trace.doorbells.update(bits_of(bits))
        wakes[-1].rung.update(bits_of(bits))

    def _add_callback(self, event: Event) -> None:
        if self._owner(event, self.addresses.contexts, "ctx") != self.traffic.receiver:
            return
        vector = self._number(event, "vector")
        self.trace.cpus.add(event.cpu)
        self.trace.vectors[vector] += 1
        self.trace.items.append(Told(vector))
        self._find(by_poll=False)
        if wake := self._last_wake():
            wake.events += 1

    def _add_run(self, event: Event) -> None:
        side, qp_num = self._owner(event, self.addresses.qps, "qp")
        if side == self.traffic.receiver:
            self.trace.cpus.add(event.cpu)
            self.trace.runs[qp_num] += 1
            if wake := self._last_wake():
                wake.ran.add(qp_num)

    def _find(self, *, by_poll: bool) -> None:
        if by_poll == self.polled and self.trace.wakes:
            self.trace.wakes[-1].found = True

    def _last_wake(self) -> Wake | None:
        """Return the last wake; where it has rung only, the one before it may still be served."""
        wakes = self.trace.wakes
        if wakes and not wakes[-1].found:
            for wake in wakes[-2:]:
                wake.doubtful = True
        return wakes[-1] if wakes else None

    def _owner(self, event: Event, owners: Mapping[int, Owner], name: str) -> Owner:
        address = self._number(event, name)
        if address not in owners:
            allowed = "an address of one of the two devices"
            raise bad_line(self.path, event.line, event.body, allowed)
        return owners[address]

    def _words(self, event: Event) -> list[int]:
        found = ARRAY.search(event.body)
        if found is None:
            raise bad_line(self.path, event.line, event.body, "slots={NUMBER,...}")
        return [int(word, 16) for word in found[1].split(",")]

    def _number(self, event: Event, name: str) -> int:
        text = dict(FIELD.findall(event.body)).get(name, "")
        try:
            # Hexadecimal where it says so; %s32 and %u16 print decimals.
            value = int(text, 16 if "0x" in text else 10)
        except ValueError:
            value = -1
        if not 0 <= value < U64:
            raise bad_line(self.path, event.line, event.body, f"{name}=NUMBER")
        return value
