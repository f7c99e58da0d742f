# SPDX-License-Identifier: BSD-3-Clause
"""Results of `ntbbench lab pair`: what the real pair did for each point's packets, all exact."""

from collections import Counter
from pathlib import PurePath
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ntbbench.compare.readers.checked import exact_value
from ntbbench.compare.readers.finding_key import Finding, place
from ntbbench.compare.series import ExactValue, Series, Variant
from ntbbench.core.errors import InputError
from ntbbench.core.fields import Better
from ntbbench.ntb.transport import QP_COUNT_MAX
from ntbbench.pair.drivers.slots import slot_of

PREFIX = "ntbbench.pair/"
KNOWN = "ntbbench.pair/1"
FAILED = "failed"  # the guest died
STATUSES = (FAILED, "unavailable", "ok")  # worst first
AFTER = "after"  # the driver that carries the series, or what is to replace it
LINKS = ("down", "up")  # worst first
CHECK = "check"
# Kinds of findings of `lab pair check`: each is counted, so that none and one can be compared.
FINDINGS = ("sleep", "locking", "memory", "other", "panic", "hang")
Count = Annotated[int, Meta(ge=0)]
OF_A_BOOT = ("link", "agrees", "kernel warnings", "ep_qp_count", "rc_qp_count")
# Counts of a point whose link is up, and which way is better.
COUNTS: tuple[tuple[str, Better], ...] = (
    ("doorbells_rung", "none"),
    ("msis_raised", "lower"),
    ("events", "lower"),
    ("packets_sent", "none"),
    ("packets_received", "higher"),
)


class PairPoint(Struct, frozen=True, kw_only=True):
    """One point, as far as it is compared."""

    status: str = "ok"
    ep_driver: str
    rc_driver: str
    ep_patches: list[int] = []
    rc_patches: list[int] = []
    ep_slots: int
    mw_count: int
    queues: int | None = None
    doorbell: str
    direction: str
    flows: int = 1
    packets: int = 0
    gap_us: int = 0
    link: str
    cause: str = ""
    ep_qp_count: Count | None
    rc_qp_count: Count | None
    doorbells_rung: Count
    msis_raised: Count
    events: Count
    slots_per_bit: dict[str, list[int]] = {}
    packets_sent: Count
    packets_received: Count
    runs_per_qp: list[Count]
    agrees: bool | None  # None: unavailable
    warnings: list[str] = []


class Scenario(Struct, frozen=True, kw_only=True):
    """What a matrix was asked, as far as it names its drivers; of another result: nothing."""

    source: str | None = None  # a kernel tree whose drivers are `after`


class Pair(Struct, frozen=True, kw_only=True):
    """A pair result, as far as it is compared; another kernel or driver is what one compares."""

    schema: str
    kind: str = "run"
    kernel: str = ""
    scenario: Scenario = Scenario()
    complete: bool = True
    points: list[PairPoint]
    findings: list[Finding] = []
    rounds: Count = 0
    checks: list[str] = []


def read(data: bytes, label: str, where: str) -> Variant:
    """Return the variant that a pair result holds."""
    result = msgspec.json.decode(data, type=Pair)
    context = {"kernel": result.kernel}
    for side in ("ep", "rc"):
        for key in ("driver", "patches"):
            told = {_told(getattr(point, f"{side}_{key}")) for point in result.points}
            context[f"{side}_{key}"] = "; ".join(sorted(told))
    variant = Variant(label, result.schema, {}, {}, context)
    names = _names(result.points, result.scenario.source)
    for name, point in zip(names, result.points, strict=True):
        _add_point(variant, name, point, where)
    _add_end(variant, result)
    return variant


def _add_end(variant: Variant, result: Pair) -> None:
    """Add whether the result is whole and, of a check, what it found and how hard it looked."""

    def add(metric: str, better: Better, value: ExactValue, **fields: Any) -> None:
        variant.series[metric] = Series(
            metric=metric, kind="exact", better=better, value=value, **fields
        )

    cautions = () if result.complete else ("unfinished",)  # told where neither side is whole, too
    whole = int(result.complete)
    add("result:complete", "higher", str(result.complete).lower(), rank=whole, cautions=cautions)
    if result.kind != CHECK:
        return
    add("check:status", "higher", "ok", rank=1)  # one finding, not nine, where a side is no check
    add("check:rounds", "higher", result.rounds)
    add("check:debug options", "higher", len(result.checks))
    found = Counter(finding.kind for finding in result.findings)
    for kind in dict.fromkeys((*FINDINGS, *found)):
        add(f"check:{kind} findings", "lower", found[kind])
    # One gone and another one come are as many of their kind, but not the same. A check that does
    # not tell of a place found nothing there.
    variant.zero.add(CHECK)
    places = Counter(f"{finding.kind} in {place(finding)}" for finding in result.findings)
    for told, count in places.items():
        add(f"{CHECK}:{told}", "lower", count)


def _told(value: str | list[int]) -> str:
    return value if isinstance(value, str) else " ".join(map(str, value)) or "none"


def _names(points: list[PairPoint], source: str | None) -> list[str]:
    """Return a name for each point that does not tell which drivers ran, where it can.

    Two results with one driver pair each are compared point by point although the drivers differ:
    that is what a patch changes. A matrix has points that differ in their drivers alone; those of
    `source` are its `after`, wherever that tree lies, so that it meets a matrix without one.
    """
    pairs = {(point.ep_driver, point.rc_driver) for point in points}
    if len(pairs) == 1:
        return [_setting(point) for point in points]
    names = {driver: _short(driver, source) for pair in pairs for driver in pair}
    counts = Counter(names.values())
    # A name that two files share tells neither from the other: then it is their paths that do.
    told = {driver: name if counts[name] == 1 else driver for driver, name in names.items()}
    return [
        f"EP {told[point.ep_driver]}/RC {told[point.rc_driver]}/{_setting(point)}"
        for point in points
    ]


def _short(driver: str, source: str | None) -> str:
    if driver == source:
        return AFTER
    return PurePath(driver).name if "/" in driver else driver


def _setting(point: PairPoint) -> str:
    queues = "" if point.queues is None else f"/queues {point.queues}"
    return (
        f"{point.direction}/{point.ep_slots} slots/{point.mw_count} windows/{point.doorbell}"
        f"{queues}/{point.flows} flows of {point.packets}, {point.gap_us} us"
    )


def _add_point(variant: Variant, name: str, point: PairPoint, where: str) -> None:
    """Add every metric of one point.

    Raises
    ------
    InputError : a point that stands there twice, a status or a link that is none.
    """
    if f"{name}:status" in variant.series:
        raise InputError(where, name, "each point once")
    if point.link not in LINKS:
        raise InputError(f"{where}: link of {name}", point.link, "up or down")
    if point.status not in STATUSES:
        raise InputError(f"{where}: status of {name}", point.status, ", ".join(STATUSES))

    def add(quantity: str, **fields: Any) -> None:
        metric = f"{name}:{quantity}"
        variant.series[metric] = Series(metric=metric, quantity=quantity, kind="exact", **fields)

    # of two that failed nothing is known, which is to be told
    cautions = ("unfinished",) if point.status == FAILED else ()
    rank = STATUSES.index(point.status)
    add("status", better="higher", value=point.status, rank=rank, cautions=cautions)
    if point.status != "ok":
        _no_counts(variant, name, point.cause)
        variant.absent.update({f"{name}:{quantity}": point.cause for quantity in OF_A_BOOT})
        return
    add("link", better="higher", value=point.link, rank=LINKS.index(point.link))
    add("agrees", better="higher", value=str(point.agrees).lower(), rank=int(point.agrees or 0))
    served = point.packets_received if point.link == "up" else 0
    add("kernel warnings", better="lower", value=len(point.warnings), served=served)
    add("ep_qp_count", better="higher", value=point.ep_qp_count or 0)
    add("rc_qp_count", better="higher", value=point.rc_qp_count or 0)
    if point.link == "down":
        _no_counts(variant, name, f"the link is down: {point.cause}")
        return
    for quantity, better in COUNTS:
        value = exact_value(getattr(point, quantity), where, name)
        add(quantity, better=better, value=value, served=served, per_packet=better == "lower")
    _add_slots(variant, name, point)
    total = exact_value(sum(point.runs_per_qp), where, name)
    add("runs", value=total, served=served, per_packet=True)
    for qp_num, runs in enumerate(point.runs_per_qp):
        value = exact_value(runs, where, name)
        add(f"runs of QP {qp_num}", value=value, served=served, per_packet=True)


def _add_slots(variant: Variant, name: str, point: PairPoint) -> None:
    """Add the slot that each doorbell bit rang: the right one is better than any other."""
    for bit in range(QP_COUNT_MAX):
        metric = f"{name}:slot of bit {bit}"
        slots = point.slots_per_bit.get(str(bit))
        if slots is None:
            variant.unknown[metric] = "no slot of it was seen"
            continue
        right = slots == [slot_of(bit)]
        value = "+".join(map(str, slots))
        variant.series[metric] = Series(
            metric=metric, kind="exact", better="higher", value=value, rank=int(right)
        )


def _no_counts(variant: Variant, name: str, why: str) -> None:
    """Say of every count of a point that it does not exist here: its status or link tells why."""
    counts = [quantity for quantity, _ in COUNTS]
    runs = ["runs", *(f"runs of QP {qp_num}" for qp_num in range(QP_COUNT_MAX))]
    slots = [f"slot of bit {bit}" for bit in range(QP_COUNT_MAX)]
    variant.absent.update({f"{name}:{quantity}": why for quantity in (*counts, *runs, *slots)})
