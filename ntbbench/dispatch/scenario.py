# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios: what one sweep asks for, and the points that it becomes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Struct, field

from ntbbench.core.errors import InputError
from ntbbench.core.options import Axis, Count, Kind, Words, changed
from ntbbench.core.text_file import read_toml
from ntbbench.ntb.catalogue import DOORBELLS, DOORBELLS_MAX, MAX_NUM_CLIENTS, MW_COUNT, resolve
from ntbbench.ntb.custom import Device, build_device, device_of
from ntbbench.ntb.device import DISPATCHES, Hardware, Provision, provision
from ntbbench.ntb.workload import Workload, parse_workload, queues_needed
from ntbbench.ntb.workload.workload_log import Log

QUEUES_MAX = 1024
INTERRUPTS_MAX = 1_000_000_000
SEED_MAX = (1 << 64) - 1
REPEATS_MAX = 1000
JOBS_MAX = 1024
POINTS_MAX = 250_000  # some 250 MB of points
DEFAULT_HARDWARE = (
    "ntb_hw_epf-legacy",
    "ntb_hw_epf-v4",
    "pci-epf-vntb-legacy",
    "pci-epf-vntb-v4",
    "generic",
)


@dataclass(frozen=True)
class Workloads(Kind):
    """Specifications, which may hold commas: an option for each, or a TOML list."""

    text: str
    metavar: ClassVar[str] = "SPEC"
    repeated: ClassVar[bool] = True
    allowed: ClassVar[str] = "can be given again"

    def parse(self, name: str, value: object) -> tuple[str, ...]:
        """Return the specifications, each in its canonical place of the axis."""
        specs = value if isinstance(value, list) else [value]
        if not specs:
            raise InputError(name, value, "at least one value")
        for spec in specs:
            if not isinstance(spec, str):
                raise InputError(name, spec, "a specification, or a list of them")
            if specs.count(spec) > 1:
                raise InputError(name, spec, "every value once")
        return tuple(specs)


class SweepScenario(Struct, frozen=True, kw_only=True):
    """What one sweep asks for; the defaults are those of `ntbbench sweep`."""

    hardware: Annotated[
        tuple[str, ...], Words((), "devices, see `ntbbench hardware`", once=True)
    ] = DEFAULT_HARDWARE
    queues: Annotated[tuple[int, ...], Axis(1, QUEUES_MAX, "netdev queues to ask for")] = (
        *(1, 2, 4, 8),
    )
    doorbells: Annotated[tuple[int, ...], Axis(1, DOORBELLS_MAX, DOORBELLS)] = (4, 8, 16)
    vectors: Annotated[
        tuple[int, ...],
        Axis(1, DOORBELLS_MAX, "vectors of generic; one per doorbell if unset", empty=True),
    ] = ()
    dispatch: Annotated[tuple[str, ...], Words(DISPATCHES, "modes", once=True)] = (
        "fallback",
        "per-vector",
    )
    workload: Annotated[tuple[str, ...], Workloads("who rings when")] = ("round-robin",)
    interrupts: Annotated[
        int, Count(1, INTERRUPTS_MAX, "doorbell interrupts per point; a log has its own number")
    ] = 100_000
    seed: Annotated[
        int, Count(0, SEED_MAX, "of all random draws; the same seed gives the same counts")
    ] = 1
    repeats: Annotated[int, Count(0, REPEATS_MAX, "timed samples per point; 0: counts only")] = 5
    jobs: Annotated[int, Count(0, JOBS_MAX, "threads that count; 0: one per core")] = 0
    mw_count: Annotated[int | None, MW_COUNT] = None
    max_num_clients: Annotated[int, MAX_NUM_CLIENTS] = 0
    drain: Annotated[
        int, Count(1, INTERRUPTS_MAX, "interrupts between two runs of the softirq")
    ] = 1
    device: dict[str, Device] = field(default_factory=dict)


@dataclass(frozen=True)
class PointSpec:
    """One point of a sweep: a device, a dispatch mode, a request for queues, a workload."""

    scenario: SweepScenario  # what it is a point of
    # the device, sized; its doorbells and vectors are those that the point reports
    hardware: Hardware
    dispatch: str  # fallback, per-vector or msi
    queues_requested: int  # what `ethtool -L` is asked for
    workload: Workload  # one of the scenario's, parsed
    provision: Provision  # what the device gives to the request


def load_scenario(path: str | Path) -> SweepScenario:
    """Return the scenario in a TOML file; InputError: no such file, or a bad key or value."""
    return scenario_from(read_toml("scenario", Path(path)), str(path))


def scenario_from(table: dict[str, Any], source: str) -> SweepScenario:
    """Return the scenario of a table; null: unset. InputError: a bad key or value."""
    prefix = f"scenario {source!r}: "
    devices = table.get("device", {})
    if not isinstance(devices, dict):
        raise InputError(f"{prefix}device", devices, "tables [device.NAME]")
    found = {name: device_of(name, _set(one), prefix) for name, one in devices.items()}
    base = SweepScenario(device=found)
    return changed(prefix, base, _set(table), also=("device",))


def inputs_of(points: Iterable[PointSpec]) -> dict[str, str]:
    """Return the SHA-256 of each log that workloads are read from, by its path."""
    workloads = (point.workload for point in points)
    return {log.path: log.sha256 for log in workloads if isinstance(log, Log)}


def plain(scenario: SweepScenario) -> dict[str, Any]:
    """Return a scenario as a result holds it, which `scenario_from` reads back."""
    table: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(scenario))
    return table


def _set(table: object) -> object:
    """Return a table without its nulls."""
    if not isinstance(table, dict):
        return table
    return {key: value for key, value in table.items() if value is not None}


def expand(scenario: SweepScenario) -> list[PointSpec]:
    """Return every combination of the axes, none of them dropped.

    In the order hardware, dispatch, doorbells, vectors, queues, workload, the last one fastest. A
    device of fixed size takes part once in the doorbell and vector axes.

    InputError: an unknown device or workload, or too many points.
    """
    custom = {name: build_device(name, device) for name, device in scenario.device.items()}
    workloads = [parse_workload(spec) for spec in scenario.workload]
    for workload in workloads:
        if queues_needed(workload) > max(scenario.queues):
            allowed = f"a queue below {max(scenario.queues)}, the largest number of queues"
            raise InputError("workload", workload.spec, allowed)
    devices = [_sized(scenario, name, custom) for name in scenario.hardware]
    count = sum(map(len, devices)) * len(scenario.dispatch) * len(scenario.queues) * len(workloads)
    if count > POINTS_MAX:
        raise InputError("scenario", f"{count} points", f"{POINTS_MAX} points at most")
    points: list[PointSpec] = []
    for sizes in devices:
        axes = product(scenario.dispatch, sizes, scenario.queues, workloads)
        for dispatch, hardware, queues, workload in axes:
            given = provision(hardware, dispatch, queues, scenario.max_num_clients)
            needed = queues_needed(workload)
            if given.reason is None and needed > given.queues:
                given = replace(given, reason=f"workload {workload.spec} needs {needed} queues")
            points.append(PointSpec(scenario, hardware, dispatch, queues, workload, given))
    return points


def _sized(scenario: SweepScenario, name: str, custom: dict[str, Hardware]) -> list[Hardware]:
    first = resolve(name, mw_count=scenario.mw_count, devices=custom)
    if first.sized == "fixed":
        return [first]
    vector_axis: Sequence[int | None] = scenario.vectors or [None]
    return [
        resolve(name, doorbells, vectors, scenario.mw_count)
        for doorbells in scenario.doorbells
        for vectors in vector_axis
    ]
