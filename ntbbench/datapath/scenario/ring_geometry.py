# SPDX-License-Identifier: BSD-3-Clause
"""The rings of the queue pairs: how ntb_transport cuts the memory windows into frames."""

from dataclasses import dataclass

RX_INFO_BYTES = 4  # sizeof(struct ntb_rx_info), at the end of each QP's share
HEADER_BYTES = 12  # sizeof(struct ntb_payload_header): ver, len, flags
TRANSPORT_MTU = 0x10000  # module parameter transport_mtu
TX_STOP = 5  # drivers/net/ntb_netdev.c: free entries below which a queue stops
TX_START = 10  # free entries from which on the transmit-done handler wakes it
ETH_HLEN = 14
COPY_BYTES = 1024  # module parameter copy_bytes: below it the CPU copies, with a channel too


@dataclass(frozen=True)
class Ring:
    """The ring of one queue pair in one direction.

    Parameters
    ----------
    frame : bytes of an entry, header included.
    entries : entries; at most `entries - 1` of them are ever in use.
    """

    frame: int
    entries: int

    @property
    def payload_max(self) -> int:
        """Bytes of the largest Ethernet frame that an entry holds."""
        return self.frame - HEADER_BYTES

    @property
    def mtu(self) -> int:
        """The network device's MTU, ntb_transport_max_size() less the Ethernet header."""
        return self.payload_max - ETH_HLEN


def ring_of(
    qp_num: int, qp_count: int, windows: int, window_size: int, transport_mtu: int = TRANSPORT_MTU
) -> Ring:
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
