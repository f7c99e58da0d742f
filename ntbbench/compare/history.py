# SPDX-License-Identifier: BSD-3-Clause
"""The history checked: steps and drift of noisy metrics, every change of exact ones."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from ntbbench.compare import history_store
from ntbbench.compare.decision import direction
from ntbbench.compare.history_store import Accepted, Track, Window
from ntbbench.compare.policy import Policy, ignored_by
from ntbbench.compare.rates import check_directions
from ntbbench.compare.series import Series
from ntbbench.compare.statistics.changepoints import (
    FEWEST,
    Examined,
    StepChange,
    examine,
    fewest,
    is_testable,
)
from ntbbench.compare.statistics.segments import SMALLEST_SEGMENT
from ntbbench.core.fields import Better

Array = NDArray[np.float64]
HISTORY_SCHEMA = "ntbbench.history/1"
NEAR = SMALLEST_SEGMENT  # commits by which a step may move as commits are added
CLEAR = 3.0  # standard errors, of an autocorrelation that is worth a note


class Resolution(Struct, frozen=True, kw_only=True):
    """What became of a change for the worse."""

    fixed: str | None = None  # the commit at which the metric was as good as before again
    accepted: bool = False
    why: str = ""  # it was accepted

    def settled(self) -> bool:
        """Return whether this needs nobody's attention any more."""
        return self.fixed is not None or self.accepted


class ExactStep(Resolution, frozen=True, kw_only=True):
    """A value of an exact metric that is not that of the commit before."""

    metric: str
    commit: str
    before: int | float | str
    after: int | float | str
    verdict: str

    def fails(self) -> bool:
        """Return whether this is worse, and neither fixed nor accepted."""
        return self.verdict == "regressed" and not self.settled()


class Finding(Resolution, frozen=True, kw_only=True):
    """A step or drift of a noisy metric, with the commit it is seen at."""

    commit: str
    change: StepChange

    def fails(self) -> bool:
        """Return whether this is worse, and neither fixed nor accepted."""
        return self.change.worse and not self.settled()


class Noise(Struct, frozen=True, kw_only=True):
    """How the noise of a metric that was tested depends on the commit before, at lag 1."""

    metric: str
    commits: int
    autocorrelation: float


class Checked(Struct, frozen=True, kw_only=True):
    """What `history check` found."""

    schema: str = HISTORY_SCHEMA
    metrics: int
    commits: int = 0
    checked: int  # metrics with commits enough for a finding
    too_short: int  # noisy metrics with too few commits to say anything
    fewest: int = FEWEST  # commits from which on this family shows a step of 5 deviations
    changes: list[Finding]
    exact: list[ExactStep]
    noise: list[Noise] = field(default_factory=list)
    notes: list[str]

    def fails(self) -> bool:
        """Return whether anything is worse that is neither fixed nor accepted."""
        return any(f.fails() for f in self.changes) or any(s.fails() for s in self.exact)


def check(path: Path, pattern: str, policy: Policy, window: Window | None = None) -> Checked:
    """Return every change in the store; a rule of the policy that says `ignore` is heeded.

    InputError: a rate of which nothing says which way is better.
    """
    tracks = history_store.tracks(path, pattern, window)
    accepted = history_store.accepted(path)
    check_directions(map(series_of, tracks), policy)
    ignored = ignored_by(policy, [track.metric for track in tracks])
    left_out = {item.metric for item in ignored}
    found = [track for track in tracks if track.metric not in left_out]
    noisy = {track.metric: track for track in found if track.kind == "noisy"}
    examined = examined_in(list(noisy.values()), policy, accepted)
    short = sum(len(track.values) < FEWEST for track in noisy.values())
    enough = fewest(len(examined), policy.alpha) if examined else FEWEST
    return Checked(
        metrics=len(found),
        commits=len({place for track in found for place in track.results}),
        checked=sum(len(t.values) >= (2 if t.kind == "exact" else FEWEST) for t in found),
        too_short=short,
        fewest=enough,
        changes=[f for e in examined for f in _findings(e, noisy[e.metric], policy, accepted)],
        exact=[s for t in found if t.kind == "exact" for s in _exact_steps(t, policy, accepted)],
        noise=[
            Noise(metric=e.metric, commits=e.commits, autocorrelation=e.autocorrelation)
            for e in examined
        ],
        notes=_notes_of(found, examined, enough)
        + [f"the policy ignores {item.metric}: {item.reason}" for item in ignored],
    )


def examined_in(
    noisy: Sequence[Track], policy: Policy, accepted: Sequence[Accepted]
) -> list[Examined]:
    """Return what the histories of noisy metrics show; drift begins anew where one is accepted."""
    series = {track.metric: np.array(track.values, dtype=np.float64) for track in noisy}
    since = {track.metric: max([0, *places_of(track, accepted)]) for track in noisy}
    return examine(series, {track.metric: track.better for track in noisy}, policy, since)


def places_of(track: Track, accepted: Sequence[Accepted]) -> list[int]:
    """Return the places at which a change of a metric is accepted."""
    return [
        track.labels.index(item.commit)
        for item in accepted
        if item.commit in track.labels and item.names(track.metric)
    ]


def _findings(
    examined: Examined, track: Track, policy: Policy, accepted: Sequence[Accepted]
) -> list[Finding]:
    """Return the changes of a metric with what became of them."""
    better = policy.better_for(track.metric, track.better)
    threshold = policy.threshold_for(track.metric)
    steps = examined.changes
    reasons = _accepted_steps(steps, track, accepted)
    findings = []
    for at, step in enumerate(steps):
        later = steps[at + 1 :] if step.worse else []
        fixes = (one.index for one in later if _as_good(step.before, one.after, better, threshold))
        fix = next(fixes, None)
        findings.append(
            Finding(
                commit=track.labels[step.index],
                change=step,
                fixed=None if fix is None else track.labels[fix],
                accepted=step.index in reasons,
                why=reasons.get(step.index, ""),
            )
        )
    return findings


def _as_good(before: float, now: float, better: Better, threshold: float) -> bool:
    worse = now / before if better != "higher" else before / now
    return math.log(worse) <= math.log1p(threshold)


def _accepted_steps(
    steps: Sequence[StepChange], track: Track, accepted: Sequence[Accepted]
) -> dict[int, str]:
    """Return the steps that are accepted, with the reasons: of each commit the nearest step."""
    found: dict[int, str] = {}
    for item in accepted:
        for place in places_of(track, [item]):
            near = [(abs(s.index - place), s.index) for s in steps if abs(s.index - place) <= NEAR]
            if near:
                found[min(near)[1]] = item.why
    return found


def series_of(track: Track) -> Series:
    """Return a metric without its values: what tells which way is better."""
    return Series(
        metric=track.metric,
        quantity=track.metric.rpartition(":")[2],
        kind="noisy" if track.kind == "noisy" else "exact",
        unit=track.unit,
        better=track.better,
    )


def _notes_of(found: Sequence[Track], examined: Sequence[Examined], enough: int) -> list[str]:
    """Return what the findings cannot say: other machines, metrics that ended, zeros."""
    notes = []
    environments = {text for track in found for text in track.environments}
    if len(environments) > 1:
        notes.append(f"the results come from {len(environments)} environments")
    last = max((track.results[-1] for track in found), default=0)
    ended = [track for track in found if track.results[-1] < last]
    if ended:
        are = "metric is" if len(ended) == 1 else "metrics are"
        notes.append(f"{len(ended)} {are} not in the last result, {ended[0].metric} first")
    tested = [np.array(t.values) for t in found if t.kind == "noisy" and len(t.values) >= FEWEST]
    zeros = sum(not is_testable(values) for values in tested)
    if zeros:
        have = "noisy metric has" if zeros == 1 else "noisy metrics have"
        notes.append(f"{zeros} {have} a median of zero somewhere: not tested")
    return notes + _limits(examined, enough)


def _limits(examined: Sequence[Examined], enough: int) -> list[str]:
    """Return what could not be found: in short series, and in noise that wanders."""
    notes = []
    short = sum(e.commits < enough for e in examined)
    if short:
        has, of = ("metric has", 1) if short == 1 else ("metrics have", short)
        family = len(examined)
        notes.append(
            f"{of} {has} fewer commits than the {enough} from which on a step of 5 standard "
            f"deviations shows in a family of {family}: only larger ones do"
        )
    wandering = [e for e in examined if e.autocorrelation > CLEAR / math.sqrt(e.commits)]
    if wandering:
        most = max(wandering, key=lambda e: e.autocorrelation)
        has = "metric has" if len(wandering) == 1 else "metrics have"
        notes.append(
            f"{len(wandering)} {has} autocorrelated noise (lag 1: {most.autocorrelation:.2f} in "
            f"{most.metric}): a change must be larger to be found"
        )
    return notes


def _exact_steps(track: Track, policy: Policy, accepted: Sequence[Accepted]) -> list[ExactStep]:
    better = policy.better_for(track.metric, track.better)
    values = [
        Series(metric=track.metric, kind="exact", value=value, rank=rank)
        for value, rank in zip(track.values, track.ranks, strict=True)
    ]
    reasons = {item.commit: item.why for item in accepted if item.names(track.metric)}
    steps = []
    for at, (one, other) in enumerate(pairwise(values), start=1):
        if one.value is None or other.value is None or one.value == other.value:
            continue
        step = ExactStep(
            metric=track.metric,
            commit=track.labels[at],
            before=one.value,
            after=other.value,
            verdict=direction(one, other, better),
            accepted=track.labels[at] in reasons,
            why=reasons.get(track.labels[at], ""),
        )
        later = values[at + 1 :] if step.verdict == "regressed" else []
        good = (v.value == one.value or direction(one, v, better) == "improved" for v in later)
        fix = next((place for place, fine in enumerate(good, start=at + 1) if fine), None)
        steps.append(step if fix is None else replace(step, fixed=track.labels[fix]))
    return steps
