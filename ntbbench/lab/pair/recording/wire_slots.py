# SPDX-License-Identifier: BSD-3-Clause
"""The slots of the wire: which one each doorbell bit rang, and which ones its receiver served.

Source: drivers/ntb/hw/epf/ntb_hw_epf.c, drivers/pci/endpoint/functions/pci-epf-vntb.c: bit b rings
slot b + 2, towards the root complex as MSI b + 3. Peers of any version rely on it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ntbbench.core.text_file import read_small
from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.drivers.slots import EP_DB_COUNT_MAX, EPF_IRQ_DB_START, U32_BYTES, slot_of

NO_SLOT = -1  # a word of the doorbells that the endpoint gave to no slot
WORDS = {U32_BYTES * slot: slot for slot in range(EP_DB_COUNT_MAX)}  # as every vntb lays them out
TABLE = re.compile(r"^slot (\d{1,2}) offset (\d{1,9}) data 0x[0-9a-f]{1,8}$", re.MULTILINE)


def read_words(path: Path) -> dict[int, int]:
    """Return byte offset -> slot of the words that the host rings, as the endpoint published them.

    `path` is epc_loop's `doorbells` of the set-up; a recording without it has the usual layout.
    """
    if not path.is_file():
        return WORDS
    return {int(offset): int(slot) for slot, offset in TABLE.findall(read_small(path))} or WORDS


@dataclass
class SlotTrace:
    """What one direction's doorbells did on the wire, in the order of one CPU.

    Parameters
    ----------
    words : byte offset of a doorbell word -> its slot.
    rung : (bit, slot) -> doorbells of that bit that were seen to come to that slot.
    absent : by bit, doorbells after which the slot that they must ring was not set.
    arrived : by slot, doorbells that came to it: its word was set, or its interrupt came.
    served : by slot, how often the receiver took it: a poll emptied it, or its interrupt came.

    An interrupt is a bit's where no other bit's may still be to come. Doorbells may share one: that
    is not known again once a bit rang more often than it was told. A doorbell that finds its word
    set changes nothing: it is in neither `rung` nor `absent`.
    """

    words: Mapping[int, int] = field(default_factory=lambda: WORDS)
    rung: Counter[tuple[int, int]] = field(default_factory=Counter)
    absent: Counter[int] = field(default_factory=Counter)
    arrived: Counter[int] = field(default_factory=Counter)
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
