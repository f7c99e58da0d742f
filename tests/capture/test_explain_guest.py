# SPDX-License-Identifier: BSD-3-Clause
"""`explain` of recordings that the lab of the pair has just made, interrupt lines and all."""

import json
from pathlib import Path

import pytest
from pair_kernel import boot

from ntbbench.cli.main import main
from ntbbench.lab.pair.plan import PairPlan, PairSetup
from ntbbench.pair.setting import Traffic

# Boots a real kernel, and builds it the first time: `make test-guest`.
pytestmark = pytest.mark.guest

QPS = 4
BOTH = (Traffic("ep-to-rc", QPS, 20), Traffic("rc-to-ep", QPS, 20))


@pytest.mark.parametrize(
    ("setup", "runs"),
    [
        (PairSetup(ep_driver="before", rc_driver="before", queues=QPS), (460, 460)),
        (PairSetup(queues=QPS, doorbell="embedded"), (160, 640)),
    ],
    ids=["before the series", "embedded"],
)
def test_both_directions_are_inside(
    setup: PairSetup, runs: tuple[int, int], tmp_path: Path
) -> None:
    folder, measured, found = tmp_path / "boot", tmp_path / "m.json", tmp_path / "e.json"
    boot(PairPlan(setup, BOTH), folder)
    assert main(["ingest", str(folder), "-o", str(measured)]) == 0
    assert main(["explain", str(measured), "-o", str(found)]) == 0
    explanations = json.loads(found.read_text())["explanations"]
    told = [(one["verdict"], one["unexplained"], one["interrupts"]) for one in explanations]
    assert told == [("inside", 0, 80)] * 2
    assert tuple(one["measured_runs_low"] for one in explanations) == runs
