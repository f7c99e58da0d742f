# SPDX-License-Identifier: BSD-3-Clause
"""The points of a scenario: what each asks of the device, its rings, and whether it can be had."""

from dataclasses import dataclass
from functools import cached_property

from ntbbench.datapath.scenario.sections import Scenario
from ntbbench.ntb.devices.catalogue import resolve as resolve_hardware
from ntbbench.ntb.devices.device import Hardware
from ntbbench.ntb.devices.dispatch_modes import Provision, provision
from ntbbench.ntb.netdev import queue_bits
from ntbbench.ntb.transport import memory_windows

RX_INFO_BYTES = 4  # sizeof(struct ntb_rx_info), at the end of each QP's share
HEADER_BYTES = 12  # sizeof(struct ntb_payload_header): ver, len, flags
TX_STOP = 5  # drivers/net/ntb_netdev.c: free entries below which a queue stops
TX_START = 10  # free entries from which on the transmit-done handler wakes it
ETH_HLEN = 14
COPY_BYTES = 1024  # module parameter copy_bytes: below it the CPU copies, with a channel too
IP_BYTES = 20  # IPv4 without options
UDP_BYTES = 8
TCP_BYTES = 32  # with the timestamps that Linux sends
HEADERS = {"tcp": IP_BYTES + TCP_BYTES, "udp": IP_BYTES + UDP_BYTES}


@dataclass(frozen=True)
class Ring:
    """The ring of one queue pair in one direction."""

    frame: int  # bytes of an entry, header included
    entries: int  # one of them always stays free

    @property
    def mtu(self) -> int:
        """The network device's MTU, ntb_transport_max_size() less the Ethernet header."""
        return self.frame - HEADER_BYTES - ETH_HLEN


def ring_of(qp_num: int, qp_count: int, windows: int, window_size: int, transport_mtu: int) -> Ring:
    """Return the ring of queue pair `qp_num`; one without a byte has no entry.

    Parameters
    ----------
    qp_num, qp_count : of ntb_transport, not only those that carry a netdev queue.
    windows : memory windows that carry queue pairs.
    window_size : bytes of each window.
    transport_mtu : bytes, ntb_transport's module parameter.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_init_queue, ntb_transport_setup_qp_mw),
    Linux 6.1 to 7.3. QP n uses window n % windows; the first qp_count % windows of them carry one
    more than the others.
    Deviates: both sides have windows of one size, so the ring is the same for sending and
    receiving.
    """
    sharing = qp_count // windows + (qp_num % windows < qp_count % windows)
    share = window_size // sharing - RX_INFO_BYTES
    frame = min(transport_mtu, share // 2)
    return Ring(frame, share // frame) if frame > 0 else Ring(0, 0)


@dataclass(frozen=True)
class PointSpec:
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
    def rings(self) -> tuple[Ring, ...]:
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
        return self._packet_reason()

    def _packet_reason(self) -> str | None:
        mtu = min(ring.mtu for ring in self.rings)
        needed = self.payload + HEADERS[self.protocol]
        if self.payload < 1:
            return f"an MTU of {mtu} holds no payload"
        if needed > mtu:
            return f"a packet of {needed} bytes is above the MTU of {mtu}; IP fragments are no part"
        return None


def expand(scenario: Scenario) -> list[PointSpec]:
    """Return every combination: protocol, dispatch, affinity, queues, the last one fastest."""
    return [
        PointSpec(scenario, queues, dispatch, affinity, protocol)
        for protocol in scenario.protocol
        for dispatch in scenario.dispatch
        for affinity in scenario.affinity
        for queues in scenario.queues
    ]
