# SPDX-License-Identifier: BSD-3-Clause
"""Exact metrics: counts and words. Any change is a finding; there is nothing to estimate."""

from ntbbench.compare.pairing import Match
from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Comparison, Verdict
from ntbbench.compare.series import Series
from ntbbench.compare.warning_list import warned
from ntbbench.core.fields import Better


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
        if verdict == "improved" and _serves_less(base, candidate):
            verdict, reason = "inconclusive", "changed, for fewer packets"
            cautions = [*cautions, "fewer-packets"]
        elif verdict == "regressed" and _serves_more(base, candidate):
            verdict, reason = "inconclusive", "changed, for more packets"
            cautions = [*cautions, "more-packets"]
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
    ordered = isinstance(left, int | float) and isinstance(right, int | float)
    if not ordered or better == "none" or left == right:
        return "regressed"
    assert isinstance(left, int | float)
    assert isinstance(right, int | float)
    return "improved" if (right < left) == (better == "lower") else "regressed"
