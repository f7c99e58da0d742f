# SPDX-License-Identifier: BSD-3-Clause
"""One point of the datapath simulator, fully resolved, and what it is held to.

Times are picoseconds (`_ps`), costs a byte femtoseconds (`_fs`), sizes bytes. CPUs are numbered
through both hosts: the receiver's are 0 .. receiver_cpus-1, the sender's come after them. A
loopback, two ports of one host, has no sender's CPUs: its flows run on the receiver's.

docs/datapath.md says what happens when.
"""

from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from functools import cache, partial
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from ntbbench.core.errors import InputError
from ntbbench.ntb.vectormap import DB_BITS_MAX, check_u64

PS_A_SECOND = 10**12
MILLISECOND_PS = 10**9
FS_A_PS = 1000
CPUS_MAX = 1024  # of a host
FLOWS_MAX = 512
TIME_MAX_PS = 3600 * PS_A_SECOND  # time and tie rule share a u64: docs/datapath.md
COST_MAX_PS = PS_A_SECOND  # a second for one packet, interrupt or run is a slip of the unit
ENTRIES_MAX = 1 << 16
PACKETS_MAX = 1 << 20  # of a window, of a socket buffer


@dataclass(frozen=True, slots=True)
class Range:
    """What a number may be; of a tuple, its length."""

    low: int
    high: int


CostPs = Annotated[int, Range(0, COST_MAX_PS)]
TimePs = Annotated[int, Range(0, TIME_MAX_PS)]
Entries = Annotated[int, Range(0, ENTRIES_MAX)]
Times = Annotated[int, Range(1, 1000)]


@dataclass(frozen=True, slots=True)
class Draw:
    """How a duration varies around its mean: not at all, exponentially, or mean -+ spread."""

    kind: Literal["constant", "exponential", "uniform"] = "constant"
    spread_ppm: Annotated[int, Range(0, 10**6)] = 0  # of "uniform", millionths of the mean


CONSTANT = Draw()


@dataclass(frozen=True, slots=True)
class Cost:
    """What one packet costs: `packet_ps` and `byte_fs` for each byte; varied as a whole."""

    packet_ps: CostPs = 0
    byte_fs: CostPs = 0
    draw: Draw = CONSTANT

    def of_bytes(self, size: int) -> int:
        """Return the mean in picoseconds for a packet of `size` bytes."""
        return self.packet_ps + self.byte_fs * size // FS_A_PS


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow: it sends packets of one size through one queue, from one CPU.

    Kinds: "closed" has at most `window` packets sent and not yet acknowledged, as TCP; of "open"
    packets come every `gap_ps` and wait in a socket buffer of `backlog` packets, and what finds it
    full is dropped; of "times" the same, but they come at `times_ps`; "back-to-back" sends as fast
    as the queue takes them, as a blocking sender without a rate (UDP -b 0).
    """

    queue: int  # index into `System.queues`
    cpu: int
    size: Annotated[int, Range(1, 1 << 30)]  # bytes copied into a frame of the ring, with headers
    kind: Literal["closed", "open", "times", "back-to-back"]
    window: int = 0  # of "closed", packets
    ack_ps: int = 0  # of "closed", from a packet's delivery to its acknowledgement at the sender
    gap_ps: int = 0  # of "open"
    gap_draw: Draw = CONSTANT
    backlog: int = 0  # of "open" and "times", packets
    times_ps: tuple[int, ...] = ()  # of "times", ascending
    start_ps: TimePs = 0  # of an open flow, when its first gap starts


@dataclass(frozen=True, slots=True)
class Queue:
    """One netdev queue and its QP, whose link is up."""

    bit: Annotated[int, Range(0, DB_BITS_MAX - 1)]  # its qp_num too; ascending over the queues
    source: int  # index into `System.sources`: the interrupt or polled slot that its ring raises
    entries: Annotated[int, Range(2, ENTRIES_MAX)]  # of the sender's ring; one of them stays free
    rx_max_entry: Annotated[int, Range(1, ENTRIES_MAX)]  # the receive tasklet's budget
    # u64: what db_read() shows after its interrupt, until db_clear(). BIT(bit) where the driver is
    # right; 0: nothing, and so no race check.
    db_bits: int = 0


@dataclass(frozen=True, slots=True)
class InterruptSource:
    """One interrupt source of the receiver, or one slot of its poll.

    Kinds: "event" goes through ntb_db_event(), ctx_lock, db_read() and the bit loop; "msi" is
    use_msi's handler, which schedules the QPs of `callbacks` without any of these.
    """

    cpu: int  # its affinity, one of the receiver's
    # u64 each: what `ntb_db_vector_mask()` returns for the vectors that its handler reports, in
    # order. One, except where a source stands for many (the embedded doorbell).
    callbacks: Annotated[tuple[int, ...], Range(0, DB_BITS_MAX)]
    kind: Literal["event", "msi"] = "event"


@dataclass(frozen=True, slots=True)
class Deferral:
    """The sender raises its interrupts from a work item: patch 2 of the series."""

    work_ps: CostPs  # from queueing the work until it takes its first snapshot
    work_draw: Draw = CONSTANT
    raise_ps: CostPs = 0  # of one pci_epc_raise_irq()
    snapshots: Times = 5  # at most, per run of the work


@dataclass(frozen=True, slots=True)
class SlotPoll:
    """The receiver looks at its slots from a delayed work."""

    jiffies: Times  # between the end of one work and the expiry of the next; 5 ms
    slot_ps: CostPs = 0  # of one set slot beside its db_event; a ring that lands then is wiped
    cpu: int = 0  # where the work runs, one of the receiver's


@dataclass(frozen=True, slots=True)
class Transmit:
    """ntb_netdev's flow control."""

    tx_stop: Entries = 5  # a queue with fewer free entries stops
    tx_start: Entries = 10  # from so many on, the transmit-done handler wakes it
    timer_jiffies: Times = 1  # of the timer that looks again
    busy: bool = True  # below tx_stop: NETDEV_TX_BUSY (7.x); False: still sent (6.12)
    hrtimer_ps: CostPs = 0  # of an hrtimer in that timer's place; 0: there is none


@dataclass(frozen=True, slots=True)
class Costs:
    """Durations of the path; each 0 unless said."""

    send: Cost = Cost()  # the sender's CPU per packet, its copy into the window included
    link_ps: CostPs = 0  # until data and doorbell arrive
    hardirq_ps: CostPs = 0  # one interrupt, entry to exit, beside what follows
    db_read_ps: CostPs = 0  # one db_read(): in the callback, and where a run ends
    db_clear_ps: CostPs = 0  # db_clear() and the read back, where the race check hits
    scan_ps: CostPs = 0  # an iteration of the bit loop, its tasklet_schedule() included
    pass_ps: CostPs = 0  # one softirq pass
    tasklet_ps: CostPs = 0  # one run of a receive tasklet beside its packets
    tasklet_draw: Draw = CONSTANT
    # Putting a tasklet back that another CPU is running; at least a nanosecond.
    spin_ps: Annotated[int, Range(1000, COST_MAX_PS)] = 100_000
    wakeup_ps: CostPs = 0  # from waking ksoftirqd (or the poll's kworker) until it runs
    copy: Cost = Cost()  # the receiver's CPU per packet: header, copy, rx_handler, stack above it
    channel: Cost | None = None  # a packet on the QP's DMA channel, while the CPU goes on


@dataclass(frozen=True, slots=True)
class SoftirqModel:
    """When a softirq gives up and leaves the rest to ksoftirqd."""

    max_restart: Times = 10  # passes
    max_time_ps: Annotated[int, Range(1, COST_MAX_PS)] = 2 * MILLISECOND_PS  # rounded up to jiffies
    # The scheduler wants the CPU after every pass. False: after one during which a flow woke on it.
    need_resched: bool = False


@dataclass(frozen=True, slots=True)
class System:
    """One point; counts and times are those of warmup_ps .. end_ps."""

    receiver_cpus: Annotated[int, Range(1, CPUS_MAX)]
    sender_cpus: Annotated[int, Range(0, CPUS_MAX)]
    flows: Annotated[tuple[Flow, ...], Range(1, FLOWS_MAX)]
    queues: Annotated[tuple[Queue, ...], Range(1, DB_BITS_MAX)]
    sources: Annotated[tuple[InterruptSource, ...], Range(1, DB_BITS_MAX)]
    end_ps: Annotated[int, Range(1, TIME_MAX_PS)]
    warmup_ps: TimePs = 0
    costs: Costs = Costs()
    transmit: Transmit = Transmit()
    softirq: SoftirqModel = SoftirqModel()
    poll: SlotPoll | None = None  # the sources are polled slots, not interrupts
    deferral: Deferral | None = None  # the sender's work item; None: a ring raises at once
    # What db_read() makes of `db_bits`: "set": ORed, db_clear() clears the bits it is given;
    # "overwrite": replaced, db_clear() clears all (ntb_hw_epf before the series).
    latch: Literal["set", "overwrite"] = "set"
    reposts: bool = True  # rx_handler posts a buffer, which schedules the tasklet (ntb_netdev)
    jiffy_ps: Annotated[int, Range(10**8, PS_A_SECOND)] = 4 * MILLISECOND_PS  # 1/HZ

    @property
    def cpus(self) -> int:
        """CPUs of both hosts."""
        return self.receiver_cpus + self.sender_cpus


Check = Callable[[str, Any], None]  # of a field's name and its value


def check_system(system: System) -> None:
    """Raise InputError where a field of `system` is outside what the engines simulate."""
    check_declared("", system)
    check_range("warmup_ps", system.warmup_ps, 0, system.end_ps - 1)
    for number, source in enumerate(system.sources):
        _check_receiver_cpu(system, f"sources[{number}].cpu", source.cpu)
        for mask in source.callbacks:
            check_u64(f"sources[{number}].callbacks", mask)
        if system.poll is not None and source.kind == "msi":
            allowed = "event: a poll calls ntb_db_event()"
            raise InputError(f"sources[{number}].kind", source.kind, allowed)
    if system.poll is not None:
        _check_receiver_cpu(system, "poll.cpu", system.poll.cpu)
    for number, queue in enumerate(system.queues):
        check_range(f"queues[{number}].source", queue.source, 0, len(system.sources) - 1)
        check_u64(f"queues[{number}].db_bits", queue.db_bits)
    for before, after in pairwise(system.queues):
        if before.bit >= after.bit:
            raise InputError("queues", after.bit, "doorbell bits ascend from queue to queue")
    for size in {flow.size for flow in system.flows}:
        for name in ("send", "copy", "channel"):
            cost = getattr(system.costs, name)
            if cost is not None and cost.of_bytes(size) > COST_MAX_PS:
                raise InputError(f"costs.{name}", cost, "at most a second a packet")
    for number, flow in enumerate(system.flows):
        _check_flow(system, f"flows[{number}]", flow)


def check_range(field: str, value: int, low: int, high: int) -> None:
    """Raise InputError unless `value` is an integer of low .. high."""
    if not isinstance(value, int) or not low <= value <= high:
        raise InputError(field, value, f"{low:,} .. {high:,}")


def check_declared(prefix: str, record: object) -> None:
    """Raise InputError where a field is not what its record declares, also in records inside."""
    kind: Any = type(record)
    numbers, others = _declared(kind)
    for name, allowed in numbers:
        value = getattr(record, name)
        if not isinstance(value, int) or not allowed.low <= value <= allowed.high:
            check_range(prefix + name, value, allowed.low, allowed.high)
    for name, check in others:
        check(prefix + name, getattr(record, name))


@cache
def _declared(record: type) -> tuple[list[tuple[str, Range]], list[tuple[str, Check]]]:
    """Return the ranges of a record's numbers, and what its other fields are held to."""
    numbers: list[tuple[str, Range]] = []
    others: list[tuple[str, Check]] = []
    for name, hint in get_type_hints(record, include_extras=True).items():
        inner = get_args(hint)
        if get_origin(hint) is Annotated and inner[0] is int:
            numbers.append((name, inner[1]))
        elif get_origin(hint) is Annotated:
            others.append((name, partial(_check_each, inner[1])))
        elif get_origin(hint) is Literal:
            others.append((name, partial(_check_word, inner)))
        elif any(map(is_dataclass, (hint, *inner))):  # or None
            others.append((name, _check_record))
    return numbers, others


def _check_each(length: Range, field: str, values: tuple[object, ...]) -> None:
    check_range(field, len(values), length.low, length.high)
    for number, value in enumerate(values):
        if is_dataclass(value):
            check_declared(f"{field}[{number}].", value)


def _check_word(allowed: tuple[str, ...], field: str, value: str) -> None:
    if value not in allowed:
        raise InputError(field, value, f"one of {', '.join(allowed)}")


def _check_record(field: str, value: object) -> None:
    if value is not None:
        check_declared(f"{field}.", value)


def _check_receiver_cpu(system: System, field: str, cpu: int) -> None:
    last = system.receiver_cpus - 1
    if not isinstance(cpu, int) or not 0 <= cpu <= last:
        raise InputError(field, cpu, f"a CPU of the receiver: 0 .. {last}")


def _check_flow(system: System, field: str, flow: Flow) -> None:
    check_range(f"{field}.queue", flow.queue, 0, len(system.queues) - 1)
    first = system.receiver_cpus if system.sender_cpus else 0  # a loopback's sends on the receiver
    if not isinstance(flow.cpu, int) or not first <= flow.cpu < system.cpus:
        allowed = f"a CPU of the sender: {first} .. {system.cpus - 1}"
        raise InputError(f"{field}.cpu", flow.cpu, allowed)
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
    elif any(after < before for before, after in pairwise((0, *flow.times_ps))):
        raise InputError(f"{field}.times_ps", min(flow.times_ps), "ascending, from 0 on")
