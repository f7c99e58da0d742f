# SPDX-License-Identifier: BSD-3-Clause
"""The points of a scenario: what each asks of the device, and whether it can be had."""

from dataclasses import dataclass
from functools import cached_property

from ntbbench.datapath.scenario.ring_geometry import COPY_BYTES, ETH_HLEN, TX_STOP, Ring, ring_of
from ntbbench.datapath.scenario.sections import Scenario
from ntbbench.ntb.devices.catalogue import resolve as resolve_hardware
from ntbbench.ntb.devices.device import Hardware
from ntbbench.ntb.devices.dispatch_modes import Provision, provision
from ntbbench.ntb.netdev import queue_bits
from ntbbench.ntb.transport import memory_windows

IP_BYTES = 20  # IPv4 without options
UDP_BYTES = 8
TCP_BYTES = 32  # with the timestamps that Linux sends
HEADERS = {"tcp": IP_BYTES + TCP_BYTES, "udp": IP_BYTES + UDP_BYTES}


@dataclass(frozen=True)
class PointSpec:
    """One combination of the axes.

    Parameters
    ----------
    scenario : what it is a point of.
    queues, dispatch, affinity, protocol : the combination.
    """

    scenario: Scenario
    queues: int
    dispatch: str
    affinity: str
    protocol: str

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
