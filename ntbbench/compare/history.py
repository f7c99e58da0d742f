# SPDX-License-Identifier: BSD-3-Clause
"""The history checked: steps and drift of noisy metrics, every change of exact ones."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ntbbench.compare import history_store
from ntbbench.compare.decision import direction
from ntbbench.compare.policy import Policy, ignored_by
from ntbbench.compare.rates import check_directions
from ntbbench.compare.series import Series
from ntbbench.compare.statistics.changepoints import FEWEST, StepChange, changes

Array = NDArray[np.float64]
HISTORY_SCHEMA = "ntbbench.history/1"


class ExactStep(Struct, frozen=True, kw_only=True):
    """A value of an exact metric that is not that of the commit before."""

    metric: str
    commit: str
    before: int | float | str
    after: int | float | str
    verdict: str


class Finding(Struct, frozen=True, kw_only=True):
    """A step or drift of a noisy metric, with the commit it is seen at."""

    commit: str
    change: StepChange


class Checked(Struct, frozen=True, kw_only=True):
    """What `history check` found."""

    schema: str = HISTORY_SCHEMA
    metrics: int
    checked: int  # metrics with commits enough for a finding
    too_short: int  # noisy metrics with too few commits to say anything
    changes: list[Finding]
    exact: list[ExactStep]
    notes: list[str]


def check(path: Path, pattern: str, policy: Policy) -> Checked:
    """Return every change in the store; a rule of the policy that says `ignore` is heeded.

    InputError: a rate of which nothing says which way is better.
    """
    tracks = history_store.tracks(path, pattern)
    check_directions(map(_series_of, tracks), policy)
    ignored = ignored_by(policy, [track.metric for track in tracks])
    left_out = {item.metric for item in ignored}
    found = [track for track in tracks if track.metric not in left_out]
    noisy = {
        t.metric: (t, np.array(t.values, dtype=np.float64)) for t in found if t.kind == "noisy"
    }
    series = {name: values for name, (_, values) in noisy.items()}
    seen = changes(series, {name: t.better for name, (t, _) in noisy.items()}, policy)
    return Checked(
        metrics=len(found),
        checked=sum(len(t.values) >= (2 if t.kind == "exact" else FEWEST) for t in found),
        too_short=sum(len(values) < FEWEST for values in series.values()),
        changes=[Finding(commit=noisy[c.metric][0].labels[c.index], change=c) for c in seen],
        exact=[step for t in found if t.kind == "exact" for step in _exact_steps(t, policy)],
        notes=_notes_of(found, list(series.values()))
        + [f"the policy ignores {item.metric}: {item.reason}" for item in ignored],
    )


def _series_of(track: history_store.Track) -> Series:
    """Return a metric without its values: what tells which way is better."""
    return Series(
        metric=track.metric,
        quantity=track.metric.rpartition(":")[2],
        kind="noisy" if track.kind == "noisy" else "exact",
        unit=track.unit,
        better=track.better,
    )


def _notes_of(found: Sequence[history_store.Track], series: Sequence[Array]) -> list[str]:
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
    zeros = sum(len(values) >= FEWEST and not (values > 0).all() for values in series)
    if zeros:
        have = "noisy metric has" if zeros == 1 else "noisy metrics have"
        notes.append(f"{zeros} {have} a median of zero somewhere: not tested")
    return notes


def _exact_steps(track: history_store.Track, policy: Policy) -> list[ExactStep]:
    better = policy.better_for(track.metric, track.better)
    values = [
        Series(metric=track.metric, kind="exact", value=value, rank=rank)
        for value, rank in zip(track.values, track.ranks, strict=True)
    ]
    return [
        ExactStep(
            metric=track.metric,
            commit=commit,
            before=one.value,
            after=other.value,
            verdict=direction(one, other, better),
        )
        for commit, (one, other) in zip(track.labels[1:], pairwise(values), strict=True)
        if one.value is not None and other.value is not None and one.value != other.value
    ]
