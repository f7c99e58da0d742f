# SPDX-License-Identifier: BSD-3-Clause
"""What one simulation asks for: sections and keys of the TOML file, their defaults, the boards."""

from typing import Annotated

from msgspec import Struct

from ntbbench.core.options import Axis, Choice, Count, Counts, Duration, Flag, Share, Word, Words
from ntbbench.core.units import FS, RATES, SIZES
from ntbbench.datapath.system import CPUS_MAX, FLOWS_MAX
from ntbbench.ntb.catalogue import DOORBELLS_MAX, MW_COUNT_MAX
from ntbbench.ntb.device import DISPATCHES
from ntbbench.ntb.transport import NTB_NETDEV_MAX_QUEUES

COST_MAX = 0.1  # seconds: above it, no cost of a packet or an interrupt is meant
BYTE_COST_MAX = 1e-5  # seconds: 100 kB/s
LATENCY_MAX = 1.0
TIME_MAX = 3600.0

HZ = (100, 250, 300, 1000)  # kernel/Kconfig.hz

NS = 10**3  # picoseconds
US = 10**6
MS = 10**9
S = 10**12

AFFINITIES = ("single", "spread")
PROTOCOLS = ("tcp", "udp")
PLACEMENTS = ("hash", "balanced")
DOORBELLS = ("msi", "deferred", "poll", "embedded")


def cost(text: str) -> Duration:
    """Declare a time that one step takes."""
    return Duration(0, COST_MAX, text)


def byte_cost(text: str) -> Duration:
    """Declare a time per byte."""
    return Duration(0, BYTE_COST_MAX, text, FS)


class Run(Struct, frozen=True, kw_only=True):
    """How often and how long; placement is no axis but a rule."""

    placement: Annotated[str, Word(PLACEMENTS, "how flows get a queue")] = "hash"
    replications: Annotated[int, Count(1, 10_000, "runs of each point")] = 10
    seed: Annotated[int, Count(0, (1 << 63) - 1, "of all draws")] = 1
    warmup: Annotated[int, Duration(0, TIME_MAX, "simulated before anything is counted")] = 50 * MS
    duration: Annotated[int, Duration(1e-6, TIME_MAX, "simulated and counted")] = 200 * MS


class DeviceSection(Struct, frozen=True, kw_only=True):
    """The NTB device of the receiver, the memory windows and the kernel on both sides."""

    hardware: Annotated[str, Word((), "a device of `ntbbench hardware`")] = "generic"
    doorbells: Annotated[
        int, Count(1, DOORBELLS_MAX, "db_count of the epf drivers, doorbell bits of generic")
    ] = DOORBELLS_MAX
    vectors: Annotated[int, Count(0, DOORBELLS_MAX, "of generic; 0: one per doorbell")] = 0
    mw_count: Annotated[int, Count(0, MW_COUNT_MAX, "memory windows; 0: the device's own")] = 0
    window_size: Annotated[int, Count(1, 1 << 32, "bytes of each window", SIZES)] = 16 << 20
    transport_mtu: Annotated[int, Count(64, 1 << 30, "of ntb_transport", SIZES)] = 0x10000
    max_num_clients: Annotated[int, Count(0, 64, "of ntb_transport; 0: unset")] = 0
    tx_busy: Annotated[
        bool, Flag("below tx_stop a packet is returned (7.x), not sent all the same (6.12)")
    ] = True
    hz: Annotated[int, Choice(HZ, "CONFIG_HZ: timers fire on jiffies")] = 250
    tx_time: Annotated[
        int | None,
        Duration(1e-6, 1, "an hrtimer wakes stopped queues; not set: a timer on the next jiffies"),
    ] = None


class OfferedTraffic(Struct, frozen=True, kw_only=True):
    """What the sender's sockets do."""

    flows: Annotated[int, Count(1, FLOWS_MAX, "streams, iperf3 -P")] = 16
    length: Annotated[
        int, Count(1, 1 << 20, "payload of a packet, iperf3 -l; TCP's are cut to the MTU", SIZES)
    ] = 65480
    window: Annotated[
        int, Count(1, 1 << 40, "bytes that a TCP flow has under way at most", SIZES)
    ] = 4 << 20
    ack: Annotated[
        int, Duration(0, LATENCY_MAX, "from a delivery to its acknowledgement at the sender")
    ] = 50 * US
    rate: Annotated[
        int, Count(0, 10**13, "bit/s of a UDP flow; 0: as fast as the queue takes it", RATES)
    ] = 0
    arrivals: Annotated[
        str, Word(("constant", "exponential"), "gaps between the packets of a rate")
    ] = "constant"
    socket_buffer: Annotated[
        int, Count(1, 1 << 40, "bytes of a rate's packets that wait before one is dropped", SIZES)
    ] = 4 << 20
    start: Annotated[int, Duration(0, 1, "flows start at random within it")] = 1 * MS


class SenderCosts(Struct, frozen=True, kw_only=True):
    """The host that sends; flows are dealt to its CPUs in turn."""

    cpus: Annotated[int, Count(1, CPUS_MAX, "of the sender")] = 16
    packet: Annotated[int, cost("CPU time per packet")] = 2 * US
    byte: Annotated[int, byte_cost("CPU time per byte copied into the window")] = 100_000
    spread: Annotated[int, Share("of these costs, uniform around the mean")] = 50_000


class Link(Struct, frozen=True, kw_only=True):
    """The way of data and doorbells."""

    latency: Annotated[int, Duration(0, LATENCY_MAX, "until data and doorbell arrive")] = 1 * US
    doorbell: Annotated[
        str,
        Word(
            DOORBELLS,
            "one interrupt per vector; raised from a work item; slots polled; one shared interrupt",
        ),
    ] = "msi"
    work: Annotated[int, cost("deferred: until the work item runs")] = 20 * US
    work_raise: Annotated[int, cost("deferred: one pci_epc_raise_irq()")] = 2 * US
    poll: Annotated[int, Duration(1e-4, 1, "poll: between two polls; whole jiffies")] = 5 * MS
    poll_slot: Annotated[int, cost("poll: one set slot, beside its event")] = 200_000


class ReceiverCosts(Struct, frozen=True, kw_only=True):
    """The host that receives: where interrupts go, and what each step costs."""

    cpus: Annotated[int, Count(1, CPUS_MAX, "of the receiver")] = 16
    single_cpu: Annotated[int, Count(0, CPUS_MAX - 1, "affinity single: all interrupts")] = 0
    spread_cpus: Annotated[
        tuple[int, ...],
        Counts(0, CPUS_MAX - 1, "affinity spread: interrupts dealt in turn; empty: all CPUs"),
    ] = ()
    hardirq: Annotated[int, cost("CPU time per interrupt, entry to exit")] = 1 * US
    db_read: Annotated[int, cost("one db_read()")] = 200_000
    db_clear: Annotated[int, cost("db_clear() and the read back")] = 200_000
    scan: Annotated[int, cost("one iteration of the bit loop")] = 50_000
    softirq: Annotated[int, cost("one pass of the softirq")] = 200_000
    tasklet: Annotated[int, cost("one tasklet run, beside its packets")] = 200_000
    spin: Annotated[int, Duration(1e-9, COST_MAX, "one look at a tasklet that runs elsewhere")] = (
        100_000
    )
    wakeup: Annotated[int, cost("until ksoftirqd or the poll's kworker runs")] = 5 * US
    need_resched: Annotated[bool, Flag("the scheduler wants the CPU after every pass")] = False
    packet: Annotated[int, cost("CPU time per packet: header, rx_handler, the stack above")] = (
        2 * US
    )
    byte: Annotated[int, byte_cost("CPU time per byte copied from the window")] = 200_000
    spread: Annotated[int, Share("of these two costs, uniform around the mean")] = 50_000
    dma: Annotated[
        bool, Flag("one DMA channel per QP copies from 1024 bytes on; the CPU pays `packet` alone")
    ] = False
    dma_packet: Annotated[int, cost("time per packet on its DMA channel")] = 2 * US
    dma_byte: Annotated[int, byte_cost("time per byte on its DMA channel")] = 100_000
    reposts: Annotated[bool, Flag("rx_handler posts a buffer, as ntb_netdev does")] = True


class Scenario(Struct, frozen=True, kw_only=True):
    """What one simulation asks for; every combination of the four axes is a point."""

    name: Annotated[str, Word((), "of the board, for people")] = "generic"
    note: Annotated[str, Word((), "what was fitted, and to what")] = ""
    queues: Annotated[tuple[int, ...], Axis(1, NTB_NETDEV_MAX_QUEUES, "netdev queues")] = (1, 2, 4)
    dispatch: Annotated[
        tuple[str, ...], Words(DISPATCHES, "which QPs an interrupt may wake", once=True)
    ] = ("fallback", "per-vector")
    affinity: Annotated[tuple[str, ...], Words(AFFINITIES, "of the interrupts", once=True)] = (
        "single",
        "spread",
    )
    protocol: Annotated[
        tuple[str, ...], Words(PROTOCOLS, "tcp: a closed loop; udp: an open loop", once=True)
    ] = ("tcp",)
    run: Run = Run()
    device: DeviceSection = DeviceSection()
    traffic: OfferedTraffic = OfferedTraffic()
    sender: SenderCosts = SenderCosts()
    link: Link = Link()
    receiver: ReceiverCosts = ReceiverCosts()


AXES = ("queues", "dispatch", "affinity", "protocol")


# The boards of `ntbbench simulate --preset`; docs/simulate.md says where numbers are from.
GENERIC = Scenario(
    name="generic",
    note="assumed costs of a server with cached windows; nothing is fitted to a measurement",
)

# Two R-Car S4 Spider boards, EP to RC, as in the list's measurement of the single queue
# (iperf3 -l 65480 -w 512M -P 4). `receiver.byte` is fitted to it with `ntbbench fit`; the ends of
# the published ranges (TCP 583-589, UDP 580-583 Mbit/s) stand in for runs, which nobody published.
RCAR_S4_SPIDER = Scenario(
    name="rcar-s4-spider",
    note="receiver.byte is fitted to the ends of the published single-queue ranges alone (TCP "
    "583-589, UDP 580-583 Mbit/s), which stand in for runs; the other costs are assumed, and "
    "whatever is not a single queue is a prediction",
    run=Run(warmup=500 * MS, duration=5 * S),
    device=DeviceSection(hardware="ntb_hw_epf-v4", doorbells=15, window_size=1 << 20),
    traffic=OfferedTraffic(flows=4, length=65480, window=512 << 20, ack=1 * MS, start=50 * MS),
    sender=SenderCosts(cpus=8, packet=15 * US, byte=1_000_000, spread=20_000),
    link=Link(latency=2 * US, doorbell="msi"),
    receiver=ReceiverCosts(
        cpus=8,
        hardirq=4 * US,
        db_read=50 * NS,
        db_clear=100 * NS,
        scan=200 * NS,
        softirq=1 * US,
        tasklet=1 * US,
        spin=500 * NS,
        wakeup=20 * US,
        packet=20 * US,
        byte=13_320_000,
        spread=20_000,
    ),
)

BOARDS = {board.name: board for board in (GENERIC, RCAR_S4_SPIDER)}
