# SPDX-License-Identifier: BSD-3-Clause
"""ntb_transport above either driver: which tasklets a vector schedules, and the race check."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.drivers.core_ops import NtbDevice, db_vector_mask

RUNS_MAX = 10_000  # far above what any ring causes: a livelock of the model, not of the kernel


class Client(StrEnum):
    """What the client above a QP does in its rx_handler."""

    SILENT = "silent"  # posts no buffer there
    REPOSTS = "reposts"  # ntb_netdev: rx_enqueue(), which schedules the tasklet


@dataclass
class Transport:
    """The receive half of one ntb_transport.

    Parameters
    ----------
    ndev : the device below.
    qp_bitmap : u64, one bit a QP; all of them are active and owned by a client.
    client : what the client does with a packet.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_doorbell_callback, ntb_transport_rxc_db,
    ntb_transport_rx_enqueue), Linux 6.1 to 7.3.

    Deviates: one CPU, so tasklets run in the order of their list; the ring of packets is a count.
    """

    ndev: NtbDevice
    qp_bitmap: int
    client: Client = Client.SILENT
    schedule_calls: list[int] = field(default_factory=list)  # qp_num of each, in order
    packets: dict[int, int] = field(default_factory=dict)  # waiting, by qp_num
    runs: list[int] = field(default_factory=list)  # qp_num of each tasklet run, in order
    race_checks: list[int] = field(default_factory=list)  # qp_num of each db_read() hit
    _list: deque[int] = field(default_factory=deque)

    def doorbell_callback(self, vector: int) -> None:
        """Schedule the tasklets of the QPs under `vector`, lowest first."""
        mask = db_vector_mask(self.ndev, vector)
        for qp_num in bits_of(self.qp_bitmap & mask):
            self.schedule_calls.append(qp_num)
            self._schedule(qp_num)

    def softirq(self) -> None:
        """Run tasklets until none is scheduled."""
        for _ in range(RUNS_MAX):
            if not self._list:
                return
            self._rxc_db(self._list.popleft())
        raise RuntimeError("the tasklets schedule each other without end")

    def _schedule(self, qp_num: int) -> None:
        # tasklet_schedule() on a tasklet that is scheduled already does nothing.
        if qp_num not in self._list:
            self._list.append(qp_num)

    def _rxc_db(self, qp_num: int) -> None:
        self.runs.append(qp_num)
        for _ in range(self.packets.pop(qp_num, 0)):
            if self.client is Client.REPOSTS:
                self._schedule(qp_num)
        if self.ndev.db_read() >> qp_num & 1:
            self.ndev.db_clear(1 << qp_num)
            self.race_checks.append(qp_num)
            self._schedule(qp_num)
