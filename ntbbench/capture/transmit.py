# SPDX-License-Identifier: BSD-3-Clause
"""What the senders' counters of a capture mean: which side does not run.

A ring is full where the remote's tasklet has consumed nothing (RRI stands still), and a queue of
ntb_netdev stands still until its timer looks. Two snapshots tell the first for certain; the second
shows as a sender that sends nothing although its ring has room.

Source: Linux 7.3 drivers/ntb/ntb_transport.c (ntb_process_tx, ntb_transport_tx_enqueue,
ntb_qp_link_down_reset), drivers/net/ntb_netdev.c (ntb_netdev_start_xmit, ntb_netdev_tx_timer).
"""

from collections.abc import Iterator

from ntbbench.capture.records import Measured
from ntbbench.capture.transmit_records import QpTransmit, TransmitFinding
from ntbbench.ntb.transport import TX_STOP

RECEIVER, SENDER, LINK, EITHER = "receiver", "sender", "link", "not known"
Finding = tuple[str, str, str]  # code, who, text

STALE = (
    "nothing was sent since the link came up, and the ring is full: RRI was not reset with the "
    "link (Linux before 6.6), or the remote wrote over it since"
)
EMPTY_FULL = "; this kernel calls the full ring empty (before 6.6), so each restart is refused"
NO_ROOM = "the ring stayed full and RRI at {tail}: the remote's tasklet consumed nothing"
WAITS = (
    "{waiting} entries wait, RRI stays at {tail} and nothing more is sent: the remote's tasklet "
    "does not run (a lost doorbell), or it has no buffer"
)
NOT_SENT = (
    "the remote consumed {consumed}, {free} entries are free, and nothing was sent: the queue's "
    "restart timer has not run, or nothing was to be sent"
)
NO_ENTRY = "{count} sends found no free queue entry: the copies (DMA or its kthread) do not end"
FULL_AT_TIMES = "{refused} sends refused for {sent} packets sent"
STOPPED = "; {free} of {entries} entries free in a snapshot: a queue of ntb_netdev stops below {n}"
SLOW = ": the remote consumes more slowly than packets come"
PACE = (
    ": the remote's copies, or the restart timer, set the pace (a stop each {packets} packets, "
    "{period:.3g} ms)"
)
BEYOND = (
    "RRI {tail} or tx_index {head} is beyond the {entries} entries: the two sides' rings differ"
)
CHANGED = "the link {link} between the snapshots"


def transmit_findings(measured: Measured) -> list[TransmitFinding]:
    """Return what each capture's senders wait for, the side that does not run first."""
    captures = {source.name: source.capture for source in measured.sources}
    seconds = {interval.capture: interval.seconds for interval in measured.intervals}
    found = []
    for qp in measured.transmits:
        capture = captures.get(qp.source, "")
        for code, who, text in _findings(qp, seconds.get(capture)):
            found.append(
                TransmitFinding(
                    capture=capture, device=qp.device, qp_num=qp.qp_num, code=code, who=who,
                    text=text,
                )
            )  # fmt: skip
    order = (RECEIVER, SENDER, LINK, EITHER)
    return sorted(found, key=lambda finding: order.index(finding.who))


def _findings(qp: QpTransmit, seconds: float | None) -> Iterator[Finding]:
    if qp.link in {"came up", "went down"}:
        yield "link-changed", LINK, CHANGED.format(link=qp.link)
    if qp.tx_err_no_buf:
        yield "no-queue-entry", SENDER, NO_ENTRY.format(count=qp.tx_err_no_buf)
    if qp.tail is not None and qp.waiting is None:
        yield (
            "beyond-ring",
            EITHER,
            BEYOND.format(tail=qp.tail, head=qp.tx_index, entries=qp.tx_max_entry),
        )
    if qp.waiting is None or qp.waiting_before is None or qp.tx_pkts is None or not qp.tx_max_entry:
        return
    if qp.tx_pkts:
        yield from _while_it_sends(qp, seconds)
    else:
        yield from _while_it_stands(qp)


def free_entries(qp: QpTransmit) -> tuple[int, int]:
    """Return how many entries were free in the two snapshots."""
    most = (qp.tx_max_entry or 1) - 1
    return most - (qp.waiting_before or 0), most - (qp.waiting or 0)


def _while_it_stands(qp: QpTransmit) -> Iterator[Finding]:
    """Yield what holds up a sender that sent nothing."""
    free_before, free = free_entries(qp)
    if not free and not qp.sent_ever:  # the remote had nothing to consume
        more = EMPTY_FULL if qp.free == qp.tx_max_entry else ""
        yield "stale-tail", SENDER, STALE + more
    elif qp.consumed_high:
        if qp.tx_ring_full or free_before < TX_STOP:
            yield "not-sent", SENDER, NOT_SENT.format(consumed=qp.consumed_high, free=free)
    elif not free and (qp.tx_ring_full or not free_before):
        yield "ring-full", RECEIVER, NO_ROOM.format(tail=qp.tail)
    elif qp.waiting and qp.consumed_high is not None:
        yield "entries-wait", RECEIVER, WAITS.format(waiting=qp.waiting, tail=qp.tail)


def _while_it_sends(qp: QpTransmit, seconds: float | None) -> Iterator[Finding]:
    entries, least = qp.tx_max_entry or 0, min(free_entries(qp))
    if not qp.tx_ring_full and least >= TX_STOP:
        return
    text = FULL_AT_TIMES.format(refused=qp.tx_ring_full, sent=qp.tx_pkts)
    if qp.tx_ring_full and not least:
        yield "full-at-times", RECEIVER, text + SLOW
        return
    if least < TX_STOP:
        text += STOPPED.format(free=least, entries=entries - 1, n=TX_STOP)
    packets = entries - TX_STOP
    if seconds and packets > 0 and qp.tx_pkts:
        text += PACE.format(packets=packets, period=seconds * 1e3 * packets / qp.tx_pkts)
    yield "full-at-times", EITHER, text


RINGS_MAX = 2  # sizes whose restart is shown; a machine's QPs rarely have more
HELD = ("full-at-times", "not-sent")  # where the restart timer has a part


def rings_to_restart(measured: Measured) -> list[int]:
    """Return the sizes of the rings whose senders may wait for the restart timer."""
    found = {(one.device, one.qp_num) for one in transmit_findings(measured) if one.code in HELD}
    sizes = {qp.tx_max_entry for qp in measured.transmits if (qp.device, qp.qp_num) in found}
    return sorted(size for size in sizes if size is not None)[:RINGS_MAX]
