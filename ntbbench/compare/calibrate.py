# SPDX-License-Identifier: BSD-3-Clause
"""A/A runs: how often the gate would raise a false alarm, and how much each benchmark wanders.

The samples of one run share a process, a placement in memory, a frequency: the scatter between
runs is larger than the scatter within one, and only repeated runs show it.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ntbbench.compare.compare import compare
from ntbbench.compare.pairing import environments
from ntbbench.compare.policy import Policy, Rule
from ntbbench.compare.series import Variant
from ntbbench.core.errors import IncomparableError, InputError
from ntbbench.core.fields import axis, fact

CALIBRATE_SCHEMA = "ntbbench.calibrate/1"
FEWEST = 4
HEADROOM = 1.25  # a threshold is the largest change seen, and this much more


class Floor(Struct, frozen=True, kw_only=True):
    """How much one benchmark changes between runs of the same thing."""

    metric: Annotated[str, axis("benchmark")]
    noise_floor: Annotated[
        float, fact("noise floor", "95th percentile of the relative changes of all pairs of runs")
    ]
    largest_change: Annotated[float, fact("largest", "of these changes")]
    threshold: Annotated[float, fact("threshold", "what the gate should use")]
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
    pairs = [(i, i + 1) for i in range(0, len(runs) - 1, 2)]
    plain = [_alarms_of(runs[i], runs[j], policy) for i, j in pairs]
    held_out = 0
    for i, j in pairs:
        others = {
            name: [value for index, value in enumerate(values) if index not in (i, j)]
            for name, values in medians.items()
        }
        rules = tuple(
            Rule(metric=floor.metric, threshold=floor.threshold)
            for floor in floors(others, policy, [])
        )
        # Thresholds of their own hold the noise of processes.
        own = replace(policy, rule=rules + policy.rule, one_process_allowance=0.0)
        held_out += bool(_alarms_of(runs[i], runs[j], own))
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
        floors=floors(medians, policy, plain),
    )


def _medians_of(runs: Sequence[Variant]) -> dict[str, list[float]]:
    """Return the median of each noisy metric in each run, of those that every run has."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for name, series in run.series.items():
            if series.samples is not None:
                found.setdefault(name, []).append(float(np.median(series.samples)))
    return {name: values for name, values in found.items() if len(values) == len(runs)}


def floors(
    medians: dict[str, list[float]], policy: Policy, alarms: Sequence[set[str]]
) -> list[Floor]:
    """Return the noise floor of each metric that is never zero."""
    result = []
    for name, values in medians.items():
        if min(values) == 0:
            continue
        changes = np.array([max(pair) / min(pair) - 1 for pair in combinations(values, 2)])
        largest = float(changes.max())
        result.append(
            Floor(
                metric=name,
                noise_floor=float(np.quantile(changes, 0.95)),
                largest_change=largest,
                threshold=max(policy.threshold, float(np.ceil(largest * HEADROOM * 1000)) / 1000),
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
