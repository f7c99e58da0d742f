# SPDX-License-Identifier: BSD-3-Clause
"""The whole analysis of the series that `ntbbench patches` reports."""

from itertools import product

from msgspec.structs import asdict

from ntbbench.pair.drivers.patches import SIDES, driver, side_patches
from ntbbench.pair.records import PatchesResult, RaceCost
from ntbbench.pair.series.effects import effects, race_cost
from ntbbench.pair.series.storm import storm
from ntbbench.pair.series.subsets import dependencies, other_settings
from ntbbench.pair.setting import DIRECTIONS, Setting
from ntbbench.pair.wakeups import Client

BUDGETS = range(1, 17)
SEED = 1


def analyse(setting: Setting, seed: int = SEED) -> PatchesResult:
    """Return all that is known of the series in a setting.

    Raises
    ------
    DriverError : a driver that refuses the setting.
    InputError : a seed out of range.
    """
    return PatchesResult(
        **asdict(dependencies(setting)),
        elsewhere=[found for side in SIDES for found in other_settings(side)],
        effects=effects(setting),
        race_costs=race_costs(setting),
        storm_seed=seed,
        storm=[storm(budget, seed) for budget in BUDGETS],
    )


def race_costs(setting: Setting) -> list[RaceCost]:
    """Return the tasklet runs per doorbell before the series and after it."""
    before = [driver(side, ()) for side in SIDES]
    after = [driver(side, side_patches(side)) for side in SIDES]
    return [
        race_cost(direction, ep, rc, setting, client)
        for direction, client, (ep, rc) in product(DIRECTIONS, Client, (before, after))
    ]
