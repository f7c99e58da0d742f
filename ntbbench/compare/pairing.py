# SPDX-License-Identifier: BSD-3-Clause
"""Which series of the base meets which of a candidate, and whether the two may be compared."""

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ntbbench.compare.policy import Policy
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError

TABLE = "csv"  # the source whose rows are runs
POINT = "status"  # the metric that stands for a whole point
# The metrics that tell why others of their point have no value on one side.
TELLING = (POINT, "link", "verdict")
PAIRABLE = "as many samples on both sides, taken in turn"


class Match(Struct, frozen=True, kw_only=True, gc=False):
    """One metric of the base and of one candidate; None where a side does not have it."""

    metric: str
    base_label: str
    candidate_label: str
    base: Series | None
    candidate: Series | None
    dropped: int = 0  # rows that made no pair

    def known(self) -> Series:
        """Return the side that exists, the base's first."""
        known = self.base if self.base is not None else self.candidate
        assert known is not None
        return known


def matches(
    base: Variant, candidates: Sequence[Variant], policy: Policy, *, paired: bool
) -> Iterator[Match]:
    """Yield every metric of the base with each candidate, then what only a candidate has.

    InputError: series of different units or kinds, and for pairs that are none.
    """
    for candidate in candidates:
        if paired:
            _check_runs(base, candidate)
        names = [*base.series, *(name for name in candidate.series if name not in base.series)]
        told = _told_by_others(base, candidate, policy)
        for name in names:
            if name in told or (policy.rule and policy.ignores(name)):
                continue
            one, other = base.series.get(name), candidate.series.get(name)
            match = Match(
                metric=name,
                base_label=base.label,
                candidate_label=candidate.label,
                base=_or_zero(base, name, other) if one is None else one,
                candidate=_or_zero(candidate, name, one) if other is None else other,
            )
            if one is not None and other is not None:
                _check_kinds(match, one, other)
            yield _in_pairs(match, base, candidate) if paired else match


def _or_zero(variant: Variant, name: str, other: Series | None) -> Series | None:
    """Return a metric that a variant does not tell of: 0 where that is meant."""
    if other is None or name.rpartition(":")[0] not in variant.zero:
        return None
    return replace(other, value=0)


def _told_by_others(base: Variant, candidate: Variant, policy: Policy) -> set[str]:
    """Return the metrics of one side alone that another metric of their point tells of.

    A point that one side does not have is one finding, its status, not twenty. What has no value
    is told by the status, the link or the verdict that differs. Neither holds where the policy
    ignores what would tell: to ignore a metric silences that metric alone. What a side cannot know
    is no metric of either.
    """
    alone = {
        point
        for point in _points_of(base) ^ _points_of(candidate)
        if not policy.ignores(f"{point}:{POINT}")
    }
    partial = base.partial | candidate.partial
    found = set(base.unknown.keys() | candidate.unknown.keys())
    for name in base.series.keys() ^ candidate.series.keys() if alone or partial else ():
        point, _, quantity = name.rpartition(":")
        whole = point in alone and quantity != POINT
        if whole or (point in partial and _tells(point, base, candidate, policy)):
            found.add(name)
    return found


def _points_of(variant: Variant) -> set[str]:
    """Return the points of a variant: what stands before the `:` of a `status`, a ranked word."""
    ending = f":{POINT}"
    return {
        name.removesuffix(ending)
        for name, series in variant.series.items()
        if name.endswith(ending) and series.rank is not None
    }


def _tells(point: str, base: Variant, candidate: Variant, policy: Policy) -> bool:
    """Return whether a metric of a point, not ignored, differs and so tells what lacks of it."""
    for quantity in TELLING:
        name = f"{point}:{quantity}"
        one, other = base.series.get(name), candidate.series.get(name)
        differs = one is not None and other is not None and one.value != other.value
        if differs and not policy.ignores(name):
            return True
    return False


def _check_runs(base: Variant, candidate: Variant) -> None:
    """Refuse to pair runs that have no partner."""
    if base.source != candidate.source:
        return  # they are not comparable at all
    sides = (base, candidate)
    counts = [_runs_of(side) for side in sides]
    if counts[0] == counts[1] or not any(side.runs for side in sides):
        return
    told = (
        f"{count} {'run' if count == 1 else 'runs'} in {side.label}"
        for count, side in zip(counts, sides, strict=True)
    )
    raise InputError("--paired", " and ".join(told), "as many runs on both sides, in their order")


def _runs_of(variant: Variant) -> int:
    """Return how many runs a side has: results that were joined, rows of a table, else one."""
    if variant.runs or variant.source != TABLE:
        return variant.runs or 1
    return max((int(rows.max()) for rows in variant.row_numbers.values() if len(rows)), default=0)


def _in_pairs(match: Match, base: Variant, candidate: Variant) -> Match:
    """Return `match` with the samples of both sides in the same rows."""
    one, other = match.base, match.candidate
    if one is None or other is None or one.samples is None or other.samples is None:
        return match
    rows = [variant.row_numbers.get(match.metric) for variant in (base, candidate)]
    if rows[0] is None or rows[1] is None:
        if len(one.samples) != len(other.samples):
            counts = f"{len(one.samples)} and {len(other.samples)} samples of {match.metric!r}"
            raise InputError("--paired", counts, PAIRABLE)
        return match
    shared, first, second = np.intersect1d(rows[0], rows[1], return_indices=True)
    if len(shared) == 0:
        return replace(match, candidate=None, dropped=max(map(len, (rows[0], rows[1]))))
    return replace(
        match,
        base=replace(one, samples=one.samples[first]),
        candidate=replace(other, samples=other.samples[second]),
        dropped=max(len(rows[0]), len(rows[1])) - len(shared),
    )


def _check_kinds(match: Match, one: Series, other: Series) -> None:
    """Raise InputError for two series that are not the same quantity."""
    if one.kind == other.kind and one.unit == other.unit:
        return
    what = "unit" if one.unit != other.unit else "kind"
    raise InputError(
        f"{what} of {match.metric!r}",
        f"{getattr(one, what)} in {match.base_label}, "
        f"{getattr(other, what)} in {match.candidate_label}",
        f"the same {what} on both sides",
    )
