# SPDX-License-Identifier: BSD-3-Clause
"""The buffers of a compiled engine, allocated once, however long the time that it simulates.

Their rows are the structs of ext/_datapath.pxd: the same columns in the same order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from ntbbench.datapath.engine.engine_plan import (
    CPU_COUNTS,
    FLOW_COUNTS,
    LATENCY_BUCKETS,
    NONE,
    QUEUE_COUNTS,
    SLOT_BITS,
    DrawnDuration,
    EngineRun,
    EngineTotals,
    I64Array,
    Plan,
    Row,
    first_events,
    log_table,
    stream,
)
from ntbbench.datapath.outcome import Happening

ENDED = -2  # of a step
WRAP = 1 << 64
# Words of a row: state, counts (a CPU's, then of the run on it, and idle), padding.
MACHINE_WORDS = 79  # the last of them pointers, which each call sets
CPU_WORDS = QUEUE_WORDS = FLOW_WORDS = 64
SOURCE_WORDS = 8
ENTRY_WORDS = 3
COSTS = ("link_ps", "hardirq_ps", "db_read_ps", "db_clear_ps", "pass_ps", "spin_ps", "wakeup_ps")
TRANSMIT = ("tx_stop", "tx_start", "timer_jiffies", "busy", "hrtimer_ps")
SLOTS = ("slot_timer", "slot_link", "slot_dma", "slot_flow", "slot_cpu")

Columns = dict[str, int]


def table(rows: Sequence[Columns], width: int) -> I64Array:
    """Return int64[rows, width], zero behind the columns; u64 values keep their bits."""
    words = np.zeros((len(rows), width), np.uint64)
    for number, row in enumerate(rows):
        words[number, : len(row)] = [value % WRAP for value in row.values()]
    return words.view(np.int64)


def _power_of_two(size: int) -> int:
    return 1 << (size - 1).bit_length()


def streams(plan: Plan, seed: int) -> tuple[int, list[int], list[int], list[int]]:
    """Return the first states: the work item's, two a flow, two a queue, one a CPU."""
    flows, queues = 2 * len(plan.flows), 2 * len(plan.system.queues)
    states = [stream(seed, number) for number in range(1 + flows + queues + len(plan.cpus))]
    rest = states[1 + flows :]
    return states[0], states[1 : 1 + flows], rest[:queues], rest[queues:]


def system_row(plan: Plan, work_stream: int) -> Columns:
    """Return the struct Machine."""
    system, poll, deferral = plan.system, plan.system.poll, plan.system.deferral
    return {
        **{name: getattr(system.costs, name) for name in COSTS},
        **{name: getattr(system.transmit, name) for name in TRANSMIT},
        "max_restart": system.softirq.max_restart,
        "softirq_jiffies": plan.softirq_jiffies,
        "need_resched": system.softirq.need_resched,
        "has_poll": poll is not None,
        "poll_jiffies": poll.jiffies if poll else 0,
        "slot_ps": poll.slot_ps if poll else 0,
        "poll_cpu": plan.poll_cpu,
        "has_deferral": deferral is not None,
        "raise_ps": deferral.raise_ps if deferral else 0,
        "snapshots": deferral.snapshots if deferral else 0,
        "has_channel": system.costs.channel is not None,
        "overwrite": system.latch == "overwrite",
        "reposts": system.reposts,
        "jiffy_ps": system.jiffy_ps,
        **{name: getattr(plan, name) for name in SLOTS},
        **_duration("tasklet", plan.tasklet),
        **_duration("work", plan.work),
        **_zero("now", "events", "scan_iterations", "jiffies", "jiffy_begin"),
        **_zero("db", "lock_free", "polled", "work_pending", "work_queued", "work_snapshot"),
        **{"work_raising": -1, "work_snapshots": 0, "work_stream": work_stream},
        **_zero("advance_head", "advance_tail", "latency_high", "latency_low", "log_count"),
    }


def cpu_row(state: int) -> Columns:
    """Return the struct CpuRow of a CPU that has done nothing yet."""
    return {
        **{"soft_step": 0, "soft_left": ENDED, "task_step": 0, "task_left": ENDED},
        **{"since": 0, "at": CPU_COUNTS + 1, "irq": -1, "pending": 0, "raised": 0},
        **{"list_head": -1, "list_tail": -1, "taken_head": -1, "queue": -1},
        **_zero("got", "pass_cost", "copy_flow", "copy_stamp"),
        **_zero("irq_rung", "lock_wait", "passes", "deadline", "resched"),
        **_zero("queued", "ksoftirqd", "turn"),
        **{"flow": -1, "ready_head": -1, "ready_tail": -1, "poll": 0, "poll_source": 0},
        "stream": state,
    }


def queue_rows(plan: Plan, states: list[int]) -> tuple[list[Columns], int]:
    """Return the structs QueueRow, and how many entries all their rings have."""
    sizes = [_power_of_two(queue.entries) for queue in plan.system.queues]
    base = _bases(sizes)
    rows = [
        {
            **{"bit": queue.bit, "source": queue.source, "entries": queue.entries},
            **{"rx_max_entry": queue.rx_max_entry, "db_bits": queue.db_bits},
            **{"base": base[n], "mask": sizes[n] - 1},
            **_zero("sent", "arrived", "taken", "done", "scheduled", "cause"),
            **{"next": -1, "running_on": -1, "run_cause": 0},
            **{"locked": 0, "holder": -1, "stopped": 0, "waiters_head": -1, "waiters_tail": -1},
            **_zero("channel_free", "channel_cpu"),
            **{"copy_stream": states[2 * n], "channel_stream": states[2 * n + 1]},
        }
        for n, queue in enumerate(plan.system.queues)
    ]
    return rows, base[-1]


def flow_rows(plan: Plan, states: list[int]) -> tuple[list[Columns], int, list[int]]:
    """Return the structs FlowRow, how many words all their rings have, and all their times."""
    flows = [planned.flow for planned in plan.flows]
    sizes = [_power_of_two(max(flow.window, flow.backlog, 1)) for flow in flows]
    base, times = _bases(sizes), _bases([len(flow.times_ps) for flow in flows])
    rows = [
        {
            **{"kind": planned.kind, "queue": flow.queue, "cpu": planned.cpu},
            **{"window": flow.window, "ack_ps": flow.ack_ps, "backlog": flow.backlog},
            **{"base": base[n], "mask": sizes[n] - 1},
            **{"times_base": times[n], "times_count": len(flow.times_ps)},
            **_duration("send", planned.send),
            **_duration("copy", planned.copy),
            **_duration("channel", planned.channel),
            **_duration("gap", planned.gap),
            **_zero("listed", "started", "outstanding", "stamp", "next_time"),
            **{"next": -1, "head": 0, "tail": 0},
            **{"gap_stream": states[2 * n], "send_stream": states[2 * n + 1]},
        }
        for n, (planned, flow) in enumerate(zip(plan.flows, flows, strict=True))
    ]
    return rows, base[-1], [time for flow in flows for time in flow.times_ps]


def source_rows(plan: Plan) -> tuple[list[Columns], list[int]]:
    """Return the structs SourceRow, and the callbacks of all of them."""
    base = _bases([len(source.callbacks) for source in plan.sources])
    rows = [
        {
            "cpu": source.cpu,
            "section_ps": source.section_ps if source.callbacks else 0,
            "scans": source.scans,
            "callbacks_base": base[n],
            "callbacks_count": len(source.callbacks),
            "rung": 0,
        }
        for n, source in enumerate(plan.sources)
    ]
    return rows, [mask for source in plan.sources for mask in source.callbacks]


def _zero(*names: str) -> Columns:
    return dict.fromkeys(names, 0)


def _duration(name: str, value: DrawnDuration) -> Columns:
    return {f"{name}.{column}": getattr(value, column) for column in DrawnDuration.__slots__}


def _bases(sizes: Sequence[int]) -> list[int]:
    return [0, *accumulate(sizes)]


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
    none = np.zeros(1, np.int64)
    if len(keys) <= LIST_SLOTS:  # the first one last, with room for one of every slot
        index = np.full(GUARDS + len(keys), NONE, np.uint64)
        pending = np.sort(keys[keys != NONE])[::-1]
        index[GUARDS : GUARDS + len(pending)] = pending
        return keys, index, none
    levels = [_padded(keys.reshape(-1, FOUR).min(axis=1))]
    while len(levels[-1]) > FAN:
        levels.append(_padded(levels[-1].reshape(-1, FAN).min(axis=1)))
    return keys, np.concatenate(levels), none


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


@cache
def _log_words() -> I64Array:
    """Return the logarithms of every run, as words that no run changes."""
    words = np.array(log_table(), np.int64)
    words.flags.writeable = False
    return words


class Buffers:
    """One run of a plan on a compiled engine."""

    def __init__(self, plan: Plan, seed: int, engine: Engine, log_capacity: int) -> None:
        work, of_flows, of_queues, of_cpus = streams(plan, seed)
        by_queue, entries = queue_rows(plan, of_queues)
        by_flow, waiting, times = flow_rows(plan, of_flows)
        by_source, callbacks = source_rows(plan)
        system = system_row(plan, work)
        by_cpu = [cpu_row(state) for state in of_cpus]
        self.plan = plan
        self.engine = engine
        self.column = {name: number for number, name in enumerate(system)}
        self.system = table([system], MACHINE_WORDS)[0]
        tables, counts = [], []
        for of_rows, width, counted in (
            (by_cpu, CPU_WORDS, CPU_COUNTS),
            (by_queue, QUEUE_WORDS, QUEUE_COUNTS),
            (by_flow, FLOW_WORDS, FLOW_COUNTS),
            (by_source, SOURCE_WORDS, 1),
        ):
            words, first = table(of_rows, width), len(of_rows[0])
            tables.append(words)
            counts.append(words[:, first : first + counted])  # they come behind the state
        self.counts = counts
        self.latency = np.zeros(LATENCY_BUCKETS, np.int64)
        self.log_rows = np.zeros((log_capacity + 1, LOG_WORDS), np.int64)
        self.state = (
            *tables,
            np.zeros((entries, ENTRY_WORDS), np.int64),
            np.array([*callbacks, 0], np.uint64),
            np.array([*times, 0], np.int64),
            np.zeros(waiting, np.int64),
            np.zeros(_power_of_two(len(by_cpu) + 1), np.int64),
            _log_words(),
        )
        keys = np.full(plan.slots, NONE, np.uint64)
        for slot, time in first_events(plan):
            keys[slot] = time << SLOT_BITS | slot
        self.events = engine.index(_padded(keys))

    def go_until(self, until: int) -> None:
        """Handle every event before `until`; the GIL is released meanwhile."""
        self.engine.go(until, self.system, *self.state, self.latency, self.log_rows, *self.events)

    def word(self, name: str) -> int:
        """Return a word of the SystemRow."""
        return int(self.system[self.column[name]])

    def totals(self) -> EngineTotals:
        """Return all counts so far: views, which go on counting."""
        cpus, queues, flows, interrupts = self.counts
        return EngineTotals(
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


def run(plan: Plan, seed: int, engine: Engine, log_capacity: int) -> tuple[EngineRun, list[Row]]:
    """Simulate a plan on a compiled engine; as `reference.run()`."""
    buffers = Buffers(plan, seed, engine, log_capacity)
    buffers.go_until(plan.system.warmup_ps)
    before = buffers.totals()
    # Of the histogram, mostly zeros in pages never touched, only what is not is copied.
    latency = np.zeros_like(before.latency)
    filled = np.flatnonzero(before.latency != 0)
    latency[filled] = before.latency[filled]
    names = ("queues", "flows", "cpus", "interrupts")
    copies = {name: getattr(before, name).copy() for name in names}
    before = replace(before, **copies, latency=latency)
    buffers.go_until(plan.system.end_ps)
    after = buffers.totals()
    offered, _, delivered, dropped = after.flows.sum(axis=0).tolist()
    left = int(offered - delivered - dropped)  # between the socket and the client
    return EngineRun(before, after, buffers.word("events"), left), buffers.log()
