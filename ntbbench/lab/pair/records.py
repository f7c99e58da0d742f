# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of a pair run, from the guest to the report: a field is a key of the JSON."""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from ntbbench.core.errors import InputError

PAIR_SCHEMA = "ntbbench.pair/1"
OK, UNAVAILABLE, FAILED = "ok", "unavailable", "failed"
RUN, MATRIX, CHECK = "run", "matrix", "check"


class PairPoint(Struct, frozen=True, kw_only=True):
    """What the two real drivers did with one direction's packets, and what the model says they do.

    Lists named `..._per_qp` are by qp_num of the receiving side. With the link down, and where the
    point is unavailable or failed, counts are 0 and lists empty.
    """

    name: str
    # ok | unavailable: a doorbell mode that the endpoint's driver lacks | failed: the guest of a
    # matrix panicked, hung or gave up before the point was measured
    status: str = OK
    ep_driver: str  # as it was asked for: before, after, a file, a tree
    rc_driver: str
    ep_patches: list[int]  # of the series: that the model goes by, as said or as observed
    rc_patches: list[int]
    ep_behaves: str = ""  # what the driver was observed to do, in words; "": it was not
    rc_behaves: str = ""
    ep_slots: int  # db_count of the endpoint, link and reserved slot included
    rc_vectors: int  # MSIs granted to the root complex
    mw_count: int
    queues: int | None = None  # max_num_clients; None: unset
    doorbell: str  # how rings reach the endpoint: poll | msi | embedded
    direction: str  # ep-to-rc | rc-to-ep
    flows: int
    packets: int  # of each flow
    gap_us: int
    link: str  # up | down; down where the point is unavailable or failed, too
    predicted_link: str
    cause: str = ""  # why the link is down, QPs are fewer, it is unavailable, or how it failed
    ep_qp_count: int | None  # that ntb_transport computed on either side; None: no device there
    rc_qp_count: int | None
    predicted_ep_qp_count: int | None
    predicted_rc_qp_count: int | None
    queues_open: int = 0  # QPs that ntb_netdev owns on the receiver
    ep_qp_links: list[str] = field(default_factory=list)  # up | down, by qp_num
    rc_qp_links: list[str] = field(default_factory=list)
    doorbells_rung: int = 0  # peer_db_set() calls of the sender
    doorbells_per_qp: list[int] = field(default_factory=list)
    msis_raised: int = 0  # towards the root complex; 0 for rc-to-ep
    predicted_msis: int = 0
    least_msis: int = 0  # what the doorbells allow, however they coalesce; spaced: the prediction
    most_msis: int = 0
    msis_per_number: dict[str, int] = field(default_factory=dict)  # by the 1-based MSI number
    predicted_msis_per_number: dict[str, int] = field(default_factory=dict)
    # doorbells that came to each slot, by its number: MSI n towards the root complex is slot n - 1
    slots_per_number: dict[str, int] = field(default_factory=dict)
    # the slots that each doorbell bit was seen to ring; of any version it is bit + 2
    slots_per_bit: dict[str, list[int]] = field(default_factory=dict)
    events: int = 0  # calls of the receiver's doorbell callback
    predicted_events: int = 0
    least_events: int = 0  # what the MSIs, or the doorbells of rc-to-ep, allow
    most_events: int = 0
    events_per_vector: dict[str, int] = field(default_factory=dict)
    predicted_events_per_vector: dict[str, int] = field(default_factory=dict)
    packets_sent: int = 0
    packets_received: int = 0
    runs_per_qp: list[int] = field(default_factory=list)  # of the receive tasklets
    predicted_runs_per_qp: list[int] = field(default_factory=list)
    difference_per_qp: list[int] = field(default_factory=list)  # measured - predicted
    least_runs_per_qp: list[int] = field(default_factory=list)  # what any order must give
    most_runs_per_qp: list[int] = field(default_factory=list)
    # link-down | missed | misrouted | fallback | per-vector, as measured; works: one of the last
    # two, with one QP; "" for a burst
    verdict: str = ""
    predicted_verdict: str = ""  # of the model, as `ntbbench compat` gives it
    spaced: bool = True  # doorbells do not meet: the model is exact, not only a bound
    agrees: bool | None  # None: unavailable, nothing was run that could; failed: False
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # of the guest's kernel


class PairFinding(Struct, frozen=True, kw_only=True):
    """One kind of complaint of the guest's kernel, at one place."""

    kind: str  # sleep | locking | memory | other | panic | hang
    line: str  # the first kernel line that shows it
    function: str  # of the driver that is on its stack; "" where none is
    side: str  # ep | rc; "" where no driver is on its stack
    count: int  # how often it was seen
    boot: str = ""  # the drivers and the setting it was seen in
    expected: bool = False  # the model knows this hazard of these drivers


class PairObserved(Struct, frozen=True, kw_only=True):
    """What one driver was observed to do at the set-up of a boot, before any traffic."""

    side: str  # ep | rc
    driver: str  # as it was asked for
    behaves: str  # as what: the patches of the series that explain it
    alike: int = 0  # other sets of patches that nothing observed tells from these
    findings: list[str] = field(default_factory=list)  # why that is wrong
    observations: dict[str, str] = field(default_factory=dict)  # by question


class PairResult(Struct, frozen=True, kw_only=True):
    """One pair run: which kernel, how it ran, and every point."""

    schema: str = PAIR_SCHEMA
    kind: str = RUN  # run | matrix | check
    scenario: dict[str, Any] = field(default_factory=dict)  # what was asked, for --resume
    kernel: str  # uname -r of the guest
    kernel_source: str  # what was asked for: debian:7.3, or a tree
    accelerator: str  # tcg | kvm
    deterministic: bool  # the guest's clock counts instructions: two runs give the same counts
    environment: dict[str, str] = field(default_factory=dict)
    # False: interrupted, or the guest of a check died: with the points that were finished
    complete: bool = True
    points: list[PairPoint]
    # what no point tried: directions, QPs, doorbell bits, modes, and how to try it
    not_exercised: list[str] = field(default_factory=list)
    findings: list[PairFinding] = field(default_factory=list)  # of `lab pair check`
    observed: list[PairObserved] = field(default_factory=list)  # of a run and a check
    rounds: int = 0  # how often `check` unbound and bound the endpoint in each boot
    # Of a matrix, what ran: the kernel's version, the SHA-256 of each driver's source and of the
    # NTB files of a --source tree. A boot of others is none of this result.
    sources: dict[str, str] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)  # debug options of the kernel of `check`
    warnings: list[str] = field(default_factory=list)


def load_pair_result(path: Path) -> PairResult:
    """Return the pair run in a result file.

    Raises
    ------
    InputError : the file cannot be read, or is damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=PairResult)
    except OSError as error:
        raise InputError("result file", str(path), error.strerror or str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(str(path), PAIR_SCHEMA, f"damaged: {error}") from None
