# SPDX-License-Identifier: BSD-3-Clause
"""From variants to a report: estimates, the family's correction, verdicts, the exit code."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ntbbench import __version__
from ntbbench.analyse import pairing, significance
from ntbbench.analyse.comparison import Comparison, Family, Report, Totals
from ntbbench.analyse.exact import compare_exact
from ntbbench.analyse.noisy import Estimate, estimates
from ntbbench.analyse.policy import Policy
from ntbbench.analyse.series import Variant
from ntbbench.analyse.verdict import Terms, decide, judged_missing
from ntbbench.errors import ExitCode, IncomparableError

# With several causes the exit code is the first of these; the first two end in an error.
PRECEDENCE = (
    ExitCode.BAD_INPUT,
    ExitCode.INCOMPARABLE,
    ExitCode.MISSING,
    ExitCode.FINDING,
    ExitCode.INCONCLUSIVE,
)


def compare(
    base: Variant,
    candidates: Sequence[Variant],
    policy: Policy,
    *,
    paired: bool = False,
    force: str | None = None,
) -> Report:
    """Compare each candidate with the base, metric by metric.

    Raises
    ------
    IncomparableError
        if the environments differ and `force` does not say why to compare all the same.
    InputError
        for series of different units or kinds, and for pairs that are none.
    """
    environment = pairing.environments(base, candidates, policy.ignore_environment, force)
    if environment.differences and force is None:
        raise IncomparableError(environment.differences)
    found = list(pairing.matches(base, candidates, policy, paired=paired))
    for match in found:
        pairing.check_kinds(match)
    noisy = [i for i, match in enumerate(found) if match.known().kind == "noisy"]
    guesses = estimates([found[i] for i in noisy], policy, paired=paired)
    family = family_of(guesses, policy)
    terms = Terms(policy, family, environment)
    comparisons: dict[int, Comparison] = {}
    adjusted = iter(adjust_all(guesses, policy))
    for i, guess in zip(noisy, guesses, strict=True):
        if guess is not None:
            comparisons[i] = decide(found[i], guess, next(adjusted), terms)
    for i, match in enumerate(found):
        if match.base is None or match.candidate is None:
            comparisons[i] = judged_missing(match, policy)
        elif match.known().kind == "exact":
            comparisons[i] = compare_exact(match, policy)
    ordered = [comparisons[i] for i in range(len(found))]
    return report_of(base, candidates, ordered, terms, paired=paired)


def adjust_all(guesses: Sequence[Estimate | None], policy: Policy) -> list[float]:
    """Return the adjusted p-value of each guess that exists; NaN where none was tested."""
    p = np.array([guess.p_value for guess in guesses if guess is not None], dtype=np.float64)
    tested = ~np.isnan(p)
    p[tested] = significance.adjust(p[tested], policy.correction)
    return [float(value) for value in p]


def family_of(guesses: Sequence[Estimate | None], policy: Policy) -> Family:
    """Return the family: every noisy comparison that could be tested, of every candidate."""
    size = sum(guess is not None and not np.isnan(guess.p_value) for guess in guesses)
    return Family(
        size=size,
        correction=policy.correction,
        alpha=policy.alpha,
        description="every noisy metric of every candidate that has at least two samples a side",
    )


def report_of(
    base: Variant,
    candidates: Sequence[Variant],
    comparisons: list[Comparison],
    terms: Terms,
    *,
    paired: bool,
) -> Report:
    """Return the report, with the exit code that the gate gives."""
    policy = terms.policy
    causes = causes_of(comparisons, policy)
    verdicts = Counter(c.verdict for c in comparisons)
    return Report(
        ntbbench_version=__version__,
        base=base.label,
        candidates=[candidate.label for candidate in candidates],
        test=test_name(policy, paired=paired),
        paired=paired,
        threshold=policy.threshold,
        resamples=policy.resamples,
        exit_code=next((code for code in PRECEDENCE if code in causes), 0),
        causes=[causes[code] for code in PRECEDENCE if code in causes],
        family=terms.family,
        environment=terms.environment,
        totals=Totals(
            regressed=verdicts["regressed"],
            improved=verdicts["improved"],
            equivalent=verdicts["equivalent"],
            inconclusive=verdicts["inconclusive"],
            missing=sum(c.missing is not None for c in comparisons),
            warned=sum(bool(c.warnings) for c in comparisons),
        ),
        comparisons=comparisons,
    )


def causes_of(comparisons: Sequence[Comparison], policy: Policy) -> dict[int, str]:
    """Return every exit code that has a cause, with the cause in words."""
    causes: dict[int, str] = {}
    missing = sum(c.missing is not None for c in comparisons)
    if missing == len(comparisons):
        causes[ExitCode.MISSING] = "nothing was measured on both sides"
    elif missing:
        causes[ExitCode.MISSING] = f"{missing} metrics exist on one side only"
    regressed = sum(c.verdict == "regressed" for c in comparisons)
    if regressed:
        causes[ExitCode.FINDING] = f"{regressed} regressed"
    open_ones = sum(c.verdict == "inconclusive" and c.missing is None for c in comparisons)
    if open_ones and policy.fail_inconclusive:
        causes[ExitCode.INCONCLUSIVE] = f"{open_ones} inconclusive, and the policy says that fails"
    fatal = sum(any(w.code in policy.fatal_warnings for w in c.warnings) for c in comparisons)
    if fatal:
        text = f"{fatal} carry a warning that the policy calls fatal"
        causes[ExitCode.INCONCLUSIVE] = "; ".join(
            filter(None, [causes.get(ExitCode.INCONCLUSIVE), text])
        )
    return causes


def test_name(policy: Policy, *, paired: bool) -> str:
    """Return the name of the test in full."""
    names = {
        "mann-whitney": ("Mann-Whitney U", "Wilcoxon signed-rank of the log ratios"),
        "permutation": ("permutation of the means", "sign flips of the relative changes"),
        "welch": ("Welch's t", "paired t of the relative changes"),
    }
    return names[policy.test][paired]
