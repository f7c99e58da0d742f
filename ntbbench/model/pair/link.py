# SPDX-License-Identifier: BSD-3-Clause
"""Whether the transport link of a pair comes up, and who computed which qp_count."""

from dataclasses import dataclass
from typing import Literal

from ntbbench.model.pair.behaviour import valid_mask
from ntbbench.model.pair.joined import Setting
from ntbbench.model.pair.kernel import DriverError
from ntbbench.model.pair.patches import Driver
from ntbbench.model.pair.slots import SPAD_COUNT
from ntbbench.model.transport import QpCount, qp_count

Link = Literal["up", "down"]


@dataclass(frozen=True)
class PairLink:
    """The QPs of either transport, and what becomes of the link.

    Parameters
    ----------
    ep, rc : the QPs that each side's ntb_transport makes; None: its driver refuses the setting.
    link : "up" when both publish the same number of QPs, at least one.
    cause : why the link is down; "" when it is up.
    """

    ep: QpCount | None
    rc: QpCount | None
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
        return PairLink(ep_qps, rc_qps if ep_qps else None, "down", refused)
    if ep_qps.qp_count != rc_qps.qp_count:
        return PairLink(ep_qps, rc_qps, "down", qp_counts_differ(ep_qps, rc_qps))
    if not ep_qps.qp_count:
        return PairLink(ep_qps, rc_qps, "down", f"no QP on either side: {ep_qps.limit}")
    return PairLink(ep_qps, rc_qps, "up", "")


def qp_counts_differ(ep: QpCount, rc: QpCount) -> str:
    """Return in words who computed which qp_count, and from what."""
    return (
        f"ntb_transport computed qp_count {ep.qp_count} on EP ({ep.limit}) and {rc.qp_count} on RC "
        f"({rc.limit}); the link waits for equal NUM_QPS for ever"
    )


def _qps(driver: Driver, setting: Setting, max_num_clients: int) -> QpCount:
    return qp_count(
        valid_mask(driver, setting.slots_of(driver.side)),
        mw_count=setting.mw_count,
        spad_count=SPAD_COUNT,
        use_msi=False,
        max_num_clients=max_num_clients,
    )
