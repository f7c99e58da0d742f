# SPDX-License-Identifier: BSD-3-Clause
"""A plan as the rows that the compiled engines read, each the struct of its name in
ext/_datapath.pxd: the same columns in the same order.
"""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from ntbbench.datapath.engine.draws import stream
from ntbbench.datapath.engine.engine_plan import Duration, Plan
from ntbbench.datapath.engine.tally import CPU_COUNTS, I64Array

ENDED = -2  # of a step
WRAP = 1 << 64
# Words of a row: state, counts (a CPU's, then of the run on it, and idle), padding.
MACHINE_WORDS = 78  # the last of them pointers, which each call sets
CPU_WORDS = QUEUE_WORDS = FLOW_WORDS = 64
SOURCE_WORDS = 8
ENTRY_WORDS = 3
COSTS = ("link_ps", "hardirq_ps", "db_read_ps", "db_clear_ps", "pass_ps", "spin_ps", "wakeup_ps")
TRANSMIT = ("tx_stop", "tx_start", "timer_jiffies", "busy")
SLOTS = ("slot_timer", "slot_link", "slot_dma", "slot_flow", "slot_cpu")

Columns = dict[str, int]


def table(rows: Sequence[Columns], width: int) -> I64Array:
    """Return int64[rows, width], zero behind the columns; u64 values keep their bits."""
    words = np.zeros((len(rows), width), np.uint64)
    for number, row in enumerate(rows):
        words[number, : len(row)] = [value % WRAP for value in row.values()]
    return words.view(np.int64)


def power_of_two(size: int) -> int:
    """Return the least power of two that is at least `size`."""
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
    sizes = [power_of_two(queue.entries) for queue in plan.system.queues]
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
    sizes = [power_of_two(max(flow.window, flow.backlog, 1)) for flow in flows]
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


def _duration(name: str, value: Duration) -> Columns:
    """Return the struct Duration."""
    return {f"{name}.{column}": getattr(value, column) for column in Duration.__slots__}


def _bases(sizes: Sequence[int]) -> list[int]:
    """Return where each of several parts of one buffer begins, and the size of all."""
    return [0, *accumulate(sizes)]
