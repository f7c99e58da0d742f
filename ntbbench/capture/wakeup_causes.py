# SPDX-License-Identifier: BSD-3-Clause
"""What a recording says happened: each schedule and run with the cause that the rules give it.

The same rules as `ntbbench.ntb.softirq`, but driven by the recorded order of everything. What the
rules ask for and the recording lacks, and what it has and no rule asks for, is counted apart.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ntbbench.capture.readers.probe_hits import EventKind, TraceEvent
from ntbbench.capture.recording import Recording
from ntbbench.ntb.loopback import SETTLED, Context, LoopDevice, PendingIrqs
from ntbbench.ntb.softirq import Tally
from ntbbench.ntb.vectormap import DB_BITS_MAX, bits_of


def _zeros() -> list[int]:
    return [0] * DB_BITS_MAX


@dataclass
class WakeupStory(Tally):
    """A `Tally` of what was recorded; lists by qp_num. `useful` is not known and stays zero."""

    # of `merged`, those that met a tasklet which its own last run had put back
    merged_repost: list[int] = field(default_factory=_zeros)
    # race checks that met SCHED set by a doorbell that came during the run
    race_merged: list[int] = field(default_factory=_zeros)
    # schedules that neither a doorbell nor a rule of the run explains
    other: list[int] = field(default_factory=_zeros)
    # of `other`, those that the doorbell callback itself made, of a QP whose bit is not under its
    # vector
    beyond_vector: list[int] = field(default_factory=_zeros)
    # doorbell calls that found SCHED clear and have no schedule in the trace
    unmet: list[int] = field(default_factory=_zeros)
    # runs with their bit latched long before, and no race check
    skipped: list[int] = field(default_factory=_zeros)
    # runs of a tasklet that no recorded schedule had put on a list
    unseen_schedules: list[int] = field(default_factory=_zeros)
    # schedules of a tasklet that was on a list already: a run in between is missing
    unseen_runs: list[int] = field(default_factory=_zeros)
    # tasklets on a list when the recording ends
    in_flight: list[int] = field(default_factory=_zeros)
    unseen_events: int = 0  # interrupts that only their schedules show
    unasked: int = 0  # doorbell events of a vector that nothing had rung
    undelivered: int = 0  # bits rung and pending when the recording ends
    # u64 mask of the active QPs' bits that are latched, or whose packets no run has consumed, when
    # the recording ends
    unserved: int = 0


def tell(recording: Recording) -> WakeupStory:
    """Return the story of a recording; reads its events once, in order."""
    return _Teller(recording.device, recording.has_flags).tell(recording.events)


@dataclass
class _Run:
    """A run going on on a CPU: since when its QP's bit was latched, what it may still do."""

    qp_num: int
    time: float
    is_full: bool
    reposted: bool = False


@dataclass
class _Calls:
    """The calls of a doorbell event on a CPU: QPs whose schedule is due, QPs thought merged.

    `mask`: the QPs under its vector. `event`: None where only the schedules show it.
    """

    mask: int = 0
    event: TraceEvent | None = None
    due: set[int] = field(default_factory=set)
    merged: set[int] = field(default_factory=set)


class _Teller:
    def __init__(self, device: LoopDevice, has_flags: bool) -> None:
        self._story = WakeupStory()
        self._device = device
        self._has_flags = has_flags
        self._masks = device.vector_map().db_vector_masks
        self._pending = PendingIrqs(device)
        self._rung: dict[int, float] = {}  # latched bits and when they were last rung
        self._doubtful: set[int] = set()  # latched, unless a race check cleared them unrecorded
        self._packets = _zeros()
        self._scheduled = 0  # u64 mask, as SCHED
        self._reposted = 0  # u64 mask: scheduled by their own run
        self._calls: dict[int, _Calls] = {}  # by CPU
        self._runs: dict[int, _Run] = {}  # by CPU

    def tell(self, events: Iterable[TraceEvent]) -> WakeupStory:
        for event in events:
            self._tell_one(event)
        for cpu in list(self._calls):
            self._end_calls(cpu)
        for cpu in list(self._runs):
            self._end_run(cpu)
        for qp_num in bits_of(self._scheduled):
            self._story.in_flight[qp_num] += 1
        self._story.coalesced = self._pending.coalesced
        self._story.undelivered = len(self._pending.rest())
        packets = {qp_num for qp_num, count in enumerate(self._packets) if count}
        waiting = self._rung.keys() if self._device.db_read_latched else packets
        self._story.unserved = sum(1 << bit for bit in waiting) & self._device.active_mask
        return self._story

    def _tell_one(self, event: TraceEvent) -> None:
        if event.kind is EventKind.SCHEDULE:
            self._schedule(event)
            return
        self._end_calls(event.cpu)
        nested = event.kind is EventKind.DB_EVENT and event.context is not Context.TASK
        if not nested:
            self._end_run(event.cpu)
        if event.kind is EventKind.RING:
            self._ring(event)
        elif event.kind is EventKind.DB_EVENT:
            self._doorbell(event)
        elif event.kind is EventKind.RUN:
            self._start_run(event)

    def _ring(self, event: TraceEvent) -> None:
        self._pending.raise_irqs(event.value)
        for db_bit in bits_of(event.value):
            self._rung[db_bit] = event.time
            self._doubtful.discard(db_bit)
            self._packets[db_bit] += 1

    def _doorbell(self, event: TraceEvent) -> None:
        db_bit = self._pending.deliver(event.value)
        if db_bit is None:
            self._story.unasked += 1
            return
        self._story.interrupts += 1
        self._call(event.cpu, db_bit, event)

    def _call(self, cpu: int, db_bit: int, event: TraceEvent | None = None) -> None:
        calls = self._calls[cpu] = _Calls(self._masks[db_bit], event)
        for qp_num in bits_of(self._masks[db_bit] & self._device.active_mask):
            self._story.schedule_calls[qp_num] += 1
            if self._scheduled >> qp_num & 1:
                calls.merged.add(qp_num)
                self._merge(qp_num, 1)
            else:
                calls.due.add(qp_num)

    def _merge(self, qp_num: int, count: int) -> None:
        self._story.merged[qp_num] += count
        if self._reposted >> qp_num & 1:
            self._story.merged_repost[qp_num] += count

    def _end_calls(self, cpu: int) -> None:
        """Judge the calls that no schedule followed: another CPU may have been faster."""
        for qp_num in self._calls.pop(cpu, _Calls()).due:
            if self._scheduled >> qp_num & 1:
                self._merge(qp_num, 1)
            else:
                self._story.unmet[qp_num] += 1

    def _schedule(self, event: TraceEvent) -> None:
        qp_num, run = event.value, self._runs.get(event.cpu)
        own = run is not None and run.qp_num == qp_num and not run.reposted
        if event.cpu not in self._calls and not own and event.context is not Context.TASK:
            self._find_unseen_event(event.cpu, qp_num)
        calls = self._calls.get(event.cpu, _Calls())
        self._story.unseen_runs[qp_num] += self._scheduled >> qp_num & 1
        if qp_num in calls.merged:  # it was not: a run before it is not in the trace
            calls.merged.remove(qp_num)
            calls.due.add(qp_num)
            self._merge(qp_num, -1)
        self._scheduled |= 1 << qp_num
        self._reposted &= ~(1 << qp_num)
        if qp_num in calls.due:
            calls.due.remove(qp_num)
            self._story.doorbell[qp_num] += 1
        elif self._is_of_callback(event, calls.event) and not calls.mask >> qp_num & 1:
            self._story.beyond_vector[qp_num] += 1
            self._story.other[qp_num] += 1
        elif own and run is not None:
            self._repost(run)
        else:
            self._story.other[qp_num] += 1

    def _is_of_callback(self, schedule: TraceEvent, event: TraceEvent | None) -> bool:
        """Return whether the last doorbell event of its CPU made this schedule, by the flags.

        Nothing else came between them, and the callback runs through in one context.
        """
        return (
            self._has_flags
            and event is not None
            and (schedule.context, schedule.pid) == (event.context, event.pid)
        )

    def _find_unseen_event(self, cpu: int, qp_num: int) -> None:
        """Deliver the pending interrupt that must have come, for it alone schedules this QP."""
        for db_bit in self._pending.rest():
            if self._masks[db_bit] & self._device.active_mask & 1 << qp_num:
                self._pending.deliver(self._device.vector_of(db_bit))
                self._story.unseen_events += 1
                self._call(cpu, db_bit)
                return

    def _repost(self, run: _Run) -> None:
        run.reposted = True
        if run.is_full:
            self._story.budget[run.qp_num] += 1
        elif self._device.db_read_latched and run.qp_num in self._rung:
            del self._rung[run.qp_num]
            self._doubtful.discard(run.qp_num)
            self._story.race_check[run.qp_num] += 1
        else:
            self._story.other[run.qp_num] += 1
        self._reposted |= 1 << run.qp_num

    def _start_run(self, event: TraceEvent) -> None:
        qp_num = event.value
        self._story.runs[qp_num] += 1
        self._story.unseen_schedules[qp_num] += not self._scheduled >> qp_num & 1
        self._scheduled &= ~(1 << qp_num)
        limit = self._device.rx_max_entry
        is_full = limit is not None and self._packets[qp_num] >= limit
        self._packets[qp_num] -= limit if is_full and limit else self._packets[qp_num]
        self._runs[event.cpu] = _Run(qp_num, event.time, is_full)

    def _end_run(self, cpu: int) -> None:
        """Judge a run that did not put its tasklet back although its bit was latched.

        A doorbell that came during the run has set SCHED, so that a race check leaves no trace:
        only the next run tells whether there was one.
        """
        run = self._runs.pop(cpu, None)
        if run is None or run.reposted or run.qp_num not in self._rung:
            return
        if self._scheduled >> run.qp_num & 1:
            self._doubtful.add(run.qp_num)
        elif run.qp_num in self._doubtful:
            self._doubtful.discard(run.qp_num)
            del self._rung[run.qp_num]
            self._story.race_merged[run.qp_num] += 1
        elif self._device.db_read_latched and run.time - self._rung[run.qp_num] >= SETTLED:
            self._story.skipped[run.qp_num] += 1
