# SPDX-License-Identifier: BSD-3-Clause
"""The transmit side of a QP's `stats`: its ring and what refused a packet, between two readings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ntbbench.capture.transmit_records import QpTransmit
from ntbbench.core.errors import InputError

if TYPE_CHECKING:
    from ntbbench.capture.readers.qp_stats import Stats
    from ntbbench.capture.records import QpRuns

RING = ("tx_max_entry", "tx_index (H)", "RRI (T)", "free tx")
GROWING = ("tx_pkts", "tx_ring_full", "tx_err_no_buf", "tx_memcpy", "tx_async")
U32 = 1 << 32


class TxRing(NamedTuple):
    """The ring as one reading has it; see `transmit_records` for head and tail.

    Source: Linux 7.3 drivers/ntb/ntb_transport.c (ntb_transport_tx_free_entry, ntb_process_tx).
    """

    entries: int
    head: int
    tail: int
    free: int  # as the kernel says; before 6.6 it calls a full ring an empty one

    @property
    def waiting(self) -> int | None:
        """Entries that the remote has not consumed: all but one where no entry is free.

        None: an index lies beyond the ring, so that nothing can be counted.
        """
        if max(self.head, self.tail) >= self.entries:
            return None
        return (self.head - self.tail - 1) % self.entries


def read_ring(path: Path, found: dict[str, str]) -> TxRing | None:
    """Return the ring out of the lines of a `stats`; None: the kernel does not print it.

    InputError: a value that is no u32.
    """
    if any(name not in found for name in RING):
        return None
    for name in RING:
        text = found[name]
        if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) < U32):
            raise InputError(str(path), f"{name} - {text}", "a u32 in decimal")
    ring = TxRing(*(int(found[name]) for name in RING))
    return ring if ring.entries else None


def qp_transmit(
    device: str, qp_num: int, readings: tuple[Stats, Stats], runs: QpRuns
) -> QpTransmit:
    """Return what one QP's sender did between two readings, of which `runs` is the receiver.

    Nothing is known where its runs are not: the link was not up all the time.
    """
    before, after = readings
    is_known = runs.runs_low is not None
    grown = {
        name: after.counters[name] - before.counters[name] if is_known else None for name in GROWING
    }
    old, new = before.ring, after.ring
    low = high = None
    if old is not None and new is not None and old.entries == new.entries:
        low, high = consumed(old, new, grown["tx_pkts"])
    return QpTransmit(
        device=device,
        qp_num=qp_num,
        link=runs.link,
        **grown,
        consumed_low=low,
        consumed_high=high,
        waiting_before=None if old is None else old.waiting,
        waiting=None if new is None else new.waiting,
        tx_max_entry=None if new is None else new.entries,
        tx_index=None if new is None else new.head,
        tail=None if new is None else new.tail,
        free=None if new is None else new.free,
        sent_ever=after.counters.get("tx_pkts"),
        source=runs.source,
    )


def consumed(
    before: TxRing, after: TxRing, sent: int | None
) -> tuple[int, int] | tuple[None, None]:
    """Return the bounds of the entries that the remote consumed between two readings of a ring.

    Formula: sent + waiting before - waiting after. The lines of a file are printed one after the
    other while packets go on, so that the two need not fit; what T says, it says modulo the
    entries. Where both agree it is that number. Else it is within a ring of what was sent.
    """
    if sent is None or before.waiting is None or after.waiting is None:
        return None, None
    exact = sent + before.waiting - after.waiting
    moved = (after.tail - before.tail) % after.entries
    if exact >= 0 and exact % after.entries == moved:
        return exact, exact
    least = max(sent - (after.entries - 1), 0)
    most = sent + after.entries - 1
    low = least + (moved - least) % after.entries
    return low, most - (most - moved) % after.entries
