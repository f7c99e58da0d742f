# SPDX-License-Identifier: BSD-3-Clause
"""From variants to a report: estimates, the family's correction, verdicts, the exit code."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from ntbbench import __version__
from ntbbench.compare import machines, pairing
from ntbbench.compare.decision import Terms, compare_exact, decide, judged_missing
from ntbbench.compare.noisy import Estimate, add_detectable, estimates
from ntbbench.compare.pairing import Match
from ntbbench.compare.policy import Policy, idle_rules, ignored_by
from ntbbench.compare.rates import all_series, undirected, without_direction
from ntbbench.compare.records import Comparison, Family, Report, Totals, Warned
from ntbbench.compare.series import Variant
from ntbbench.compare.statistics import detectable, significance
from ntbbench.compare.warning_list import (
    NO_DIRECTION,
    ONE_PROCESS,
    gather_more,
    replications,
    warned,
)
from ntbbench.core.errors import REMEDY, ExitCode, IncomparableError


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
    InputError: series of different units or kinds, and for pairs that are none.
    """
    # Bad input goes before incomparable environments, so all of it is looked at first.
    met = list(pairing.matches(base, candidates, policy, paired=paired))
    environment = machines.environments(base, candidates, policy.ignore_environment, force)
    idle = machines.idle_keys(policy.ignore_environment, (base, *candidates))
    if environment.differences and force is None:
        raise IncomparableError(environment.differences, "; ".join([*idle, REMEDY]))
    idle += idle_rules(policy, _names_of(base, candidates) if policy.rule else [])
    environment = replace(environment, notes=environment.notes + idle)
    comparisons: list[Comparison | None] = []
    noisy: dict[int, Match] = {}
    for match in met:
        if match.base is None or match.candidate is None:
            comparisons.append(judged_missing(match, policy))
        elif match.base.kind == "exact":
            comparisons.append(compare_exact(match, policy))
        else:
            noisy[len(comparisons)] = match
            comparisons.append(None)
    met.clear()
    found = list(noisy.values())
    guesses = estimates(found, policy, paired=paired)
    p = np.array([guess.p_value for guess in guesses], dtype=np.float64)
    # What could not be tested joins the family as soon as it has the runs.
    prospects = np.where(np.isnan(p), 1.0, p)
    level = significance.next_level(prospects, policy.correction, policy.alpha)
    gather = gather_more(base.source)
    family = _family_of(guesses, policy)
    terms = Terms(policy, family, environment, paired, level, len(guesses), gather)
    adjusted = _adjust_all(guesses, policy)
    add_detectable(found, guesses, policy, level)
    for (i, match), guess, p_adjusted in zip(noisy.items(), guesses, adjusted, strict=True):
        comparisons[i] = decide(match, guess, p_adjusted, terms)
    whole = [comparison for comparison in comparisons if comparison is not None]
    whole = without_direction(whole, undirected(all_series((base, *candidates)), policy))
    return report_of(base, candidates, whole, _with_notes(terms, base, candidates, whole))


def _names_of(base: Variant, candidates: Sequence[Variant]) -> list[str]:
    """Return the name of every metric that any side has, once, the base's first."""
    return list(dict.fromkeys(name for side in (base, *candidates) for name in side.series))


def _with_notes(
    terms: Terms, base: Variant, candidates: Sequence[Variant], found: Sequence[Comparison]
) -> Terms:
    """Return the terms, with notes on what more runs of another kind would settle."""
    notes = _one_process_notes(terms, found) + draw_notes(terms, base, candidates, found)
    environment = replace(terms.environment, notes=terms.environment.notes + notes)
    return dataclasses.replace(terms, environment=environment)


def _one_process_notes(terms: Terms, found: Sequence[Comparison]) -> list[str]:
    """Return a note on changes that may be the noise between processes, with what shows more."""
    count = sum(c.reason.startswith(ONE_PROCESS) for c in found)
    if not count:
        return []
    what = "1 metric of one process is" if count == 1 else f"{count} metrics of one process are"
    share = f"{100 * terms.policy.one_process_allowance:g} %"
    return [f"{what} not judged, for a change below {share}; run more: {terms.gather}"]


def draw_notes(
    terms: Terms, base: Variant, candidates: Sequence[Variant], found: Sequence[Comparison]
) -> list[str]:
    """Return notes on pairs of equal draws where those would help or do not."""
    undecided = {
        c.candidate
        for c in found
        if c.kind == "noisy" and c.verdict == "inconclusive" and not c.missing
    }
    told = [c for c in candidates if terms.paired or c.label in undecided]
    fewest = detectable.fewest(terms.policy.test, terms.level, paired=True)
    return machines.draw_notes(base, told, paired=terms.paired, fewest=fewest)


def _adjust_all(guesses: Sequence[Estimate], policy: Policy) -> list[float]:
    """Return the adjusted p-value of each guess; NaN where none was tested."""
    p = np.array([guess.p_value for guess in guesses], dtype=np.float64)
    tested = ~np.isnan(p)
    p[tested] = significance.adjust(p[tested], policy.correction)
    return [float(value) for value in p]


def _family_of(guesses: Sequence[Estimate], policy: Policy) -> Family:
    """Return the family: every noisy comparison that could be tested, of every candidate."""
    size = sum(not np.isnan(guess.p_value) for guess in guesses)
    return Family(
        size=size,
        correction=policy.correction,
        alpha=policy.alpha,
        description="every noisy metric of every candidate that has at least two samples a side",
    )


def report_of(
    base: Variant, candidates: Sequence[Variant], comparisons: list[Comparison], terms: Terms
) -> Report:
    """Return the report, with the exit code that the gate gives."""
    policy = terms.policy
    ignored = ignored_by(policy, _names_of(base, candidates)) if policy.rule else []
    warnings = warnings_of_results((base, *candidates), comparisons)
    causes = causes_of(comparisons, terms, len(ignored))
    causes |= causes_of_warnings(warnings, policy, causes)
    return Report(
        ntbbench_version=__version__,
        base=base.label,
        candidates=[candidate.label for candidate in candidates],
        test=_test_name(policy, paired=terms.paired),
        paired=terms.paired,
        interval="median" if policy.test == "mann-whitney" else "mean",
        threshold=policy.threshold,
        resamples=policy.resamples,
        gate_on=policy.gate_on,
        fail_inconclusive=policy.fail_inconclusive,
        fail_untested=policy.fail_untested,
        fatal_warnings=policy.fatal_warnings,
        exit_code=next((code for code in PRECEDENCE if code in causes), 0),
        causes=[causes[code] for code in PRECEDENCE if code in causes],
        family=terms.family,
        environment=terms.environment,
        totals=_totals_of(comparisons),
        ignored=ignored,
        warnings=warnings,
        comparisons=comparisons,
        places={
            key: place for variant in (*candidates, base) for key, place in variant.places.items()
        },
    )


def _test_name(policy: Policy, *, paired: bool) -> str:
    names = {
        "mann-whitney": ("Mann-Whitney U", "Wilcoxon signed-rank of the log ratios"),
        "permutation": ("permutation of the means", "sign flips of the relative changes"),
        "welch": ("Welch's t", "paired t of the relative changes"),
    }
    return names[policy.test][paired]


def _totals_of(comparisons: Sequence[Comparison]) -> Totals:
    verdicts = Counter(c.verdict for c in comparisons)
    return Totals(
        regressed=verdicts["regressed"],
        improved=verdicts["improved"],
        equivalent=verdicts["equivalent"],
        inconclusive=verdicts["inconclusive"],
        missing=sum(c.missing is not None for c in comparisons),
        warned=sum(bool(c.warnings) for c in comparisons),
    )


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
