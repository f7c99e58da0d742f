# SPDX-License-Identifier: BSD-3-Clause
"""What the restart timer of ntb_netdev makes of a ring: throughput by CONFIG_HZ, simulated."""

import msgspec

from ntbbench.capture.transmit_records import Restart
from ntbbench.core.units import PS
from ntbbench.datapath.grid_point import RX_INFO_BYTES, expand
from ntbbench.datapath.replicate import replicate
from ntbbench.datapath.sections import GENERIC, HZ, MS, RCAR_S4_SPIDER, US, Run, Scenario
from ntbbench.ntb.transport import TX_STOP

HRTIMER = 250 * US
BUSIEST = 1  # queue: one ring, as fast as it takes packets


def restarts(entries: int) -> list[Restart]:
    """Return what each timer gives for a ring of `entries`; none where such a ring never sends.

    One queue is sent to as fast as it takes packets, with the costs of two boards: the copy of one
    is slow, so that the ring lasts for longer than a jiffy, and that of the other fast.
    """
    if not TX_STOP < entries <= 1 << 16:
        return []
    timers: list[tuple[str, int, int | None]] = [(f"jiffies, HZ={hz}", hz, None) for hz in HZ]
    timers.append((f"hrtimer of {HRTIMER // US} us", 250, HRTIMER))
    return [_restart(entries, name, hz, tx_time) for name, hz, tx_time in timers]


def _restart(entries: int, name: str, hz: int, tx_time: int | None) -> Restart:
    wait = 1 / hz if tx_time is None else tx_time / PS
    slow, fast = (_rate(board, entries, hz, tx_time) for board in (RCAR_S4_SPIDER, GENERIC))
    return Restart(
        entries=entries,
        window_size=window_of(entries),
        timer=name,
        wait_low=wait,
        wait_high=2 * wait if tx_time is None else wait,  # the timer wheel rounds up by a jiffy
        bits_per_second=slow,
        fast_bits_per_second=fast,
    )


def window_of(entries: int) -> int:
    """Return the bytes of a window that gives its one QP so many entries of the usual size."""
    return entries * GENERIC.device.transport_mtu + RX_INFO_BYTES


def _rate(board: Scenario, entries: int, hz: int, tx_time: int | None) -> float:
    """Return bit/s of one replication."""
    device = msgspec.structs.replace(
        board.device,
        window_size=window_of(entries),
        mw_count=BUSIEST,
        hz=hz,
        tx_time=tx_time,
    )
    scenario = msgspec.structs.replace(
        board,
        queues=(BUSIEST,),
        dispatch=("per-vector",),
        affinity=("single",),
        protocol=("udp",),
        device=device,
        run=Run(replications=1, warmup=100 * MS, duration=500 * MS),
    )
    (spec,) = expand(scenario)
    return replicate(spec, 0, "specialised").throughput_bps
