# SPDX-License-Identifier: BSD-3-Clause
"""A/A runs: how often the gate would raise a false alarm, and how much each benchmark wanders.

The samples of one run share a process, a placement in memory, a frequency: the scatter between
runs is larger than the scatter within one, and only repeated runs show it. A threshold holds the
difference of two further runs: a prediction interval of Student's t on the standard deviation of
the runs, at alpha over the number of metrics (Bonferroni). More runs make it more exact and, as the
quantile of t falls, smaller on average. Components of variance: Kalibera and Jones 2013, ISMM.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy import stats

from ntbbench.compare.compare import compare
from ntbbench.compare.pairing import environments
from ntbbench.compare.policy import MOST_CHANGE, Policy, Rule
from ntbbench.compare.series import Variant
from ntbbench.compare.statistics.dependence import (
    dependence_of,
    session_labels,
    winsorised,
)
from ntbbench.core.errors import IncomparableError, InputError
from ntbbench.core.fields import axis, fact

Array = NDArray[np.float64]
CALIBRATE_SCHEMA = "ntbbench.calibrate/1"
FEWEST = 4
STEPS = 1000  # of a threshold: it is rounded up to a tenth of a per cent


class Floor(Struct, frozen=True, kw_only=True):
    """How much one benchmark changes between runs of the same thing."""

    metric: Annotated[str, axis("benchmark")]
    noise_floor: Annotated[
        float, fact("noise floor", "95th percentile of the relative changes of all pairs of runs")
    ]
    largest_change: Annotated[float, fact("largest", "of these changes")]
    sample_sd: Annotated[
        float | None, fact("sample", "relative standard deviation of samples within a run")
    ] = None
    process_sd: Annotated[float, fact("process", "what the run, its process, adds to it")] = 0.0
    session_sd: Annotated[
        float | None, fact("session", "what the session adds; null: all runs are of one")
    ] = None
    threshold: Annotated[float, fact("threshold", "what the gate should use")]
    expected_alarms: Annotated[
        float, fact("expected", "chance that two runs of the same thing differ by more")
    ] = 0.0
    false_alarms: Annotated[int, fact("alarms", "families in which the policy calls it changed")]


class Calibration(Struct, frozen=True, kw_only=True):
    """What the A/A runs say; families are the disjoint pairs of consecutive runs."""

    schema: str = CALIBRATE_SCHEMA
    runs: Annotated[int, fact("runs", "of the same thing")]
    metrics: Annotated[int, fact("metrics", "that every run has")]
    families: Annotated[int, fact("families", "disjoint pairs of consecutive runs")]
    alarms: Annotated[int, fact("alarms", "families with a false alarm under the policy as it is")]
    alarms_with_thresholds: Annotated[
        int, fact("alarms with thresholds", "with thresholds taken from the other runs alone")
    ]
    expected_alarms: Annotated[
        float, fact("expected", "chance of any false alarm in a family, by these thresholds")
    ] = 0.0
    exact_differences: Annotated[
        list[str], fact("not exact", "exact metrics that were not the same in all runs")
    ]
    missing: Annotated[list[str], fact("missing", "metrics that some runs do not have")]
    zeros: Annotated[
        list[str], fact("zeros", "noisy metrics with a median of zero: no relative change")
    ]
    floors: list[Floor]


def calibrate(runs: Sequence[Variant], policy: Policy) -> Calibration:
    """Return what runs of one and the same thing say about this machine.

    InputError: fewer than four runs. IncomparableError: runs of another format or environment:
    those are not the same thing.
    """
    if len(runs) < FEWEST:
        raise InputError("runs", len(runs), f"at least {FEWEST} runs of the same thing")
    differences = environments(runs[0], runs[1:], policy.ignore_environment, None).differences
    if differences:
        raise IncomparableError(differences, "A/A runs are runs of the same thing on one machine")
    medians = _medians_of(runs)
    sessions = _sessions_of(runs)
    pairs = [(i, i + 1) for i in range(0, len(runs) - 1, 2)]
    plain = [_alarms_of(runs[i], runs[j], policy) for i, j in pairs]
    held_out = 0
    for i, j in pairs:
        others = [index for index in range(len(runs)) if index not in (i, j)]
        rules = tuple(
            Rule(metric=name, threshold=_threshold(scatter, policy, len(medians)))
            for name, values in medians.items()
            if min(values) > 0
            for scatter in (_scatter(np.log(values)[others], sessions[others]),)
        )
        # Thresholds of their own hold the noise of processes.
        own = replace(policy, rule=rules + policy.rule, one_process_allowance=0.0)
        held_out += bool(_alarms_of(runs[i], runs[j], own))
    found = floors(runs, policy, plain)
    names = [run.series.keys() for run in runs]
    everywhere = set(names[0]).intersection(*names)
    return Calibration(
        runs=len(runs),
        metrics=len(everywhere),
        families=len(pairs),
        alarms=sum(map(bool, plain)),
        alarms_with_thresholds=held_out,
        exact_differences=sorted(
            name
            for name, series in runs[0].series.items()
            if series.kind == "exact"
            and any(name in run.series and run.series[name].value != series.value for run in runs)
        ),
        missing=sorted(set().union(*names) - everywhere),
        zeros=sorted(name for name, values in medians.items() if min(values) == 0),
        floors=found,
        expected_alarms=1 - math.prod(1 - floor.expected_alarms for floor in found),
    )


def _medians_of(runs: Sequence[Variant]) -> dict[str, list[float]]:
    """Return the median of each noisy metric in each run, of those that every run has."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for name, series in run.series.items():
            if series.samples is not None:
                found.setdefault(name, []).append(float(np.median(series.samples)))
    return {name: values for name, values in found.items() if len(values) == len(runs)}


def _sessions_of(runs: Sequence[Variant]) -> NDArray[np.int64]:
    """Return the number of each run's session; all are 0 where some do not say when they began."""
    begun = [run.begun for run in runs]
    times = np.array([[time for time in begun if time is not None]], dtype=np.float64)
    if times.shape[1] < len(runs):
        return np.zeros(len(runs), dtype=np.int64)
    return np.asarray(session_labels(times)[0][0])


@dataclass(frozen=True, slots=True)
class Scatter:
    """How far the logarithm of a run's median lies from that of another run."""

    variance: float  # of one run, of a session of its own where several are known
    freedom: float  # Satterthwaite's
    between: float | None  # variance of sessions; None: one session


def _scatter(values: Array, sessions: NDArray[np.int64]) -> Scatter:
    """Return the variance of runs, float64[n], by a nested analysis of variance."""
    groups = [values[sessions == label] for label in np.unique(sessions)]
    inside = len(values) - len(groups)
    if len(groups) == 1 or inside == 0:
        return Scatter(float(values.var(ddof=1)), len(values) - 1, None)
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / inside
    free = len(groups) - 1
    square = sum(len(g) * float((g.mean() - values.mean()) ** 2) for g in groups) / free
    size = (len(values) - sum(len(g) ** 2 for g in groups) / len(values)) / free
    between = max(0.0, (square - within) / size)
    if between == 0:
        return Scatter(float(values.var(ddof=1)), len(values) - 1, 0.0)
    parts = (square / size, free), (within * (1 - 1 / size), inside)
    total = sum(part for part, _ in parts)
    freedom = total**2 / sum(part**2 / max(count, 1) for part, count in parts)
    return Scatter(total, freedom, between)


def _threshold(scatter: Scatter, policy: Policy, metrics: int) -> float:
    """Return the change of two further runs that one metric exceeds in alpha / metrics of cases."""
    level = policy.alpha / max(1, metrics)
    reach = stats.t.isf(level / 2, scatter.freedom) * math.sqrt(2 * scatter.variance)
    # A hundredfold change is a benchmark that no threshold can hold.
    rounded = math.ceil(math.expm1(min(reach, math.log(MOST_CHANGE))) * STEPS - 1e-6) / STEPS
    return max(policy.threshold, min(rounded, MOST_CHANGE - 1 / STEPS))


def _expected(scatter: Scatter, threshold: float) -> float:
    """Return the chance that two further runs of the same thing differ by more."""
    if scatter.variance == 0:
        return 0.0
    reach = math.log1p(threshold) / math.sqrt(2 * scatter.variance)
    return float(2 * stats.t.sf(reach, scatter.freedom))


def _within_runs(runs: Sequence[Variant], name: str) -> tuple[float | None, float]:
    """Return the relative deviation of samples within a run, and the variance of its median."""
    sides = [run.series[name].samples for run in runs]
    known = [
        side[None, :] / np.median(side) for side in sides if side is not None and len(side) > 1
    ]
    if not known:
        return None, 0.0
    variances = np.array([winsorised(side).var(ddof=1) for side in known])
    worth = np.array([dependence_of([side]).inflation[0] for side in known])
    counts = np.array([side.shape[1] for side in known])
    of_median = float((math.pi / 2 * variances * worth / counts).mean())
    return float(np.sqrt(variances.mean())), of_median


def floors(runs: Sequence[Variant], policy: Policy, alarms: Sequence[set[str]]) -> list[Floor]:
    """Return the noise floor of each metric that is never zero."""
    result, medians, sessions = [], _medians_of(runs), _sessions_of(runs)
    for name, values in medians.items():
        if min(values) == 0:
            continue
        changes = np.array([max(pair) / min(pair) - 1 for pair in combinations(values, 2)])
        scatter = _scatter(np.log(values), sessions)
        threshold = _threshold(scatter, policy, len(medians))
        sample_sd, of_median = _within_runs(runs, name)
        of_runs = scatter.variance - (scatter.between or 0.0)
        result.append(
            Floor(
                metric=name,
                noise_floor=float(np.quantile(changes, 0.95)),
                largest_change=float(changes.max()),
                sample_sd=sample_sd,
                process_sd=math.sqrt(max(0.0, of_runs - of_median)),
                session_sd=None if scatter.between is None else math.sqrt(scatter.between),
                threshold=threshold,
                expected_alarms=_expected(scatter, threshold),
                false_alarms=sum(name in family for family in alarms),
            )
        )
    return result


def _alarms_of(base: Variant, candidate: Variant, policy: Policy) -> set[str]:
    """Return the noisy metrics that a comparison of two equal things calls changed."""
    report = compare(base, [candidate], policy)
    return {
        c.metric
        for c in report.comparisons
        if c.kind == "noisy" and c.verdict in ("regressed", "improved")
    }
