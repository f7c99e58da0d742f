# SPDX-License-Identifier: BSD-3-Clause
"""Whether two results may be compared, and which series of the base meets which of a candidate.

Results compare that come from one machine and one set-up. A key that neither side has equals
nothing. Many Arm machines do not name their CPU; their results are comparable where all else that
is known of both machines agrees.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ntbbench.compare.policy import Policy
from ntbbench.compare.records import EnvironmentDifferences
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError

LONG = 80  # of two longer texts only the words that differ are shown
# What stands in the place of a name: a number, the code of a core's design, an architecture.
NAMELESS = re.compile(
    r"\s*(\d+|0x[0-9a-f]+|unknown|not readable\b.*|arm|aarch64|armv\d.* processor\b.*)?\s*",
    re.IGNORECASE | re.DOTALL,
)
TABLE = "csv"  # the source whose rows are runs
POINT = "status"  # the metric that stands for a whole point
# The metrics that tell why others of their point have no value on one side.
TELLING = (POINT, "link", "verdict")
PAIRABLE = "as many samples on both sides, taken in turn"


def _names_cpu(variant: Variant) -> bool:
    name = variant.environment.get(variant.cpu)
    return name is not None and NAMELESS.fullmatch(name) is None


def known_machine(variant: Variant) -> dict[str, str]:
    """Return what tells the machine of a result from others: its CPU's name, else all the rest."""
    return variant.environment | ({} if _names_cpu(variant) else variant.machine)


def _is_open(base: Variant, candidate: Variant, ignore: Collection[str]) -> bool:
    if base.source != candidate.source or not base.cpu or base.cpu in ignore:
        return False
    return not (_names_cpu(base) and _names_cpu(candidate))


def machine_difference(base: Variant, candidate: Variant, ignore: Collection[str]) -> str:
    """Return where two machines differ that the names of their CPUs do not tell apart, or ""."""
    if not _is_open(base, candidate, ignore):
        return ""
    if _names_cpu(base) != _names_cpu(candidate):
        names = [repr(side.environment.get(side.cpu, "unknown")) for side in (base, candidate)]
        return f"{base.cpu}: {' against '.join(names)}: only one side names its CPU"
    told = [
        f"{key} {value!r} against {candidate.machine[key]!r}"
        for key, value in base.machine.items()
        if key not in ignore and candidate.machine.get(key, value) != value
    ]
    if not told:
        return ""
    return f"the CPU is not known (no {base.cpu}), and the machines differ: {', '.join(told)}"


def environments(
    base: Variant, candidates: Sequence[Variant], ignore: Sequence[str], force: str | None
) -> EnvironmentDifferences:
    """Return where the environments differ; a key that one side does not know is a note."""
    differences: list[str] = []
    notes = [
        f"{text} ({side.label})" for side in (base, *candidates) for text in reading_notes(side)
    ]
    for candidate in candidates:
        differ, told = _told_of(base, candidate, ignore)
        differences += differ
        notes += [f"{text} ({candidate.label})" for text in told]
    return EnvironmentDifferences(
        differences=differences, notes=notes, ignored=sorted(ignore), forced=force
    )


def reading_notes(side: Variant) -> list[str]:
    """Return how a side was read, and what of it was not."""
    return [*side.notes, *(f"{name} is not read: {why}" for name, why in side.unread.items())]


def _told_of(
    base: Variant, candidate: Variant, ignore: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return where the environments of two sides differ, and notes on what refuses nothing."""
    differ, notes, label = [], [], f" ({candidate.label})"
    if base.source != candidate.source:
        differ.append(f"schema: {base.source!r} against {candidate.source!r}")
    for text, known in differing(base.environment, candidate.environment, ignore):
        if known:
            differ.append(text + label)
        else:
            notes.append(text)
    notes += [text for text, _ in differing(base.context, candidate.context, ignore)]
    if text := machine_difference(base, candidate, ignore):
        differ.append(text + label)
    for side, other in ((base, candidate), (candidate, base)):
        for name, why in side.unknown.items():
            if name in other.series:
                notes.append(f"{name} is not compared: {why} in {side.label}")
    if _is_open(base, candidate, ignore):  # what neither side knows was not compared
        shared = [key for key in base.machine if key in candidate.machine and key not in ignore]
        agree = f"; the machines agree in {', '.join(shared)}" if shared else ", nor the machine"
        notes.append(f"the CPU is not known (no {base.cpu}){agree}")
    known_keys = base.environment.keys() | candidate.environment.keys() | {base.cpu, *ignore}
    if lacking := [key for key in base.expects if key not in known_keys]:
        notes.append(f"neither side knows, so not compared: {', '.join(lacking)}")
    return differ, notes


def differing(
    base: Mapping[str, str], candidate: Mapping[str, str], ignore: Collection[str]
) -> Iterator[tuple[str, bool]]:
    """Yield how each key differs that does, and whether both sides know it."""
    for key in sorted({*base, *candidate} - {*ignore}):
        left, right = base.get(key), candidate.get(key)
        if left == right:
            continue
        if left is not None and right is not None and min(len(left), len(right)) > LONG:
            left, right = _only_in(left, right), _only_in(right, left)
            yield f"{key}: {left!r} against {right!r} (what one side has alone)", True
            continue
        shown = [repr(side) if side is not None else "unknown" for side in (left, right)]
        yield f"{key}: {shown[0]} against {shown[1]}", left is not None and right is not None


def _only_in(text: str, other: str) -> str:
    """Return the words of `text` that are not in `other`, the first ten."""
    words = sorted(set(text.split()) - set(other.split()))
    return " ".join(words[:10]) + (" ..." if len(words) > 10 else "")


def keys_of(sides: Sequence[Variant]) -> set[str]:
    """Return every key that tells of a machine or an environment."""
    return {key for s in sides for key in (*s.environment, *s.context, *s.machine)}


def idle_keys(keys: Sequence[str], known: Collection[str]) -> list[str]:
    """Return a note on each key of ignore_environment that no environment has."""
    notes = []
    for key in sorted(set(keys) - set(known)):
        near = get_close_matches(key, sorted(known), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        notes.append(f"--ignore-environment: no environment has the key {key!r}{hint}")
    return notes


def draw_notes(
    base: Variant, candidates: Sequence[Variant], *, paired: bool, fewest: int
) -> list[str]:
    """Return where replications that drew the same are not paired, or paired ones drew otherwise.

    With `fewest` pairs the test can find something.
    """
    notes = []
    for candidate in candidates:
        same = base.draws == candidate.draws
        if paired == same or not base.draws or not candidate.draws:
            continue
        text = f"{base.draws} against {candidate.draws}: pairs of replications share no draws"
        if same:
            text = f"{base.draws} on both sides: --paired compares replication by replication"
            shared = base.row_numbers.keys() & candidate.row_numbers.keys()
            rows = ((base.row_numbers[name], candidate.row_numbers[name]) for name in shared)
            have = max((len(np.intersect1d(one, other)) for one, other in rows), default=0)
            text += f", and needs {fewest} of them to find a change" if have < fewest else ""
        notes.append(f"{text} ({candidate.label})")
    return notes


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

    def one_process(self) -> bool:
        """Return whether all samples of a side come from one process."""
        sides = (self.base, self.candidate)
        return any(ONE_PROCESS in side.cautions for side in sides if side is not None)


def matches(
    base: Variant, candidates: Sequence[Variant], policy: Policy, *, paired: bool
) -> Iterator[Match]:
    """Yield every metric of the base with each candidate, then what only a candidate has.

    InputError: series of different units or kinds, and pairs that are none.
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
                base=_instead(base, name, other) if one is None else one,
                candidate=_instead(candidate, name, one) if other is None else other,
            )
            if one is not None and other is not None:
                _check_kinds(match, one, other)
            yield _in_pairs(match, base, candidate) if paired else match


def _instead(variant: Variant, name: str, other: Series | None) -> Series | None:
    """Return a metric of which a variant tells no number: its bounds, or 0 where that is meant."""
    if name in variant.bounded:
        return variant.bounded[name]
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
    for name in (f"{point}:{quantity}" for quantity in TELLING):
        one, other = base.series.get(name), candidate.series.get(name)
        differs = one is not None and other is not None and one.value != other.value
        if differs and not policy.ignores(name):
            return True
    return False


def _check_runs(base: Variant, candidate: Variant) -> None:
    """Refuse to pair runs that have no partner; other formats are not comparable at all."""
    sides = (base, candidate)
    counts = [_runs_of(side) for side in sides]
    alike = counts[0] == counts[1] or base.source != candidate.source
    if not alike and any(side.runs for side in sides):
        told = (
            f"{count} {'run' if count == 1 else 'runs'} in {side.label}"
            for count, side in zip(counts, sides, strict=True)
        )
        allowed = "as many runs on both sides, in their order"
        raise InputError("--paired", " and ".join(told), allowed)


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
    most = max(len(rows[0]), len(rows[1]))
    if len(shared) == 0:
        return replace(match, candidate=None, dropped=most)
    return replace(
        match,
        base=replace(one, samples=one.samples[first]),
        candidate=replace(other, samples=other.samples[second]),
        dropped=most - len(shared),
    )


def _check_kinds(match: Match, one: Series, other: Series) -> None:
    if one.kind == other.kind and one.unit == other.unit:
        return
    what = "unit" if one.unit != other.unit else "kind"
    given = (
        f"{getattr(one, what)} in {match.base_label}, "
        f"{getattr(other, what)} in {match.candidate_label}"
    )
    raise InputError(f"{what} of {match.metric!r}", given, f"the same {what} on both sides")
