# SPDX-License-Identifier: BSD-3-Clause
"""Small grids and results of `ntbbench simulate` that several test modules take."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from compare_runs import Ran

from ntbbench.datapath import grid as grids
from ntbbench.datapath.grid import Found, Grid, GridHooks, run_grid
from ntbbench.datapath.grid_point import SimulationSpec, expand
from ntbbench.datapath.records import SimulationResult
from ntbbench.datapath.scenario_file import preset, with_settings
from ntbbench.report.registry import load_any

Command = Callable[..., Ran]  # the fixture `ntbbench`
SHORT = ("--duration", "5ms", "--warmup", "1ms", "--replications", "3", "--jobs", "1")
SMALL = ("--queues", "1,2", "--dispatch", "fallback,per-vector", *SHORT)
ONE = ("--queues", "1", "--affinity", "single", "--dispatch", "fallback", *SHORT)
WHOLE_RUN = ("duration=5ms", "warmup=0", "traffic.flows=4", "receiver.cpus=4", "sender.cpus=4")
SETTINGS = ("duration=5ms", "warmup=1ms", "traffic.flows=4", "receiver.cpus=4")


def spec_of(*settings: str, queues: int = 2, dispatch: str = "fallback") -> SimulationSpec:
    scenario = with_settings(preset("generic"), [*SETTINGS, *settings])
    return SimulationSpec(scenario, queues, dispatch, "spread", "tcp")


def saved(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def loaded(path: Path) -> SimulationResult:
    found = load_any(path)
    assert isinstance(found, SimulationResult)
    return found


def found_on(place: grids.WorkPlace, plan: Grid, hooks: GridHooks | None = None) -> Found:
    found: Found = [{} for _ in plan.specs]
    run_grid(plan, found, place, hooks or GridHooks())
    return found


def small_grid(replications: int = 5) -> Grid:
    scenario = msgspec.structs.replace(spec_of().scenario, queues=(1, 2), dispatch=("fallback",))
    return Grid(expand(scenario), replications, "specialised")


def compared(ran: Ran) -> tuple[int, dict[str, Any]]:
    """Return the exit code of a comparison as JSON, and its metrics without the point's name."""
    return ran.code, {name.rpartition(":")[2]: c for name, c in ran.comparisons.items()}
