# SPDX-License-Identifier: BSD-3-Clause
"""The records of the transmit side: what the counters of each QP's sender say, and what it means.

`tail` is `RRI (T)`, the entry that the remote's tasklet has consumed last; `tx_index (H)` is where
the next packet goes. An entry waits until the remote has consumed it, and one is never used.
"""

from typing import Annotated

from msgspec import Struct

from ntbbench.core.fields import axis, fact

Bounded = Annotated[int | None, fact("at most")]


class QpTransmit(Struct, frozen=True, kw_only=True):
    """The sender of one QP between the snapshots; null: not known, as where its link was down."""

    device: Annotated[str, axis("device", "PCI name of the NTB device")]
    qp_num: Annotated[int, axis("QP", "qp_num of ntb_transport")]
    link: Annotated[str, fact("link", "up, down, came up or went down between the snapshots")]
    tx_pkts: Annotated[int | None, fact("sent", "packets sent")]
    tx_ring_full: Annotated[
        int | None, fact("full", "sends refused: no entry of the ring was free")
    ]
    tx_err_no_buf: Annotated[
        int | None, fact("no buf", "sends refused: all queue entries wait for their copy")
    ]
    tx_memcpy: Annotated[int | None, fact("by CPU", "packets that the CPU copied")]
    tx_async: Annotated[int | None, fact("DMA", "packets given to a DMA channel")]
    consumed_low: Annotated[int | None, fact("consumed", "entries that the remote consumed")]
    consumed_high: Annotated[int | None, fact("consumed at most")]
    waiting_before: Annotated[
        int | None, fact("waiting before", "entries that the remote had not consumed")
    ]
    waiting: Annotated[int | None, fact("waiting", "the same, in the later snapshot")]
    tx_max_entry: Annotated[int | None, fact("entries", "of the ring; one of them is never used")]
    tx_index: Annotated[int | None, fact("tx_index (H)", "in the later snapshot")]
    tail: Annotated[int | None, fact("RRI (T)", "in the later snapshot")]
    free: Annotated[int | None, fact("free tx", "as the kernel says, in the later snapshot")]
    sent_ever: Annotated[int | None, fact("sent ever", "packets since the link came up")]
    source: Annotated[str, fact("source", "the file that the numbers are from", head="source")]


class CaptureInterval(Struct, frozen=True, kw_only=True):
    """What lay between the two snapshots of a capture."""

    source: Annotated[str, fact("source", "the file that the numbers are from", head="source")]
    capture: Annotated[str, axis("capture", "the folder")]
    seconds: Annotated[
        float | None, fact("duration", "as the machine's clock has it; null: an older capture")
    ]
    kernel: Annotated[str, fact("kernel", "its release; empty: not known")] = ""
    asked: Annotated[float | None, fact("asked", "length of the interval; null: of a command")] = (
        None
    )
    command: Annotated[str, fact("command", "that was bracketed; empty: none was")] = ""
    exit_code: Annotated[int | None, fact("exit code", "of the command")] = None
    is_interrupted: Annotated[bool, fact("interrupted", "a signal ended it early")] = False


class TransmitFinding(Struct, frozen=True, kw_only=True):
    """What a sender's counters mean."""

    capture: Annotated[str, axis("capture")]
    device: Annotated[str, axis("device", "PCI name of the NTB device")]
    qp_num: Annotated[int, axis("QP", "qp_num of ntb_transport")]
    code: Annotated[str, fact("what", "what the sender waits for")]
    who: Annotated[str, fact("who", "which side does not run: receiver, sender, link, not known")]
    text: Annotated[str, fact("reason", "what speaks for it")]


class Restart(Struct, frozen=True, kw_only=True):
    """What a restart timer of ntb_netdev would give for a ring, simulated."""

    entries: Annotated[int, axis("entries", "of the ring")]
    window_size: Annotated[int, fact("window", "that the ring takes of its memory window")]
    timer: Annotated[str, axis("timer", "the kernel's, on jiffies of CONFIG_HZ, or an hrtimer")]
    wait_low: Annotated[float, fact("restart after", "shortest, from the stop of the queue")]
    wait_high: Annotated[float, fact("at most")]
    bits_per_second: Annotated[float, fact("slow copy", "throughput with the costs of a board")]
    fast_bits_per_second: Annotated[
        float, fact("fast copy", "throughput with the costs of a server")
    ]
