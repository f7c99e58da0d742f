# SPDX-License-Identifier: BSD-3-Clause
"""The four-state verdict on one noisy metric.

With the threshold t, the interval [low, high] of the ratio and the family's alpha:

regressed, improved
    the adjusted p-value is below alpha, the interval excludes 1, and the ratio itself lies
    beyond 1 + t (or below 1 / (1 + t)): there is a difference, and the best estimate of it matters.
equivalent
    both sides have enough samples and the whole interval lies within 1 / (1 + t) .. 1 + t.
inconclusive
    everything else.

1 / (1 + t) mirrors 1 + t, so exchanging base and candidate mirrors the verdict.
"""

import math
from dataclasses import dataclass

from ntbbench.analyse.caution_list import FEW, warned
from ntbbench.analyse.comparison import Comparison, Environment, Family, Verdict, Warned
from ntbbench.analyse.detectable import fewest
from ntbbench.analyse.noisy import Estimate
from ntbbench.analyse.pairing import Match
from ntbbench.analyse.policy import Policy
from ntbbench.analyse.series import Better
from ntbbench.analyse.significance import smallest_p

NO_PAIR = "no row has a number on both sides"
ROUNDING = 1e-9  # relative, of a ratio of two decimal numbers


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every comparison of a report."""

    policy: Policy
    family: Family
    environment: Environment
    paired: bool
    level: float  # below which one more p-value of the family would be significant


def decide(
    match: Match,
    guess: Estimate,
    p_adjusted: float,
    terms: Terms,
) -> Comparison:
    """Return the comparison of two noisy series that both exist."""
    policy = terms.policy
    threshold = policy.threshold_for(match.metric)
    better = policy.better_for(match.metric, match.known().better)
    verdict, reason = verdict_of(guess, p_adjusted, threshold, better, policy.alpha)
    known = match.known()
    return Comparison(
        metric=match.metric,
        base=match.base_label,
        candidate=match.candidate_label,
        kind="noisy",
        verdict=verdict,
        reason=reason,
        unit=known.unit,
        better=better,
        threshold=threshold,
        ratio=number(guess.ratio),
        ratio_low=number(guess.low),
        ratio_high=number(guess.high),
        p_value=number(guess.p_value),
        p_adjusted=number(p_adjusted),
        n_base=guess.base.n,
        n_candidate=guess.candidate.n,
        minimal_detectable_effect=number(guess.effect),
        runs_needed=(guess.runs or None) if verdict == "inconclusive" else None,
        base_summary=guess.base,
        candidate_summary=guess.candidate,
        simulated=known.simulated,
        warnings=warnings_of(match, guess, p_adjusted, threshold, terms),
    )


def verdict_of(
    guess: Estimate, p_adjusted: float, threshold: float, better: Better, alpha: float
) -> tuple[Verdict, str]:
    """Return the verdict and the reason for it in words."""
    upper, lower = 1 + threshold, 1 / (1 + threshold)
    enough = min(guess.base.n, guess.candidate.n) >= FEW
    significant = p_adjusted < alpha  # False for NaN
    if math.isnan(guess.low):
        return "inconclusive", "too few samples to test"
    beyond = guess.ratio > upper or guess.ratio < lower
    if significant and beyond and (guess.low > 1 or guess.high < 1):
        worse = (guess.ratio > 1) == (better != "higher")
        return ("regressed" if worse else "improved"), "significant and beyond the threshold"
    if within(guess, threshold):
        if enough:
            return "equivalent", "the interval lies within the threshold"
        return "inconclusive", f"fewer than {FEW} samples a side cannot show that nothing changed"
    if significant:
        either_way = guess.low <= 1 <= guess.high
        why = "includes 0 %" if either_way else "includes the threshold"
        return "inconclusive", f"significant, but the interval {why}"
    return "inconclusive", "not significant, and the interval reaches beyond the threshold"


def within(guess: Estimate, threshold: float) -> bool:
    """Return whether the interval lies inside the threshold; to touch it is not to be inside.

    In whole numbers a change of exactly 2 % is no rarity, and neither is no change at all.
    """
    upper = (1 + threshold) * (1 - ROUNDING)
    inside = guess.low > 1 / upper and guess.high < upper
    return inside or guess.low == guess.high == 1.0


def warnings_of(
    match: Match, guess: Estimate, p_adjusted: float, threshold: float, terms: Terms
) -> tuple[Warned, ...]:
    """Return every warning that travels with one comparison."""
    policy, level, environment = terms.policy, terms.level, terms.environment
    simulated = match.known().simulated
    found = [warned(code, detail, simulated=simulated) for code, detail in guess.cautions]
    paired = terms.paired
    smallest = smallest_p(policy.test, guess.base.n, guess.candidate.n, paired=paired)
    if smallest >= level and not p_adjusted < policy.alpha:
        needed = fewest(policy.test, level, paired=paired)
        detail = (
            f"in a family of {terms.family.size} it takes at least {needed} runs a side"
            if needed
            else f"no number of runs is enough for --test {policy.test}"
        )
        found.append(warned("cannot-reach-alpha", detail, simulated=simulated))
    if p_adjusted < policy.alpha and 1 / (1 + threshold) <= guess.ratio <= 1 + threshold:
        found.append(warned("small-difference"))
    if match.dropped:
        found.append(warned("incomplete-pairs", f"{match.dropped} rows"))
    if counts := defined_counts(match):
        found.append(warned("undefined-samples", counts, simulated=simulated))
    sides = [side.cautions for side in (match.base, match.candidate) if side is not None]
    for code in sorted({code for side in sides for code in side}):
        found.append(warned(code))
    if environment.differences:
        found.append(warned("forced", environment.forced or ""))
    return tuple(found)


def defined_counts(match: Match) -> str:
    """Return how many runs of each side have a sample, where not all have; else nothing."""
    sides = (("base", match.base), ("candidate", match.candidate))
    return ", ".join(
        f"{name} {len(side.samples)} of {side.runs} runs"
        for name, side in sides
        if side is not None and side.samples is not None and side.runs
    )


def judged_missing(match: Match, policy: Policy) -> Comparison:
    """Return the comparison of a metric that one side does not have."""
    known = match.known()
    n = 1 if known.samples is None else len(known.samples)
    here = match.candidate is not None
    absent = f"not in {match.base_label if here else match.candidate_label}"
    return Comparison(
        metric=match.metric,
        base=match.base_label,
        candidate=match.candidate_label,
        kind=known.kind,
        verdict="inconclusive",
        reason=NO_PAIR if match.dropped else f"missing in the {'base' if here else 'candidate'}",
        unit=known.unit,
        better=policy.better_for(match.metric, known.better),
        threshold=policy.threshold_for(match.metric) if known.kind == "noisy" else 0.0,
        ratio=None,
        ratio_low=None,
        ratio_high=None,
        p_value=None,
        p_adjusted=None,
        n_base=0 if here else n,
        n_candidate=n if here else 0,
        minimal_detectable_effect=None,
        base_value=None if here else known.value,
        candidate_value=known.value if here else None,
        missing="base" if here else "candidate",
        warnings=(warned("missing", NO_PAIR if match.dropped else absent),),
    )


def number(value: float) -> float | None:
    """Return a float that JSON can hold: None for NaN and infinities."""
    return float(value) if math.isfinite(value) else None
