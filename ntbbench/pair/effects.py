# SPDX-License-Identifier: BSD-3-Clause
"""What each patch changes of what can be seen of its driver, and the whole analysis."""

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

from msgspec.structs import asdict

from ntbbench.pair.behaviour import OneSide
from ntbbench.pair.drivers.kernel_around import (
    MW_COUNT_MAX,
    Client,
    DriverError,
    Hazard,
    db_vector_count,
    db_vector_mask,
)
from ntbbench.pair.drivers.ntb_hw_epf import Epf, contiguous_irqs, scattered_irqs
from ntbbench.pair.drivers.patches import Driver, Side, driver, prefix, side_patches
from ntbbench.pair.drivers.pci_epf_vntb import VntbConfig
from ntbbench.pair.host_records import HostPatches, HostRaceCost
from ntbbench.pair.joined_hosts import AnySetting, HostSetting
from ntbbench.pair.records import Change, PatchEffect, PatchesResult, RaceCost
from ntbbench.pair.ring_trace import ring
from ntbbench.pair.setting import Direction, by_role, transport_qps
from ntbbench.pair.storm import SEED, storm
from ntbbench.pair.subsets import dependencies, other_settings, series
from ntbbench.pair.verdict import traits

TOO_MANY_WINDOWS = MW_COUNT_MAX + 1
PROBED_BIT = 1  # bit 0 hides some of the legacy's wrong bits
MULTI_BITS = 0b101

Observe = Callable[[OneSide, AnySetting], object]


def effects(setting: AnySetting) -> list[PatchEffect]:
    """Return for each patch of the series what it changes, in posted order."""
    found = []
    for patch in series(setting):
        place = side_patches(patch.side).index(patch.number)
        changes = []
        for what, observe in (*BOTH, *OWN[patch.side]):
            seen = []
            for own in (prefix(patch.side, place), prefix(patch.side, place + 1)):
                side = OneSide(own, setting.slots_of(own.side), setting.doorbell)
                seen.append(str(observe(side, setting)))
            if seen[0] != seen[1]:
                changes.append(Change(what=what, before=seen[0], after=seen[1]))
        found.append(
            PatchEffect(patch=patch.number, side=patch.side, subject=patch.subject, changes=changes)
        )
    return found


def race_cost(
    direction: Direction, first: Driver, second: Driver, setting: AnySetting, client: Client
) -> RaceCost | HostRaceCost:
    """Ring each QP once on a fresh pair and count the tasklet runs, the race check included.

    With a client that reposts buffers a db_read() hit on the rung QP merges with the repost and
    adds no run.
    """
    drivers = first, second
    receiver, slots = by_role(direction, *zip(drivers, setting.slots, strict=True))[1]
    qp_count = traits(receiver, slots, setting.mw_count, setting.doorbell).qp_count
    traces = [
        ring(direction, *drivers, setting, 1 << bit, client=client) for bit in range(qp_count)
    ]
    kind = HostRaceCost if isinstance(setting, HostSetting) else RaceCost
    labels = (own.label for own in drivers)
    return kind(
        direction=direction,
        **dict(zip(setting.ends.names, labels, strict=True)),
        client=str(client),
        runs=[len(trace.runs) for trace in traces],
        race_checks=[len(trace.race_checks) for trace in traces],
    )


def _list(parts: Iterable[object]) -> str:
    return ", ".join(map(str, parts))


def _qps(side: OneSide, setting: AnySetting) -> str:
    mask = side.device.db_valid_mask()
    return f"{transport_qps(mask, setting.mw_count).qp_count} of {mask.bit_length() - 1}"


def _reported(side: OneSide, place: int) -> str:
    """Return the vectors reported for the slot of doorbell bit `place`; -1: the reserved slot."""
    side.interrupt(side.driver.db_start + place)
    return _list(side.vectors) or "nothing"


def _register(side: OneSide, bits: Sequence[int], cleared: int = 0) -> str:
    for bit in bits:
        side.interrupt(side.driver.db_start + bit)
    if cleared:  # before patch 11 clearing no bit clears all of them
        side.device.db_clear(cleared)
    return hex(side.device.db_read())


def _cost(driver: Driver, setting: AnySetting, client: Client) -> RaceCost | HostRaceCost:
    """Return the cost of a doorbell that `driver` takes from an unpatched peer."""
    ends = setting.ends
    at = ends.halves.index(driver.side)
    peer = prefix(ends.halves[1 - at], 0)
    pair = (driver, peer) if at == 0 else (peer, driver)
    return race_cost(ends.directions[1 - at], *pair, setting, client)


def _calls(side: OneSide, setting: AnySetting) -> str:
    """Return how many tasklets one doorbell schedules: the runs that are no race check."""
    cost = _cost(side.driver, setting, Client.SILENT)
    return _list(runs - hits for runs, hits in zip(cost.runs, cost.race_checks, strict=True))


def _multi(side: OneSide, _: AnySetting) -> str:
    side.ring(MULTI_BITS)
    return _list(side.rung)


def _context(side: OneSide, _: AnySetting) -> str:
    side.ring(1)
    return str(Hazard.SLEEPS) if Hazard.SLEEPS in side.hazards else "does not sleep"


def _store(side: OneSide, attribute: str, text: str, *, attached: bool = False) -> str:
    config = VntbConfig(side.driver)
    config.attached = attached
    return _errno(config.store, attribute, text)


def _bind(side: OneSide, db_count: int) -> str:
    config = VntbConfig(side.driver)
    config.db_count = db_count
    return _errno(config.configure_interrupt)


def _windows(side: OneSide, setting: AnySetting) -> str:
    unseen: list[int] = []
    irqs = contiguous_irqs(setting.slots_of("rc"))
    epf = Epf(side.driver, irqs, unseen.append, unseen.append)
    return f"{_errno(epf.probe, TOO_MANY_WINDOWS)}, {len(epf.requested)} irqs left behind"


def _scattered(side: OneSide, setting: AnySetting) -> str:
    return _reported(OneSide(side.driver, setting.slots_of("rc"), irqs=scattered_irqs), PROBED_BIT)


def _errno(call: Callable[..., None], *words: object) -> str:
    try:
        call(*words)
    except DriverError as error:
        return f"-{error.name}"
    return "0"


BOTH: tuple[tuple[str, Observe], ...] = (
    ("db_valid_mask", lambda side, _: hex(side.device.db_valid_mask())),
    ("QPs of ntb_transport, of those that the mask allows", _qps),
    ("ntb_db_vector_count()", lambda side, _: db_vector_count(side.device)),
    (
        "ntb_db_vector_mask() of vectors 0, 1, 2",
        lambda side, _: _list(hex(db_vector_mask(side.device, vector)) for vector in range(3)),
    ),
    ("vector told for a ring of bit 1", lambda side, _: _reported(side, PROBED_BIT)),
    ("vector told for a ring of the reserved slot", lambda side, _: _reported(side, -1)),
    ("db_read() after a ring of bit 1", lambda side, _: _register(side, [PROBED_BIT])),
    ("tasklets scheduled by a ring of QP 0, 1, ..", _calls),
    (
        "tasklet runs for one packet on QP 0, 1, .. (ntb_netdev)",
        lambda side, setting: _list(_cost(side.driver, setting, Client.REPOSTS).runs),
    ),
    ("slots rung by peer_db_set() of bits 0 and 2", _multi),
)
OWN: dict[Side, tuple[tuple[str, Observe], ...]] = {
    "ep": (
        ("peer_db_set() in atomic context", _context),
        ("configfs write of db_count 2", lambda side, _: _store(side, "db_count", "2")),
        ("configfs write of db_count 33", lambda side, _: _store(side, "db_count", "33")),
        ("bind with db_count 2", lambda side, _: _bind(side, 2)),
        ("bind with db_count 33", lambda side, _: _bind(side, 33)),
        (
            "configfs write after EPC attach",
            lambda side, _: _store(side, "spad_count", "128", attached=True),
        ),
    ),
    "rc": (
        ("vector told for bit 1 with non-contiguous irqs", _scattered),
        (
            "db_read() after rings of bits 0 and 1, bit 0 cleared",
            lambda side, _: _register(side, [0, 1], cleared=1),
        ),
        (f"probe with {TOO_MANY_WINDOWS} windows", _windows),
    ),
}


def analyse(setting: AnySetting, seed: int = SEED) -> PatchesResult | HostPatches:
    """Return all that is known of the series in a setting; InputError: a seed below 0.

    The storm is of pci-epf-vntb alone: ntb_hw_epf defers nothing.
    """
    found: dict[str, Any] = {
        **asdict(dependencies(setting)),
        "elsewhere": [f for side in setting.ends.sides for f in other_settings(side, setting)],
        "effects": effects(setting),
        "race_costs": race_costs(setting),
    }
    if isinstance(setting, HostSetting):
        return HostPatches(**found)
    storms = [storm(budget, seed) for budget in range(1, 17)]
    return PatchesResult(**found, storm_seed=seed, storm=storms)


def race_costs(setting: AnySetting) -> list[RaceCost | HostRaceCost]:
    """Return the tasklet runs per doorbell before the series and after it."""
    first, second = setting.ends.halves
    before = driver(first, ()), driver(second, ())
    after = driver(first, side_patches(first)), driver(second, side_patches(second))
    return [
        race_cost(direction, *pair, setting, client)
        for direction, client, pair in product(setting.ends.directions, Client, (before, after))
    ]
