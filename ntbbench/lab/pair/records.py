# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of a pair run, from the guest to the report: a field is a key of the JSON."""

import re
from typing import Annotated, Any, Literal

from msgspec import Struct

from ntbbench.core.fields import axis, count, fact
from ntbbench.core.fields import verdict as conclusion  # a field is called verdict

PAIR_SCHEMA = "ntbbench.pair/1"
# What newer kernels remark of how the drivers of 6.x ask for a workqueue: no hazard of the model.
HARMLESS = re.compile(r"WARNING: kernel/workqueue\.c:\d+ at __alloc_workqueue\+")
OK, UNAVAILABLE, FAILED = "ok", "unavailable", "failed"
PairKind = Literal["run", "matrix", "check"]
RUN: PairKind = "run"
MATRIX: PairKind = "matrix"
CHECK: PairKind = "check"

ByKey = dict[str, int]
PerQp = list[int]
_EXACT = "of a spaced point; of a burst an estimate"
_LEAST = "the fewest that the doorbells allow, however they coalesce"
_MOST = "the most that the doorbells allow, however they coalesce"


class PairPoint(Struct, frozen=True, kw_only=True):
    """What the two real drivers did with one direction's packets, and what the model says they do.

    Lists named `..._per_qp` are by qp_num of the receiving side. With the link down, and where the
    point is unavailable or failed, counts are 0 and lists empty.
    """

    name: str
    status: Annotated[
        str,
        conclusion(
            "status",
            "ok; unavailable: the endpoint's driver lacks the doorbell mode; failed: the guest "
            "died before the point was measured",
        ),
    ] = OK
    ep_driver: Annotated[
        str, axis("EP", "of the endpoint, pci-epf-vntb: before, after, debian:VERSION, a file")
    ]
    rc_driver: Annotated[
        str, axis("RC", "of the root complex, ntb_hw_epf: before, after, debian:VERSION, a file")
    ]
    ep_patches: Annotated[
        list[int], fact("EP patches", "of the series, that the model goes by, as said or observed")
    ]
    rc_patches: Annotated[
        list[int], fact("RC patches", "of the series, that the model goes by, as said or observed")
    ]
    ep_behaves: Annotated[
        str, fact("EP behaves as", "what the driver was observed to do; empty: it was not")
    ] = ""
    rc_behaves: Annotated[
        str, fact("RC behaves as", "what the driver was observed to do; empty: it was not")
    ] = ""
    ep_slots: Annotated[
        int, axis("slots", "db_count of the endpoint, link and reserved slot included")
    ]
    rc_vectors: Annotated[int, axis("RC vectors", "MSIs granted to the root complex")]
    mw_count: Annotated[int, axis("windows", "memory windows")]
    queues: Annotated[
        int | None, axis("queues", "max_num_clients of ntb_transport; unset: all QPs")
    ] = None
    doorbell: Annotated[
        str, axis("doorbell", "how rings reach the endpoint: poll, msi, or embedded")
    ]
    direction: Annotated[str, axis("direction", "ep-to-rc or rc-to-ep")]
    flows: Annotated[int, axis("flows", "UDP flows that send in turn")]
    packets: Annotated[int, axis("packets", "of each flow")]
    gap_us: Annotated[
        int, axis("gap", "after each packet; 0: a burst", unit="us", head="gap\n(us)")
    ]
    link: Annotated[
        str,
        conclusion(
            "link",
            "up or down; down too where nothing was measured",
            head="link",
            ranks=("down", "up"),
        ),
    ]
    predicted_link: Annotated[str, fact("link predicted", "by the model")]
    cause: Annotated[
        str, fact("cause", "why the link is down, QPs are fewer, or nothing was measured")
    ] = ""
    ep_qp_count: Annotated[
        int | None,
        count("EP qp_count", "that ntb_transport computed; none: no device there", better="higher"),
    ]
    rc_qp_count: Annotated[
        int | None,
        count("RC qp_count", "that ntb_transport computed; none: no device there", better="higher"),
    ]
    predicted_ep_qp_count: Annotated[int | None, fact("EP qp_count predicted", "by the model")]
    predicted_rc_qp_count: Annotated[int | None, fact("RC qp_count predicted", "by the model")]
    queues_open: Annotated[int, fact("queues open", "QPs that ntb_netdev owns on the receiver")] = 0
    ep_qp_links: Annotated[list[str], fact("QP links of EP", "up or down, by qp_num")] = []
    rc_qp_links: Annotated[list[str], fact("QP links of RC", "up or down, by qp_num")] = []
    doorbells_rung: Annotated[
        int, count("doorbells rung", "peer_db_set() calls of the sender", head="door-\nbells")
    ] = 0
    doorbells_per_qp: Annotated[PerQp, fact("doorbells", "that rang for the QP")] = []
    msis_raised: Annotated[
        int, count("MSIs raised", "towards the root complex", better="lower", head="MSIs")
    ] = 0
    predicted_msis: Annotated[int, fact("MSIs predicted", _EXACT)] = 0
    least_msis: Annotated[int, fact("fewest MSIs", _LEAST)] = 0
    most_msis: Annotated[int, fact("most MSIs", _MOST)] = 0
    msis_per_number: Annotated[ByKey, fact("MSIs by number", "by the 1-based MSI number")] = {}
    predicted_msis_per_number: Annotated[ByKey, fact("MSIs by number predicted", _EXACT)] = {}
    slots_per_number: Annotated[
        ByKey,
        fact("doorbells by slot", "that came to it; MSI n towards the root complex is slot n - 1"),
    ] = {}
    slots_per_bit: Annotated[
        dict[str, list[int]],
        conclusion(
            "slots by doorbell bit", "that it was seen to ring; of any version it is bit + 2"
        ),
    ] = {}
    events: Annotated[
        int,
        count(
            "doorbell events",
            "calls of the receiver's doorbell callback",
            better="lower",
            head="events",
        ),
    ] = 0
    predicted_events: Annotated[int, fact("events predicted", _EXACT)] = 0
    least_events: Annotated[int, fact("fewest events", _LEAST)] = 0
    most_events: Annotated[int, fact("most events", _MOST)] = 0
    events_per_vector: Annotated[
        ByKey, fact("events by vector", "doorbell callbacks by their vector")
    ] = {}
    predicted_events_per_vector: Annotated[ByKey, fact("events by vector predicted", _EXACT)] = {}
    packets_sent: Annotated[int, count("packets sent", "by all flows", head="sent")] = 0
    packets_received: Annotated[
        int, count("packets received", "by all flows", better="higher", head="received")
    ] = 0
    runs_per_qp: Annotated[
        PerQp, count("runs", "of the receive tasklets of the receiver", better="lower")
    ] = []
    predicted_runs_per_qp: Annotated[PerQp, fact("runs predicted", _EXACT)] = []
    difference_per_qp: Annotated[PerQp, fact("difference", "measured - predicted")] = []
    least_runs_per_qp: Annotated[
        PerQp, fact("fewest runs", "that any order of the same doorbells gives")
    ] = []
    most_runs_per_qp: Annotated[
        PerQp, fact("most runs", "that any order of the same doorbells gives")
    ] = []
    verdict: Annotated[
        str,
        fact(
            "doorbells",
            "what became of them: link-down, missed, misrouted, fallback, per-vector; works: one "
            "of the last two, with one QP; empty: doorbells met",
        ),
    ] = ""
    predicted_verdict: Annotated[
        str, fact("doorbells predicted", "what becomes of them in the model")
    ] = ""
    spaced: Annotated[
        bool, fact("spaced", "doorbells do not meet: the model is exact, not only a bound")
    ] = True
    agrees: Annotated[
        bool | None,
        conclusion("model", "whether QPs, verdict and every count are as the model says"),
    ]
    notes: list[str] = []
    warnings: Annotated[
        list[str], count("kernel warnings", "of the guest's kernel", better="lower")
    ] = []


class PairFinding(Struct, frozen=True, kw_only=True):
    """One kind of complaint of the guest's kernel, at one place."""

    kind: Annotated[str, axis("kind", "sleep, locking, memory, other, panic, or hang")]
    line: Annotated[str, fact("line", "the first kernel line that shows it")]
    function: Annotated[str, axis("function", "of the driver on its stack; empty: none is")]
    side: Annotated[
        str, axis("side", "ep, rc, host1, host2 or soc; empty: no driver is on its stack")
    ]
    count: Annotated[int, count("seen", "how often it was seen", better="lower")]
    boot: Annotated[str, fact("boot", "the drivers and the setting it was seen in")] = ""
    expected: Annotated[
        bool, fact("known to the model", "the model knows this hazard of these drivers")
    ] = False


class PairObserved(Struct, frozen=True, kw_only=True):
    """What one driver was observed to do at the set-up of a boot, before any traffic."""

    side: Annotated[str, axis("side", "ep, rc, host1, host2, or soc: pci-epf-ntb")]
    driver: Annotated[str, axis("driver", "as it was asked for")]
    behaves: Annotated[str, fact("behaves as", "the patches of the series that explain it")]
    alike: Annotated[
        int, fact("alike", "other sets of patches that nothing observed tells from these")
    ] = 0
    findings: Annotated[list[str], fact("findings", "why that is wrong")] = []
    observations: Annotated[dict[str, str], fact("observations", "by question")] = {}


class PairResult(Struct, frozen=True, kw_only=True):
    """One pair run: which kernel, how it ran, and every point."""

    schema: str = PAIR_SCHEMA
    kind: Annotated[PairKind, fact("kind", "the command: run, matrix, or check")] = RUN
    scenario: dict[str, Any] = {}  # what was asked, for --resume
    kernel: Annotated[str, fact("kernel", "uname -r of the guest")]
    kernel_source: Annotated[str, fact("asked for", "debian:7.3, or a tree")]
    accelerator: Annotated[str, fact("accelerator", "tcg or kvm")]
    deterministic: Annotated[
        bool,
        fact("deterministic", "the guest's clock counts instructions: two runs count the same"),
    ]
    environment: dict[str, str] = {}
    complete: Annotated[
        bool, conclusion("complete", "no: interrupted, or the guest of a check died")
    ] = True
    points: list[PairPoint]
    not_exercised: Annotated[
        list[str], fact("not exercised", "what no point tried, and the option that tries it")
    ] = []
    findings: list[PairFinding] = []  # of `lab pair check`
    observed: list[PairObserved] = []  # of a run and a check
    rounds: Annotated[
        int, count("rounds", "unbinds and binds of the endpoint in each boot", better="higher")
    ] = 0
    sources: Annotated[
        dict[str, str],
        fact("sources", "kernel version, SHA-256 of each driver and of the NTB files of a tree"),
    ] = {}
    checks: Annotated[list[str], fact("debug options", "of the kernel of `lab pair check`")] = []
    warnings: list[str] = []
