# SPDX-License-Identifier: BSD-3-Clause
"""What a System may be; anything else is one line that names the field."""

from collections.abc import Iterable
from itertools import pairwise

from ntbbench.core.errors import InputError
from ntbbench.datapath.system import PS_A_SECOND, Cost, Draw, Flow, Queue, System
from ntbbench.ntb.vectormap import DB_BITS_MAX, check_u64

CPUS_MAX = 1024  # a host
FLOWS_MAX = 512
TIME_MAX_PS = 3600 * PS_A_SECOND  # time and tie rule share a u64: docs/datapath.md
COST_MAX_PS = PS_A_SECOND  # a second for one packet, interrupt or run is a slip of the unit
ENTRIES_MAX = 1 << 16
PACKETS_MAX = 1 << 20  # window, socket buffer
PPM = 10**6
SPIN_MIN_PS = 1000
KINDS = ("closed", "open", "times", "back-to-back")
DRAWS = ("constant", "exponential", "uniform")


def check_system(system: System) -> None:
    """Raise InputError where a field of `system` is outside what the engines simulate."""
    check_range("receiver_cpus", system.receiver_cpus, 1, CPUS_MAX)
    check_range("sender_cpus", system.sender_cpus, 0, CPUS_MAX)
    check_range("end_ps", system.end_ps, 1, TIME_MAX_PS)
    check_range("warmup_ps", system.warmup_ps, 0, system.end_ps - 1)
    check_range("jiffy_ps", system.jiffy_ps, 10**8, PS_A_SECOND)
    check_one_of("latch", system.latch, ("set", "overwrite"))
    check_range("sources", len(system.sources), 1, DB_BITS_MAX)
    check_range("queues", len(system.queues), 1, DB_BITS_MAX)
    check_range("flows", len(system.flows), 1, FLOWS_MAX)
    check_costs(system)
    check_sources(system)
    check_rules(system)
    for number, queue in enumerate(system.queues):
        check_queue(system, f"queues[{number}]", queue)
    for before, after in pairwise(system.queues):
        if before.bit >= after.bit:
            raise InputError("queues", after.bit, "doorbell bits ascend from queue to queue")
    for number, flow in enumerate(system.flows):
        check_flow(system, f"flows[{number}]", flow)


def check_range(field: str, value: int, low: int, high: int) -> None:
    """Raise InputError unless `value` is an integer of low .. high."""
    if not isinstance(value, int) or not low <= value <= high:
        raise InputError(field, value, f"{low:,} .. {high:,}")


def check_one_of(field: str, value: str, allowed: Iterable[str]) -> None:
    """Raise InputError unless `value` is one of the words."""
    if value not in allowed:
        raise InputError(field, value, f"one of {', '.join(allowed)}")


def check_draw(field: str, draw: Draw) -> None:
    """Raise InputError unless the engines know this distribution."""
    check_one_of(f"{field}.kind", draw.kind, DRAWS)
    check_range(f"{field}.spread_ppm", draw.spread_ppm, 0, PPM)


def check_cost(field: str, cost: Cost) -> None:
    """Raise InputError unless a cost is between nothing and absurd."""
    check_range(f"{field}.packet_ps", cost.packet_ps, 0, COST_MAX_PS)
    check_range(f"{field}.byte_fs", cost.byte_fs, 0, COST_MAX_PS)
    check_draw(f"{field}.draw", cost.draw)


def check_costs(system: System) -> None:
    """Check `System.costs`."""
    costs = system.costs
    for name in ("link_ps", "hardirq_ps", "db_read_ps", "db_clear_ps", "scan_ps", "pass_ps",
                 "tasklet_ps", "wakeup_ps"):  # fmt: skip
        check_range(f"costs.{name}", getattr(costs, name), 0, COST_MAX_PS)
    check_range("costs.spin_ps", costs.spin_ps, SPIN_MIN_PS, COST_MAX_PS)
    check_draw("costs.tasklet_draw", costs.tasklet_draw)
    check_cost("costs.send", costs.send)
    check_cost("costs.copy", costs.copy)
    if costs.channel is not None:
        check_cost("costs.channel", costs.channel)


def check_rules(system: System) -> None:
    """Check flow control, softirq, poll and deferral."""
    transmit, softirq = system.transmit, system.softirq
    check_range("transmit.tx_stop", transmit.tx_stop, 0, ENTRIES_MAX)
    check_range("transmit.tx_start", transmit.tx_start, 0, ENTRIES_MAX)
    check_range("transmit.timer_jiffies", transmit.timer_jiffies, 1, 1000)
    check_range("softirq.max_restart", softirq.max_restart, 1, 1000)
    check_range("softirq.max_time_ps", softirq.max_time_ps, 1, COST_MAX_PS)
    if system.poll is not None:
        check_range("poll.jiffies", system.poll.jiffies, 1, 1000)
        check_range("poll.slot_ps", system.poll.slot_ps, 0, COST_MAX_PS)
        check_receiver_cpu(system, "poll.cpu", system.poll.cpu)
    if system.deferral is not None:
        check_range("deferral.work_ps", system.deferral.work_ps, 0, COST_MAX_PS)
        check_range("deferral.raise_ps", system.deferral.raise_ps, 0, COST_MAX_PS)
        check_range("deferral.snapshots", system.deferral.snapshots, 1, 1000)
        check_draw("deferral.work_draw", system.deferral.work_draw)


def check_receiver_cpu(system: System, field: str, cpu: int) -> None:
    """Raise InputError unless the receiver has this CPU."""
    last = system.receiver_cpus - 1
    if not isinstance(cpu, int) or not 0 <= cpu <= last:
        raise InputError(field, cpu, f"a CPU of the receiver: 0 .. {last}")


def check_sources(system: System) -> None:
    """Check the affinities and the callbacks of every source."""
    for number, source in enumerate(system.sources):
        field = f"sources[{number}]"
        check_receiver_cpu(system, f"{field}.cpu", source.cpu)
        check_one_of(f"{field}.kind", source.kind, ("event", "msi"))
        check_range(f"{field}.callbacks", len(source.callbacks), 0, DB_BITS_MAX)
        for mask in source.callbacks:
            check_u64(f"{field}.callbacks", mask)
        if system.poll is not None and source.kind == "msi":
            raise InputError(f"{field}.kind", source.kind, "event: a poll calls ntb_db_event()")


def check_queue(system: System, field: str, queue: Queue) -> None:
    """Check one queue."""
    check_range(f"{field}.bit", queue.bit, 0, DB_BITS_MAX - 1)
    check_range(f"{field}.source", queue.source, 0, len(system.sources) - 1)
    check_range(f"{field}.entries", queue.entries, 2, ENTRIES_MAX)
    check_range(f"{field}.rx_max_entry", queue.rx_max_entry, 1, ENTRIES_MAX)
    check_u64(f"{field}.db_bits", queue.db_bits)


def check_flow(system: System, field: str, flow: Flow) -> None:
    """Check one flow."""
    check_one_of(f"{field}.kind", flow.kind, KINDS)
    check_range(f"{field}.queue", flow.queue, 0, len(system.queues) - 1)
    check_range(f"{field}.size", flow.size, 1, 1 << 30)
    check_range(f"{field}.start_ps", flow.start_ps, 0, TIME_MAX_PS)
    check_sender_cpu(system, field, flow)
    if system.costs.send.of_bytes(flow.size) > COST_MAX_PS:
        raise InputError("costs.send", system.costs.send, "at most a second a packet")
    for name, cost in (("copy", system.costs.copy), ("channel", system.costs.channel)):
        if cost is not None and cost.of_bytes(flow.size) > COST_MAX_PS:
            raise InputError(f"costs.{name}", cost, "at most a second a packet")
    if flow.kind == "closed":
        check_range(f"{field}.window", flow.window, 1, PACKETS_MAX)
        check_range(f"{field}.ack_ps", flow.ack_ps, 0, COST_MAX_PS)
    if flow.kind in ("closed", "back-to-back"):
        if not system.costs.send.of_bytes(flow.size):
            raise InputError("costs.send", 0, f"above 0: {field} would send without end at once")
        return
    check_range(f"{field}.backlog", flow.backlog, 1, PACKETS_MAX)
    if flow.kind == "open":
        check_range(f"{field}.gap_ps", flow.gap_ps, 1, TIME_MAX_PS)
        check_draw(f"{field}.gap_draw", flow.gap_draw)
    elif any(after < before for before, after in pairwise((0, *flow.times_ps))):
        raise InputError(f"{field}.times_ps", min(flow.times_ps), "ascending, from 0 on")


def check_sender_cpu(system: System, field: str, flow: Flow) -> None:
    """Raise InputError unless the sender has this CPU; a loopback's sender has the receiver's."""
    first = system.receiver_cpus if system.sender_cpus else 0
    if not isinstance(flow.cpu, int) or not first <= flow.cpu < system.cpus:
        raise InputError(
            f"{field}.cpu", flow.cpu, f"a CPU of the sender: {first} .. {system.cpus - 1}"
        )
