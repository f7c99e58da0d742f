# SPDX-License-Identifier: BSD-3-Clause
"""A new result against the last commits of the history, as a report of `gate`.

Of a noisy metric the new median is held against the medians of the commits since the last step:
what was before a step, found or accepted, says nothing of the level that holds now. An exact metric
is held against the last commit.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict, replace
from numpy.typing import NDArray

from ntbbench import __version__
from ntbbench.compare import history_store
from ntbbench.compare.compare import (
    exit_code_of,
    fatal_causes,
    in_order,
    totals_of,
    warnings_of_results,
)
from ntbbench.compare.decision import compare_exact, judged_missing
from ntbbench.compare.history import examined_in, places_of, series_of
from ntbbench.compare.history_store import Track
from ntbbench.compare.pairing import Match, differing, idle_keys, keys_of, matches
from ntbbench.compare.policy import Policy, ignored_by
from ntbbench.compare.records import (
    Comparison,
    EnvironmentDifferences,
    Family,
    Report,
    Summary,
    Verdict,
    Warned,
)
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.statistics import significance
from ntbbench.compare.statistics.prediction import (
    Predicted,
    detectable,
    fewest_before,
    predicted,
)
from ntbbench.core.errors import REMEDY, ExitCode, IncomparableError

Array = NDArray[np.float64]
FAMILY = "every noisy metric with at least two commits since its last step"
TEST = "Student's t of one new median against those of the commits since the last step"


class _NewMedian(Struct, frozen=True, kw_only=True):
    """A noisy metric: its medians since the last step, and the new one."""

    match: Match
    before: Array
    new: float
    found: Predicted


def against_history(
    path: Path, commits: int, new: Variant, policy: Policy, *, force: str | None = None
) -> Report:
    """Compare a result with the last `commits` commits of a store.

    IncomparableError: none of them is of the result's machine, and `force` does not say why to
    compare them all the same.
    InputError: a metric of another kind or unit than in the store.
    """
    tracks = history_store.tracks(path, "*")
    window = sorted({place for track in tracks for place in track.results})[-commits:]
    kept, environment = _alike(tracks, window, new, policy, force)
    base = _base_of(kept, window, new, _starts(path, kept, policy))
    held: list[_NewMedian] = []
    others: list[Comparison] = []
    for match in matches(base, [new], policy, paired=False):
        one, other = match.base, match.candidate
        if one is None or other is None:
            others.append(judged_missing(match, policy))
        elif one.samples is None or other.samples is None:
            others.append(compare_exact(match, policy))
        else:
            median = float(np.median(other.samples))
            found = predicted(one.samples, median)
            held.append(_NewMedian(match=match, before=one.samples, new=median, found=found))
    judged, family = _judged(held, policy)
    return _report_of((base, new), [*judged, *others], family, policy, environment)


def _alike(
    tracks: Sequence[Track], window: Sequence[int], new: Variant, policy: Policy, force: str | None
) -> tuple[list[Track], EnvironmentDifferences]:
    """Return the tracks without the commits of other machines, and what that left out."""
    ignored = policy.ignore_environment
    machines = {
        place: history_store.machine_in(environment)
        for track in tracks
        for place, environment in zip(track.results, track.environments, strict=True)
    }
    other = _of_other_machines(machines, new, ignored)
    away = [place for place in window if place in other]
    told = f"{len(away)} of the last {len(window)} commits are from another environment"
    differences = []
    if away and (len(away) == len(window) or force is not None):
        differences = [f"{told} ({other[away[-1]]})"]
    idle = idle_keys(ignored, {key for side in machines.values() for key in side} | keys_of([new]))
    if differences and force is None:
        raise IncomparableError(differences, "; ".join([*idle, REMEDY]))
    kept = tracks if force is not None else [_without(track, other) for track in tracks]
    left_out = [f"{told}, and are left out"] if away and not differences else []
    environment = EnvironmentDifferences(
        differences=differences, notes=left_out + idle, ignored=sorted(ignored), forced=force
    )
    return [track for track in kept if track.results], environment


def _of_other_machines(
    machines: Mapping[int, Mapping[str, str]], new: Variant, ignored: Sequence[str]
) -> dict[int, str]:
    """Return the commits of machines that are not that of `new`, each with what differs first."""
    here = history_store.machine_in(history_store.environment_of(new))
    # What stands for a CPU without a name is ignored with the CPU.
    keys = {*ignored, *(new.machine if new.cpu in ignored else ())}
    found = {place: differing(there, here, keys) for place, there in machines.items()}
    first = {place: next(told, None) for place, told in found.items()}
    return {place: told[0] for place, told in first.items() if told is not None}


def _without(track: Track, places: Collection[int]) -> Track:
    """Return a track without the commits at `places`."""
    keep = [at for at, place in enumerate(track.results) if place not in places]
    lists = {name: value for name, value in asdict(track).items() if isinstance(value, list)}
    return replace(track, **{name: [value[at] for at in keep] for name, value in lists.items()})


def _starts(path: Path, tracks: Sequence[Track], policy: Policy) -> dict[str, int]:
    """Return for each noisy metric the place in the store at which its level began."""
    accepted = history_store.accepted(path)
    noisy = {track.metric: track for track in tracks if track.kind == "noisy"}
    starts = {name: [0, *places_of(track, accepted)] for name, track in noisy.items()}
    for examined in examined_in(list(noisy.values()), policy, accepted):
        starts[examined.metric] += [c.index for c in examined.changes if c.kind == "step"]
    return {name: noisy[name].results[max(places)] for name, places in starts.items()}


def _base_of(
    tracks: Sequence[Track], window: Sequence[int], new: Variant, starts: Mapping[str, int]
) -> Variant:
    """Return the window as a side of a comparison: what its last commit has is to be there."""
    last = max((track.results[-1] for track in tracks), default=0)
    series: dict[str, Series] = {}
    for track in tracks:
        if track.results[-1] < last:
            continue
        known = series_of(track)
        if track.kind == "noisy":
            first = max(window[0], starts[track.metric])
            values = [v for p, v in zip(track.results, track.values, strict=True) if p >= first]
            known = replace(known, samples=np.array(values, dtype=np.float64))
        else:
            known = replace(known, value=track.values[-1], rank=track.ranks[-1])
        series[track.metric] = known
    label = f"the last {len(window)} commits" if len(window) != 1 else "the last commit"
    return Variant(label, new.source, series, zero=new.zero)


def _judged(held: Sequence[_NewMedian], policy: Policy) -> tuple[list[Comparison], Family]:
    """Return the comparisons of noisy metrics, corrected together."""
    p = np.array([item.found.p for item in held], dtype=np.float64)
    tested = ~np.isnan(p)
    # What could not be tested joins the family as soon as it has the commits.
    level = significance.next_level(np.where(tested, p, 1.0), policy.correction, policy.alpha)
    p[tested] = significance.adjust(p[tested], policy.correction)
    family = Family(
        size=int(tested.sum()),
        correction=policy.correction,
        alpha=policy.alpha,
        description=FAMILY,
    )
    judged = zip(held, p.tolist(), strict=True)
    return [_comparison(item, adjusted, policy, level) for item, adjusted in judged], family


def _comparison(item: _NewMedian, p_adjusted: float, policy: Policy, level: float) -> Comparison:
    """Return the comparison of one new median, in a family whose next p-value needs `level`."""
    match, found, n = item.match, item.found, len(item.before)
    known = match.known()
    threshold = policy.threshold_for(match.metric)
    better = policy.better_for(match.metric, known.better)
    verdict, reason = _verdict(found, p_adjusted < policy.alpha, threshold, better)
    needed = fewest_before(level)
    untested = verdict in ("inconclusive", "equivalent") and n < needed
    if untested:
        verdict = "inconclusive"
        since = "commit" if n == 1 else "commits"
        reason = f"only {n} {since} since the last step, and it takes {needed}"
    return Comparison(
        metric=match.metric,
        base=match.base_label,
        candidate=match.candidate_label,
        kind="noisy",
        verdict=verdict,
        reason=reason,
        decided_by="test" if verdict in ("regressed", "improved") else "",
        untested=untested,
        unit=known.unit,
        better=better,
        threshold=threshold,
        ratio=_number(found.ratio),
        ratio_low=_number(found.low),
        ratio_high=_number(found.high),
        p_value=_number(found.p),
        p_adjusted=_number(p_adjusted),
        n_base=n,
        n_candidate=1,
        minimal_detectable_effect=_number(detectable(found, n, level)),
        base_summary=_summary(item.before),
        candidate_summary=_summary(np.array([item.new])),
        warnings=(),
    )


def _verdict(
    found: Predicted, significant: bool, threshold: float, better: str
) -> tuple[Verdict, str]:
    """Return the verdict on a new median and its reason; a NaN is beyond nothing."""
    limit = math.log1p(threshold)
    if math.isnan(found.ratio):
        return "inconclusive", "a median of zero, or a single commit, says nothing of the noise"
    if significant and abs(math.log(found.ratio)) > limit:
        worse = (found.ratio > 1) == (better != "higher")
        return "regressed" if worse else "improved", "beyond what the commits before vary"
    if max(-math.log(found.low), math.log(found.high)) < limit:
        return "equivalent", "the interval lies within the threshold"
    if significant:
        return "equivalent", "a difference, but smaller than the threshold"
    return "inconclusive", "within what the commits before vary"


def _summary(values: Array) -> Summary:
    return Summary(
        n=len(values),
        mean=float(values.mean()),
        minimum=float(values.min()),
        maximum=float(values.max()),
        median=float(np.median(values)),
        sd=float(values.std(ddof=1)) if len(values) > 1 else None,
        outliers=0,
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _report_of(
    sides: tuple[Variant, Variant],
    found: list[Comparison],
    family: Family,
    policy: Policy,
    environment: EnvironmentDifferences,
) -> Report:
    base, new = sides
    warnings = warnings_of_results(sides, found)
    causes = _causes_of(found, warnings, policy)
    return Report(
        ntbbench_version=__version__,
        base=base.label,
        candidates=[new.label],
        test=TEST,
        paired=False,
        interval="mean",
        threshold=policy.threshold,
        resamples=policy.resamples,
        gate_on=policy.gate_on,
        fail_inconclusive=policy.fail_inconclusive,
        fail_untested=policy.fail_untested,
        fatal_warnings=policy.fatal_warnings,
        exit_code=exit_code_of(causes),
        causes=in_order(causes),
        family=family,
        environment=environment,
        totals=totals_of(found),
        ignored=ignored_by(policy, list(dict.fromkeys((*base.series, *new.series)))),
        warnings=warnings,
        comparisons=found,
    )


def _causes_of(
    found: Sequence[Comparison], warnings: Sequence[Warned], policy: Policy
) -> dict[int, str]:
    """Return every exit code that the comparisons cause, with the cause in words."""
    causes: dict[int, str] = {}
    gated = [c for c in found if policy.gate_on != "exact" or c.kind != "noisy"]
    missing = sum(c.missing is not None for c in found)
    if missing == len(found):
        causes[ExitCode.MISSING] = "nothing is in both the history and the result"
    elif missing:
        causes[ExitCode.MISSING] = f"{missing} missing in the history or in the result"
    if regressed := sum(c.verdict == "regressed" for c in gated):
        causes[ExitCode.FINDING] = f"{regressed} regressed"
    undecided = [c for c in gated if c.verdict == "inconclusive" and c.missing is None]
    untested = [c for c in undecided if c.untested]
    failing = fatal_causes(gated, warnings, policy)
    if untested and policy.fail_untested:
        failing.append(f"{len(untested)} not tested: {untested[0].reason}")
    if undecided and policy.fail_inconclusive:
        failing.append(f"{len(undecided)} inconclusive, and the policy says that fails")
    if failing:
        causes[ExitCode.INCONCLUSIVE] = "; ".join(failing)
    return causes
