# SPDX-License-Identifier: BSD-3-Clause
"""Steps and drift in the histories of many metrics, with one chance of a false alarm for all.

A metric has two hypotheses: that its level never changes (see segments.py), and that it does not
drift, which no single step shows (Kendall's tau against time, the Theil-Sen slope). A step may lie
at any of n places, so its p-value counts n-fold. Of a metric's share of alpha most goes to steps:
drift gathers evidence with every commit, and can wait.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Own
from ntbbench.compare.statistics import significance
from ntbbench.compare.statistics.segments import (
    SMALLEST_SEGMENT,
    Stage,
    autocorrelation,
    correlation_of,
    stages,
    widened,
)

Array = NDArray[np.float64]
FEWEST = 7  # commits: fewest(1, 0.05)
STEP_SHARE, DRIFT_SHARE = 0.8, 0.2  # of a metric's alpha
SHOWN_STEP = 5.0  # standard deviations, of the step that `fewest` is about
POWER = 0.8
MOST_COMMITS = 1000


class StepChange(Struct, frozen=True, kw_only=True):
    """A step or a drift in one metric; `before` and `after` are levels."""

    metric: str
    kind: str  # "step" | "drift"
    index: int  # the first commit on the new level; of a drift the last
    ratio: float
    before: float
    after: float
    p_adjusted: float
    worse: bool


class Examined(Struct, frozen=True, kw_only=True):
    """What the history of one metric shows.

    Parameters
    ----------
    autocorrelation : of what is left of log values without the levels or the slope, lag 1.
    """

    metric: str
    commits: int
    autocorrelation: float
    changes: list[StepChange]


class _Candidate(Struct, frozen=True, kw_only=True):
    """The log values of a metric, with what may be found in them."""

    metric: str
    values: Array
    stages: list[Stage]
    since: int  # where drift may begin
    drift_p: float

    def step_p(self, stage: Stage) -> float:
        """Return the p-value of a stage: that of its weakest cut, times the places."""
        return float(stage.p.max()) * len(self.values) / STEP_SHARE

    def p(self) -> float:
        """Return the metric's p-value."""
        return min(1.0, self.drift_p / DRIFT_SHARE, *map(self.step_p, self.stages))


def changes(
    series: Mapping[str, Array], better: Mapping[str, Own], policy: Policy
) -> list[StepChange]:
    """Return the steps and drifts of all series, float64[n] each, in the order of commits."""
    return [change for found in examine(series, better, policy) for change in found.changes]


def examine(
    series: Mapping[str, Array],
    better: Mapping[str, Own],
    policy: Policy,
    since: Mapping[str, int] | None = None,
) -> list[Examined]:
    """Return what is found in each series of at least FEWEST positive values that vary.

    Parameters
    ----------
    since : of a metric the commit from which on it may drift; none: the first.
    """
    known = [
        _candidate_of(name, np.log(values), (since or {}).get(name, 0))
        for name, values in series.items()
        if is_testable(values) and np.ptp(values) > 0
    ]
    p = np.array([candidate.p() for candidate in known])
    level = significance.next_level(p, policy.correction, policy.alpha)
    return [_examined(candidate, level, better[candidate.metric], policy) for candidate in known]


def is_testable(values: Array) -> bool:
    """Return whether a series is long enough, and has logarithms."""
    return len(values) >= FEWEST and bool((values > 0).all())


def _candidate_of(metric: str, values: Array, since: int) -> _Candidate:
    return _Candidate(
        metric=metric,
        values=values,
        stages=list(stages(values)),
        since=since,
        drift_p=_drift_p(values[since:]),
    )


def _examined(found: _Candidate, level: float, own: Own, policy: Policy) -> Examined:
    """Return what holds at a level of the family, and matters."""
    name, values = found.metric, found.values
    threshold = float(np.log1p(policy.threshold_for(name)))
    lower = policy.better_for(name, own) != "higher"
    held = next((stage for stage in found.stages if found.step_p(stage) < level), None)
    cuts = [] if held is None else held.cuts
    shifts = [] if held is None else _steps_of(values, held, found)
    kind, correlation = "step", autocorrelation(values, cuts)
    shifts = [shift for shift in shifts if abs(np.log(shift[2] / shift[1])) > threshold]
    if not shifts and found.drift_p / DRIFT_SHARE < level:
        kind, shifts = "drift", _drift_of(values, found)
        shifts = [shift for shift in shifts if abs(np.log(shift[2] / shift[1])) > threshold]
        correlation = _drift_correlation(values[found.since :])
    return Examined(
        metric=name,
        commits=len(values),
        autocorrelation=round(correlation, 3),
        changes=[
            StepChange(
                metric=name,
                kind=kind,
                index=index,
                ratio=after / before,
                before=before,
                after=after,
                p_adjusted=min(1.0, p * policy.alpha / level),
                worse=(after > before) == lower,
            )
            for index, before, after, p in shifts
        ],
    )


Shift = tuple[int, float, float, float]  # a commit, the levels before and after, and p


def _steps_of(values: Array, held: Stage, found: _Candidate) -> list[Shift]:
    """Return the first commit on each new level; a level is a median."""
    parts = np.split(values, held.cuts)
    levels = [float(np.exp(np.median(part))) for part in parts]
    p = (held.p * len(values) / STEP_SHARE).tolist()
    return list(zip(held.cuts, levels, levels[1:], p, strict=False))


def _drift_p(values: Array) -> float:
    """Return the p-value of Kendall's tau, autocorrelation heeded (Hamed and Rao 1998)."""
    if len(values) < FEWEST or np.ptp(values) == 0:
        return 1.0
    p = np.array([stats.kendalltau(np.arange(len(values)), values).pvalue])
    return float(widened(p, _drift_correlation(values))[0])


def _drift_correlation(values: Array) -> float:
    """Return the lag-1 autocorrelation about a straight line."""
    left = values - stats.theilslopes(values).slope * np.arange(len(values))
    return correlation_of([left - left.mean()], 2)


def _drift_of(values: Array, found: _Candidate) -> list[Shift]:
    """Return the last commit, with the levels that the drift leads from and to."""
    tail = values[found.since :]
    middle, slope = float(np.median(tail)), float(stats.theilslopes(tail).slope)
    half = slope * (len(tail) - 1) / 2
    p = found.drift_p / DRIFT_SHARE
    return [(len(values) - 1, float(np.exp(middle - half)), float(np.exp(middle + half)), p)]


@cache
def fewest(metrics: int, alpha: float) -> int:
    """Return the commits from which on a family of metrics shows a step by its second commit.

    A step of SHOWN_STEP standard deviations, with probability POWER by the noncentral t, if the
    noise is independent.
    """
    places = np.arange(2 * SMALLEST_SEGMENT + 1, MOST_COMMITS)
    freedom = places - 2
    limit = stats.t.isf(alpha * STEP_SHARE / (2 * metrics * places), freedom)
    shift = SHOWN_STEP / np.sqrt(1 / (places - SMALLEST_SEGMENT) + 1 / SMALLEST_SEGMENT)
    shows = np.asarray(stats.nct.sf(limit, freedom, shift) >= POWER)
    return int(places[np.argmax(shows)]) if shows.any() else MOST_COMMITS
