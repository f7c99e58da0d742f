# SPDX-License-Identifier: BSD-3-Clause
"""A/A runs: how often the gate would raise a false alarm, and how much each benchmark wanders.

The samples of one run share a process, a placement in memory, a frequency: the scatter between
runs is larger than the scatter within one, and only repeated runs show it.
"""

from collections.abc import Sequence
from itertools import combinations

import msgspec
import numpy as np
from msgspec import Struct

from ntbbench.analyse.compare import compare
from ntbbench.analyse.policy import Policy, Rule
from ntbbench.analyse.series import Variant
from ntbbench.errors import InputError

CALIBRATE_SCHEMA = "ntbbench.calibrate/1"
FEWEST = 4
HEADROOM = 1.25  # a threshold is the largest change seen, and this much more


class Floor(Struct, frozen=True, kw_only=True):
    """How much one benchmark changes between runs of the same thing."""

    metric: str
    noise_floor: float  # 95th percentile of the relative changes of all pairs of runs
    largest_change: float
    threshold: float  # what the gate should use
    false_alarms: int  # of the disjoint pairs


class Calibration(Struct, frozen=True, kw_only=True):
    """What the A/A runs say; `families` are the disjoint pairs of consecutive runs."""

    schema: str = CALIBRATE_SCHEMA
    runs: int
    families: int
    alarms: int  # families with at least one false alarm under the policy as it is
    alarms_with_thresholds: int  # with thresholds taken from the other runs alone
    exact_differences: list[str]  # exact metrics that were not the same in all runs
    floors: list[Floor]


def calibrate(runs: Sequence[Variant], policy: Policy) -> Calibration:
    """Return what runs of one and the same thing say about this machine.

    Raises
    ------
    InputError
        for fewer than four runs.
    """
    if len(runs) < FEWEST:
        raise InputError("runs", len(runs), f"at least {FEWEST} runs of the same thing")
    medians = medians_of(runs)
    pairs = [(i, i + 1) for i in range(0, len(runs) - 1, 2)]
    plain = [alarms_of(runs[i], runs[j], policy) for i, j in pairs]
    held_out = [
        alarms_of(
            runs[i], runs[j], with_rules(policy, floors(without(medians, (i, j)), policy, []))
        )
        for i, j in pairs
    ]
    return Calibration(
        runs=len(runs),
        families=len(pairs),
        alarms=sum(map(bool, plain)),
        alarms_with_thresholds=sum(map(bool, held_out)),
        exact_differences=unequal(runs),
        floors=floors(medians, policy, plain),
    )


def medians_of(runs: Sequence[Variant]) -> dict[str, list[float]]:
    """Return the median of each noisy metric in each run that has it."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for name, series in run.series.items():
            if series.samples is not None:
                found.setdefault(name, []).append(float(np.median(series.samples)))
    return {name: values for name, values in found.items() if len(values) == len(runs)}


def without(medians: dict[str, list[float]], left_out: tuple[int, ...]) -> dict[str, list[float]]:
    """Return the medians of the other runs."""
    return {
        name: [value for index, value in enumerate(values) if index not in left_out]
        for name, values in medians.items()
    }


def floors(
    medians: dict[str, list[float]], policy: Policy, alarms: Sequence[set[str]]
) -> list[Floor]:
    """Return the noise floor of each metric."""
    result = []
    for name, values in medians.items():
        changes = np.array([change(a, b) for a, b in combinations(values, 2)])
        if not np.isfinite(changes).all():
            continue
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


def change(one: float, other: float) -> float:
    """Return the relative change, the larger over the smaller."""
    low, high = min(one, other), max(one, other)
    return high / low - 1 if low > 0 else float("inf") if high > 0 else 0.0


def alarms_of(base: Variant, candidate: Variant, policy: Policy) -> set[str]:
    """Return the noisy metrics that a comparison of two equal things calls changed."""
    report = compare(base, [candidate], policy, force="the runs of a calibration")
    return {
        c.metric
        for c in report.comparisons
        if c.kind == "noisy" and c.verdict in ("regressed", "improved")
    }


def with_rules(policy: Policy, found: Sequence[Floor]) -> Policy:
    """Return the policy with a threshold for each metric."""
    rules = tuple(Rule(metric=floor.metric, threshold=floor.threshold) for floor in found)
    return msgspec.structs.replace(policy, rule=rules + policy.rule)


def unequal(runs: Sequence[Variant]) -> list[str]:
    """Return the exact metrics that differ between runs: they are not exact."""
    first = runs[0].series
    return sorted(
        name
        for name, series in first.items()
        if series.kind == "exact"
        and any(name not in run.series or run.series[name].value != series.value for run in runs)
    )
