# SPDX-License-Identifier: BSD-3-Clause
"""From variants to a report: estimates, the family's correction, verdicts, the exit code."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from msgspec.structs import replace

from ntbbench import __version__
from ntbbench.compare import pairing
from ntbbench.compare.bounded import compare_counts
from ntbbench.compare.decision import Terms, decide, judged_missing
from ntbbench.compare.noisy import add_detectable, apart_in_time, count, estimates
from ntbbench.compare.pairing import Match
from ntbbench.compare.policy import (
    BY_MEDIAN,
    MEDIAN,
    Policy,
    check_quantile,
    idle_rules,
    ignored_by,
    quantile_name,
)
from ntbbench.compare.rates import all_series, undirected
from ntbbench.compare.records import Comparison, Family, Report, Totals, Warned
from ntbbench.compare.series import Variant
from ntbbench.compare.statistics import detectable, significance
from ntbbench.compare.warning_list import (
    NO_DIRECTION,
    NOT_READ,
    ONE_PROCESS,
    gather_more,
    replications,
    warned,
)
from ntbbench.core.errors import REMEDY, ExitCode, IncomparableError, InputError

# With several causes the exit code is the first of these; the first two end in an error.
PRECEDENCE = (
    *(ExitCode.BAD_INPUT, ExitCode.INCOMPARABLE, ExitCode.MISSING),
    *(ExitCode.FINDING, ExitCode.INCONCLUSIVE),
)
FAMILY = "every noisy metric of every candidate that has at least two samples a side"
# By --test, of runs and of pairs of them.
TEST_NAMES = {
    "mann-whitney": ("Mann-Whitney U", "Wilcoxon signed-rank of the log ratios"),
    "permutation": ("permutation of the means", "sign flips of the relative changes"),
    "welch": ("Welch's t", "paired t of the relative changes"),
    "sequential": ("", "sequential signed ranks of the log ratios, at any time"),
}
LOOKING = (
    "more runs, looked at again and again, raise false alarms; this does not: "
    "ntbbench ab --base CMD --candidate CMD --until decided"
)
ONE_SESSION = (
    "each side is one session, hours apart: what differs between sessions looks like a change; "
    "measure both in turn: ntbbench ab"
)
QUANTILE_TEST = "Mood's test at the joint quantile"


def compare(
    base: Variant,
    candidates: Sequence[Variant],
    policy: Policy,
    *,
    paired: bool = False,
    force: str | None = None,
) -> Report:
    """Compare each candidate with the base, metric by metric.

    IncomparableError: the environments differ and `force` does not say why to compare them.
    InputError: series of different units or kinds, and pairs that are none.
    """
    if policy.test == "sequential" and not paired:
        raise InputError("--test", policy.test, "with --paired: it is a test of pairs")
    sides = (base, *candidates)
    # Bad input goes before incomparable environments, so all of it is looked at first.
    met = list(pairing.matches(base, candidates, policy, paired=paired))
    environment = pairing.environments(base, candidates, policy.ignore_environment, force)
    idle = pairing.idle_keys(policy.ignore_environment, pairing.keys_of(sides))
    if environment.differences and force is None:
        raise IncomparableError(environment.differences, "; ".join([*idle, REMEDY]))
    idle += idle_rules(policy, _names_of(sides) if policy.rule else [])
    environment = replace(environment, notes=environment.notes + idle)
    comparisons: list[Comparison | None] = []
    noisy: dict[int, Match] = {}
    for match in met:
        if match.base is None or match.candidate is None:
            comparisons.append(judged_missing(match, policy))
        elif match.base.kind == "exact":
            comparisons.append(compare_counts(match, policy))
        else:
            noisy[len(comparisons)] = match
            comparisons.append(None)
    met.clear()
    found = list(noisy.values())
    # A sample of joined runs is the quantile of a run already.
    looked = replace(policy, quantile=MEDIAN) if all(side.runs for side in sides) else policy
    _check_quantile(looked, found, paired=paired)
    guesses = estimates(found, looked, paired=paired)
    p = np.array([guess.p_value for guess in guesses], dtype=np.float64)
    tested = ~np.isnan(p)
    # What could not be tested joins the family as soon as it has the runs.
    prospects = np.where(tested, p, 1.0)
    level = significance.next_level(prospects, policy.correction, policy.alpha)
    family = Family(
        size=int(tested.sum()),
        correction=policy.correction,
        alpha=policy.alpha,
        description=FAMILY,
    )
    gather = gather_more(base.source)
    terms = Terms(looked, family, environment, paired, level, len(guesses), gather)
    p[tested] = significance.adjust(p[tested], policy.correction)
    add_detectable(found, guesses, looked, level)
    for (i, match), guess, p_adjusted in zip(noisy.items(), guesses, p.tolist(), strict=True):
        comparisons[i] = decide(match, guess, p_adjusted, terms)
    whole = [comparison for comparison in comparisons if comparison is not None]
    guessed = undirected(all_series(sides), policy)
    whole = _without_direction(whole, set(guessed))
    return replace(_report_of(sides, whole, terms), quantile=policy.quantile)


def _check_quantile(policy: Policy, found: Sequence[Match], *, paired: bool) -> None:
    """Refuse a quantile that the test or the samples do not allow. InputError: says which."""
    if policy.quantile == MEDIAN:
        return
    name = quantile_name(policy.quantile)
    if paired:
        raise InputError("--quantile", name, "no --paired, but of runs in several files")
    if policy.test != "mann-whitney":
        raise InputError("--quantile", name, f"no --test {policy.test}: quantiles have their own")
    for match in found:
        fewest = min(count(match.base), count(match.candidate))
        check_quantile(policy.quantile, fewest, repr(match.metric))


def _names_of(sides: Sequence[Variant]) -> list[str]:
    """Return the name of every metric that any side has, once, the base's first."""
    return list(dict.fromkeys(name for side in sides for name in side.series))


def _without_direction(found: list[Comparison], names: set[str]) -> list[Comparison]:
    """Return the comparisons, those of `names` with the warning that their verdict is a guess."""
    if not names:
        return found
    warning = warned(NO_DIRECTION)
    return [replace(c, warnings=(*c.warnings, warning)) if c.metric in names else c for c in found]


def _notes_of(
    terms: Terms, base: Variant, candidates: Sequence[Variant], found: Sequence[Comparison]
) -> list[str]:
    """Return notes on what more runs of another kind, or pairs of equal draws, would settle."""
    notes = []
    if count := sum(c.reason.startswith(ONE_PROCESS) for c in found):
        what = "1 metric of one process is" if count == 1 else f"{count} metrics of one process are"
        share = f"{100 * terms.policy.one_process_allowance:g} %"
        notes.append(f"{what} not judged, for a change below {share}; run more: {terms.gather}")
    undecided = {
        c.candidate
        for c in found
        if c.kind == "noisy" and c.verdict == "inconclusive" and not c.missing
    }
    looks = terms.policy.test == "sequential"  # that one may be looked at again and again
    if not looks and any((c.runs_needed or c.untested) and not c.simulated for c in found):
        notes.append(LOOKING)
    changed = {c.candidate for c in found if c.kind == "noisy" and c.decided_by}
    if any(c.label in changed and apart_in_time(base, c) for c in candidates):
        notes.append(ONE_SESSION)
    told = [c for c in candidates if terms.paired or c.label in undecided]
    fewest = detectable.fewest(terms.policy.test, terms.level, paired=True)
    return notes + pairing.draw_notes(base, told, paired=terms.paired, fewest=fewest)


def _report_of(sides: Sequence[Variant], found: list[Comparison], terms: Terms) -> Report:
    """Return the report, with the exit code that the gate gives."""
    policy, environment, (base, *candidates) = terms.policy, terms.environment, sides
    by_quantile = policy.quantile != MEDIAN
    ignored = ignored_by(policy, _names_of(sides)) if policy.rule else []
    warnings = warnings_of_results(sides, found)
    causes = _causes_of(found, warnings, terms, len(ignored))
    notes = environment.notes + _notes_of(terms, base, candidates, found)
    return Report(
        ntbbench_version=__version__,
        base=base.label,
        candidates=[candidate.label for candidate in candidates],
        test=QUANTILE_TEST if by_quantile else TEST_NAMES[policy.test][terms.paired],
        paired=terms.paired,
        interval=_measure_of(policy),
        threshold=policy.threshold,
        resamples=policy.resamples,
        gate_on=policy.gate_on,
        fail_inconclusive=policy.fail_inconclusive,
        fail_untested=policy.fail_untested,
        fatal_warnings=policy.fatal_warnings,
        exit_code=exit_code_of(causes),
        causes=in_order(causes),
        family=terms.family,
        environment=replace(environment, notes=notes),
        totals=totals_of(found),
        ignored=ignored,
        warnings=warnings,
        comparisons=found,
        places={key: place for side in (*candidates, base) for key, place in side.places.items()},
    )


def exit_code_of(causes: dict[int, str]) -> int:
    """Return the code that goes before the others."""
    return next((code for code in PRECEDENCE if code in causes), 0)


def in_order(causes: dict[int, str]) -> list[str]:
    """Return the causes in the order of their precedence."""
    return [causes[code] for code in PRECEDENCE if code in causes]


def totals_of(found: Sequence[Comparison]) -> Totals:
    """Return how many comparisons ended in each way."""
    verdicts = Counter(c.verdict for c in found)
    return Totals(
        regressed=verdicts["regressed"],
        improved=verdicts["improved"],
        equivalent=verdicts["equivalent"],
        inconclusive=verdicts["inconclusive"],
        missing=sum(c.missing is not None for c in found),
        warned=sum(bool(c.warnings) for c in found),
    )


def with_verdicts(report: Report, found: list[Comparison], policy: Policy) -> Report:
    """Return a report with other verdicts on the same metrics; its totals and exit code follow."""
    noisy = [c for c in found if c.kind == "noisy" and not c.missing]
    p = np.array([1.0 if c.p_value is None else c.p_value for c in noisy], dtype=np.float64)
    level = significance.next_level(p, policy.correction, policy.alpha)
    terms = Terms(policy, report.family, report.environment, report.paired, level)
    causes = _causes_of(found, report.warnings, terms, len(report.ignored))
    return replace(
        report,
        comparisons=found,
        totals=totals_of(found),
        exit_code=exit_code_of(causes),
        causes=in_order(causes),
    )


def warnings_of_results(sides: Sequence[Variant], found: Sequence[Comparison]) -> list[Warned]:
    """Return each warning of whole results once, with what it is about: sides, or metrics."""
    warnings = [
        warned(code, ", ".join(side.label for side in sides if code in side.cautions))
        for code in dict.fromkeys(code for side in sides for code in side.cautions)
    ]
    unread = [(name, side, why) for side in sides for name, why in side.unread.items()]
    if unread:
        name, side, why = unread[0]
        more = f", and {len(unread) - 1} more" if len(unread) > 1 else ""
        warnings.append(warned(NOT_READ, f"{name!r} of {side.label}: {why}{more}"))
    guessed = dict.fromkeys(c.metric for c in found for w in c.warnings if w.code == NO_DIRECTION)
    if guessed:
        more = f" and {len(guessed) - 1} more" if len(guessed) > 1 else ""
        warnings.append(warned(NO_DIRECTION, f"{next(iter(guessed))!r}{more}"))
    return warnings


def _measure_of(policy: Policy) -> Literal["median", "mean", "quantile"]:
    """Return what the ratios are of."""
    if policy.quantile != MEDIAN:
        return "quantile"
    return "median" if policy.test in BY_MEDIAN else "mean"


def _causes_of(
    found: Sequence[Comparison], warnings: Sequence[Warned], terms: Terms, ignored: int
) -> dict[int, str]:
    """Return every exit code that comparisons or whole results cause, with the cause in words."""
    policy = terms.policy
    missing = sum(c.missing is not None for c in found)
    gated = [c for c in found if policy.gate_on != "exact" or c.kind != "noisy"]
    regressed = sum(c.verdict == "regressed" for c in gated)
    causes: dict[int, str] = {}
    for warning in warnings:
        if warning.code == NO_DIRECTION:
            causes[ExitCode.BAD_INPUT] = warning.message
    if missing == len(found):
        but = f" but what the policy ignores ({ignored})" if ignored and not missing else ""
        causes[ExitCode.MISSING] = f"nothing was measured on both sides{but}"
    elif missing:
        metrics = "metric exists" if missing == 1 else "metrics exist"
        causes[ExitCode.MISSING] = f"{missing} {metrics} on one side only"
    if regressed:
        causes[ExitCode.FINDING] = f"{regressed} regressed"
    failing = _undecided_causes(gated, terms)
    if policy.fatal_warnings:
        failing += fatal_causes(gated, warnings, policy)
    if failing:
        causes[ExitCode.INCONCLUSIVE] = "; ".join(failing)
    return causes


def _undecided_causes(gated: Sequence[Comparison], terms: Terms) -> list[str]:
    policy, failing = terms.policy, []
    undecided = [c for c in gated if c.verdict == "inconclusive" and c.missing is None]
    untested = [c for c in undecided if c.untested]
    if untested and policy.fail_untested:
        fewest = min(min(c.n_base, c.n_candidate) for c in untested)
        enough = terms.remedy(fewest, "take at least {} runs a side")
        cause = f"{len(untested)} not tested, for so few runs show nothing: {enough}"
        failing.append(replications(cause) if all(c.simulated for c in untested) else cause)
    if undecided and policy.fail_inconclusive:
        failing.append(f"{len(undecided)} inconclusive, and the policy says that fails")
    return failing


def fatal_causes(
    gated: Sequence[Comparison], warnings: Sequence[Warned], policy: Policy
) -> list[str]:
    """Return in words which warnings the policy calls fatal."""
    calls = {*policy.fatal_warnings}
    found = [codes for c in gated if (codes := calls.intersection(w.code for w in c.warnings))]
    failing = []
    if found:
        carry = "carries" if len(found) == 1 else "carry"
        named = ", ".join(sorted(set().union(*found)))
        failing.append(f"{len(found)} {carry} a warning that the policy calls fatal: {named}")
    if fatal := [w.code for w in warnings if w.code in policy.fatal_warnings]:
        told = ", ".join(fatal)
        failing.append(f"a result carries a warning that the policy calls fatal: {told}")
    return failing
