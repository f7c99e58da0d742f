# SPDX-License-Identifier: BSD-3-Clause
"""What ntb_transport must do for doorbells of ntb_netdev, by counters alone: runs, bounds, causes.

Source: Linux 7.3, drivers/ntb/ntb_transport.c (ntb_transport_doorbell_callback,
ntb_transport_rxc_db, ntb_transport_rx_enqueue), drivers/net/ntb_netdev.c.
"""

from collections.abc import Sequence

TRACE_IT = "(`ntbbench lab run` with the same kernel and tree traces each schedule)"


def wakes(vectors: int, bit: int, qp_num: int) -> bool:
    """Return whether a doorbell's vector covers a QP; `vectors` 0: no callbacks, every QP."""
    return vectors == 0 or bit % vectors == qp_num % vectors


def calls(events: Sequence[int], vectors: int) -> list[int]:
    """Return how many of the doorbell events, given by bit, schedule each QP."""
    return [
        sum(count for bit, count in enumerate(events) if wakes(vectors, bit, qp_num))
        for qp_num in range(len(events))
    ]


def predicted_runs(doorbells: Sequence[int], vectors: int) -> list[int]:
    """Return each QP's runs for spaced doorbells: one for each event that wakes it, one for itself.

    ntb_netdev posts a buffer for each packet, which schedules the tasklet of that QP once more; the
    race check then meets it scheduled.
    """
    return [own + called for own, called in zip(doorbells, calls(doorbells, vectors), strict=True)]


def run_bounds(
    doorbells: Sequence[int], events: Sequence[int], vectors: int, rx_max_entry: int
) -> tuple[list[int], list[int]]:
    """Return the fewest and the most runs of each QP that any order of these doorbells allows.

    Each event schedules a QP at most once; each packet's repost and each packet's race check once
    more, which close doorbells may keep apart; each rx_max_entry packets once more.
    """
    called = calls(events, vectors)
    pairs = list(zip(doorbells, called, strict=True))
    least = [int(own + count > 0) for own, count in pairs]
    most = [count + 2 * own + own // max(rx_max_entry, 1) for own, count in pairs]
    return least, most


def likely_cause(doorbells: Sequence[int], runs: Sequence[int], vectors: int) -> str:
    """Return what most likely makes spaced runs differ from their prediction, in words.

    `runs` differ from `predicted_runs()`. Counters do not tell what scheduled a tasklet, so the
    cause is the one whose arithmetic gives the runs of every QP.
    """
    expected = predicted_runs(doorbells, vectors)
    excess = [count - due for count, due in zip(runs, expected, strict=True)]
    if vectors and list(runs) == predicted_runs(doorbells, 0):
        cause = "every doorbell wakes every active QP, as without vector callbacks"
    else:
        cause = _by_packet(excess, doorbells) or _by_event(excess, doorbells)
    return f"{cause} {TRACE_IT}"


def _by_packet(excess: Sequence[int], doorbells: Sequence[int]) -> str | None:
    """Return the cause if each QP's excess is a multiple of its own packets."""
    pairs = list(zip(excess, doorbells, strict=True))
    rates = {more / own for more, own in pairs if own}
    idle = any(more for more, own in pairs if not own)
    if idle or len(rates) != 1 or not (rate := rates.pop()).is_integer():
        return None
    if rate < 0:
        return f"{-rate:.0f} run fewer per packet of its own QP: a schedule is missing in its path"
    beside = len(doorbells) > 1 and len(set(doorbells)) == 1
    other = f", or the doorbell callback schedules {rate:.0f} QP too many" if beside else ""
    return f"{rate:.0f} run more per packet of its own QP: its path schedules it once more{other}"


def _by_event(excess: Sequence[int], doorbells: Sequence[int]) -> str:
    """Return the cause if the excess of all QPs is a multiple of the doorbells."""
    rate = sum(excess) / max(sum(doorbells), 1)
    if rate > 0 and rate.is_integer() and min(excess) >= 0:
        return (
            f"{rate:.0f} run more per doorbell, not of the QP that rang: the doorbell callback "
            "scheduled a QP whose bit is not under its vector"
        )
    if rate < 0 and max(excess) <= 0:
        return "fewer runs than doorbells wake: the doorbell callback skipped a QP under its vector"
    return "no single cause gives these differences"
