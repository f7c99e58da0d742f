# SPDX-License-Identifier: BSD-3-Clause
"""Results of `lab pair`: what was run, and of a check what it found."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any, ClassVar

from msgspec import UNSET, Struct
from msgspec.structs import fields

from ntbbench.compare.readers.results import OK, Metrics, Results, add
from ntbbench.compare.series import Series, Variant
from ntbbench.core.fields import Declared
from ntbbench.lab.hosts.bridge_records import HOSTS_SCHEMA, RENAMED, HostPoint, HostResult
from ntbbench.lab.pair.records import (
    CHECK,
    FAILED,
    HARMLESS,
    UNAVAILABLE,
    PairFinding,
    PairPoint,
    PairResult,
)

AFTER = "after"  # the driver that carries the series, or what is to replace it
# Of doorbells that meet: when they do is of one build of the guest, and the model only bounds them.
# By field what they are at least and at most.
BOUNDED = {
    name: (f"least_{what}", f"most_{what}")
    for name, what in (
        ("msis_raised", "msis"),
        ("events", "events"),
        ("runs_per_qp", "runs_per_qp"),
    )
}
OF_A_BOOT = ("link", "agrees", "warnings", "ep_qp_count", "rc_qp_count")
HIGHER = {"better": "higher"}
BITS = 64  # doorbell bits; ntb_transport's qp_bitmap is a u64
FIRST_SLOT = 2  # of doorbell bit 0, of any version: EPF_IRQ_DB_START
# Kinds of findings of `lab pair check`: each is counted, so that none and one can be compared.
FINDINGS = ("sleep", "locking", "memory", "other", "panic", "hang")
# In the line that shows a finding: a function, as `f+0x1/0x2` or `f()`; the file of `file.c:1`.
FUNCTION = re.compile(r"([A-Za-z_][\w.]*)(?:\+0x[0-9a-f]+|\(\))")
FILE = re.compile(r"([\w./-]+\.[ch]):\d+")
NUMBER = re.compile(r"\b(?:0x[0-9a-f]+|[0-9a-f]{8,}|\d+)\b")  # %px has no 0x


def _harmless(warning: str) -> bool:
    return HARMLESS.match(warning) is not None


class Pairs(Results):
    """A run, a matrix or a check; another kernel or driver is what one compares."""

    schema = "ntbbench.pair/1"
    result: type[Struct] = PairResult
    point: type[Struct] = PairPoint
    name = (
        "{direction}/{ep_slots} slots/{mw_count} windows/{doorbell}/queues {queues}"
        "/{flows} flows of {packets}, {gap_us} us"
    )
    context: Sequence[str] = ("kernel",)
    also: Sequence[str] = ("kind", "scenario", "complete", "findings", "rounds", "checks")
    needed: Sequence[str] = (
        *("ep_driver", "rc_driver", "ep_patches", "rc_patches", "spaced"),
        *(bound for bounds in BOUNDED.values() for bound in bounds),
    )
    told: Sequence[str] = ("ep_driver", "ep_patches", "rc_driver", "rc_patches")  # as context
    ends: tuple[str, str] = ("EP", "RC")
    later = ("queues",)
    statuses = (FAILED, UNAVAILABLE, OK)
    order = (
        *OF_A_BOOT,
        *("doorbells_rung", "msis_raised", "events", "packets_sent", "packets_received"),
        *("slots_per_bit", "runs_per_qp"),
    )
    zeros = ("ep_qp_count", "rc_qp_count")
    sums = each = ("runs_per_qp",)
    served = "packets_received"

    def side(self, result: Any, label: str) -> Variant:
        """Return the side with the drivers that ran; `result:complete` tells what is unfinished."""
        variant = replace(super().side(result, label), cautions=())
        names = {field.name: field.encode_name for field in fields(self.point)}
        for name in self.told:
            told = {_told(getattr(point, name)) for point in result.points}
            variant.context[names[name]] = "; ".join(sorted(told))
        harmless = {NUMBER.sub("N", w) for p in result.points for w in p.warnings if _harmless(w)}
        variant.context["harmless kernel warnings"] = "; ".join(sorted(harmless)) or "none"
        return variant

    def names(self, result: Any) -> Iterator[str]:
        """Yield a name for each point that does not tell which drivers ran, where it can.

        Two results of one driver pair each are compared point by point: that is what a patch
        changes. A matrix has points that differ in their drivers alone; the drivers of `source` are
        its `after`, wherever that tree lies, so that it meets a matrix without one.
        """
        pairs = {(point.ep_driver, point.rc_driver) for point in result.points}
        source = result.scenario.get("source")
        short = {driver: _short(driver, source) for pair in pairs for driver in pair}
        counts = Counter(short.values())
        # A name that two files share tells neither from the other: then it is their paths that do.
        told = {driver: name if counts[name] == 1 else driver for driver, name in short.items()}
        first, second = self.ends
        for point in result.points:
            drivers = f"{first} {told[point.ep_driver]}/{second} {told[point.rc_driver]}/"
            yield (drivers if len(pairs) > 1 else "") + self.name_of(point)

    def status(self, value: str, where: str) -> dict[str, Any]:
        """Return the status; of two points that failed nothing is known, which is to be told."""
        cautions = ("unfinished",) if value == FAILED else ()
        return {**super().status(value, where), "cautions": cautions}

    def lacks(self, point: Any, name: str) -> bool:
        """Tell the counts of a point whose link is down, whose cause tells why, or of a burst."""
        if point.link == "down":
            return name not in OF_A_BOOT
        return name in BOUNDED and point.spaced is False

    def metrics(self, about: Declared, value: Any, point: Any, where: str) -> Metrics:
        """Yield how often the kernel complained, and the slot that each doorbell bit rang."""
        if about.name == "warnings":
            count = sum(not _harmless(line) for line in value)
            yield "kernel warnings", {"value": count, "per_packet": False}
        elif about.name == "slots_per_bit":
            for bit in sorted(value, key=int):  # the right one is better than any other
                right = value[bit] == [FIRST_SLOT + int(bit)]
                yield f"slot of bit {bit}", {
                    "value": "+".join(map(str, value[bit])), "rank": int(right), "better": "higher"
                }  # fmt: skip
        else:
            yield from super().metrics(about, value, point, where)

    def more(self, variant: Variant, point: Any, name: str, where: str) -> None:
        """Add the bounds of what `lacks` leaves out: they meet the numbers of a side that has some.

        A count that is not within them, where the model disagrees, is one of them.
        """
        if point.link == "down" or point.spaced is not False:
            return
        for about in (field for field in self._fields if field.name in BOUNDED):
            ends = [getattr(point, bound) for bound in BOUNDED[about.name]]
            if UNSET in ends:  # of an older version
                continue
            known = self._known_of(about, point)
            parts = [
                self.metrics(about, value, point, where)
                for value in (getattr(point, about.name), *ends)
            ]
            for (quantity, own), (_, least), (_, most) in zip(*parts, strict=True):
                three = [part["value"] for part in (own, least, most)]
                metric = f"{name}:{quantity}"
                variant.bounded[metric] = Series(
                    metric=metric, kind="exact", **known, **own, bounds=(min(three), max(three))
                )

    def end(self, variant: Variant, result: Any) -> None:
        """Add whether the result is whole and, of a check, what it found and how hard it looked."""
        for name, point in zip(self.names(result), result.points, strict=True):
            if point.status == OK and point.link == "up":
                metrics = (f"{name}:slot of bit {bit}" for bit in range(BITS))
                unseen = (metric for metric in metrics if metric not in variant.series)
                variant.unknown.update(dict.fromkeys(unseen, "no slot of it was seen"))
        whole = {"value": str(result.complete).lower(), "rank": int(result.complete)}
        cautions = () if result.complete else ("unfinished",)
        add(variant, "result:complete", HIGHER, {**whole, "cautions": cautions})
        if result.kind != CHECK:
            return
        # One finding, not nine, where a side is no check.
        add(variant, f"{CHECK}:status", HIGHER, {"value": OK, "rank": 1})
        add(variant, f"{CHECK}:rounds", HIGHER, {"value": result.rounds})
        add(variant, f"{CHECK}:debug options", HIGHER, {"value": len(result.checks)})
        found = Counter(finding.kind for finding in result.findings)
        # One gone and another one come are as many of their kind, but not the same. A check that
        # does not tell of a place found nothing there.
        variant.zero.add(CHECK)
        places = Counter(f"{finding.kind} in {place(finding)}" for finding in result.findings)
        counts = {f"{kind} findings": found[kind] for kind in dict.fromkeys((*FINDINGS, *found))}
        for told, count in (counts | places).items():
            add(variant, f"{CHECK}:{told}", {"better": "lower"}, {"value": count})


class HostPairs(Pairs):
    """The same of two hosts that pci-epf-ntb joins."""

    schema, result, point = HOSTS_SCHEMA, HostResult, HostPoint
    name = (
        "{direction}/{ep_slots} slots/{mw_count} windows/queues {queues}"
        "/{flows} flows of {packets}, {gap_us} us"
    )
    needed = (*Pairs.needed, "ntb_driver")
    told = (*Pairs.told, "ntb_driver")
    ends = ("host 1", "host 2")
    called: ClassVar = {name: RENAMED[name] for name in ("ep_qp_count", "rc_qp_count")}


def place(finding: PairFinding) -> str:
    """Return where a finding is: what another build, boot or line of code does not change.

    The driver's function, else the first one that the line names, else its file, else the line
    without its numbers.
    """
    if finding.function:
        return _named(finding.function)
    if function := FUNCTION.search(finding.line):
        return _named(function[1])
    if file := FILE.search(finding.line):
        return file[1]
    return NUMBER.sub("N", finding.line).replace(":", "") or "no place"


def _named(function: str) -> str:
    """Return a function's name in the source: gcc calls parts of it `f.cold`, `f.isra.0`."""
    return f"{function.partition('.')[0]}()"


def _told(value: str | list[int]) -> str:
    return value if isinstance(value, str) else " ".join(map(str, value)) or "none"


def _short(driver: str, source: str | None) -> str:
    if driver == source:
        return AFTER
    return PurePath(driver).name if "/" in driver else driver
