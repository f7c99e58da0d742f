# SPDX-License-Identifier: BSD-3-Clause
"""The verdict on a number of which only bounds are known: what two of them have in common decides.

Bounds that overlap may be of one and the same number, so nothing is said to have changed.
"""

import math

from msgspec.structs import replace

from ntbbench.compare.decision import compare_exact
from ntbbench.compare.pairing import Match
from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Comparison, Verdict
from ntbbench.compare.series import Series

Ends = tuple[float, float]
OVERLAP = "the bounds overlap"
APART = "the bounds do not overlap"
OTHER_LOAD = "another load: what each packet cost can be compared"


def compare_counts(match: Match, policy: Policy) -> Comparison:
    """Return the comparison of two exact series that both exist, each a number or its bounds.

    A load that differs is no finding: it is what was asked for.
    """
    base, candidate = match.base, match.candidate
    assert base is not None
    assert candidate is not None
    found = compare_exact(match, policy)
    if base.is_load and base.value != candidate.value:
        return _judged(found, "inconclusive", OTHER_LOAD)
    left, right = ends_of(base), ends_of(candidate)
    if left[0] == left[1] and right[0] == right[1]:
        return found
    apart = left[1] < right[0] or right[1] < left[0]
    verdict: Verdict = found.verdict if apart else "inconclusive"
    reason = found.reason if apart and found.verdict == "inconclusive" else APART
    low, high = ratio_of(left, right)
    known = {
        "ratio_low": low, "ratio_high": high,
        "base_value": shown(left), "candidate_value": shown(right),
    }  # fmt: skip
    return _judged(found, verdict, reason if apart else OVERLAP, ratio=None, **known)


def _judged(found: Comparison, verdict: Verdict, reason: str, **changes: object) -> Comparison:
    return replace(found, verdict=verdict, reason=reason, **changes)


def ends_of(series: Series) -> Ends:
    """Return the bounds of an exact series; no upper one is infinity, and a word is no number."""
    if series.bounds is not None:
        low, high = series.bounds
        return low, math.inf if high is None else high
    value = series.value
    return (value, value) if isinstance(value, int | float) else (0, 0)


def ratio_of(base: Ends, candidate: Ends) -> tuple[float | None, float | None]:
    """Return the least and the largest candidate / base; None: there is no such bound."""
    low = candidate[0] / base[1] if base[1] else None
    high = candidate[1] / base[0] if base[0] else None
    return low, None if high is None or math.isinf(high) else high


def shown(ends: Ends) -> str:
    """Return the bounds as a report has them."""
    low, high = ends
    if low == high:
        return f"{low:.4g}"
    return f">={low:.4g}" if math.isinf(high) else f"{low:.4g}..{high:.4g}"
