# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios and results of sweeps that several test modules take."""

import msgspec

from ntbbench.dispatch.records import OkPoint, SweepResult
from ntbbench.dispatch.scenario import SweepScenario

SMALL = SweepScenario(
    hardware=("ntb_hw_epf-legacy", "ntb_hw_epf-v4", "generic", "ntb_hw_intel-gen1"),
    queues=(1, 3, 4),
    doorbells=(4, 8),
    vectors=(2, 8),
    dispatch=("fallback", "per-vector", "msi"),
    workload=("uniform", "burst:size=3,of=zipf"),
    interrupts=500,
    repeats=0,
    drain=2,
    seed=7,
)


def changed(scenario: SweepScenario, **changes: object) -> SweepScenario:
    return msgspec.structs.replace(scenario, **changes)


def ok_points(result: SweepResult) -> list[OkPoint]:
    return [point for point in result.points if isinstance(point, OkPoint)]
