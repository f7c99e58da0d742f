# SPDX-License-Identifier: BSD-3-Clause
"""What a simulated point gave: plain integers, equal on every engine and platform."""

from dataclasses import dataclass, field
from enum import IntEnum


class RunCause(IntEnum):
    """Why a receive tasklet was put on a list."""

    DOORBELL = 0
    RACE_CHECK = 1
    REPOST = 2
    BUDGET = 3


class CpuTime(IntEnum):
    """What a CPU did; the rest of the time it idled."""

    HARDIRQ = 0
    USEFUL_SOFTIRQ = 1  # receive-tasklet runs that found a packet
    EMPTY_SOFTIRQ = 2  # those that did not
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


def latency_bucket(latency_ns: int) -> int:
    """Return the bucket of a latency in nanoseconds."""
    octave = max(latency_ns.bit_length() - LATENCY_BITS - 1, 0)
    return (octave << LATENCY_BITS) + (latency_ns >> octave)


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Counts of one queue; the four-tuples are by `Cause`."""

    rings: int  # doorbell rings that arrived
    calls: tuple[int, ...]  # of tasklet_schedule()
    wakeups: tuple[int, ...]  # calls that set SCHED; the others merged
    useful: tuple[int, ...]  # runs that found a packet, by the cause that scheduled them
    empty: tuple[int, ...]  # runs that found none
    packets: int  # consumed
    missed: int  # rings whose own interrupt did not schedule the queue
    misrouted: int  # times it was scheduled, not rung, by an interrupt that missed one
    wiped: int  # rings that the poll cleared without an event of their own
    stops: int  # of the netdev queue
    wakes: int
    timer: int  # looks of the timer, which wakes or waits on
    ring_full: int  # sends refused with -EAGAIN


@dataclass(frozen=True, slots=True)
class FlowCounts:
    """Counts of one flow's packets."""

    offered: int
    sent: int  # into the ring
    delivered: int
    dropped: int


@dataclass(frozen=True, slots=True)
class SystemOutcome:
    """The counts of one run, from warm-up to end."""

    interval_ps: int  # end_ps - warmup_ps
    events: int  # handled by the engine since time 0 (docs/datapath.md says what an event is)
    interrupts: tuple[int, ...]  # delivered, by source (polled: events of a slot)
    scan_iterations: int  # of the bit loop
    queues: tuple[QueueCounts, ...]
    flows: tuple[FlowCounts, ...]
    cpu_ps: tuple[tuple[int, ...], ...]  # by CPU, then by `CpuTime`; the rest is idle
    ksoftirqd: tuple[int, ...]  # by CPU, times a softirq left its list to ksoftirqd
    # (bucket, packets) ascending: from the start of a packet's send (open: from its arrival at the
    # socket) to its delivery.
    latency: tuple[tuple[int, int], ...] = field(repr=False)
    latency_sum_ps: int  # of the same packets, exact
    in_system: int  # packets in socket buffers, being sent, in rings and copied, at end_ps

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
