# SPDX-License-Identifier: BSD-3-Clause
"""Which subsets of the series are safe, and what each patch therefore needs: computed."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain, combinations, product
from math import factorial
from typing import Any, TypeVar

from ntbbench.pair.behaviour import receiving, receiving_hazards, sending_hazards
from ntbbench.pair.drivers.kernel_around import Hazard
from ntbbench.pair.drivers.patches import (
    KERNELS,
    PATCHES,
    Driver,
    Patch,
    Side,
    driver,
    side_patches,
)
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.host_records import HOST_PATCHES_SCHEMA, HostDependencies, HostElsewhere
from ntbbench.pair.joined_hosts import AnySetting, HostSetting
from ntbbench.pair.records import (
    PATCHES_SCHEMA,
    Dependencies,
    Failure,
    Half,
    HazardCure,
    OtherSettings,
    UnsafeOrder,
)
from ntbbench.pair.search import GRANTED, MW_COUNTS, SLOTS, Sizes, modes
from ntbbench.pair.verdict import WORKS, Traits, Verdict, judge, outcome, traits

Subset = frozenset[int]
OfSide = TypeVar("OfSide", Driver, Traits, int)


def powerset(items: Iterable[int]) -> Iterator[Subset]:
    """Yield every subset, smaller ones first."""
    pool = tuple(items)
    sizes = (combinations(pool, size) for size in range(len(pool) + 1))
    return (frozenset(chosen) for chosen in chain.from_iterable(sizes))


@cache
def failures(side: Side, patches: Subset, setting: AnySetting) -> tuple[Failure, ...]:
    """Return where a half's subset fails against an unpatched and a fully patched peer.

    What fails without any patch of the half is no patch's doing. Of two hosts host 1 has the
    patches; where they were granted different vectors, host 2 by turns.
    """
    found = []
    own, unpatched = driver(side, patches), driver(side, ())
    places = product(_peers(side, setting), setting.ends.directions, _places(side, setting))
    for peer, way, at in places:
        result = outcome(way, *_ordered(at, own, peer), setting)
        if result.verdict not in WORKS and (
            outcome(way, *_ordered(at, unpatched, peer), setting).verdict in WORKS
        ):
            found.append(
                Failure(
                    patches=sorted(patches),
                    peer=peer.label,
                    direction=way,
                    verdict=str(result.verdict),
                    missed=result.counts.missed,
                    misrouted=result.counts.misrouted,
                )
            )
    return tuple(found)


def unpatched_failures(setting: AnySetting) -> list[str]:
    """Return the verdict of each direction in which two unpatched drivers do not work."""
    first, second = (driver(half, ()) for half in setting.ends.halves)
    found = {way: outcome(way, first, second, setting).verdict for way in setting.ends.directions}
    return [f"{verdict} ({way})" for way, verdict in found.items() if verdict not in WORKS]


def series(setting: AnySetting) -> list[Patch]:
    """Return the patches of the halves that are in play, in posted order."""
    return [patch for patch in PATCHES if patch.side in setting.ends.sides]


def first_failure(setting: AnySetting) -> tuple[int, Failure] | None:
    """Return the first patch of the posted order that fails, and how; None: none of them does."""
    for patch in series(setting):
        mine = side_patches(patch.side)
        applied = frozenset(number for number in mine if number <= patch.number)
        if found := failures(patch.side, applied, setting):
            return patch.number, found[0]
    return None


def _peers(side: Side, setting: AnySetting) -> tuple[Driver, Driver]:
    first, second = setting.ends.halves
    other = second if side == first else first
    return driver(other, ()), driver(other, side_patches(other))


def _places(side: Side, setting: AnySetting) -> tuple[int, ...]:
    """Return which ends the driver of a half may be: 0 the first, 1 the second.

    Hosts that were granted as many vectors are alike, and the first of them stands for both.
    """
    alike = len(set(setting.ends.sides)) == len(set(setting.slots)) == 1
    found = (at for at, half in enumerate(setting.ends.halves) if half == side)
    return tuple(found)[: 1 if alike else 2]


def _ordered(at: int, own: OfSide, peer: OfSide) -> tuple[OfSide, OfSide]:
    return (own, peer) if at == 0 else (peer, own)


def dependencies(setting: AnySetting) -> Dependencies | HostDependencies:
    """Judge all subsets of the halves in play; a kernel is safe when each of its halves is."""
    ends = setting.ends
    halves = {
        side: [s for s in powerset(side_patches(side)) if not failures(side, s, setting)]
        for side in ends.sides
    }
    # Both halves live in one kernel, but a half meets only the half of its peer.
    safe = [frozenset().union(*chosen) for chosen in product(*halves.values())]
    safe_set = set(safe)
    numbers = [patch.number for patch in series(setting)]
    requires = {number: required(number, safe) for number in numbers}
    safe_drivers = ([driver(half, s) for s in halves[half]] for half in ends.halves)
    pairs = list(product(*safe_drivers))
    hosts = isinstance(setting, HostSetting)
    kind = HostDependencies if hosts else Dependencies
    return kind(
        schema=HOST_PATCHES_SCHEMA if hosts else PATCHES_SCHEMA,
        **setting.recorded(),
        requires={str(number): sorted(needs) for number, needs in requires.items()},
        minimal={
            str(number): _sorted(minimal_sets(s for s in safe if number in s)) for number in numbers
        },
        bisectable=all(frozenset(numbers[:count]) in safe_set for count in range(len(numbers) + 1)),
        subsets=2 ** len(numbers),
        safe_subsets=len(safe),
        mixed_failures=sum(
            outcome(way, first, second, setting).verdict not in WORKS
            for first, second in pairs
            for way in ends.directions
        ),
        halves=[_half(side, half) for side, half in halves.items()],
        unsafe_orders=[
            _unsafe_order(number, need, setting)
            for number, needs in requires.items()
            for need in sorted(needs)
        ],
        hazard_cures=_cures(setting),
        kernels={name: _applied(pair, ends.sides) in safe_set for name, pair in KERNELS.items()},
    )


def _applied(drivers: Iterable[Driver], sides: Iterable[Side]) -> Subset:
    """Return the patches of a kernel that are of the halves in play."""
    return frozenset().union(*(own.patches for own in drivers if own.side in sides))


def required(number: int, safe: Iterable[Subset]) -> Subset:
    """Return the patches that every safe subset with patch `number` holds."""
    holding = [subset for subset in safe if number in subset]
    return frozenset.intersection(*holding) - {number} if holding else frozenset()


def minimal_sets(sets: Iterable[Subset]) -> list[Subset]:
    """Return the sets that hold no other of them."""
    minimal: list[Subset] = []
    for candidate in sorted(sets, key=len):
        if not any(smaller <= candidate for smaller in minimal):
            minimal.append(candidate)
    return minimal


def safe_orders(numbers: Iterable[int], is_safe: Callable[[Subset], bool]) -> int:
    """Return how many orders of `numbers` leave a safe kernel after every patch."""
    ways = {frozenset[int](): 1}
    whole = frozenset(numbers)
    for _ in whole:
        following: dict[Subset, int] = {}
        for subset, count in ways.items():
            for number in whole - subset:
                larger = subset | {number}
                if is_safe(larger):
                    following[larger] = following.get(larger, 0) + count
        ways = following
    return ways.get(whole, 0)


def _half(side: Side, safe: list[Subset]) -> Half:
    numbers = side_patches(side)
    safe_set = set(safe)
    return Half(
        side=side,
        subsets=2 ** len(numbers),
        safe_subsets=len(safe),
        minimal_unsafe=_sorted(minimal_sets(s for s in powerset(numbers) if s not in safe_set)),
        orders=factorial(len(numbers)),
        safe_orders=safe_orders(numbers, safe_set.__contains__),
    )


def _unsafe_order(number: int, without: int, setting: AnySetting) -> UnsafeOrder:
    side = next(patch.side for patch in PATCHES if patch.number == number)
    careless = frozenset(side_patches(side)) - {without}
    return UnsafeOrder(
        patch=number, without=without, failures=list(failures(side, careless, setting))
    )


def _cures(setting: AnySetting) -> list[HazardCure]:
    cures = []
    for side, hazard in product(setting.ends.sides, Hazard):
        subsets = powerset(side_patches(side))
        minimal = minimal_sets(
            s for s in subsets if hazard not in _own_hazards(driver(side, s), setting)
        )
        if minimal != [frozenset()]:  # else the unpatched driver is free of it
            cures.append(HazardCure(side=side, hazard=str(hazard), minimal=_sorted(minimal)))
    return cures


def _own_hazards(own: Driver, setting: AnySetting) -> frozenset[Hazard]:
    """Return one side's hazards in both directions, whoever its peer is."""
    slots = setting.slots_of(own.side)
    met = sending_hazards(own, slots) | receiving_hazards(own, slots, setting.doorbell)
    db_reads = receiving(own, slots, setting.doorbell).db_reads[own.db_start : slots]
    wrong = any(word != 1 << bit for bit, word in enumerate(db_reads))
    return met | {Hazard.WRONG_BIT} if wrong else met


def _sorted(sets: Iterable[Subset]) -> list[list[int]]:
    return sorted(sorted(subset) for subset in sets)


# Subsets that are safe in one setting and lose doorbells in another that worked before.


def other_settings(side: Side, own: AnySetting) -> list[OtherSettings] | list[HostElsewhere]:
    """Return the smallest subsets of a half that break a setting which works without them.

    `own` says whose settings: those of its endpoint function. Subsets whose traits agree in all
    settings cannot be told apart and are judged once.
    """
    hosts = isinstance(own, HostSetting)
    kind = HostElsewhere if hosts else OtherSettings
    names = (*(GRANTED if hosts else ("ep_slots", "rc_vectors")), "mw_count")
    found: list[Any] = []
    harmless: set[tuple[Traits, ...]] = set()
    for subset in powerset(side_patches(side)):
        if any(subset.issuperset(smaller.patches) for smaller in found):
            continue
        fingerprint = _fingerprint(side, subset)
        hits = [] if fingerprint in harmless else list(_hits(side, subset, own))
        if not hits:
            harmless.add(fingerprint)
            continue
        columns = zip(*(sizes for sizes, _ in hits), strict=True)
        spans = {name: (min(c), max(c)) for name, c in zip(names, columns, strict=True)}
        verdicts = sorted({str(verdict) for _, verdict in hits})
        found.append(
            kind(
                side=side,
                patches=sorted(subset),
                settings=len(hits),
                verdicts=verdicts,
                **spans,
            )
        )
    return found


def _fingerprint(side: Side, subset: Subset) -> tuple[Traits, ...]:
    modes = Doorbell if side == "ep" else (Doorbell.POLL,)
    everywhere = product(SLOTS[side], MW_COUNTS, modes)
    return tuple(traits(driver(side, subset), *key) for key in everywhere)


def _hits(side: Side, subset: Subset, setting: AnySetting) -> Iterator[tuple[Sizes, Verdict]]:
    """Yield slots of both ends and windows that the subset breaks, once for each peer, direction
    and doorbell mode. A host with the subset is the first: the other way round is the same."""
    own, base, ends = driver(side, subset), driver(side, ()), setting.ends
    at = ends.halves.index(side)
    for slots, mw_count, doorbell in product(SLOTS[side], MW_COUNTS, modes(setting)):
        before = traits(base, slots, mw_count, doorbell)
        after = traits(own, slots, mw_count, doorbell)
        if before is after:
            continue
        for peer, peer_slots in product(_peers(side, setting), SLOTS[ends.halves[1 - at]]):
            facing = traits(peer, peer_slots, mw_count, doorbell)
            for way in ends.directions:
                verdict, _ = judge(way, *_ordered(at, after, facing))
                if verdict not in WORKS and judge(way, *_ordered(at, before, facing))[0] in WORKS:
                    yield (*_ordered(at, slots, peer_slots), mw_count), verdict
