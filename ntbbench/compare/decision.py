# SPDX-License-Identifier: BSD-3-Clause
"""The four-state verdict on one noisy metric.

With the threshold t, the interval [low, high] of the ratio and the family's alpha:

regressed, improved
    by test: the adjusted p-value is below alpha, the interval excludes 1, and the ratio itself lies
    beyond 1 + t (or below 1 / (1 + t)): there is a difference, and the best estimate of it matters.
    By effect, where the corrected test cannot reach alpha: the whole interval lies beyond, all runs
    of one side lie above all of the other, and t on the logarithms holds in the family. One run
    beside five or more has no interval: it must lie beyond a factor of two instead.
equivalent
    both sides have enough samples, the whole interval lies within 1 / (1 + t) .. 1 + t, and neither
    the other measure of location nor the spread says that something changed.
inconclusive
    everything else; `untested` where no result of these sizes could have been significant.

1 / (1 + t) mirrors 1 + t, so exchanging base and candidate mirrors the verdict.
"""

import math
from dataclasses import dataclass

from ntbbench.compare.noisy import NoisyEstimate
from ntbbench.compare.pairing import Match
from ntbbench.compare.policy import Policy
from ntbbench.compare.records import (
    Comparison,
    DecidedBy,
    EnvironmentDifferences,
    Family,
    Verdict,
    Warned,
)
from ntbbench.compare.series import Series
from ntbbench.compare.statistics.detectable import fewest
from ntbbench.compare.statistics.shapes import SPREADS
from ntbbench.compare.warning_list import FEW, ONE_PROCESS, replications, warned
from ntbbench.core.fields import Better

NO_PAIR = "no row has a number on both sides"
ONE_RUN = 1.0  # change of one run that counts, beside five or more of the other side
ROUNDING = 1e-9  # relative, of a ratio of two decimal numbers


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every comparison of a report."""

    policy: Policy
    family: Family
    environment: EnvironmentDifferences
    paired: bool
    level: float  # below which one more p-value of the family would be significant
    prospects: int = 0  # the size of the family once every metric has runs enough to be tested
    gather: str = ""  # the command that runs more processes

    def remedy(self, runs: int, told: str) -> str:
        """Return what would let `runs` runs a side be tested; `told` has a {} for their number."""
        needed = fewest(self.policy.test, self.level, paired=self.paired)
        if not needed:
            return f"no number of runs is enough for --test {self.policy.test}"
        if runs >= needed:
            return "too many values are equal: measure in a finer unit, or compare fewer metrics"
        return told.format(needed)


@dataclass(frozen=True, slots=True)
class Bar:
    """What one comparison is held to."""

    threshold: float
    better: Better
    alpha: float  # for the adjusted p-value
    level: float  # below which one more p-value of the family would be significant
    family: int  # comparisons that are corrected together
    prospects: int = 0  # that would be, had each enough runs to be tested
    # Change between two single processes that may be noise; 0 where each side has several.
    allowance: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, the reason for it in words, and which rule decided."""

    verdict: Verdict
    reason: str
    by: DecidedBy = ""
    untested: bool = False


def decide(match: Match, guess: NoisyEstimate, p_adjusted: float, terms: Terms) -> Comparison:
    """Return the comparison of two noisy series that both exist."""
    policy = terms.policy
    known = match.known()
    bar = Bar(
        threshold=policy.threshold_for(match.metric),
        better=policy.better_for(match.metric, known.better),
        alpha=policy.alpha,
        level=terms.level,
        family=terms.family.size,
        prospects=max(terms.family.size, terms.prospects),
        allowance=policy.one_process_allowance if match.one_process() else 0.0,
    )
    decision = decision_of(guess, p_adjusted, bar)
    if decision.reason.startswith(ONE_PROCESS):
        guess.runs = 0  # more runs of this process settle nothing
    return Comparison(
        metric=match.metric,
        base=match.base_label,
        candidate=match.candidate_label,
        kind="noisy",
        verdict=decision.verdict,
        reason=replications(decision.reason) if known.simulated else decision.reason,
        decided_by=decision.by,
        untested=decision.untested,
        unit=known.unit,
        better=bar.better,
        threshold=bar.threshold,
        ratio=_number(guess.ratio),
        ratio_low=_number(guess.low),
        ratio_high=_number(guess.high),
        p_value=_number(guess.p_value),
        p_adjusted=_number(p_adjusted),
        n_base=guess.base.n,
        n_candidate=guess.candidate.n,
        minimal_detectable_effect=_number(guess.effect),
        runs_needed=(guess.runs or None) if decision.verdict == "inconclusive" else None,
        base_summary=guess.base,
        candidate_summary=guess.candidate,
        simulated=known.simulated,
        warnings=_warnings_of(match, guess, p_adjusted, bar, terms),
    )


def decision_of(guess: NoisyEstimate, p_adjusted: float, bar: Bar) -> Decision:
    """Return the verdict on one estimate."""
    if math.isnan(guess.low):
        return _of_one_run(guess, bar)
    enough = min(guess.base.n, guess.candidate.n) >= FEW
    untested = _cannot_reach(guess, p_adjusted, bar)
    by, reason = changed(guess, p_adjusted, bar, untested=untested, enough=enough)
    allowed = enough and not _beyond(guess.ratio, bar.allowance)
    if allowed and (by or (untested and not _within(guess, bar.threshold))):
        # More samples of these processes would not help, so it is not for want of them.
        share = f"{100 * bar.allowance:g} %"
        why = f"a change below {share} may be the noise between processes, which is unknown here"
        return Decision("inconclusive", f"{ONE_PROCESS}: {why}")
    if by:
        worse = (guess.ratio > 1) == (bar.better != "higher")
        return Decision("regressed" if worse else "improved", reason, by)
    if _within(guess, bar.threshold):
        return _unchanged(guess, bar, enough=enough, untested=untested)
    depends = f"; allowed for: {guess.depends}" if guess.depends else ""
    if p_adjusted < bar.alpha:
        either_way = guess.low <= 1 <= guess.high
        why = "includes 0 %" if either_way else "includes the threshold"
        return Decision("inconclusive", f"significant, but the interval {why}{depends}")
    why = "so few runs have no significant p-value" if untested else "not significant"
    why = f"{why}, and the interval reaches beyond the threshold{depends}"
    return Decision("inconclusive", why, untested=untested)


def _of_one_run(guess: NoisyEstimate, bar: Bar) -> Decision:
    """Return the verdict where a side has one sample: it must be far off from all of the other's.

    One run may be a stray one, and those are seldom twice as long.
    """
    many = max(guess.base.n, guess.candidate.n) >= FEW
    far = _beyond(guess.ratio, max(bar.threshold, bar.allowance, ONE_RUN))
    held = guess.p_effect * max(1, bar.prospects) < bar.alpha  # False for NaN
    if not (many and far and held and guess.apart):
        return Decision("inconclusive", "too few samples to test", untested=True)
    worse = (guess.ratio > 1) == (bar.better != "higher")
    why = f"by effect: one run, more than a factor of {1 + ONE_RUN:g} from those of the other side"
    return Decision("regressed" if worse else "improved", why, "effect")


def _cannot_reach(guess: NoisyEstimate, p_adjusted: float, bar: Bar) -> bool:
    return not p_adjusted < bar.alpha and not guess.p_least < bar.level


def changed(
    guess: NoisyEstimate, p_adjusted: float, bar: Bar, *, untested: bool, enough: bool
) -> tuple[DecidedBy, str]:
    """Return which rule calls the estimate changed, and its words; "" where none does."""
    apart = guess.low > 1 or guess.high < 1
    if p_adjusted < bar.alpha and apart and _beyond(guess.ratio, bar.threshold):
        return "test", "significant and beyond the threshold"
    whole = _beyond(guess.low, bar.threshold) and _beyond(guess.high, bar.threshold) and apart
    held = guess.p_effect * max(1, bar.family) < bar.alpha  # Bonferroni; False for NaN
    if untested and enough and whole and guess.apart and held:
        return "effect", (
            "by effect: the whole interval lies beyond the threshold, and so few runs have no "
            "significant p-value"
        )
    return "", ""


def _unchanged(guess: NoisyEstimate, bar: Bar, *, enough: bool, untested: bool) -> Decision:
    if not enough:
        why = f"fewer than {FEW} samples a side cannot show that nothing changed"
        return Decision("inconclusive", why, untested=untested)
    if _beyond(guess.second, bar.threshold):
        change = f"{100 * (guess.second - 1):+.1f} %"
        why = f"median and mean disagree: the other one changed by {change}"
        return Decision("inconclusive", why)
    steady, wide = guess.scatter
    if wide > SPREADS * steady and wide > bar.threshold:
        return Decision("inconclusive", "the spread changed: one side varies far more")
    return Decision("equivalent", "the interval lies within the threshold")


def _beyond(ratio: float, threshold: float) -> bool:
    """Return whether a ratio lies beyond the threshold either way; to touch it is not enough."""
    upper = (1 + threshold) * (1 + ROUNDING)
    return ratio > upper or ratio < 1 / upper


def _within(guess: NoisyEstimate, threshold: float) -> bool:
    """Return whether the interval lies inside the threshold; to touch it is not to be inside.

    In whole numbers a change of exactly 2 % is no rarity, and neither is no change at all.
    """
    upper = (1 + threshold) * (1 - ROUNDING)
    inside = guess.low > 1 / upper and guess.high < upper
    return inside or guess.low == guess.high == 1.0


def _warnings_of(
    match: Match, guess: NoisyEstimate, p_adjusted: float, bar: Bar, terms: Terms
) -> tuple[Warned, ...]:
    policy, environment = terms.policy, terms.environment
    simulated = match.known().simulated
    found = [
        warned(code, detail, simulated=simulated)
        for code, detail in guess.cautions
        if not (terms.paired and code == "drifting")  # both runs of a pair share the drift
    ]
    if _cannot_reach(guess, p_adjusted, bar):
        told = f"in a family of {terms.prospects} it takes at least {{}} runs a side"
        detail = terms.remedy(guess.sizes.smaller(), told)
        found.append(warned("cannot-reach-alpha", detail, simulated=simulated))
    if p_adjusted < policy.alpha and not _beyond(guess.ratio, bar.threshold):
        found.append(warned("small-difference"))
    if match.dropped:
        found.append(warned("incomplete-pairs", f"{match.dropped} rows"))
    sides = {"base": match.base, "candidate": match.candidate}
    counts = [
        f"{name} {len(side.samples)} of {side.runs} runs"
        for name, side in sides.items()
        if side is not None and side.samples is not None and side.runs
    ]
    if counts:
        found.append(warned("undefined-samples", ", ".join(counts), simulated=simulated))
    for code in sorted({code for side in sides.values() if side for code in side.cautions}):
        found.append(warned(code, remedy=terms.gather if code == ONE_PROCESS else ""))
    if environment.differences:
        found.append(warned("forced", environment.forced or ""))
    return tuple(found)


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


def _number(value: float) -> float | None:
    """Return a float that JSON can hold: None for NaN and infinities."""
    return float(value) if math.isfinite(value) else None


def compare_exact(match: Match, policy: Policy) -> Comparison:
    """Return the comparison of two exact series that both exist.

    A change for the better is `improved`; a change for the worse, or of a metric for which no
    direction is known, is `regressed`. Equal values of series with a caution are `inconclusive`,
    and so are a smaller count that served fewer packets, and work for more packets that is not more
    for each.
    """
    base, candidate = match.base, match.candidate
    assert base is not None
    assert candidate is not None
    better = policy.better_for(match.metric, base.better)
    alike = not (base.cautions or candidate.cautions)
    cautions = [] if alike else sorted({*base.cautions, *candidate.cautions})
    if base.value == candidate.value:
        # What makes two equal values say little is to be seen, and `equivalent` is only counted.
        verdict: Verdict = "inconclusive" if cautions else "equivalent"
        reason = "the same, with a warning" if cautions else ""
        ratio = None if isinstance(base.value, str) else 1.0
    else:
        verdict, reason = direction(base, candidate, better), "changed"
        odd = "fewer" if verdict == "improved" else "more"
        if (_serves_less if verdict == "improved" else _serves_more)(base, candidate):
            verdict, reason = "inconclusive", f"changed, for {odd} packets"
            cautions = [*cautions, f"{odd}-packets"]
        ratio = _ratio_of(base.value, candidate.value)
    return Comparison(
        metric=match.metric,
        base=match.base_label,
        candidate=match.candidate_label,
        kind="exact",
        verdict=verdict,
        reason=reason,
        unit=base.unit,
        better=better,
        ratio=ratio,
        ratio_low=ratio,
        ratio_high=ratio,
        p_value=None,
        p_adjusted=None,
        n_base=1,
        n_candidate=1,
        minimal_detectable_effect=None,
        base_value=base.value,
        candidate_value=candidate.value,
        warnings=tuple(map(warned, cautions)) if cautions else (),
    )


def _ratio_of(base: int | float | str | None, candidate: int | float | str | None) -> float | None:
    """Return candidate / base of two numbers; None for words and for a base of zero."""
    if isinstance(base, str) or isinstance(candidate, str) or base is None or candidate is None:
        return None
    return candidate / base if base else None


def _serves_less(base: Series, candidate: Series) -> bool:
    if base.served is None or candidate.served is None:
        return False
    return candidate.served < base.served


def _serves_more(base: Series, candidate: Series) -> bool:
    """Return whether the candidate's count was for more packets, and is not more for each."""
    if not base.per_packet or not _serves_less(candidate, base):
        return False
    left, right = base.value, candidate.value
    assert isinstance(left, int | float)
    assert isinstance(right, int | float)
    assert base.served is not None
    assert candidate.served is not None
    return not base.served or right * base.served <= left * candidate.served


def direction(base: Series, candidate: Series, better: Better) -> Verdict:
    """Return whether a change is for the better or for the worse."""
    left: object = base.value if base.rank is None else base.rank
    right: object = candidate.value if candidate.rank is None else candidate.rank
    numbers = (int, float)
    if isinstance(left, numbers) and isinstance(right, numbers) and better != "none":
        gained = right < left if better == "lower" else right > left
        return "improved" if gained else "regressed"
    return "regressed"
