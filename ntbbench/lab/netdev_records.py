# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of flows over ntb_netdev: a field is a key of the JSON."""

from msgspec import Struct

NETDEV_SCHEMA = "ntbbench.lab-netdev/1"


class NetdevPoint(Struct, frozen=True, kw_only=True):
    """One set of flows; lists are by qp_num of the receiving port.

    `runs_per_qp` counts tasklet runs that ended on an empty ring (rx_ring_empty), by any cause.
    """

    name: str
    vectors: int
    queues: int  # that the interfaces have
    active_qps: int
    gap_us: int
    packets_sent: int
    packets_received: int
    seconds: float  # of the guest's clock
    bits_per_second: float
    doorbells_per_qp: list[int]
    events: int
    runs_per_qp: list[int]
    runs_per_event: float
    predicted_runs_per_qp: list[int] | None  # None: the flow is not spaced
    agrees: bool


class NetdevResult(Struct, frozen=True, kw_only=True):
    """Flows over ntb_netdev in one boot of a real kernel."""

    schema: str = NETDEV_SCHEMA
    kernel: str
    kernel_source: str
    accelerator: str
    ping: str
    points: list[NetdevPoint]
