# SPDX-License-Identifier: BSD-3-Clause
"""Today's code still gives the counts that are committed in results/.

`python tests/dispatch/test_baseline.py` writes them anew, after a change that is meant to change
counts; the difference then shows which, a line a point.
"""

from pathlib import Path

import msgspec
import pytest

from ntbbench.core.result_file import load_as, write_json
from ntbbench.dispatch.records import SWEEP_SCHEMA, OkPoint, SweepResult
from ntbbench.dispatch.scenario import SweepScenario, scenario_from
from ntbbench.dispatch.sweep import run_sweep

RESULTS = Path(__file__).resolve().parents[2] / "results"
DEVICES = (
    "ntb_hw_epf-legacy",
    "ntb_hw_epf-v4",
    "pci-epf-vntb-legacy",
    "pci-epf-vntb-v4",
    "generic",
    "ntb_hw_intel-gen1",
    "ntb_hw_switchtec-crosslink",
)
SPACED = SweepScenario(
    hardware=DEVICES,
    queues=(1, 2, 4, 8),
    doorbells=(16,),
    vectors=(4,),
    dispatch=("fallback", "per-vector", "msi"),
    interrupts=1000,
    repeats=0,
)
BASELINES = {
    "baseline-spaced.json": SPACED,
    "baseline-bursts.json": msgspec.structs.replace(
        SPACED, workload=("burst:size=4,of=uniform",), drain=3
    ),
}


def counted(scenario: SweepScenario) -> SweepResult:
    """Return the counts of a scenario; they depend on no environment."""
    return msgspec.structs.replace(run_sweep(scenario), environment={})


@pytest.mark.parametrize("name", BASELINES)
def test_the_counts_are_those_of_the_baseline(name: str) -> None:
    baseline = load_as(RESULTS / name, SWEEP_SCHEMA, SweepResult)
    scenario = scenario_from(baseline.scenario, name)
    assert scenario == BASELINES[name]
    points = run_sweep(scenario).points
    assert points == baseline.points
    measured = [point for point in points if isinstance(point, OkPoint)]
    assert {point.dispatch for point in measured} == {"fallback", "per-vector", "msi"}
    assert {point.hardware for point in measured} == set(DEVICES)
    assert all(point.missed == point.misrouted == 0 for point in measured)


if __name__ == "__main__":
    for file, asked in BASELINES.items():
        write_json(RESULTS / file, counted(asked))
