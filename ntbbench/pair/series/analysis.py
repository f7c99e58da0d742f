# SPDX-License-Identifier: BSD-3-Clause
"""The whole analysis of the series that `ntbbench patches` reports."""

from msgspec import Struct

from ntbbench.pair.drivers.patches import prefix, side_patches
from ntbbench.pair.series.effects import PatchEffect, effects
from ntbbench.pair.series.lost_in_other_settings import Elsewhere, elsewhere
from ntbbench.pair.series.race_check import RaceCost, race_cost
from ntbbench.pair.series.subsets import Half, HazardCure, UnsafeOrder, dependencies
from ntbbench.pair.setting import DIRECTIONS, Setting
from ntbbench.pair.storm import storm
from ntbbench.pair.wakeups import Client

PATCHES_SCHEMA = "ntbbench.patches/1"
BUDGETS = range(1, 17)
SEED = 1


class StormCount(Struct, frozen=True, kw_only=True):
    """One budget of the deferred work under a storm; see ntbbench/pair/storm.py."""

    budget: int
    rings: int
    msis: int
    snapshots: int
    runs: int
    longest_run: int
    snapshot_latency_mean: float
    snapshot_latency_max: int
    tick_latency_mean: float
    tick_latency_max: int


class PatchesResult(Struct, frozen=True, kw_only=True):
    """What `ntbbench patches` found; the fields are explained where they are computed."""

    schema: str
    ep_slots: int
    rc_vectors: int
    mw_count: int
    doorbell: str
    requires: dict[str, list[int]]
    minimal: dict[str, list[list[int]]]
    bisectable: bool
    subsets: int
    safe_subsets: int
    mixed_failures: int
    halves: list[Half]
    unsafe_orders: list[UnsafeOrder]
    hazard_cures: list[HazardCure]
    kernels: dict[str, bool]
    elsewhere: list[Elsewhere]
    effects: list[PatchEffect]
    race_costs: list[RaceCost]
    storm_seed: int
    storm: list[StormCount]


def analyse(setting: Setting, seed: int = SEED) -> PatchesResult:
    """Return all that is known of the series in a setting.

    Raises
    ------
    DriverError : a driver that refuses the setting.
    InputError : a seed out of range.
    """
    found = dependencies(setting)
    return PatchesResult(
        schema=PATCHES_SCHEMA,
        ep_slots=setting.ep_slots,
        rc_vectors=setting.rc_vectors,
        mw_count=setting.mw_count,
        doorbell=str(setting.doorbell),
        requires=found.requires,
        minimal=found.minimal,
        bisectable=found.bisectable,
        subsets=found.subsets,
        safe_subsets=found.safe_subsets,
        mixed_failures=found.mixed_failures,
        halves=found.halves,
        unsafe_orders=found.unsafe_orders,
        hazard_cures=found.cures,
        kernels=found.kernels,
        elsewhere=[*elsewhere("ep"), *elsewhere("rc")],
        effects=effects(setting),
        race_costs=race_costs(setting),
        storm_seed=seed,
        storm=[StormCount(**vars(storm(budget, seed))) for budget in BUDGETS],
    )


def race_costs(setting: Setting) -> list[RaceCost]:
    """Return the tasklet runs of a doorbell before the series and after it."""
    whole = {side: len(side_patches(side)) for side in ("ep", "rc")}
    pairs = (
        (prefix("ep", 0), prefix("rc", 0)),
        (prefix("ep", whole["ep"]), prefix("rc", whole["rc"])),
    )
    return [
        race_cost(direction, ep, rc, setting, client)
        for direction in DIRECTIONS
        for client in Client
        for ep, rc in pairs
    ]
