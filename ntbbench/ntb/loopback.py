# SPDX-License-Identifier: BSD-3-Clause
"""Two NTB ports joined back to back in one kernel, and what its receive tasklets will do.

The prediction knows the device, the rings and, where rings come closer than a model without a clock
can order them, the doorbell events. It is never given a recorded schedule or run: `DoorbellLog` has
no field for them.
"""

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from ntbbench.core.errors import InputError
from ntbbench.ntb.softirq import Receiver, Tally
from ntbbench.ntb.vectormap import DB_BITS_MAX, VectorMap, bits_of

# From this gap on (seconds) between two packets of one sender, the counts of a recording on one CPU
# repeat exactly (measured on 6.1 and 6.12 under emulation, the slowest machine there is).
SPACED_GAP = 700e-6
# A doorbell's tasklets have run this long after it (measured: median 16 to 42 us, see SPACED_GAP).
SETTLED = 200e-6
# What another CPU scheduled in its hardirq has mostly run this long after the doorbell event.
ELSEWHERE = 50e-6
# Two doorbell events of one hardirq are no farther apart: a callback takes 5 to 15 us there.
ONE_HARDIRQ = 40e-6
IDLE_TASK = 0  # the pid of each CPU's idle task


class Context(Enum):
    """Where the doorbell callback was called, after ftrace's third flag."""

    TASK = "task"
    HARDIRQ = "hardirq"
    SOFTIRQ = "softirq"  # hardirq or softirq inside a softirq: the pass it is in goes on afterwards


@dataclass(frozen=True, slots=True)
class Ring:
    """The sender rang: time in seconds, the CPU and the pid it ran on, the bits (u64).

    `need_resched`: the scheduler wanted the CPU at that time (False where it is not known).
    """

    time: float
    cpu: int
    pid: int
    db_bits: int
    need_resched: bool


@dataclass(frozen=True, slots=True)
class DoorbellEvent:
    """ntb_transport's doorbell callback was called with `vector`; the rest as in `Ring`."""

    time: float
    cpu: int
    pid: int
    vector: int
    context: Context
    need_resched: bool


@dataclass(frozen=True)
class LoopDevice:
    """The receiving port: `vectors` 0 means no db_vector_count() and db_vector_mask() callbacks.

    With k vectors bit b belongs to vector b % k. Each bit has its own interrupt.
    `active_mask`, `db_read_latched`, `rx_max_entry` are those of `Receiver`.
    """

    doorbells: int
    vectors: int
    active_mask: int
    db_read_latched: bool
    rx_max_entry: int | None = None

    def __post_init__(self) -> None:
        for name, value, low in (("doorbells", self.doorbells, 1), ("vectors", self.vectors, 0)):
            if not low <= value <= DB_BITS_MAX:
                raise InputError(name, value, f"{low} .. {DB_BITS_MAX}")

    def vector_of(self, db_bit: int) -> int:
        """Return the vector that the interrupt of bit number `db_bit` reports."""
        return db_bit % self.vectors if self.vectors else db_bit

    def vector_map(self) -> VectorMap:
        """Return the map: one interrupt source a bit, by bit number."""
        classes: defaultdict[int, int] = defaultdict(int)
        for db_bit in range(self.doorbells):
            classes[self.vector_of(db_bit)] |= 1 << db_bit
        own = VectorMap(
            db_valid_mask=(1 << self.doorbells) - 1,
            irq_masks=tuple(1 << db_bit for db_bit in range(self.doorbells)),
            db_vector_count=max(self.vectors, 1),
            db_vector_masks=tuple(classes[self.vector_of(b)] for b in range(self.doorbells)),
        )
        return own if self.vectors else own.as_fallback()


@dataclass(frozen=True)
class DoorbellLog:
    """All that a prediction may know of a recording.

    `gap` is the pause between two packets of one sender in seconds; `items` are the rings and the
    doorbell events in recorded order.
    """

    device: LoopDevice
    gap: float
    items: tuple[Ring | DoorbellEvent, ...]

    def rings(self) -> list[Ring]:
        """Return the rings in order."""
        return [item for item in self.items if isinstance(item, Ring)]

    def needs_events(self) -> bool:
        """Return whether a prediction takes the interrupts where their events were recorded."""
        has_events = any(isinstance(item, DoorbellEvent) for item in self.items)
        return has_events and not self.is_spaced()

    def is_spaced(self) -> bool:
        """Return whether each ring's tasklets have run before the next ring.

        One CPU makes it so by itself where senders sleep between packets: no sender runs while a
        softirq does. Several CPUs run side by side, so there the rings must be far apart.
        """
        rings = self.rings()
        if self.gap < SPACED_GAP:
            return False
        if len({item.cpu for item in self.items}) == 1:
            return True
        return all(after.time - before.time >= SETTLED for before, after in pairwise(rings))


def predict(log: DoorbellLog) -> Tally:
    """Return what the receive tasklets will do: from the rings alone where that is enough."""
    if not log.needs_events():
        return predict_spaced(log.device, log.rings())
    burst = _Burst(log)
    for item in log.items:
        burst.advance(item)
    return burst.finish()


def predict_spaced(device: LoopDevice, rings: list[Ring]) -> Tally:
    """Return the tally of rings each of which is served before the next one."""
    receiver = _receiver(device)
    masks = device.vector_map().db_vector_masks
    for ring in rings:
        receiver.ring(ring.db_bits)
        for db_bit in bits_of(ring.db_bits):
            receiver.interrupt(masks[db_bit])
            receiver.drain()
    return receiver.tally


def _receiver(device: LoopDevice) -> Receiver:
    return Receiver(
        active_mask=device.active_mask,
        db_read_latched=device.db_read_latched,
        rx_max_entry=device.rx_max_entry,
    )


class PendingIrqs:
    """The interrupts that were raised and not yet delivered: one a bit, however often it is rung.

    A handler is entered with its interrupt no longer pending, a little before its event is
    recorded: a ring in between looks absorbed, and then one more event follows.

    Source: Linux 6.12.95, kernel/irq_work.c (irq_work_queue, irq_work_single), kernel/smp.c
    (smp_call_function_single_async, __flush_smp_call_function_queue).
    """

    def __init__(self, device: LoopDevice) -> None:
        self.coalesced = 0  # rings that met their interrupt pending
        self._device = device
        self._absorbed: dict[int, bool] = {}  # pending bits, first rung first: rung once more?
        self._again: set[int] = set()  # delivered bits that were rung once more

    def raise_irqs(self, db_bits: int) -> None:
        """Make the bits of `db_bits` (u64) pending."""
        for db_bit in bits_of(db_bits):
            self.coalesced += db_bit in self._absorbed
            self._absorbed[db_bit] = db_bit in self._absorbed

    def deliver(self, vector: int) -> int | None:
        """Return the bit whose interrupt reported `vector`, now delivered; None: there is none."""
        for db_bit in self._absorbed:
            if self._device.vector_of(db_bit) == vector:
                if self._absorbed.pop(db_bit):
                    self._again.add(db_bit)
                return db_bit
        for db_bit in self._again:
            if self._device.vector_of(db_bit) == vector:
                self._again.remove(db_bit)
                self.coalesced -= 1
                return db_bit
        return None

    def rest(self) -> list[int]:
        """Return the bits still pending."""
        return list(self._absorbed)


class _Burst:
    """Runs a `Receiver` along rings and doorbell events, deciding when each CPU's softirq runs.

    A hardirq's tasklets run when it returns, in passes until none is left; but when the scheduler
    wants the CPU, the passes after the first are left to ksoftirqd, as is everything that was
    scheduled from task context. ksoftirqd cannot run before the task gives the CPU up.

    Source: Linux 6.12.95, kernel/softirq.c (handle_softirqs, invoke_softirq, raise_softirq_irqoff).
    """

    def __init__(self, log: DoorbellLog) -> None:
        self._receiver = _receiver(log.device)
        self._masks = log.device.vector_map().db_vector_masks
        self._pending = PendingIrqs(log.device)
        self._device = log.device
        self._raised: dict[int, DoorbellEvent] = {}  # by CPU: no pass since this event
        self._beside: dict[int, set[int]] = {}  # by CPU: the vectors pending at that event
        self._deferred: dict[int, DoorbellEvent] = {}  # by CPU: left to ksoftirqd since this event

    def advance(self, item: Ring | DoorbellEvent) -> None:
        """Let the softirqs run that have run before `item`, then let `item` happen."""
        for cpu in list(self._raised):
            self._return_from_irq(cpu, item)
        for cpu in list(self._deferred):
            self._give_to_ksoftirqd(cpu, item)
        if isinstance(item, Ring):
            self._receiver.ring(item.db_bits)
            self._pending.raise_irqs(item.db_bits)
        elif (db_bit := self._pending.deliver(item.vector)) is not None:
            self._receiver.interrupt(self._masks[db_bit], item.cpu)
            self._raised[item.cpu] = item
            self._beside[item.cpu] = {self._device.vector_of(b) for b in self._pending.rest()}

    def finish(self) -> Tally:
        """Deliver what is still pending, let every softirq run, and return the tally."""
        for cpu in {*self._raised, *self._deferred}:
            self._receiver.drain(cpu)
        for db_bit in self._pending.rest():
            self._receiver.interrupt(self._masks[db_bit])
            self._receiver.drain()
        self._receiver.tally.coalesced = self._pending.coalesced
        return self._receiver.tally

    def _return_from_irq(self, cpu: int, item: Ring | DoorbellEvent) -> None:
        event = self._raised[cpu]
        since = item.time - event.time
        if item.cpu != cpu and since < ELSEWHERE:
            return  # that CPU may still be in its interrupt
        was_pending = isinstance(item, DoorbellEvent) and item.vector in self._beside.get(
            item.cpu, ()
        )
        if item.cpu == cpu and since < ONE_HARDIRQ and was_pending:
            return  # one more of the same hardirq
        del self._raised[cpu]
        in_task = event.context is Context.TASK
        ran = 0 if in_task else self._receiver.softirq_pass(cpu)
        # The scheduler may have asked for the CPU between the event and this item: in the first
        # pass, or later, when nothing was left to defer. The longer stretch is the likelier.
        asked = item.cpu == cpu and item.pid == event.pid and item.need_resched
        if in_task or event.need_resched or (asked and ran > self._receiver.waiting(cpu)):
            self._deferred[cpu] = event
        else:
            self._receiver.drain(cpu)

    def _give_to_ksoftirqd(self, cpu: int, item: Ring | DoorbellEvent) -> None:
        event = self._deferred[cpu]
        switched = item.pid != event.pid or event.pid == IDLE_TASK
        yielded = event.context is not Context.TASK and not item.need_resched
        if item.cpu == cpu and (switched or yielded):
            del self._deferred[cpu]
            self._receiver.drain(cpu)
