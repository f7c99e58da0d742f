# SPDX-License-Identifier: BSD-3-Clause
"""The trace of one point: rings, polls, MSIs, callbacks and runs of one direction, in order."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ntbbench.capture.readers.trace_events import Event, TraceText, read_events
from ntbbench.core.text_file import bad_line
from ntbbench.lab.pair.plan import EP, RC, Traffic
from ntbbench.lab.pair.recording.wire_slots import WORDS, SlotTrace
from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.flow import POLL, Raised, Seen, Told

FIELD = re.compile(r"\b(\w+)=(-?(?:0x)?[0-9a-fA-F]{1,16})\b")
ARRAY = re.compile(r"\bslots=\{((?:0x[0-9a-f]{1,8},)*0x[0-9a-f]{1,8})\}")
U64 = 1 << 64
Owner = TypeVar("Owner")


@dataclass(frozen=True)
class Addresses:
    """Whose an address in a trace is.

    Parameters
    ----------
    qps : address of a QP -> (side, qp_num).
    contexts : address of a transport's context -> side.
    devices : address of an NTB device -> side.
    words : byte offset of a doorbell word -> its slot.
    """

    qps: Mapping[int, tuple[str, int]]
    contexts: Mapping[int, str]
    devices: Mapping[int, str]
    words: Mapping[int, int] = field(default_factory=lambda: WORDS)


@dataclass
class Wake:
    """One ring, or the rings that one poll finds, and the QPs that ran before the next.

    Parameters
    ----------
    rung, ran : qp_nums.
    events : doorbell callbacks.
    found : the receiver has come to its rings: it polled, or was interrupted.
    doubtful : some of `ran` or `events` may be another wake's, or its own be counted there.
    """

    rung: set[int] = field(default_factory=set)
    ran: set[int] = field(default_factory=set)
    events: int = 0
    found: bool = False
    doubtful: bool = False


@dataclass
class PairTrace:
    """What one direction did, counted, and its order where that matters.

    Parameters
    ----------
    items : rings of the sender, polls of the endpoint, MSIs that it raised and callbacks of the
        receiver, in order.
    doorbells : rings of the sender by bit.
    msis : raised towards the root complex, by their 1-based number (ep-to-rc only).
    vectors : calls of the receiver's doorbell callback by vector.
    runs : runs of the receiver's tasklets by qp_num.
    wakes : what each group of rings led to, in order.
    slots : which slots the sender's bits rang, and which ones the receiver served.
    cpus : that rings, MSIs, callbacks and runs were seen on.
    backward : rings of the receiver: traffic the other way.
    """

    items: list[Seen] = field(default_factory=list)
    doorbells: Counter[int] = field(default_factory=Counter)
    msis: Counter[int] = field(default_factory=Counter)
    vectors: Counter[int] = field(default_factory=Counter)
    runs: Counter[int] = field(default_factory=Counter)
    wakes: list[Wake] = field(default_factory=list)
    slots: SlotTrace = field(default_factory=SlotTrace)
    cpus: set[int] = field(default_factory=set)
    backward: int = 0

    @property
    def rings(self) -> int:
        """How often the sender rang."""
        return sum(isinstance(item, int) for item in self.items)


def read_pair_trace(
    path: Path, traffic: Traffic, addresses: Addresses, *, polled: bool
) -> PairTrace:
    """Read the ftrace text at `path`, as far as it is of `traffic`'s direction.

    Parameters
    ----------
    polled : the receiver finds its doorbells by polling, so that several rings may be one wake.

    Raises
    ------
    InputError : the file is none, lost events, or names an address that is nobody's.
    """
    trace = PairTrace(slots=SlotTrace(addresses.words))
    for event in read_events(path, TraceText()):
        _add(path, trace, event, traffic, addresses, polled=polled)
        if traffic.sender == RC:
            _add_slot(path, trace.slots, event)
    if polled and trace.wakes and not trace.wakes[-1].found:
        trace.wakes[-1].doubtful = True
    return trace


def _add(
    path: Path,
    trace: PairTrace,
    event: Event,
    traffic: Traffic,
    addresses: Addresses,
    *,
    polled: bool,
) -> None:
    match event.name:
        case "peer_db_set":
            device = _number(path, event, "ntb")
            sender = _known(path, event, addresses.devices, device)
            _ring(path, trace, event, sender == traffic.sender, polled=polled)
        case "raise_irq" if traffic.sender == EP:
            number = _number(path, event, "msi")
            trace.cpus.add(event.cpu)
            trace.msis[number] += 1
            trace.items.append(Raised(number))
            trace.slots.interrupt(number - 1)  # MSI n is slot n - 1
        case "poll":
            trace.items.append(POLL)
            if polled:
                _find(trace.wakes)
        case "db_event":
            context = _number(path, event, "ctx")
            if _known(path, event, addresses.contexts, context) == traffic.receiver:
                vector = _number(path, event, "vector")
                trace.cpus.add(event.cpu)
                trace.vectors[vector] += 1
                trace.items.append(Told(vector))
                if not polled:
                    _find(trace.wakes)
                _doubt_unless_found(trace.wakes)
                if trace.wakes:
                    trace.wakes[-1].events += 1
        case "rxc_db":
            side, qp_num = _known(path, event, addresses.qps, _number(path, event, "qp"))
            if side == traffic.receiver:
                trace.cpus.add(event.cpu)
                trace.runs[qp_num] += 1
                _doubt_unless_found(trace.wakes)
                if trace.wakes:
                    trace.wakes[-1].ran.add(qp_num)


def _add_slot(path: Path, slots: SlotTrace, event: Event) -> None:
    """Add what the doorbell words, or the interrupts, of the endpoint tell of its slots."""
    match event.name:
        case "rung":
            slots.rang(_words(path, event))
        case "served":
            slots.polled(_words(path, event))
        case "slot":
            slots.interrupt(_number(path, event, "slot"))


def _find(wakes: list[Wake]) -> None:
    if wakes:
        wakes[-1].found = True


def _doubt_unless_found(wakes: list[Wake]) -> None:
    """Doubt the last two wakes where the last has rung, and the one before it is still served."""
    if wakes and not wakes[-1].found:
        for wake in wakes[-2:]:
            wake.doubtful = True


def _ring(path: Path, trace: PairTrace, event: Event, is_sender: bool, *, polled: bool) -> None:
    if not is_sender:
        trace.backward += 1
        return
    bits = _number(path, event, "bits")
    trace.cpus.add(event.cpu)
    trace.items.append(bits)
    trace.slots.ring(bits)
    if not trace.wakes or trace.wakes[-1].found or not polled:
        trace.wakes.append(Wake())
    for bit in bits_of(bits):
        trace.doorbells[bit] += 1
        trace.wakes[-1].rung.add(bit)


def _known(path: Path, event: Event, owners: Mapping[int, Owner], address: int) -> Owner:
    if address not in owners:
        raise bad_line(path, event.line, event.body, "an address of one of the two devices")
    return owners[address]


def _words(path: Path, event: Event) -> list[int]:
    found = ARRAY.search(event.body)
    if found is None:
        raise bad_line(path, event.line, event.body, "slots={NUMBER,...}")
    return [int(word, 16) for word in found[1].split(",")]


def _number(path: Path, event: Event, name: str) -> int:
    text = dict(FIELD.findall(event.body)).get(name, "")
    try:
        # Hexadecimal where it says so; %s32 and %u16 print decimals.
        value = int(text, 16 if "0x" in text else 10)
    except ValueError:
        value = -1
    if not 0 <= value < U64:
        raise bad_line(path, event.line, event.body, f"{name}=NUMBER")
    return value
