# SPDX-License-Identifier: BSD-3-Clause
"""Doorbells that come close together: how many MSIs and callbacks they may share, in which order.

A doorbell hops from peer_db_set() to an MSI or a doorbell word, and from there to the callback. A
hop may gather causes that it has not served yet. It never loses the last one and invents none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.flow import Poll, Raised, RingEffect, Seen, Told

# peer_db_pending has one bit a number; the work has another in hand, between its atomic64_xchg()
# and pci_epc_raise_irq().
PENDING, IN_HAND = 1, 1
POLLS_TO_SERVE = 2  # the poll that a ring lands in may have passed its slot; the next one has not


class PollStep(Enum):
    """What was seen of one hop."""

    CAUSE = "cause"
    EFFECT = "effect"
    POLL = "poll"  # a poll of the doorbell words began


@dataclass
class Hop:
    """The causes of one MSI number or one vector and how often it came, in order."""

    merges: bool  # one effect may serve several causes; False: there is one for each
    polled: bool = False  # the endpoint looks for causes now and then
    # causes that can wait at a time, each still to have an effect of its own; None: all
    holds: int | None = None
    unasked: bool = False  # it came where no snapshot of the endpoint's work had it (`msi_hops`)
    steps: list[PollStep] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How often it came."""
        return self.steps.count(PollStep.EFFECT)

    @property
    def most(self) -> int:
        """The most that its causes allow: one for each."""
        return self.steps.count(PollStep.CAUSE)

    @property
    def least(self) -> int:
        """The fewest that its causes allow: all of them gathered in one."""
        return min(self.most, 1) if self.merges else self.most

    def surplus(self) -> bool:
        """Return whether it came more often, at some moment, than what waited for it allows."""
        owed = 0
        for step in self.steps:
            owed += {PollStep.CAUSE: 1, PollStep.EFFECT: -1, PollStep.POLL: 0}[step]
            if self.holds is not None:
                owed = min(owed, self.holds)
            if owed < 0:
                return True
        return self.unasked

    def lost(self) -> bool:
        """Return whether a cause was not followed by it.

        A poll clears a slot after its callback: a ring that lands in between is wiped. So a ring
        that comes after a callback and before the next poll need not be followed by another one.
        """
        waits, polls, may_be_wiped = False, 0, False
        for step in self.steps:
            if step is PollStep.EFFECT:
                waits, may_be_wiped = False, self.polled
            elif step is PollStep.POLL:
                may_be_wiped = False
                polls += 1
                if waits and polls == POLLS_TO_SERVE:
                    return True
            elif not waits and not may_be_wiped:
                waits, polls = True, 0
        return waits


class Snapshots:
    """What `vntb_epf_peer_db_work()` may have pending and in hand, by MSI number, in any case.

    It takes all that is pending at once (atomic64_xchg), and no more before it has raised all of
    that once. When it takes it no trace tells, so each possibility is kept. They are few: what is
    in hand was pending at one moment between two MSIs, and pending only grows between them.

    Deviates: the numbers of a snapshot may come in any order.

    Source: drivers/pci/endpoint/functions/pci-epf-vntb.c (vntb_epf_peer_db_work), Linux 7.3.
    """

    def __init__(self) -> None:
        nothing = frozenset[int]()
        self._cases = {(nothing, nothing)}  # pending, in hand

    def ask(self, numbers: Iterable[int]) -> None:
        """Let a doorbell ask for `numbers`."""
        asked = frozenset(numbers)
        self._cases = {(pending | asked, in_hand) for pending, in_hand in self._cases}
        self._take()

    def raise_one(self, number: int) -> bool:
        """Let an MSI be raised and return whether it may be; one that may not changes nothing."""
        cases = {(rest, hand - {number}) for rest, hand in self._cases if number in hand}
        if cases:
            self._cases = cases
            self._take()
        return bool(cases)

    def _take(self) -> None:
        nothing = frozenset[int]()
        self._cases |= {(nothing, pending) for pending, in_hand in self._cases if not in_hand}


def msi_hops(
    effects: Sequence[RingEffect], items: Iterable[Seen], *, deferred: bool
) -> dict[int, Hop]:
    """Return the hop of each MSI number, from the rings of the endpoint to the MSIs it raised.

    `effects` are of each bit, as `ring_effects` gives them; `items` of one flow, in the order of
    one CPU.
    `deferred`: the endpoint gathers rings in `peer_db_pending` (patch 2): a bit that is pending
    when it rings again is raised once. Before that each peer_db_set() raises one MSI.

    Source: drivers/pci/endpoint/functions/pci-epf-vntb.c (vntb_epf_peer_db_set,
    vntb_epf_peer_db_work), Linux 6.12.95 and 7.3.
    """
    holds = PENDING + IN_HAND if deferred else None
    hops = defaultdict[int, Hop](lambda: Hop(merges=deferred, holds=holds))
    snapshots = Snapshots()
    for item in items:
        if isinstance(item, Raised):
            _add(hops, [item.number], PollStep.EFFECT)
            if deferred and not snapshots.raise_one(item.number):
                hops[item.number].unasked = True
        elif isinstance(item, int):
            for effect in _effects_of(effects, item, every_bit=deferred):
                _add(hops, effect.msis, PollStep.CAUSE)
                snapshots.ask(effect.msis)
    return dict(sorted(hops.items()))


def event_hops(
    effects: Sequence[RingEffect], items: Iterable[Seen], *, to_rc: bool, polled: bool
) -> dict[int, Hop]:
    """Return the hop of each vector: to the root complex from the MSIs, to the endpoint from rings.

    An interrupt that is pending gathers more of its kind, and so does a doorbell word: of each
    source of a vector one can wait. On one CPU none comes between the moment that it no longer is
    pending and its callback, for interrupts are off there; a poll clears a word after its callback.

    Source: drivers/ntb/hw/epf/ntb_hw_epf.c (ntb_epf_vec_isr), drivers/pci/endpoint/functions/
    pci-epf-vntb.c (epf_ntb_cmd_handler, epf_ntb_doorbell_handler), Linux 7.3.
    """
    told_by = {number: effect.vectors for effect in effects for number in effect.msis}
    hops = defaultdict[int, Hop](lambda: Hop(merges=True, polled=polled))
    for item in items:
        if isinstance(item, Told):
            _add(hops, [item.vector], PollStep.EFFECT)
        elif isinstance(item, Raised):
            _add(hops, told_by.get(item.number, ()), PollStep.CAUSE)
        elif isinstance(item, Poll):
            _add(hops, list(hops) if polled else [], PollStep.POLL)
        elif not to_rc:
            for effect in _effects_of(effects, item, every_bit=False):
                _add(hops, effect.vectors, PollStep.CAUSE)
    sources = Counter(vector for effect in effects for vector in set(effect.vectors))
    for vector, hop in hops.items():
        hop.holds = sources[vector]
    return dict(sorted(hops.items()))


def _effects_of(
    effects: Sequence[RingEffect], db_bits: int, *, every_bit: bool
) -> list[RingEffect]:
    """Return the effects of a ring; a driver that does not defer rings the lowest bit only."""
    bits = bits_of(db_bits)
    return [effects[bit] for bit in (bits if every_bit else bits[:1]) if bit < len(effects)]


def _add(hops: defaultdict[int, Hop], keys: Iterable[int], step: PollStep) -> None:
    for key in keys:
        hops[key].steps.append(step)
