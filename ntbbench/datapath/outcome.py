# SPDX-License-Identifier: BSD-3-Clause
"""What a simulated point gave: plain integers, equal on every engine and platform."""

from dataclasses import dataclass, field
from enum import IntEnum


class Cause(IntEnum):
    """Why a receive tasklet was put on a list."""

    DOORBELL = 0
    RACE_CHECK = 1
    REPOST = 2
    BUDGET = 3


class CpuTime(IntEnum):
    """What a CPU did; the rest of the time it idled."""

    HARDIRQ = 0
    SOFTIRQ_USEFUL = 1  # receive-tasklet runs that found a packet
    SOFTIRQ_EMPTY = 2  # those that did not
    SPINNING = 3  # on a tasklet that another CPU runs, or on ctx_lock
    SENDER = 4
    KTHREAD = 5  # waking ksoftirqd, and the poll's kworker


class Happening(IntEnum):
    """The kinds of rows in an event log; in brackets: `index` and `value` of the row."""

    RING = 0  # data and doorbell arrive (queue, source); cpu -1
    IRQ_BEGIN = 1  # (source, 0)
    IRQ_END = 2  # (source, tasklet_schedule() calls)
    SCHEDULE = 3  # a tasklet is put on the list of cpu (queue, Cause)
    MERGED = 4  # SCHED was set already (queue, Cause)
    RUN_BEGIN = 5  # (queue, Cause)
    RUN_END = 6  # (queue, packets)
    SPIN = 7  # another CPU is running it: back on the list (queue, 0)
    KSOFTIRQD = 8  # the softirq leaves its list to ksoftirqd (passes made, 0)
    SEND_BEGIN = 9  # (flow, queue)
    SEND_END = 10  # the packet is in the ring (flow, queue)
    STOP = 11  # the queue stops (queue, free entries); cpu -1
    WAKE = 12  # the queue wakes (queue, free entries); cpu -1
    DELIVER = 13  # a packet reaches the client (flow, latency in ps); cpu -1 where DMA brought it
    DROP = 14  # the socket buffer is full (flow, 0); cpu -1
    POLL_BEGIN = 15  # the poll comes to a set slot (source, 0)
    POLL_END = 16  # its event is done, the slot cleared (source, rings wiped)
    OFFER = 17  # an open flow has a packet, which its socket buffer takes (flow, 0); cpu -1


LATENCY_BITS = 10  # a bucket is at most 1/1024 of its value wide, as HdrHistogram with 3 digits
LATENCY_UNIT_PS = 1000


def latency_bucket_low(index: int) -> int:
    """Return the smallest latency of a bucket, in nanoseconds; bucket i ends where i + 1 begins."""
    if index < 2 << LATENCY_BITS:
        return index
    octave = (index >> LATENCY_BITS) - 1
    return ((1 << LATENCY_BITS) + (index & (1 << LATENCY_BITS) - 1)) << octave


def latency_bucket(latency_ns: int) -> int:
    """Return the bucket of a latency in nanoseconds."""
    octave = max(latency_ns.bit_length() - LATENCY_BITS - 1, 0)
    return (octave << LATENCY_BITS) + (latency_ns >> octave)


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Counts of one queue; the four-tuples are by `Cause`.

    Parameters
    ----------
    rings : doorbell rings that arrived.
    calls : tasklet_schedule() calls; [DOORBELL] are the issue's schedule_calls.
    wakeups : those that set SCHED; calls - wakeups merged.
    useful, empty : runs by the cause that scheduled them; empty[DOORBELL] are spurious,
        empty[RACE_CHECK] the race check's.
    packets : consumed.
    missed : rings whose own interrupt did not schedule the queue.
    misrouted : times it was scheduled, not rung, by an interrupt that missed one.
    wiped : rings that the poll cleared without an event of their own.
    stops, wakes : of the netdev queue; timer : looks of the timer, which wakes or waits on.
    ring_full : sends refused with -EAGAIN.
    """

    rings: int
    calls: tuple[int, ...]
    wakeups: tuple[int, ...]
    useful: tuple[int, ...]
    empty: tuple[int, ...]
    packets: int
    missed: int
    misrouted: int
    wiped: int
    stops: int
    wakes: int
    timer: int
    ring_full: int


@dataclass(frozen=True, slots=True)
class FlowCounts:
    """Counts of one flow: packets it wanted to send, sent into the ring, delivered, dropped."""

    offered: int
    sent: int
    delivered: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The counts of one run, from warm-up to end.

    Parameters
    ----------
    interval_ps : end_ps - warmup_ps.
    events : handled by the engine since time 0 (docs/datapath.md says what an event is).
    interrupts : delivered, by source (polled: events of a slot).
    scan_iterations : of the bit loop.
    queues, flows : counts of each.
    cpu_ps : by CPU, picoseconds by `CpuTime`; what is missing to interval_ps is idle.
    ksoftirqd : times a softirq left its list to ksoftirqd, by CPU.
    latency : (bucket, packets) ascending: from the start of a packet's send (open: from its arrival
        at the socket) to its delivery; `latency_bucket_low()` gives the bounds.
    latency_sum_ps : of the same packets, exact.
    in_system : packets in socket buffers, being sent, in rings and copied, at end_ps.
    """

    interval_ps: int
    events: int
    interrupts: tuple[int, ...]
    scan_iterations: int
    queues: tuple[QueueCounts, ...]
    flows: tuple[FlowCounts, ...]
    cpu_ps: tuple[tuple[int, ...], ...]
    ksoftirqd: tuple[int, ...]
    latency: tuple[tuple[int, int], ...] = field(repr=False)
    latency_sum_ps: int
    in_system: int

    def idle_ps(self, cpu: int) -> int:
        """Return how long a CPU idled."""
        return self.interval_ps - sum(self.cpu_ps[cpu])


@dataclass(frozen=True, slots=True)
class Logged:
    """One row of an event log; a CPU of -1: none."""

    time_ps: int
    happening: Happening
    cpu: int
    index: int
    value: int
