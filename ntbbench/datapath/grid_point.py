# SPDX-License-Identifier: BSD-3-Clause
"""The points of a scenario: whether each can be had, and the system that an engine simulates.

Draws depend on the seed and the replication alone: in replication 3 the flows have the same
hashes on every point, so points differ in what they are, not in their luck.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ntbbench.core.units import PS
from ntbbench.datapath.sections import ReceiverCosts, Scenario, SenderCosts
from ntbbench.datapath.system import (
    PACKETS_MAX,
    Cost,
    Costs,
    Deferral,
    Draw,
    Flow,
    InterruptSource,
    Queue,
    SlotPoll,
    SoftirqModel,
    System,
    Transmit,
)
from ntbbench.ntb.catalogue import resolve as resolve_hardware
from ntbbench.ntb.device import Hardware, Provision, dispatch_map, provision
from ntbbench.ntb.transport import TX_START, TX_STOP, memory_windows, queue_bits
from ntbbench.ntb.vectormap import VectorMap, bits_of

RX_INFO_BYTES = 4  # sizeof(struct ntb_rx_info), at the end of each QP's share
HEADER_BYTES = 12  # sizeof(struct ntb_payload_header): ver, len, flags
ETH_HLEN = 14
COPY_BYTES = 1024  # module parameter copy_bytes: below it the CPU copies, with a channel too
IP_BYTES = 20  # IPv4 without options
UDP_BYTES = 8
TCP_BYTES = 32  # with the timestamps that Linux sends
HEADERS = {"tcp": IP_BYTES + TCP_BYTES, "udp": IP_BYTES + UDP_BYTES}


@dataclass(frozen=True)
class QpRing:
    """The ring of one queue pair in one direction."""

    frame: int  # bytes of an entry, header included
    entries: int  # one of them always stays free

    @property
    def mtu(self) -> int:
        """The network device's MTU, ntb_transport_max_size() less the Ethernet header."""
        return self.frame - HEADER_BYTES - ETH_HLEN


def ring_of(
    qp_num: int, qp_count: int, windows: int, window_size: int, transport_mtu: int
) -> QpRing:
    """Return the ring of queue pair `qp_num`; one without a byte has no entry.

    QPs are those of ntb_transport, not only those that carry a netdev queue; windows those that
    carry QPs; sizes bytes.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_init_queue, ntb_transport_setup_qp_mw),
    Linux 6.1 to 7.3. QP n uses window n % windows; the first qp_count % windows of them carry one
    more than the others.
    Deviates: both sides have windows of one size, so rings are alike in both directions.
    """
    sharing = qp_count // windows + (qp_num % windows < qp_count % windows)
    share = window_size // sharing - RX_INFO_BYTES
    frame = min(transport_mtu, share // 2)
    return QpRing(frame, share // frame) if frame > 0 else QpRing(0, 0)


@dataclass(frozen=True)
class SimulationSpec:
    """One combination of the axes of a scenario."""

    scenario: Scenario
    queues: int
    dispatch: str
    affinity: str
    protocol: str

    @property
    def axes(self) -> tuple[int, str, str, str]:
        """What tells a point from the others of its scenario."""
        return (self.queues, self.dispatch, self.affinity, self.protocol)

    @cached_property
    def hardware(self) -> Hardware:
        """The receiver's device, sized."""
        device = self.scenario.device
        return resolve_hardware(
            device.hardware, device.doorbells, device.vectors or None, device.mw_count or None
        )

    @cached_property
    def provision(self) -> Provision:
        """What the device gives to the request for queues."""
        device = self.scenario.device
        return provision(self.hardware, self.dispatch, self.queues, device.max_num_clients)

    @cached_property
    def bits(self) -> tuple[int, ...]:
        """The doorbell bit, which is the QP's number, of each queue."""
        return tuple(queue_bits(self.provision.qps.qp_bitmap)[: self.queues])

    @cached_property
    def rings(self) -> tuple[QpRing, ...]:
        """The ring of each queue; without a limit of windows every QP has one of its own."""
        qps = self.provision.qps
        windows, _ = memory_windows(self.hardware.mw_count, self.hardware.spad_count, qps.use_msi)
        device = self.scenario.device
        count = qps.qp_count
        return tuple(
            ring_of(bit, count, windows or count, device.window_size, device.transport_mtu)
            for bit in self.bits
        )

    @property
    def payload(self) -> int:
        """Payload bytes of a packet, the same on every queue: TCP's fit the smallest MTU."""
        length = self.scenario.traffic.length
        if self.protocol == "udp":
            return length
        return min(length, min(ring.mtu for ring in self.rings) - HEADERS["tcp"])

    @property
    def size(self) -> int:
        """Bytes of a packet in its frame: payload and all headers."""
        return self.payload + HEADERS[self.protocol] + ETH_HLEN

    @property
    def dma(self) -> bool:
        """Whether a DMA channel copies the packets of this point.

        Source: drivers/ntb/ntb_transport.c (ntb_async_rx), Linux 6.1 to 7.3.
        """
        return self.scenario.receiver.dma and self.size >= COPY_BYTES

    @cached_property
    def reason(self) -> str | None:
        """Why the point cannot be had; None: it can."""
        if self.provision.reason is not None:
            return self.provision.reason
        entries = min(ring.entries for ring in self.rings)
        share = f"a window of {self.scenario.device.window_size} bytes"
        if entries < 2:
            return f"{share} gives a queue {entries} entries of its ring, at least 2 needed"
        if self.scenario.device.tx_busy and entries - 1 < TX_STOP:
            return (
                f"{share} gives a queue {entries} entries of its ring: never {TX_STOP} free, "
                "so ntb_netdev sends nothing"
            )
        mtu = min(ring.mtu for ring in self.rings)
        needed = self.payload + HEADERS[self.protocol]
        if self.payload < 1:
            return f"an MTU of {mtu} holds no payload"
        if needed > mtu:
            return f"a packet of {needed} bytes is above the MTU of {mtu}; IP fragments are no part"
        return None


def expand(scenario: Scenario) -> list[SimulationSpec]:
    """Return every combination: protocol, dispatch, affinity, queues, the last one fastest."""
    return [
        SimulationSpec(scenario, queues, dispatch, affinity, protocol)
        for protocol in scenario.protocol
        for dispatch in scenario.dispatch
        for affinity in scenario.affinity
        for queues in scenario.queues
    ]


HASH_BITS = 32  # skb->hash is a u32
HASHES, STARTS, ENGINE = 0, 1, 2  # streams of one replication: drawn independently
EPF_NUMBER = 3  # ntb_hw_epf before the series: db_read() shows bit + 3, a number
VNTB_SHIFT = 1  # pci-epf-vntb before the series: db_read() shows the next bit
BITS_A_BYTE = 8


def resolve(spec: SimulationSpec, replication: int) -> System:
    """Return the system of one replication of a point that can be had (`spec.reason` is None)."""
    scenario = spec.scenario
    run, link = scenario.run, scenario.link
    jiffy = PS // scenario.device.hz
    msi = spec.dispatch == "msi"  # the QPs' own interrupts: no doorbell is rung
    poll = deferral = None
    if link.doorbell == "poll" and not msi:
        poll = SlotPoll(
            max(1, -(-link.poll // jiffy)), link.poll_slot, scenario.receiver.single_cpu
        )
    elif link.doorbell == "deferred" and not msi:
        deferral = Deferral(link.work, raise_ps=link.work_raise)
    sources, queues = _interrupts(spec)
    return System(
        receiver_cpus=scenario.receiver.cpus,
        sender_cpus=scenario.sender.cpus,
        flows=tuple(_flows(spec, replication)),
        queues=queues,
        sources=sources,
        end_ps=run.warmup + run.duration,
        warmup_ps=run.warmup,
        costs=_costs(scenario.sender, scenario.receiver, link.latency, spec.dma),
        transmit=Transmit(
            TX_STOP, TX_START, busy=scenario.device.tx_busy, hrtimer_ps=scenario.device.tx_time or 0
        ),
        softirq=SoftirqModel(need_resched=scenario.receiver.need_resched),
        poll=poll,
        deferral=deferral,
        latch="overwrite" if spec.hardware.name == "ntb_hw_epf-legacy" else "set",
        reposts=scenario.receiver.reposts,
        jiffy_ps=jiffy,
    )


def engine_seed(spec: SimulationSpec, replication: int) -> int:
    """Return the u64 seed of the engine's draws."""
    return int(_stream(spec, replication, ENGINE).integers(1 << 63))


def queue_of_flow(spec: SimulationSpec, replication: int) -> list[int]:
    """Return the queue of each flow.

    Source: net/core/dev.c (skb_tx_hash), include/linux/kernel.h (reciprocal_scale), Linux 7.3.
    """
    flows = spec.scenario.traffic.flows
    if spec.scenario.run.placement == "balanced":
        return [flow % spec.queues for flow in range(flows)]
    drawn = _stream(spec, replication, HASHES).integers(1 << HASH_BITS, size=flows, dtype=np.uint64)
    return [(hash_ * spec.queues) >> HASH_BITS for hash_ in drawn.tolist()]


def _stream(spec: SimulationSpec, replication: int, purpose: int) -> np.random.Generator:
    seeds = np.random.SeedSequence(spec.scenario.run.seed, spawn_key=(replication, purpose))
    return np.random.Generator(np.random.PCG64DXSM(seeds))


def _flows(spec: SimulationSpec, replication: int) -> list[Flow]:
    traffic, sender = spec.scenario.traffic, spec.scenario.sender
    first = spec.scenario.receiver.cpus
    starts = _stream(spec, replication, STARTS).integers(traffic.start + 1, size=traffic.flows)
    shared = _traffic(spec)
    places = zip(queue_of_flow(spec, replication), starts.tolist(), strict=True)
    return [
        Flow(queue, first + number % sender.cpus, spec.size, start_ps=start, **shared)
        for number, (queue, start) in enumerate(places)
    ]


def _traffic(spec: SimulationSpec) -> dict[str, Any]:
    """Return the fields of a flow that all flows of a point share."""
    traffic = spec.scenario.traffic
    if spec.protocol == "tcp":
        window = min(max(1, traffic.window // spec.payload), PACKETS_MAX)
        return {"kind": "closed", "window": window, "ack_ps": traffic.ack}
    if not traffic.rate:
        return {"kind": "back-to-back"}
    return {
        "kind": "open",
        "gap_ps": max(1, spec.payload * BITS_A_BYTE * PS // traffic.rate),
        "gap_draw": Draw("exponential" if traffic.arrivals == "exponential" else "constant"),
        "backlog": min(max(1, traffic.socket_buffer // spec.payload), PACKETS_MAX),
    }


def _costs(sender: SenderCosts, receiver: ReceiverCosts, latency: int, dma: bool) -> Costs:
    varied = Draw("uniform", receiver.spread)
    names = ("hardirq", "db_read", "db_clear", "scan", "tasklet", "spin", "wakeup")
    return Costs(
        **{f"{name}_ps": getattr(receiver, name) for name in names},
        pass_ps=receiver.softirq,
        send=Cost(sender.packet, sender.byte, Draw("uniform", sender.spread)),
        link_ps=latency,
        copy=Cost(receiver.packet, 0 if dma else receiver.byte, varied),
        channel=Cost(receiver.dma_packet, receiver.dma_byte, varied) if dma else None,
    )


def _interrupts(spec: SimulationSpec) -> tuple[tuple[InterruptSource, ...], tuple[Queue, ...]]:
    """Return the interrupts that queues use, with their affinities, and the queues."""
    vectors = dispatch_map(spec.hardware, spec.dispatch, spec.queues)
    embedded = spec.scenario.link.doorbell == "embedded" and spec.dispatch != "msi"
    kind: Literal["event", "msi"] = "msi" if spec.dispatch == "msi" else "event"
    used = [0] if embedded else sorted({vectors.irq_of_bit[bit] for bit in spec.bits})
    receiver = spec.scenario.receiver
    spread = receiver.spread_cpus or tuple(range(receiver.cpus))
    cpus = (receiver.single_cpu,) if spec.affinity == "single" else spread
    sources = tuple(
        InterruptSource(cpus[number % len(cpus)], _callbacks(vectors, source, embedded), kind)
        for number, source in enumerate(used)
    )
    queues = tuple(
        Queue(
            bit=bit,
            source=0 if embedded else used.index(vectors.irq_of_bit[bit]),
            entries=ring.entries,
            rx_max_entry=ring.entries,
            db_bits=_db_bits(spec, bit, embedded),
        )
        for bit, ring in zip(spec.bits, spec.rings, strict=True)
    )
    return sources, queues


def _callbacks(vectors: VectorMap, source: int, embedded: bool) -> tuple[int, ...]:
    """Return the vector masks that an interrupt's handler reports.

    Source: drivers/pci/endpoint/functions/pci-epf-vntb.c (epf_ntb_doorbell_handler), Linux 7.3:
    where all slots share one irq, its handler reports the vector of every slot.
    """
    if not embedded:
        return (vectors.db_vector_masks[source],)
    return tuple(
        vectors.db_vector_masks[vectors.irq_of_bit[b]] for b in bits_of(vectors.db_valid_mask)
    )


def _db_bits(spec: SimulationSpec, bit: int, embedded: bool) -> int:
    """Return what db_read() shows after the interrupt of a bit."""
    shows = spec.hardware.db_read
    if spec.dispatch == "msi" or shows == "zero":
        return 0
    if embedded:
        return spec.hardware.vector_map.db_valid_mask
    if shows == "latched":
        return 1 << bit
    return bit + EPF_NUMBER if spec.hardware.driver == "ntb_hw_epf" else 1 << (bit + VNTB_SHIFT)
