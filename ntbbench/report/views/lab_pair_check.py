# SPDX-License-Identifier: BSD-3-Clause
"""A check of the pair on a debug kernel: each finding with the first line that shows it."""

from collections.abc import Iterator

from ntbbench.lab.pair.records import UNAVAILABLE, PairFinding, PairResult
from ntbbench.report.document import Check, Document, Notes
from ntbbench.report.views import lab_pair_points as pair
from ntbbench.report.views.lab_pair_axes import named
from ntbbench.report.views.lab_pair_run import blocks
from ntbbench.report.wording import plural

NOTES = (
    "finding: one kind of complaint at one function of a driver, however often it was seen",
    "locking: the lock checker falls silent after its first complaint; fix that and check again",
)
# Each kind is a test, so that none of it is told too.
KINDS = ("sleep", "locking", "memory", "other", "panic", "hang")


SIDES = {"host1": "host 1", "host2": "host 2", "soc": "SoC"}


def document(result: PairResult) -> Document:
    """Return the report of a check: findings, then the points."""
    points = named(result.points)
    if points and all(point.status == UNAVAILABLE for point in points):
        return pair.report(result, *blocks(points))  # nothing was booted: nothing can be found
    findings = [(place(finding), (finding.line, _seen(finding))) for finding in result.findings]
    tables, details = blocks(points, *NOTES)
    return pair.report(
        result,
        [Notes("Findings", findings), *tables],
        details,
        verdict=_verdict(result),
        more_checks=[_found(result)],
    )


def place(finding: PairFinding) -> str:
    """Return what kind of finding it is, and where."""
    side = f"{SIDES.get(finding.side, finding.side.upper())}, " if finding.side else ""
    function = f"{finding.function}()" if finding.function else "no function of a driver"
    return f"{finding.kind}: {side}{function}"


def _verdict(result: PairResult) -> str:
    found = plural(len(result.findings), "finding") if result.findings else "No finding"
    rounds = plural(result.rounds, "unbind/bind round")
    return f"{found}: Linux {result.kernel} with {', '.join(result.checks)}, {rounds}"


def _seen(finding: PairFinding) -> str:
    """Return how often and with which drivers it was seen, and what the model says of it."""
    told = "known to the model" if finding.expected else "not known to the model"
    return "; ".join(filter(None, [finding.boot, f"seen {plural(finding.count, 'time')}", told]))


def _found(result: PairResult) -> Check:
    def by_kind() -> Iterator[Check]:
        for kind in dict.fromkeys((*KINDS, *(finding.kind for finding in result.findings))):
            found = [finding for finding in result.findings if finding.kind == kind]
            lines = [f"{place(finding)}: {finding.line} ({_seen(finding)})" for finding in found]
            yield Check(kind, not found, diagnostics=lines)

    return Check("findings", None, checks=list(by_kind()))
