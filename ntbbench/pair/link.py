# SPDX-License-Identifier: BSD-3-Clause
"""Whether the transport link of a pair comes up, and who computed which qp_count."""

from dataclasses import dataclass
from typing import Literal

from ntbbench.ntb.transport import UINT_BITS, QpCount, qp_count
from ntbbench.pair.behaviour import valid_mask
from ntbbench.pair.drivers.hazards import DriverError
from ntbbench.pair.drivers.patches import Driver
from ntbbench.pair.drivers.slots import SPAD_COUNT
from ntbbench.pair.setting import Setting

Link = Literal["up", "down"]


@dataclass(frozen=True)
class PairLink:
    """The QPs of either transport, and what becomes of the link.

    Parameters
    ----------
    ep, rc : the QPs that each side's ntb_transport makes; None: its driver refuses the setting.
    counts : nt->qp_count of EP and RC, which they publish. Without a doorbell bit it wraps and the
        windows limit it, although a client gets no QP.
    link : "up" when both publish the same number of QPs and a client can get one.
    cause : why the link is down; "" when it is up.
    """

    ep: QpCount | None
    rc: QpCount | None
    counts: tuple[int | None, int | None]
    link: Link
    cause: str


def pair_link(ep: Driver, rc: Driver, setting: Setting, max_num_clients: int = 0) -> PairLink:
    """Return the link of two drivers in a setting.

    Parameters
    ----------
    max_num_clients : ntb_transport's module parameter; 0: unset.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_probe, ntb_transport_link_work: NUM_QPS of
    the peer must equal nt->qp_count, else it tries again for ever), Linux 6.12 and 7.3.
    """
    qps: dict[str, QpCount | None] = {}
    refused = ""
    for driver in (ep, rc):
        try:
            qps[driver.side] = _qps(driver, setting, max_num_clients)
        except DriverError as error:
            qps[driver.side] = None
            refused = refused or f"the driver of {driver.side.upper()} refuses: {error}"
    ep_qps, rc_qps = qps["ep"], qps["rc"]
    if ep_qps is None or rc_qps is None:
        # Without a bound endpoint there is no PCI device for the root complex to find.
        one = _published(ep, setting, max_num_clients) if ep_qps else None
        return PairLink(ep_qps, rc_qps if ep_qps else None, (one, None), "down", refused)
    counts = tuple(_published(driver, setting, max_num_clients) for driver in (ep, rc))
    both = counts[0], counts[1]
    if both[0] != both[1]:
        cause = (
            f"ntb_transport computed qp_count {both[0]} on EP ({ep_qps.limit}) and {both[1]} on RC "
            f"({rc_qps.limit}); the link waits for equal NUM_QPS for ever"
        )
        return PairLink(ep_qps, rc_qps, both, "down", cause)
    for side, made in (("EP", ep_qps), ("RC", rc_qps)):
        if not made.qp_count:
            cause = f"no client gets a QP on {side}: {made.limit}"
            return PairLink(ep_qps, rc_qps, both, "down", cause)
    return PairLink(ep_qps, rc_qps, both, "up", "")


def _published(driver: Driver, setting: Setting, max_num_clients: int) -> int:
    """Return nt->qp_count, which wraps for an empty db_valid_mask."""
    mask = valid_mask(driver, setting.slots_of(driver.side))
    count = (mask.bit_length() - 1) % (1 << UINT_BITS)
    if max_num_clients and max_num_clients < count:
        return max_num_clients
    return min(count, setting.mw_count)


def _qps(driver: Driver, setting: Setting, max_num_clients: int) -> QpCount:
    return qp_count(
        valid_mask(driver, setting.slots_of(driver.side)),
        mw_count=setting.mw_count,
        spad_count=SPAD_COUNT,
        use_msi=False,
        max_num_clients=max_num_clients,
    )
