# SPDX-License-Identifier: BSD-3-Clause
"""One point of the datapath simulator, fully resolved: all integers, nothing left to look up.

Times are picoseconds (`_ps`), costs a byte femtoseconds (`_fs`), sizes bytes. CPUs are numbered
through both hosts: the receiver's are 0 .. receiver_cpus-1, the sender's come after them. A
loopback, two ports of one host, has no sender's CPUs: its flows run on the receiver's.

docs/datapath.md tells what happens when; `ntbbench.datapath.system_checks` what is allowed.
"""

from dataclasses import dataclass, field
from typing import Literal

PS_A_SECOND = 10**12
MILLISECOND_PS = 10**9
FS_A_PS = 1000


@dataclass(frozen=True, slots=True)
class Draw:
    """How a duration varies around its mean.

    Parameters
    ----------
    kind : "constant": always the mean; "exponential"; "uniform": mean -+ spread.
    spread_ppm : of "uniform", in millionths of the mean; 0 .. 1,000,000.
    """

    kind: Literal["constant", "exponential", "uniform"] = "constant"
    spread_ppm: int = 0


CONSTANT = Draw()


@dataclass(frozen=True, slots=True)
class Cost:
    """What one packet costs: `packet_ps` and `byte_fs` for each byte; varied as a whole."""

    packet_ps: int = 0
    byte_fs: int = 0
    draw: Draw = CONSTANT

    def of_bytes(self, size: int) -> int:
        """Return the mean in picoseconds for a packet of `size` bytes."""
        return self.packet_ps + self.byte_fs * size // FS_A_PS


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow: it sends packets of one size through one queue, from one CPU.

    Parameters
    ----------
    queue : index into `System.queues`.
    cpu : where it sends.
    size : bytes of a packet that are copied into a frame of the ring (headers included).
    kind : "closed": at most `window` packets sent and not yet acknowledged, as TCP; "open": packets
        come every `gap_ps` and wait in a socket buffer of `backlog` packets, what finds it full is
        dropped; "times": the same, but they come at `times_ps`; "back-to-back": as fast as the
        queue takes them, as a blocking sender without a rate (UDP -b 0).
    window : of "closed", packets.
    ack_ps : of "closed", from the delivery of a packet to its acknowledgement at the sender.
    gap_ps, gap_draw : of "open".
    backlog : of "open" and "times", packets.
    times_ps : of "times", ascending.
    start_ps : when a closed or back-to-back flow starts; when the first gap of an open flow starts.
    """

    queue: int
    cpu: int
    size: int
    kind: Literal["closed", "open", "times", "back-to-back"]
    window: int = 0
    ack_ps: int = 0
    gap_ps: int = 0
    gap_draw: Draw = CONSTANT
    backlog: int = 0
    times_ps: tuple[int, ...] = ()
    start_ps: int = 0


@dataclass(frozen=True, slots=True)
class Queue:
    """One netdev queue and its QP, whose link is up.

    Parameters
    ----------
    bit : its doorbell bit, which is its qp_num; ascending over `System.queues`.
    source : index into `System.sources`: the interrupt (or polled slot) that its ring raises.
    entries : of the sender's ring; one of them stays free.
    rx_max_entry : the receive tasklet's budget.
    db_bits : u64, what db_read() shows after its interrupt, until db_clear(); 0: nothing, and so no
        race check. BIT(bit) where the driver is right.
    """

    bit: int
    source: int
    entries: int
    rx_max_entry: int
    db_bits: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """One interrupt source of the receiver, or one slot of its poll.

    Parameters
    ----------
    cpu : its affinity, one of the receiver's CPUs.
    callbacks : u64 each: what `ntb_db_vector_mask()` returns for the vectors that its handler
        reports, in order. One, except where a source stands for many (the embedded doorbell).
    kind : "event": through ntb_db_event(), ctx_lock, db_read() and the bit loop; "msi": use_msi's
        handler, which schedules the QPs of `callbacks` without any of these.
    """

    cpu: int
    callbacks: tuple[int, ...]
    kind: Literal["event", "msi"] = "event"


@dataclass(frozen=True, slots=True)
class Deferral:
    """The sender raises its interrupts from a work item: patch 2 of the series.

    Parameters
    ----------
    work_ps, work_draw : from queueing the work until it takes its first snapshot.
    raise_ps : of one pci_epc_raise_irq().
    snapshots : at most so many a run of the work.
    """

    work_ps: int
    work_draw: Draw = CONSTANT
    raise_ps: int = 0
    snapshots: int = 5


@dataclass(frozen=True, slots=True)
class Poll:
    """The receiver looks at its slots from a delayed work.

    Parameters
    ----------
    jiffies : between the end of one work and the expiry of the next; 5 ms.
    slot_ps : of one set slot beside its db_event; a ring that lands meanwhile is wiped.
    cpu : where the work runs, one of the receiver's.
    """

    jiffies: int
    slot_ps: int = 0
    cpu: int = 0


@dataclass(frozen=True, slots=True)
class Transmit:
    """ntb_netdev's flow control.

    Parameters
    ----------
    tx_stop : a queue with fewer free entries stops.
    tx_start : the transmit-done handler wakes it from so many on.
    timer_jiffies : of the timer that looks again.
    busy : below tx_stop the packet is returned (NETDEV_TX_BUSY, 7.x); False: still sent (6.12).
    """

    tx_stop: int = 5
    tx_start: int = 10
    timer_jiffies: int = 1
    busy: bool = True


@dataclass(frozen=True, slots=True)
class Costs:
    """Durations of the path; each 0 unless said.

    Parameters
    ----------
    send : the sender's CPU a packet, its copy into the window included.
    link_ps : until data and doorbell arrive.
    hardirq_ps : one interrupt, entry to exit, beside what follows.
    db_read_ps : one db_read(): in the callback, and where a run ends.
    db_clear_ps : db_clear() and the read back, where the race check hits.
    scan_ps : an iteration of the bit loop, its tasklet_schedule() included.
    pass_ps : one softirq pass.
    tasklet_ps : one run of a receive tasklet beside its packets.
    spin_ps : putting a tasklet back that another CPU is running; at least 1000 (1 ns).
    wakeup_ps : from waking ksoftirqd (or the poll's kworker) until it runs.
    copy : the receiver's CPU a packet: header, copy, rx_handler and the stack above it.
    channel : a packet on the QP's DMA channel, while the CPU goes on; None: no DMA.
    """

    send: Cost = Cost()
    link_ps: int = 0
    hardirq_ps: int = 0
    db_read_ps: int = 0
    db_clear_ps: int = 0
    scan_ps: int = 0
    pass_ps: int = 0
    tasklet_ps: int = 0
    tasklet_draw: Draw = CONSTANT
    spin_ps: int = 100_000
    wakeup_ps: int = 0
    copy: Cost = Cost()
    channel: Cost | None = None


@dataclass(frozen=True, slots=True)
class Softirq:
    """When a softirq gives up and leaves the rest to ksoftirqd.

    Parameters
    ----------
    max_restart : passes.
    max_time_ps : rounded up to jiffies.
    need_resched : the scheduler wants the CPU after every pass. False: after a pass during which a
        flow woke on it.
    """

    max_restart: int = 10
    max_time_ps: int = 2 * MILLISECOND_PS
    need_resched: bool = False


@dataclass(frozen=True, slots=True)
class System:
    """One point.

    Parameters
    ----------
    receiver_cpus, sender_cpus : of each host; 1 .. 1024, the sender's from 0.
    flows, queues, sources : see there.
    costs, transmit, softirq : see there.
    poll : the sources are polled slots, not interrupts; None: interrupts.
    deferral : the sender's work item; None: the ring raises at once.
    latch : what db_read() makes of `db_bits`: "set": ORed, db_clear() clears the bits it is given;
        "overwrite": replaced, db_clear() clears all (ntb_hw_epf before the series).
    reposts : the client's rx_handler posts a buffer, which schedules the tasklet (ntb_netdev).
    jiffy_ps : 1/HZ.
    warmup_ps, end_ps : counts and times are those of warmup_ps .. end_ps.
    """

    receiver_cpus: int
    sender_cpus: int
    flows: tuple[Flow, ...]
    queues: tuple[Queue, ...]
    sources: tuple[Source, ...]
    end_ps: int
    warmup_ps: int = 0
    costs: Costs = field(default_factory=Costs)
    transmit: Transmit = field(default_factory=Transmit)
    softirq: Softirq = field(default_factory=Softirq)
    poll: Poll | None = None
    deferral: Deferral | None = None
    latch: Literal["set", "overwrite"] = "set"
    reposts: bool = True
    jiffy_ps: int = 4 * MILLISECOND_PS

    @property
    def cpus(self) -> int:
        """CPUs of both hosts."""
        return self.receiver_cpus + self.sender_cpus
