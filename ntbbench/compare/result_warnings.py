# SPDX-License-Identifier: BSD-3-Clause
"""Warnings that hold for whole results, not for one metric: each is said once in a report."""

from collections.abc import Mapping, Sequence

from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Comparison, Warned
from ntbbench.compare.series import Variant
from ntbbench.compare.warning_list import NO_DIRECTION, warned
from ntbbench.core.errors import ExitCode


def warnings_of_results(
    sides: Sequence[Variant], comparisons: Sequence[Comparison]
) -> list[Warned]:
    """Return each warning of whole results once, with what it is about: sides, or metrics."""
    codes = dict.fromkeys(code for side in sides for code in side.cautions)
    found = [
        warned(code, ", ".join(side.label for side in sides if code in side.cautions))
        for code in codes
    ]
    guessed = {
        c.metric: None for c in comparisons if any(w.code == NO_DIRECTION for w in c.warnings)
    }
    if guessed:
        more = f" and {len(guessed) - 1} more" if len(guessed) > 1 else ""
        found.append(warned(NO_DIRECTION, f"{next(iter(guessed))!r}{more}"))
    return found


def causes_of_warnings(
    warnings: Sequence[Warned], policy: Policy, causes: Mapping[int, str]
) -> dict[int, str]:
    """Return the exit codes that warnings of whole results cause, with the cause in words."""
    found: dict[int, str] = {}
    for warning in warnings:
        if warning.code == NO_DIRECTION:
            found[ExitCode.BAD_INPUT] = warning.message
    fatal = [w.code for w in warnings if w.code in policy.fatal_warnings]
    if fatal:
        told = f"a result carries a warning that the policy calls fatal: {', '.join(fatal)}"
        before = causes.get(ExitCode.INCONCLUSIVE)
        found[ExitCode.INCONCLUSIVE] = told if before is None else f"{before}; {told}"
    return found
