# SPDX-License-Identifier: BSD-3-Clause
"""What of a report comes first: what fails the gate, then what needs a look."""

import math
from collections.abc import Iterable

from ntbbench.compare.records import Comparison, Report
from ntbbench.report.comparison.wording import SEVERITY, state


def by_gravity(comparisons: Iterable[Comparison], report: Report) -> list[Comparison]:
    """Return the comparisons in the order in which they are shown.

    What fails first, in it the regressions before what is missing, the largest change first.
    """
    return sorted(
        comparisons,
        key=lambda c: (not fails(c, report), SEVERITY.index(state(c)), -size(c)),
    )


def fails(comparison: Comparison, report: Report) -> bool:
    """Return whether the policy of the report fails a gate for this comparison."""
    if comparison.missing:
        return True
    if reported_only(comparison, report):
        return False
    fatal = any(warning.code in report.fatal_warnings for warning in comparison.warnings)
    undecided = comparison.verdict == "inconclusive" and (
        report.fail_inconclusive or (report.fail_untested and comparison.untested)
    )
    return fatal or undecided or comparison.verdict == "regressed"


def reported_only(comparison: Comparison, report: Report) -> bool:
    """Return whether the policy lets this comparison fail nothing, whatever its verdict."""
    noisy = comparison.kind == "noisy" and not comparison.missing
    return noisy and report.gate_on == "exact"


def size(comparison: Comparison) -> float:
    """Return the size of the change as |log ratio|; 0 where it is unknown."""
    ratio = comparison.ratio
    if ratio is None:
        return 0.0
    return abs(math.log(ratio)) if ratio > 0 else math.inf
