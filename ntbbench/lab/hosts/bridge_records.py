# SPDX-License-Identifier: BSD-3-Clause
"""The records of two hosts that pci-epf-ntb joins: those of the pair, by the names of its ends."""

from typing import Annotated

from ntbbench.core.fields import axis, count, fact
from ntbbench.lab.pair.records import PairPoint, PairResult

HOSTS_SCHEMA = "ntbbench.pair-ntb/1"
DRIVER = "ntb_hw_epf: before, after, debian:VERSION, a file, a tree"
PATCHES = "of the series, that the model goes by"
QPS = "that ntb_transport computed; none: no device there"
# A field of a file has the host's name; in the program the first end is ep, the second rc.
FIELDS = (
    *("{}_driver", "{}_patches", "{}_behaves", "{}_qp_count"),
    *("predicted_{}_qp_count", "{}_qp_links"),
)
ENDS = (("ep", "host1"), ("rc", "host2"))
RENAMED = {name.format(end): name.format(host) for name in FIELDS for end, host in ENDS}


Links1 = Annotated[list[str], fact("QP links of host 1", "up or down, by qp_num")]
Links2 = Annotated[list[str], fact("QP links of host 2", "up or down, by qp_num")]


class HostPoint(PairPoint, frozen=True, kw_only=True, rename=RENAMED):
    """What two real hosts did with one direction's packets, and what the model says they do."""

    ep_driver: Annotated[str, axis("host 1", DRIVER)]
    rc_driver: Annotated[str, axis("host 2", DRIVER)]
    ntb_driver: Annotated[str, axis("joined by", "pci-epf-ntb: after, debian:VERSION, a file")] = (
        "after"
    )
    ep_patches: Annotated[list[int], fact("host 1 patches", PATCHES)]
    rc_patches: Annotated[list[int], fact("host 2 patches", PATCHES)]
    ep_behaves: Annotated[str, fact("host 1 behaves as", "empty: it was not observed")] = ""
    rc_behaves: Annotated[str, fact("host 2 behaves as", "empty: it was not observed")] = ""
    ep_slots: Annotated[
        int, axis("slots", "db_count of pci-epf-ntb, link and unused slot included")
    ]
    rc_vectors: Annotated[int, axis("vectors", "MSIs granted to either host")]
    direction: Annotated[str, axis("direction", "host1-to-host2 or host2-to-host1")]
    ep_qp_count: Annotated[int | None, count("host 1 qp_count", QPS, better="higher")]
    rc_qp_count: Annotated[int | None, count("host 2 qp_count", QPS, better="higher")]
    predicted_ep_qp_count: Annotated[int | None, fact("host 1 qp_count predicted", "by the model")]
    predicted_rc_qp_count: Annotated[int | None, fact("host 2 qp_count predicted", "by the model")]
    ep_qp_links: Links1 = []  # noqa: RUF012  # msgspec copies it
    rc_qp_links: Links2 = []  # noqa: RUF012
    msis_raised: Annotated[
        int, count("MSIs raised", "at the receiving host", better="lower", head="MSIs")
    ] = 0


class HostResult(PairResult, frozen=True, kw_only=True):
    """One run of two hosts: which kernel, how it ran, and every point."""

    schema: str = HOSTS_SCHEMA
    points: list[HostPoint]  # type: ignore[assignment]  # a list is of one kind or the other
