# SPDX-License-Identifier: BSD-3-Clause
"""The buffers of a compiled engine, allocated once, however long the time that it simulates."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ntbbench.datapath.engine import rows
from ntbbench.datapath.engine.draws import log_table
from ntbbench.datapath.engine.engine_plan import NONE, SLOT_BITS, Plan, first_events
from ntbbench.datapath.engine.tally import (
    CPU_COUNTS,
    FLOW_COUNTS,
    LATENCY_BUCKETS,
    QUEUE_COUNTS,
    I64Array,
    Row,
    Run,
    Totals,
)
from ntbbench.datapath.outcome import Happening

LIST_SLOTS = 128  # up to which the specialised engine keeps the pending keys in a list,
GUARDS = 4  # words without a key in front of it
FOUR = 4  # keys below a place of the first level of the specialised engine's tree,
FAN = 8  # places below one of the next
LOG_WORDS = 5

U64Array = NDArray[np.uint64]
Index = Callable[[U64Array], tuple[U64Array, U64Array, I64Array]]


@dataclass(frozen=True, slots=True)
class Engine:
    """A compiled engine: its loop, and what it makes of the first keys: keys, tree, places."""

    go: Callable[..., None]
    index: Index


def slots_of(keys: U64Array) -> tuple[U64Array, U64Array, I64Array]:
    """Return the keys, and of few slots those pending as a list, of many the minima as a tree."""
    index = _list_of(keys) if len(keys) <= LIST_SLOTS else _tree_of(keys)
    return keys, index, np.zeros(1, np.int64)


def _list_of(keys: U64Array) -> U64Array:
    """Return the pending keys, the first one last, with room for one of every slot."""
    pending = np.sort(keys[keys != NONE])[::-1]
    room = np.full(len(keys) - len(pending), NONE, np.uint64)
    return np.concatenate([np.full(GUARDS, NONE, np.uint64), pending, room])


def _tree_of(keys: U64Array) -> U64Array:
    """Return the least of each four keys, of each eight of these, and so on to eight."""
    levels = [_padded(keys.reshape(-1, FOUR).min(axis=1))]
    while len(levels[-1]) > FAN:
        levels.append(_padded(levels[-1].reshape(-1, FAN).min(axis=1)))
    return np.concatenate(levels)


def heap_of(keys: U64Array) -> tuple[U64Array, U64Array, I64Array]:
    """Return the keys, a heap of those pending (sorted is one), the place of each slot in it."""
    heap = np.sort(keys)
    places = np.full(len(keys), -1, np.int64)
    slots = heap[heap != NONE] & np.uint64((1 << SLOT_BITS) - 1)
    places[slots.astype(np.int64)] = np.arange(len(slots))
    return keys, heap, places


def _padded(keys: U64Array) -> U64Array:
    """Return keys filled up with no event to a multiple of FAN."""
    return np.concatenate([keys, np.full(-len(keys) % FAN, NONE, np.uint64)])


def _first_keys(plan: Plan) -> U64Array:
    """Return the key of each slot at time 0."""
    keys = np.full(plan.slots, NONE, np.uint64)
    for slot, time in first_events(plan):
        keys[slot] = time << SLOT_BITS | slot
    return _padded(keys)


@cache
def _log_words() -> I64Array:
    """Return the logarithms of every run, as words that no run changes."""
    words = np.array(log_table(), np.int64)
    words.flags.writeable = False
    return words


class Buffers:
    """One run of a plan on a compiled engine."""

    def __init__(self, plan: Plan, seed: int, engine: Engine, log_capacity: int) -> None:
        work, of_flows, of_queues, of_cpus = rows.streams(plan, seed)
        queue_rows, entries = rows.queue_rows(plan, of_queues)
        flow_rows, waiting, times = rows.flow_rows(plan, of_flows)
        source_rows, callbacks = rows.source_rows(plan)
        system = rows.system_row(plan, work)
        cpu_rows = [rows.cpu_row(state) for state in of_cpus]
        self.plan = plan
        self.engine = engine
        self.column = {name: number for number, name in enumerate(system)}
        self.system = rows.table([system], rows.MACHINE_WORDS)[0]
        tables, counts = [], []
        for of_rows, width, counted in (
            (cpu_rows, rows.CPU_WORDS, CPU_COUNTS),
            (queue_rows, rows.QUEUE_WORDS, QUEUE_COUNTS),
            (flow_rows, rows.FLOW_WORDS, FLOW_COUNTS),
            (source_rows, rows.SOURCE_WORDS, 1),
        ):
            words, first = rows.table(of_rows, width), len(of_rows[0])
            tables.append(words)
            counts.append(words[:, first : first + counted])  # they come behind the state
        self.counts = counts
        self.latency = np.zeros(LATENCY_BUCKETS, np.int64)
        self.log_rows = np.zeros((log_capacity + 1, LOG_WORDS), np.int64)
        self.state = (
            *tables,
            np.zeros((entries, rows.ENTRY_WORDS), np.int64),
            np.array([*callbacks, 0], np.uint64),
            np.array([*times, 0], np.int64),
            np.zeros(waiting, np.int64),
            np.zeros(rows.power_of_two(len(cpu_rows) + 1), np.int64),
            _log_words(),
        )
        self.events = engine.index(_first_keys(plan))

    def go_until(self, until: int) -> None:
        """Handle every event before `until`; the GIL is released meanwhile."""
        self.engine.go(until, self.system, *self.state, self.latency, self.log_rows, *self.events)

    def word(self, name: str) -> int:
        """Return a word of the SystemRow."""
        return int(self.system[self.column[name]])

    def totals(self) -> Totals:
        """Return all counts so far: views, which go on counting."""
        cpus, queues, flows, interrupts = self.counts
        return Totals(
            queues=queues,
            flows=flows,
            cpus=cpus,
            interrupts=interrupts[:, 0],
            latency=self.latency,
            latency_sum_ps=(self.word("latency_high") << 32) + self.word("latency_low"),
            scan_iterations=self.word("scan_iterations"),
        )

    def log(self) -> list[Row]:
        """Return the event log."""
        used = self.log_rows[: self.word("log_count")].tolist()
        cpus = [*self.plan.cpus, -1]
        return [(time, Happening(what), cpus[cpu], *rest) for time, what, cpu, *rest in used]


def _copy_of(totals: Totals) -> Totals:
    """Return a copy; of the histogram, mostly zeros in pages never touched, only what is not."""
    latency = np.zeros_like(totals.latency)
    filled = np.flatnonzero(totals.latency != 0)
    latency[filled] = totals.latency[filled]
    names = ("queues", "flows", "cpus", "interrupts")
    copies = {name: getattr(totals, name).copy() for name in names}
    return replace(totals, **copies, latency=latency)


def run(plan: Plan, seed: int, engine: Engine, log_capacity: int) -> tuple[Run, list[Row]]:
    """Simulate a plan on a compiled engine; as `reference.run()`."""
    buffers = Buffers(plan, seed, engine, log_capacity)
    buffers.go_until(plan.system.warmup_ps)
    before = _copy_of(buffers.totals())
    buffers.go_until(plan.system.end_ps)
    after = buffers.totals()
    offered, _, delivered, dropped = after.flows.sum(axis=0).tolist()
    left = int(offered - delivered - dropped)  # between the socket and the client
    return Run(before, after, buffers.word("events"), left), buffers.log()
