# SPDX-License-Identifier: BSD-3-Clause
"""The buffers of a compiled engine, allocated once, however long the time that it simulates."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntbbench.engine.datapath import rows
from ntbbench.engine.datapath.draws import log_table
from ntbbench.engine.datapath.plan import NONE, SLOT_BITS, SLOT_POLL, TIMES, Plan
from ntbbench.engine.datapath.result import (
    CPU_COUNTS,
    FLOW_COUNTS,
    LATENCY_BUCKETS,
    QUEUE_COUNTS,
    I64Array,
    Row,
    Run,
    Totals,
)
from ntbbench.model.datapath.outcome import Happening

FAN = 8  # of the specialised engine's tree
ENTRY_WORDS = 3
LOG_WORDS = 5

U64Array = NDArray[np.uint64]
Index = Callable[[U64Array], tuple[U64Array, I64Array]]


@dataclass(frozen=True, slots=True)
class Engine:
    """A compiled engine: its loop, and what it keeps beside the keys, from the first keys."""

    go: Callable[..., None]
    index: Index


def tree_of(keys: U64Array) -> tuple[U64Array, I64Array]:
    """Return the least of each eight keys, of each eight of these, until there are eight."""
    levels = []
    below = keys
    while len(below) > FAN:
        least = below.reshape(-1, FAN).min(axis=1)
        below = padded(least)
        levels.append(below)
    return np.concatenate(levels), np.zeros(1, np.int64)


def heap_of(keys: U64Array) -> tuple[U64Array, I64Array]:
    """Return a heap of the pending keys (sorted is one), and the place of each slot in it."""
    heap = np.sort(keys)
    places = np.full(len(keys), -1, np.int64)
    pending = heap[heap != NONE]
    places[(pending & np.uint64((1 << SLOT_BITS) - 1)).astype(np.int64)] = np.arange(len(pending))
    return heap, places


def padded(keys: U64Array) -> U64Array:
    """Return keys filled up to a multiple of FAN."""
    size = max(-(-len(keys) // FAN), 1) * FAN
    return np.concatenate([keys, np.full(size - len(keys), NONE, np.uint64)])


def first_keys(plan: Plan) -> U64Array:
    """Return the key of each slot at time 0, filled up so that the tree has a level."""
    keys = np.full(max(plan.slots, FAN + 1), NONE, np.uint64)
    for slot, time in first_events(plan):
        keys[slot] = time << SLOT_BITS | slot
    return padded(keys)


def first_events(plan: Plan) -> list[tuple[int, int]]:
    """Return the slots that are pending at first, and when they are due."""
    poll = plan.system.poll
    events = [(SLOT_POLL, (poll.jiffies + 1) * plan.system.jiffy_ps)] if poll else []
    for number, flow in enumerate(plan.flows):
        times = flow.flow.times_ps if flow.kind == TIMES else (flow.flow.start_ps,)
        events += [(plan.slot_flow + number, time) for time in times[:1]]
    return events


class Buffers:
    """One run of a plan on a compiled engine."""

    def __init__(self, plan: Plan, seed: int, engine: Engine, log_capacity: int) -> None:
        work, of_flows, of_queues, of_cpus = rows.streams(plan, seed)
        queue_rows, entries = rows.queue_rows(plan, of_queues)
        flow_rows, waiting, times = rows.flow_rows(plan, of_flows)
        source_rows, callbacks = rows.source_rows(plan)
        system = rows.system_row(plan, work)
        cpus, queues, flows = len(plan.cpus), len(queue_rows), len(flow_rows)
        keys = first_keys(plan)
        self.plan = plan
        self.engine = engine
        self.column = {name: number for number, name in enumerate(system)}
        self.system = rows.table([system])[0]
        self.queue_counts = np.zeros((queues, QUEUE_COUNTS), np.int64)
        self.flow_counts = np.zeros((flows, FLOW_COUNTS), np.int64)
        self.cpu_counts = np.zeros((cpus, CPU_COUNTS), np.int64)
        self.interrupts = np.zeros(len(source_rows), np.int64)
        self.latency = np.zeros(LATENCY_BUCKETS, np.int64)
        self.log_rows = np.zeros((log_capacity + 1, LOG_WORDS), np.int64)
        self.state = (
            rows.table([rows.cpu_row(state) for state in of_cpus]),
            rows.table(queue_rows),
            rows.table(flow_rows),
            rows.table(source_rows),
            np.zeros((entries, ENTRY_WORDS), np.int64),
            np.array([*callbacks, 0], np.uint64),
            np.array([*times, 0], np.int64),
            np.zeros(waiting, np.int64),
            np.zeros(rows.power_of_two(cpus + 1), np.int64),
            np.array(log_table(), np.int64),
        )
        self.events = (keys, *engine.index(keys))

    def go_until(self, until: int) -> None:
        """Handle every event before `until`; the GIL is released meanwhile."""
        self.engine.go(
            until,
            self.system,
            *self.state,
            self.queue_counts,
            self.flow_counts,
            self.cpu_counts,
            self.interrupts,
            self.latency,
            self.log_rows,
            *self.events,
        )

    def word(self, name: str) -> int:
        """Return a word of the SystemRow."""
        return int(self.system[self.column[name]])

    def totals(self) -> Totals:
        """Return a copy of all counts so far."""
        return Totals(
            queues=self.queue_counts.copy(),
            flows=self.flow_counts.copy(),
            cpus=self.cpu_counts.copy(),
            interrupts=self.interrupts.copy(),
            latency=self.latency.copy(),
            latency_sum_ps=(self.word("latency_high") << 32) + self.word("latency_low"),
            scan_iterations=self.word("scan_iterations"),
        )

    def log(self) -> list[Row]:
        """Return the event log."""
        used = self.log_rows[: self.word("log_count")].tolist()
        cpus = [*self.plan.cpus, -1]
        return [(time, Happening(what), cpus[cpu], *rest) for time, what, cpu, *rest in used]


def in_system(after: Totals) -> int:
    """Return the packets between the socket and the client: offered, neither delivered nor lost."""
    offered, _, delivered, dropped = after.flows.sum(axis=0).tolist()
    return int(offered - delivered - dropped)


def run(plan: Plan, seed: int, engine: Engine, log_capacity: int) -> tuple[Run, list[Row]]:
    """Simulate a plan on a compiled engine; as `reference.run()`."""
    buffers = Buffers(plan, seed, engine, log_capacity)
    buffers.go_until(plan.system.warmup_ps)
    before = buffers.totals()
    buffers.go_until(plan.system.end_ps)
    after = buffers.totals()
    return Run(before, after, buffers.word("events"), in_system(after)), buffers.log()
