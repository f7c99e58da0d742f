# SPDX-License-Identifier: BSD-3-Clause
"""A regression is measured once more before it fails.

The second test is of the same base and of the regressed metrics alone. A false alarm fails only
where both tests give it, so its chance falls. It does not fall to alpha squared, for a base that
was fast by luck has a part in both. A true regression, too, is found only where both find it.
"""

from collections.abc import Sequence
from dataclasses import replace

from msgspec import structs

from ntbbench.compare.compare import compare, with_verdicts
from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Comparison, Confirmation, Report
from ntbbench.compare.series import Variant

UNCONFIRMED = "regressed at first, but not when it was measured once more"


def failing(report: Report) -> list[str]:
    """Return the metrics whose regression fails the gate."""
    told_only = report.gate_on == "exact"
    return [
        c.metric
        for c in report.comparisons
        if c.verdict == "regressed" and not (told_only and c.kind == "noisy")
    ]


def confirmed(
    report: Report, sides: Sequence[Variant], policy: Policy, *, command: str, result: str
) -> Report:
    """Return the report after a second measurement.

    A metric that does not regress again becomes inconclusive. One that the second measurement lacks
    stays regressed: nothing says that it did not.

    Parameters
    ----------
    sides : the base and the second measurement.
    command, result : what measured, and where that is kept.

    Raises
    ------
    IncomparableError : the second measurement comes from another environment.
    """
    again = set(failing(report))
    base, second = (
        replace(side, series={k: v for k, v in side.series.items() if k in again}) for side in sides
    )
    force = report.environment.forced
    found = compare(base, [second], policy, paired=report.paired, force=force).comparisons
    by_name = {c.metric: c for c in found}
    verdicts = [
        _settled(c, by_name[c.metric]) if c.metric in again else c for c in report.comparisons
    ]
    confirmation = Confirmation(command=command, result=result, comparisons=found)
    whole = with_verdicts(report, verdicts, policy)
    return structs.replace(whole, confirmation=confirmation)


def _settled(first: Comparison, second: Comparison) -> Comparison:
    if second.verdict == "regressed" or second.missing:
        return first
    return structs.replace(first, verdict="inconclusive", reason=UNCONFIRMED, decided_by="")
