# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios: what one sweep asks for, and the points that it becomes."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from ntbbench.core.axes import parse_int_axis
from ntbbench.core.errors import InputError
from ntbbench.core.names import check_range, unknown
from ntbbench.core.toml_file import read_toml
from ntbbench.ntb.devices.catalogue import DOORBELLS_MAX, MW_COUNT_MAX, resolve
from ntbbench.ntb.devices.custom import Device, build_device
from ntbbench.ntb.devices.device import Hardware
from ntbbench.ntb.devices.dispatch_modes import Provision, check_dispatch, provision
from ntbbench.ntb.transport import CLIENTS_MAX
from ntbbench.ntb.workload.workload import Workload, parse_workload, queues_needed

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


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one sweep asks for; the defaults are those of `ntbbench sweep`.

    Parameters
    ----------
    hardware : presets or names of `device`.
    queues : netdev queues to ask for, 1 to 1024.
    doorbells : 1 to 64: db_count of the epf drivers, doorbell bits of `generic`.
    vectors : 1 to 64: vectors of `generic`; empty: one per doorbell.
    dispatch : fallback, per-vector, msi.
    workload : specifications (`parse_workload()`).
    interrupts : doorbell interrupts per point; a log has its own number.
    seed : of all draws, u64.
    repeats : timed samples per point; 0: counts only.
    jobs : threads that count; 0: one per core.
    mw_count : memory windows instead of the device's own; None: keep them.
    max_num_clients : ntb_transport's module parameter; 0: unset.
    drain : interrupts between two runs of the softirq.
    device : custom devices by name.
    """

    hardware: list[str] = field(default_factory=lambda: list(DEFAULT_HARDWARE))
    queues: list[int] = field(default_factory=lambda: [1, 2, 4, 8])
    doorbells: list[int] = field(default_factory=lambda: [4, 8, 16])
    vectors: list[int] = field(default_factory=list)
    dispatch: list[str] = field(default_factory=lambda: ["fallback", "per-vector"])
    workload: list[str] = field(default_factory=lambda: ["round-robin"])
    interrupts: int = 100_000
    seed: int = 1
    repeats: int = 5
    jobs: int = 0
    mw_count: int | None = None
    max_num_clients: int = 0
    drain: int = 1
    device: dict[str, Device] = field(default_factory=dict)


NUMBERS = {
    "interrupts": (1, INTERRUPTS_MAX),
    "seed": (0, SEED_MAX),
    "repeats": (0, REPEATS_MAX),
    "jobs": (0, JOBS_MAX),
    "mw_count": (0, MW_COUNT_MAX),
    "max_num_clients": (0, CLIENTS_MAX),
    "drain": (1, INTERRUPTS_MAX),
}
INT_AXES = {
    "queues": (1, QUEUES_MAX),
    "doorbells": (1, DOORBELLS_MAX),
    "vectors": (1, DOORBELLS_MAX),
}
NAME_AXES = ("hardware", "dispatch", "workload")


@dataclass(frozen=True)
class PointSpec:
    """One point of a sweep: a device, a dispatch mode, a request for queues, a workload.

    Parameters
    ----------
    scenario : what it is a point of.
    hardware : the device, sized; its doorbells and vectors are those that the point reports.
    dispatch : fallback, per-vector or msi.
    queues_requested : what `ethtool -L` is asked for.
    workload : one of the scenario's, parsed.
    provision : what the device gives to the request.
    """

    scenario: Scenario
    hardware: Hardware
    dispatch: str
    queues_requested: int
    workload: Workload
    provision: Provision


def load_scenario(path: str | Path) -> Scenario:
    """Return the scenario in a TOML file; an axis can be a list, one value, or text as in a shell.

    Raises
    ------
    InputError : the file cannot be read, is not TOML, or has an unknown key or a bad value.
    """
    return scenario_from(read_toml("scenario", Path(path)), str(path))


def scenario_from(table: dict[str, Any], source: str) -> Scenario:
    """Return the scenario of a table of TOML or JSON, checked.

    Raises
    ------
    InputError : an unknown key (with the nearest known one), or a bad value; it names `source`.
    """
    table = dict(table)
    check_keys(f"scenario {source!r}: key", table, Scenario)
    devices = table.get("device")
    for name, device in devices.items() if isinstance(devices, dict) else ():
        check_keys(f"scenario {source!r}: device {name!r}: key", device, Device)
    for key, bounds in INT_AXES.items():
        if isinstance(table.get(key), str):
            table[key] = parse_int_axis(table[key], f"scenario {source!r}: {key}", *bounds)
        elif isinstance(table.get(key), int):
            table[key] = [table[key]]
    for key in NAME_AXES:
        if isinstance(table.get(key), str):
            table[key] = [table[key]]
    try:
        scenario = msgspec.convert(table, Scenario)
    except msgspec.ValidationError as error:
        raise InputError("scenario", source, str(error)) from None
    check_scenario(scenario, f"scenario {source!r}: ")
    return scenario


def check_keys(field: str, table: object, record: type[Struct]) -> None:
    """Raise InputError at the first key of `table` that is not a field of `record`."""
    known = record.__struct_fields__
    for key in table if isinstance(table, dict) else ():
        if key not in known:
            raise unknown(field, str(key), known)


def check_scenario(scenario: Scenario, prefix: str = "") -> None:
    """Raise InputError at the first value out of range; `prefix` goes before the key."""
    for key, bounds in NUMBERS.items():
        number = getattr(scenario, key)
        if number is not None:
            check_range(f"{prefix}{key}", number, *bounds)
    for key, bounds in INT_AXES.items():
        for number in getattr(scenario, key):
            check_range(f"{prefix}{key}", number, *bounds)
    for key in (*NAME_AXES, *INT_AXES):
        values = getattr(scenario, key)
        if not values and key != "vectors":
            raise InputError(f"{prefix}{key}", values, "at least one value")
        for value in values:
            if values.count(value) > 1:
                raise InputError(f"{prefix}{key}", value, "every value once")
    for dispatch in scenario.dispatch:
        check_dispatch(dispatch)


def expand(scenario: Scenario) -> list[PointSpec]:
    """Return every combination of the axes, none of them dropped.

    In the order hardware, dispatch, doorbells, vectors, queues, workload, the last one fastest. A
    device of fixed size takes part once in the doorbell and vector axes.

    Raises
    ------
    InputError : an unknown device or workload, or a value out of range.
    """
    check_scenario(scenario)
    custom = {name: build_device(name, device) for name, device in scenario.device.items()}
    workloads = [parse_workload(spec) for spec in scenario.workload]
    for workload in workloads:
        if queues_needed(workload) > max(scenario.queues):
            allowed = f"a queue below {max(scenario.queues)}, the largest number of queues"
            raise InputError("workload", workload.spec, allowed)
    devices = [sized(scenario, name, custom) for name in scenario.hardware]
    count = sum(map(len, devices)) * len(scenario.dispatch) * len(scenario.queues) * len(workloads)
    if count > POINTS_MAX:
        raise InputError("scenario", f"{count} points", f"{POINTS_MAX} points at most")
    points: list[PointSpec] = []
    for sizes in devices:
        for dispatch in scenario.dispatch:
            for hardware in sizes:
                points += cells(scenario, hardware, dispatch, workloads)
    return points


def sized(scenario: Scenario, name: str, custom: dict[str, Hardware]) -> list[Hardware]:
    """Return one device in all sizes of the axes."""
    first = resolve(name, mw_count=scenario.mw_count, devices=custom)
    if first.sized == "fixed":
        return [first]
    vector_axis: list[int] | list[None] = scenario.vectors or [None]
    return [
        resolve(name, doorbells, vectors, scenario.mw_count)
        for doorbells in scenario.doorbells
        for vectors in vector_axis
    ]


def cells(
    scenario: Scenario, hardware: Hardware, dispatch: str, workloads: list[Workload]
) -> list[PointSpec]:
    """Return the points of one device in one mode: queues by workloads."""
    return [
        PointSpec(
            scenario=scenario,
            hardware=hardware,
            dispatch=dispatch,
            queues_requested=queues,
            workload=workload,
            provision=usable(
                provision(hardware, dispatch, queues, scenario.max_num_clients), workload
            ),
        )
        for queues in scenario.queues
        for workload in workloads
    ]


def usable(given: Provision, workload: Workload) -> Provision:
    """Return what the device gives; a workload that needs more queues than exist fails too."""
    needed = queues_needed(workload)
    if given.reason is None and needed > given.queues:
        return replace(given, reason=f"workload {workload.spec} needs {needed} queues")
    return given
