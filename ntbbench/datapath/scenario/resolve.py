# SPDX-License-Identifier: BSD-3-Clause
"""From a point and the number of a replication to the system that an engine simulates.

Draws depend on the seed and the replication alone: in replication 3 the flows have the same
hashes on every point, so points differ in what they are, not in their luck.
"""

from typing import Literal

import numpy as np

from ntbbench.core.units import PS
from ntbbench.datapath.scenario.grid_point import TX_START, TX_STOP, PointSpec
from ntbbench.datapath.scenario.sections import Receiver, Sender
from ntbbench.datapath.system import (
    PACKETS_MAX,
    Cost,
    Costs,
    Deferral,
    Draw,
    Flow,
    Poll,
    Queue,
    Softirq,
    Source,
    System,
    Transmit,
)
from ntbbench.ntb.devices.dispatch_modes import dispatch_map
from ntbbench.ntb.vectormap import VectorMap, bits_of

HASH_BITS = 32  # skb->hash is a u32
HASHES, STARTS, ENGINE = 0, 1, 2  # streams of one replication: drawn independently
EPF_NUMBER = 3  # ntb_hw_epf before the series: db_read() shows bit + 3, a number
VNTB_SHIFT = 1  # pci-epf-vntb before the series: db_read() shows the next bit
BITS_A_BYTE = 8


def resolve(spec: PointSpec, replication: int) -> System:
    """Return the system of one replication of a point that can be had (`spec.reason` is None)."""
    scenario = spec.scenario
    run, link = scenario.run, scenario.link
    jiffy = PS // scenario.device.hz
    msi = spec.dispatch == "msi"  # the QPs' own interrupts: no doorbell is rung
    poll = None
    if link.doorbell == "poll" and not msi:
        poll = Poll(max(1, -(-link.poll // jiffy)), link.poll_slot, scenario.receiver.single_cpu)
    deferral = None
    if link.doorbell == "deferred" and not msi:
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
        transmit=Transmit(TX_STOP, TX_START, busy=scenario.device.tx_busy),
        softirq=Softirq(need_resched=scenario.receiver.need_resched),
        poll=poll,
        deferral=deferral,
        latch="overwrite" if spec.hardware.name == "ntb_hw_epf-legacy" else "set",
        reposts=scenario.receiver.reposts,
        jiffy_ps=jiffy,
    )


def engine_seed(spec: PointSpec, replication: int) -> int:
    """Return the u64 seed of the engine's draws."""
    return int(_stream(spec, replication, ENGINE).integers(1 << 63))


def queue_of_flow(spec: PointSpec, replication: int) -> list[int]:
    """Return the queue of each flow.

    Source: net/core/dev.c (skb_tx_hash), include/linux/kernel.h (reciprocal_scale), Linux 7.3.
    """
    flows = spec.scenario.traffic.flows
    if spec.scenario.run.placement == "balanced":
        return [flow % spec.queues for flow in range(flows)]
    drawn = _stream(spec, replication, HASHES).integers(1 << HASH_BITS, size=flows, dtype=np.uint64)
    return [(hash_ * spec.queues) >> HASH_BITS for hash_ in drawn.tolist()]


def _stream(spec: PointSpec, replication: int, purpose: int) -> np.random.Generator:
    seeds = np.random.SeedSequence(spec.scenario.run.seed, spawn_key=(replication, purpose))
    return np.random.Generator(np.random.PCG64DXSM(seeds))


def _flows(spec: PointSpec, replication: int) -> list[Flow]:
    traffic, sender = spec.scenario.traffic, spec.scenario.sender
    first = spec.scenario.receiver.cpus
    starts = _stream(spec, replication, STARTS).integers(traffic.start + 1, size=traffic.flows)
    shared = _traffic(spec)
    return [
        Flow(
            queue=queue,
            cpu=first + number % sender.cpus,
            size=spec.size,
            start_ps=start,
            **shared,  # type: ignore[arg-type]  # by name, from `_traffic`
        )
        for number, (queue, start) in enumerate(
            zip(queue_of_flow(spec, replication), starts.tolist(), strict=True)
        )
    ]


def _traffic(spec: PointSpec) -> dict[str, object]:
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


def _costs(sender: Sender, receiver: Receiver, latency: int, dma: bool) -> Costs:
    varied = Draw("uniform", receiver.spread)
    cpu = Cost(receiver.packet, 0 if dma else receiver.byte, varied)
    channel = Cost(receiver.dma_packet, receiver.dma_byte, varied) if dma else None
    return Costs(
        send=Cost(sender.packet, sender.byte, Draw("uniform", sender.spread)),
        link_ps=latency,
        hardirq_ps=receiver.hardirq,
        db_read_ps=receiver.db_read,
        db_clear_ps=receiver.db_clear,
        scan_ps=receiver.scan,
        pass_ps=receiver.softirq,
        tasklet_ps=receiver.tasklet,
        spin_ps=receiver.spin,
        wakeup_ps=receiver.wakeup,
        copy=cpu,
        channel=channel,
    )


def _interrupts(spec: PointSpec) -> tuple[tuple[Source, ...], tuple[Queue, ...]]:
    """Return the interrupts that queues use, with their affinities, and the queues."""
    vectors = dispatch_map(spec.hardware, spec.dispatch, spec.queues)
    embedded = spec.scenario.link.doorbell == "embedded" and spec.dispatch != "msi"
    kind: Literal["event", "msi"] = "msi" if spec.dispatch == "msi" else "event"
    used = [0] if embedded else sorted({vectors.irq_of_bit[bit] for bit in spec.bits})
    cpus = _affinity(spec, len(used))
    sources = tuple(
        Source(cpu, _callbacks(vectors, source, embedded), kind)
        for cpu, source in zip(cpus, used, strict=True)
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


def _db_bits(spec: PointSpec, bit: int, embedded: bool) -> int:
    """Return what db_read() shows after the interrupt of a bit."""
    shows = spec.hardware.db_read
    if spec.dispatch == "msi" or shows == "zero":
        return 0
    if embedded:
        return spec.hardware.vector_map.db_valid_mask
    if shows == "latched":
        return 1 << bit
    return bit + EPF_NUMBER if spec.hardware.driver == "ntb_hw_epf" else 1 << (bit + VNTB_SHIFT)


def _affinity(spec: PointSpec, count: int) -> list[int]:
    receiver = spec.scenario.receiver
    if spec.affinity == "single":
        return [receiver.single_cpu] * count
    cpus = receiver.spread_cpus or tuple(range(receiver.cpus))
    return [cpus[number % len(cpus)] for number in range(count)]
