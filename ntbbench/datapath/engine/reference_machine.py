# SPDX-License-Identifier: BSD-3-Clause
"""The state of a simulated system, its clock and its pending events."""

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from heapq import heappop, heappush

from ntbbench.datapath.engine.engine_plan import (
    CAUSES,
    NONE,
    SLOT_BITS,
    TIME_END,
    DrawnDuration,
    Plan,
    draw,
    mix,
    step,
    stream,
)
from ntbbench.datapath.outcome import CpuTime, Happening, RunCause

RUNNING = -1  # of a step's `left`: its end is the CPU's pending event
ENDED = -2  # it has ended, what comes next is not decided


class Step(IntEnum):
    """What a CPU is at, in softirq or in a task; a hardirq is a level of its own."""

    NOTHING = 0
    START = 1  # softirq: the overhead of a tasklet's run, before it looks at the ring
    COPY = 2
    READ = 3  # db_read() at the end of a run
    CLEAR = 4  # db_clear(), read back
    SPIN = 5
    SEND = 6  # task
    KSOFTIRQD_WAKE = 7
    KSOFTIRQD = 8  # takes no time itself: the softirq above it does
    POLL_WAKE = 9
    POLL_SLOT = 10


KTHREAD_STEPS = (Step.KSOFTIRQD_WAKE, Step.POLL_WAKE, Step.POLL_SLOT)


@dataclass
class Level:
    """A softirq or a task on a CPU: its step, and how much of it is left (or RUNNING, ENDED)."""

    step: Step = Step.NOTHING
    left: int = ENDED


@dataclass
class ReferenceCpu:
    """One CPU: hardirq above softirq above task; `tasklets` and `taken` hold queues."""

    soft: Level = field(default_factory=Level)
    task: Level = field(default_factory=Level)
    since: int = 0  # time accounted so far
    irq: int = -1  # the source whose handler runs
    irq_rung: int = 0  # queues rung for that interrupt, a mask
    lock_wait: int = 0  # of that handler, not yet accounted
    pending: int = 0  # sources, a mask
    raised: bool = False  # a softirq was raised in interrupt context
    resched: bool = False  # a flow woke here since a task was last chosen
    tasklets: deque[int] = field(default_factory=deque)
    taken: deque[int] = field(default_factory=deque)
    passes: int = 0
    deadline: int = 0  # jiffies
    pass_cost: int = 0  # of the pass just begun, not yet spent
    queue: int = -1  # whose tasklet runs
    got: int = 0  # packets of this run
    copying: tuple[int, int] = (0, 0)  # flow and stamp of the packet
    run_ps: int = 0  # of this run, not yet known whether useful
    ksoftirqd: int = 0  # 0 asleep, 1 woken, 2 at work
    poll: bool = False  # the poll's work is runnable here
    poll_source: int = 0
    turn: int = 0  # which kind of task is asked first
    flow: int = -1  # that sends
    ready: deque[int] = field(default_factory=deque)
    queued: bool = False  # on the list of CPUs to advance
    tasklet_stream: int = 0
    ps: list[int] = field(default_factory=lambda: [0] * len(CpuTime))
    left_to_ksoftirqd: int = 0


@dataclass
class QueueState:
    """One queue: the sender's side, the ring, the tasklet, its counts."""

    waiters: deque[int] = field(default_factory=deque)
    locked: bool = False
    holder: int = -1  # the flow that the lock was handed to
    stopped: bool = False
    flying: deque[tuple[int, int, int]] = field(default_factory=deque)  # arrival, flow, stamp
    ring: deque[tuple[int, int]] = field(default_factory=deque)  # flow, stamp: arrived, not taken
    channel: deque[tuple[int, int, int]] = field(default_factory=deque)  # completion, flow, stamp
    channel_free: int = 0
    channel_cpu: int = 0
    used: int = 0  # entries
    scheduled: bool = False
    cause: RunCause = RunCause.DOORBELL  # of that
    running_on: int = -1
    run_cause: RunCause = RunCause.DOORBELL
    copy_stream: int = 0
    channel_stream: int = 0
    rings: int = 0
    calls: list[int] = field(default_factory=lambda: [0] * CAUSES)
    wakeups: list[int] = field(default_factory=lambda: [0] * CAUSES)
    useful: list[int] = field(default_factory=lambda: [0] * CAUSES)
    empty: list[int] = field(default_factory=lambda: [0] * CAUSES)
    packets: int = 0
    missed: int = 0
    misrouted: int = 0
    wiped: int = 0
    stops: int = 0
    wakes: int = 0
    timer: int = 0
    ring_full: int = 0


@dataclass
class FlowState:
    """One flow."""

    listed: bool = False  # ready, waiting for its queue, or sending
    started: bool = False
    outstanding: int = 0
    backlog: deque[int] = field(default_factory=deque)  # stamps
    acks: deque[int] = field(default_factory=deque)  # times
    stamp: int = 0  # of the packet being sent
    next_time: int = 0  # index into times_ps
    gap_stream: int = 0
    send_stream: int = 0
    offered: int = 0
    sent: int = 0
    delivered: int = 0
    dropped: int = 0


class Machine:
    """All state of one run; `set()` and `pop()` are its event queue."""

    def __init__(self, plan: Plan, seed: int, log_capacity: int) -> None:
        flows, queues, cpus = len(plan.flows), len(plan.system.queues), len(plan.cpus)
        count = 1 + 2 * flows + 2 * queues + cpus
        streams = iter([stream(seed, number) for number in range(count)])
        self.plan = plan
        self.system = plan.system
        self.now = 0
        self.events = 0
        self.work_stream = next(streams)
        self.flows = [
            FlowState(gap_stream=next(streams), send_stream=next(streams)) for _ in range(flows)
        ]
        self.queues = [
            QueueState(copy_stream=next(streams), channel_stream=next(streams))
            for _ in range(queues)
        ]
        self.cpus = [ReferenceCpu(tasklet_stream=next(streams)) for _ in range(cpus)]
        self.keys = [NONE] * plan.slots
        self.heap: list[int] = []
        self.to_advance: deque[int] = deque()
        self.source_rung = [0] * len(plan.sources)  # queues rung since its last interrupt, masks
        self.interrupts = [0] * len(plan.sources)
        self.scan_iterations = 0
        self.db = 0  # what db_read() shows
        self.lock_free = 0  # when ctx_lock is next free
        self.polled = 0  # set slots, a mask of sources
        self.work_pending = 0  # peer_db_pending, a mask of queues
        self.work_queued = False
        self.work_snapshot = 0
        self.work_raising = -1  # the queue whose interrupt is being raised
        self.work_snapshots = 0
        self.latency: dict[int, int] = {}
        self.latency_sum = 0
        self.log_capacity = log_capacity
        self.log_rows: list[tuple[int, Happening, int, int, int]] = []

    def set(self, slot: int, time: int) -> None:
        """Make the event of a slot pending at `time`, in place of the one it had."""
        key = min(time, TIME_END) << SLOT_BITS | slot
        self.keys[slot] = key
        heappush(self.heap, key)

    def pop(self, until: int) -> int:
        """Return the slot of the first event before `until`, the new now; -1: there is none."""
        while self.heap and self.heap[0] >> SLOT_BITS < until:
            key = heappop(self.heap)
            slot = key & (1 << SLOT_BITS) - 1
            if self.keys[slot] == key:  # else it was cancelled or moved
                self.keys[slot] = NONE
                self.now = key >> SLOT_BITS
                return slot
        return -1

    def touch(self, cpu: int) -> None:
        """Let a CPU look, once this event has been handled, at what it has to do."""
        if not self.cpus[cpu].queued:
            self.cpus[cpu].queued = True
            self.to_advance.append(cpu)

    def begin_step(self, cpu: int, level: Level, duration: int) -> None:
        """Let the step of a level take its time; one that takes none has ended."""
        self.cpus[cpu].since = self.now
        level.left = ENDED
        if duration:
            level.left = RUNNING
            self.set(self.plan.slot_cpu + cpu, self.now + duration)

    def drawn(self, duration: DrawnDuration, owner: object, name: str) -> int:
        """Return a duration; a constant one does not move the owner's stream."""
        if duration.kind == 0:
            return duration.mean
        state = step(getattr(owner, name))
        setattr(owner, name, state)
        return draw(duration, mix(state))

    def jiffies_later(self, jiffies: int) -> int:
        """Return when a timer armed now for so many jiffies expires.

        Source: kernel/time/timer.c (calc_index), Linux 6.1 to 7.3: the wheel rounds up by one.
        """
        jiffy = self.system.jiffy_ps
        return (self.now // jiffy + jiffies + 1) * jiffy

    def log(self, happening: Happening, cpu: int, index: int, value: int) -> None:
        """Add a row to the event log while there is room; `cpu` as in `Plan.cpus`."""
        if len(self.log_rows) < self.log_capacity:
            number = self.plan.cpus[cpu] if cpu >= 0 else -1
            self.log_rows.append((self.now, happening, number, index, value))
