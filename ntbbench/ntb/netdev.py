# SPDX-License-Identifier: BSD-3-Clause
"""How many queues ntb_netdev gets from ntb_transport, and what `ethtool -L` says otherwise."""

from dataclasses import dataclass

from ntbbench.ntb.transport import QpCount
from ntbbench.ntb.vectormap import bits_of

NTB_NETDEV_MAX_QUEUES = 64  # drivers/net/ntb_netdev.c, Linux 7.3
NTB_NETDEV_DEFAULT_QUEUES = 1  # drivers/net/ntb_netdev.c, Linux 7.3
FFS_BITS = 32  # ntb_transport_create_queue() finds a free QP with ffs(), which takes an int


@dataclass(frozen=True)
class Queues:
    """The queues that exist after a request, and why it failed if it did."""

    created: int
    error: str | None


def create_queues(requested: int, qps: QpCount) -> Queues:
    """Return the queues of ntb_netdev after `ethtool -L DEV combined <requested>`.

    Parameters
    ----------
    requested : number of queues, at least 1.
    qps : the queue pairs of the transport below.

    Returns
    -------
    `created` is `requested`, or, where the request fails and changes nothing, the default of 1
    queue (0 where not even one QP is possible). `error` then starts with "ENOSPC: ".

    Source: drivers/net/ntb_netdev.c (ntb_netdev_probe, ntb_inc_channels), Linux 7.3;
    drivers/ntb/ntb_transport.c (ntb_transport_create_queue).

    Deviates: above NTB_NETDEV_MAX_QUEUES ethtool itself says EINVAL before the driver is asked;
    with no queue at all there is no network device to ask.
    """
    available = len(queue_bits(qps.qp_bitmap))
    if requested <= available:
        return Queues(requested, None)
    limit = qps.limit
    if available < qps.qp_count:
        limit = f"a QP is found with a {FFS_BITS}-bit ffs(), QP_LINKS has {FFS_BITS} bits"
    created = min(available, NTB_NETDEV_DEFAULT_QUEUES)
    noun = "queue" if requested == 1 else "queues"
    error = f"ENOSPC: {requested} {noun} requested, {available} possible: {limit}"
    if requested > NTB_NETDEV_MAX_QUEUES:
        error += f"; ethtool refuses more than {NTB_NETDEV_MAX_QUEUES} with EINVAL"
    return Queues(created, error)


def queue_bits(qp_bitmap: int) -> list[int]:
    """Return the doorbell bit of each queue that ntb_netdev can get, queue 0 first.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_create_queue: the lowest free QP, found
    with a 32-bit ffs()), Linux 7.3.
    """
    return bits_of(qp_bitmap & (1 << FFS_BITS) - 1)
