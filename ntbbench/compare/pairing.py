# SPDX-License-Identifier: BSD-3-Clause
"""Which series of the base meets which of a candidate, and whether the two may be compared."""

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from ntbbench.compare import machines
from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Environment
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError

TABLE = "csv"  # the source whose rows are runs
LONG = 80  # of two longer texts only the words that differ are shown
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

    Raises
    ------
    InputError
        for series of different units or kinds, and for pairs that are none.
    """
    for candidate in candidates:
        if paired:
            check_runs(base, candidate)
        names = [*base.series, *(name for name in candidate.series if name not in base.series)]
        told = told_by_others(base, candidate, policy)
        for name in names:
            if policy.ignores(name) or name in told:
                continue
            match = Match(
                metric=name,
                base_label=base.label,
                candidate_label=candidate.label,
                base=told_of(base, candidate, name),
                candidate=told_of(candidate, base, name),
            )
            check_kinds(match)
            yield in_pairs(match, base, candidate) if paired else match


def told_of(variant: Variant, other: Variant, name: str) -> Series | None:
    """Return a variant's series of a metric that it or the other one has: 0 where that is meant."""
    found = variant.series.get(name)
    if found is None and name.rpartition(":")[0] in variant.zero:
        return replace(other.series[name], value=0)
    return found


def told_by_others(base: Variant, candidate: Variant, policy: Policy) -> set[str]:
    """Return the metrics of one side alone that another metric of their point tells of.

    A point that one side does not have is one finding, its status, not twenty. What has no value
    is told by the status, the link or the verdict that differs. Neither holds where the policy
    ignores what would tell: to ignore a metric silences that metric alone. What a side cannot know
    is no metric of either.
    """
    alone = {
        point
        for point in points_of(base) ^ points_of(candidate)
        if not policy.ignores(f"{point}:{POINT}")
    }
    absent = base.absent.keys() | candidate.absent.keys()
    found = set(base.unknown.keys() | candidate.unknown.keys())
    for name in base.series.keys() ^ candidate.series.keys() if alone or absent else ():
        point, _, quantity = name.rpartition(":")
        whole = point in alone and quantity != POINT
        if whole or (name in absent and tells(point, base, candidate, policy)):
            found.add(name)
    return found


def points_of(variant: Variant) -> set[str]:
    """Return the points of a variant: what stands before the `:` of a `status`, a ranked word."""
    ending = f":{POINT}"
    return {
        name.removesuffix(ending)
        for name, series in variant.series.items()
        if name.endswith(ending) and series.rank is not None
    }


def tells(point: str, base: Variant, candidate: Variant, policy: Policy) -> bool:
    """Return whether a metric of a point, not ignored, differs and so tells what lacks of it."""
    for quantity in TELLING:
        name = f"{point}:{quantity}"
        one, other = base.series.get(name), candidate.series.get(name)
        differs = one is not None and other is not None and one.value != other.value
        if differs and not policy.ignores(name):
            return True
    return False


def check_runs(base: Variant, candidate: Variant) -> None:
    """Refuse to pair runs that have no partner.

    Raises
    ------
    InputError
        where a side is several results joined, and the other has more or fewer runs.
    """
    if base.source != candidate.source:
        return  # they are not comparable at all
    sides = (base, candidate)
    counts = [runs_of(side) for side in sides]
    if counts[0] == counts[1] or not any(side.runs for side in sides):
        return
    told = (
        f"{count} {'run' if count == 1 else 'runs'} in {side.label}"
        for count, side in zip(counts, sides, strict=True)
    )
    raise InputError("--paired", " and ".join(told), "as many runs on both sides, in their order")


def runs_of(variant: Variant) -> int:
    """Return how many runs a side has: results that were joined, rows of a table, else one."""
    if variant.runs or variant.source != TABLE:
        return variant.runs or 1
    return max((int(rows.max()) for rows in variant.row_numbers.values() if len(rows)), default=0)


def in_pairs(match: Match, base: Variant, candidate: Variant) -> Match:
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


def check_kinds(match: Match) -> None:
    """Refuse two series that are not the same quantity.

    Raises
    ------
    InputError
        if the units or the kinds differ.
    """
    one, other = match.base, match.candidate
    if one is None or other is None:
        return
    for what, left, right in (("unit", one.unit, other.unit), ("kind", one.kind, other.kind)):
        if left != right:
            raise InputError(
                f"{what} of {match.metric!r}",
                f"{left} in {match.base_label}, {right} in {match.candidate_label}",
                f"the same {what} on both sides",
            )


def environments(
    base: Variant, candidates: Sequence[Variant], ignore: Sequence[str], force: str | None
) -> Environment:
    """Return where the environments differ; a key that one side does not know is a note."""
    differences: list[str] = []
    notes: list[str] = []
    for candidate in candidates:
        if base.source != candidate.source:
            differences.append(f"schema: {base.source!r} against {candidate.source!r}")
        for key in sorted({*base.environment, *candidate.environment} - {*ignore}):
            text, known = difference(key, base.environment, candidate.environment)
            if text:
                (differences if known else notes).append(f"{text} ({candidate.label})")
        for key in sorted({*base.context, *candidate.context} - {*ignore}):
            text, _ = difference(key, base.context, candidate.context)
            if text:
                notes.append(f"{text} ({candidate.label})")
        if text := machines.difference(base, candidate, ignore):
            differences.append(f"{text} ({candidate.label})")
        notes += [f"{text} ({candidate.label})" for text in unknown_here(base, candidate)]
        lacking = machines.unknown(base, candidate, ignore)
        notes += [f"{text} ({candidate.label})" for text in lacking]
    return Environment(differences=differences, notes=notes, ignored=sorted(ignore), forced=force)


def unknown_here(base: Variant, candidate: Variant) -> Iterator[str]:
    """Yield what one side measured and the other cannot know: it is not compared."""
    for side, other in ((base, candidate), (candidate, base)):
        for name, why in side.unknown.items():
            if name in other.series:
                yield f"{name} is not compared: {why} in {side.label}"


def draw_notes(
    base: Variant, candidates: Sequence[Variant], *, paired: bool, fewest: int
) -> list[str]:
    """Return where replications that drew the same are not paired, or paired ones drew otherwise.

    Parameters
    ----------
    fewest : pairs with which the test can find anything.
    """
    notes = []
    for candidate in candidates:
        same = base.draws == candidate.draws
        if paired == same or not base.draws or not candidate.draws:
            continue
        text = f"{base.draws} against {candidate.draws}: pairs of replications share no draws"
        if same:
            text = f"{base.draws} on both sides: --paired compares replication by replication"
            have = max(map(len, shared_rows(base, candidate)), default=0)
            text += f", and needs {fewest} of them to find a change" if have < fewest else ""
        notes.append(f"{text} ({candidate.label})")
    return notes


def shared_rows(base: Variant, candidate: Variant) -> Iterator[NDArray[np.int64]]:
    """Yield, for each metric of both, the numbers of the rows that both have."""
    for metric, numbers in candidate.row_numbers.items():
        if metric in base.row_numbers:
            yield np.intersect1d(base.row_numbers[metric], numbers)


def difference(key: str, base: dict[str, str], candidate: dict[str, str]) -> tuple[str, bool]:
    """Return how `key` differs ("" if it does not) and whether both sides know it."""
    left, right = base.get(key), candidate.get(key)
    if left == right:
        return "", True
    if left is not None and right is not None and min(len(left), len(right)) > LONG:
        left, right = only_in(left, right), only_in(right, left)
        return f"{key}: {left!r} against {right!r} (what one side has alone)", True
    shown = [repr(side) if side is not None else "unknown" for side in (left, right)]
    return f"{key}: {shown[0]} against {shown[1]}", left is not None and right is not None


def only_in(text: str, other: str) -> str:
    """Return the words of `text` that are not in `other`, the first ten."""
    words = sorted(set(text.split()) - set(other.split()))
    return " ".join(words[:10]) + (" ..." if len(words) > 10 else "")
