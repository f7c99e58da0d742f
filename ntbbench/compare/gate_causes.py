# SPDX-License-Identifier: BSD-3-Clause
"""Why a gate fails: the exit codes that comparisons and warnings cause, each in words."""

from collections.abc import Mapping, Sequence

from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Comparison, Warned
from ntbbench.compare.series import Variant
from ntbbench.compare.verdicts.decision import Terms
from ntbbench.compare.warning_list import NO_DIRECTION, replications, warned
from ntbbench.core.errors import ExitCode

# With several causes the exit code is the first of these; the first two end in an error.
PRECEDENCE = (
    ExitCode.BAD_INPUT,
    ExitCode.INCOMPARABLE,
    ExitCode.MISSING,
    ExitCode.FINDING,
    ExitCode.INCONCLUSIVE,
)


def causes_of(comparisons: Sequence[Comparison], terms: Terms, ignored: int) -> dict[int, str]:
    """Return every exit code that has a cause, with the cause in words."""
    policy = terms.policy
    causes: dict[int, str] = {}
    missing = regressed = 0
    undecided: list[Comparison] = []
    fatal: list[set[str]] = []
    for c in comparisons:
        missing += c.missing is not None
        if policy.gate_on == "exact" and c.kind == "noisy":
            continue
        regressed += c.verdict == "regressed"
        if c.verdict == "inconclusive" and c.missing is None:
            undecided.append(c)
        if policy.fatal_warnings:
            codes = {w.code for w in c.warnings if w.code in policy.fatal_warnings}
            fatal += [codes] if codes else []
    if missing == len(comparisons):
        but = f" but what the policy ignores ({ignored})" if ignored and not missing else ""
        causes[ExitCode.MISSING] = f"nothing was measured on both sides{but}"
    elif missing:
        metrics = "metric exists" if missing == 1 else "metrics exist"
        causes[ExitCode.MISSING] = f"{missing} {metrics} on one side only"
    if regressed:
        causes[ExitCode.FINDING] = f"{regressed} regressed"
    failing = _undecided_causes(undecided, terms)
    if fatal:
        carry = "carries" if len(fatal) == 1 else "carry"
        named = ", ".join(sorted(set().union(*fatal)))
        failing.append(f"{len(fatal)} {carry} a warning that the policy calls fatal: {named}")
    if failing:
        causes[ExitCode.INCONCLUSIVE] = "; ".join(failing)
    return causes


def _undecided_causes(undecided: Sequence[Comparison], terms: Terms) -> list[str]:
    """Return why inconclusive comparisons fail the gate, in words."""
    policy, failing = terms.policy, []
    untested = [c for c in undecided if c.untested]
    if untested and policy.fail_untested:
        fewest = min(min(c.n_base, c.n_candidate) for c in untested)
        enough = terms.remedy(fewest, "take at least {} runs a side")
        cause = f"{len(untested)} not tested, for so few runs show nothing: {enough}"
        failing.append(replications(cause) if all(c.simulated for c in untested) else cause)
    if undecided and policy.fail_inconclusive:
        failing.append(f"{len(undecided)} inconclusive, and the policy says that fails")
    return failing


def warnings_of_results(
    sides: Sequence[Variant], comparisons: Sequence[Comparison]
) -> list[Warned]:
    """Return each warning of whole results once, with what it is about: sides, or metrics."""
    codes = dict.fromkeys(code for side in sides for code in side.cautions)
    found = [
        warned(code, ", ".join(side.label for side in sides if code in side.cautions))
        for code in codes
    ]
    guessed = dict.fromkeys(
        c.metric for c in comparisons for w in c.warnings if w.code == NO_DIRECTION
    )
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
