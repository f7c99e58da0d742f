# SPDX-License-Identifier: BSD-3-Clause
"""Which subsets of the series are safe, and what each patch therefore needs: computed."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain, combinations, product
from math import factorial
from typing import TypeVar

from ntbbench.core.options import shown
from ntbbench.pair.behaviour import receiving, receiving_hazards, sending_hazards
from ntbbench.pair.drivers.kernel_around import Hazard
from ntbbench.pair.drivers.patches import (
    KERNELS,
    PATCHES,
    SIDES,
    Driver,
    Side,
    driver,
    side_patches,
)
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.records import (
    PATCHES_SCHEMA,
    Dependencies,
    Failure,
    Half,
    HazardCure,
    OtherSettings,
    UnsafeOrder,
)
from ntbbench.pair.setting import DIRECTIONS, Setting
from ntbbench.pair.verdict import MW_COUNTS, SLOTS, WORKS, Traits, Verdict, judge, outcome, traits

Subset = frozenset[int]
OfSide = TypeVar("OfSide", Driver, Traits, int)
PEER_SIDE: dict[Side, Side] = {"ep": "rc", "rc": "ep"}


def powerset(items: Iterable[int]) -> Iterator[Subset]:
    """Yield every subset, smaller ones first."""
    pool = tuple(items)
    sizes = (combinations(pool, size) for size in range(len(pool) + 1))
    return (frozenset(chosen) for chosen in chain.from_iterable(sizes))


@cache
def failures(side: Side, patches: Subset, setting: Setting) -> tuple[Failure, ...]:
    """Return where a half's subset fails against an unpatched and a fully patched peer.

    What fails without any patch of the half is no patch's doing.
    """
    found = []
    own, unpatched = driver(side, patches), driver(side, ())
    for peer, way in product(_peers(side), DIRECTIONS):
        result = outcome(way, *_ordered(side, own, peer), setting)
        if result.verdict not in WORKS and (
            outcome(way, *_ordered(side, unpatched, peer), setting).verdict in WORKS
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


def unpatched_failures(setting: Setting) -> list[str]:
    """Return the verdict of each direction in which two unpatched drivers do not work."""
    ep, rc = driver("ep", ()), driver("rc", ())
    found = {way: outcome(way, ep, rc, setting).verdict for way in DIRECTIONS}
    return [f"{verdict} ({way})" for way, verdict in found.items() if verdict not in WORKS]


def first_failure(setting: Setting) -> tuple[int, Failure] | None:
    """Return the first patch of the posted order that fails, and how; None: none of them does."""
    for patch in PATCHES:
        mine = side_patches(patch.side)
        applied = frozenset(number for number in mine if number <= patch.number)
        if found := failures(patch.side, applied, setting):
            return patch.number, found[0]
    return None


def _peers(side: Side) -> tuple[Driver, Driver]:
    other = PEER_SIDE[side]
    return driver(other, ()), driver(other, side_patches(other))


def _ordered(side: Side, own: OfSide, peer: OfSide) -> tuple[OfSide, OfSide]:
    return (own, peer) if side == "ep" else (peer, own)


def dependencies(setting: Setting) -> Dependencies:
    """Judge all subsets of both halves; a kernel is safe when each of its halves is."""
    halves = [
        [s for s in powerset(side_patches(side)) if not failures(side, s, setting)]
        for side in SIDES
    ]
    # Both halves live in one kernel, but a half meets only the other half of its peer.
    safe = [ep | rc for ep, rc in product(*halves)]
    safe_set = set(safe)
    numbers = [patch.number for patch in PATCHES]
    requires = {number: required(number, safe) for number in numbers}
    return Dependencies(
        schema=PATCHES_SCHEMA,
        **shown(setting),
        requires={str(number): sorted(needs) for number, needs in requires.items()},
        minimal={
            str(number): _sorted(minimal_sets(s for s in safe if number in s)) for number in numbers
        },
        bisectable=all(frozenset(numbers[:count]) in safe_set for count in range(len(numbers) + 1)),
        subsets=2 ** len(numbers),
        safe_subsets=len(safe),
        mixed_failures=sum(
            outcome(way, driver("ep", ep), driver("rc", rc), setting).verdict not in WORKS
            for ep, rc in product(*halves)
            for way in DIRECTIONS
        ),
        halves=[_half(side, half) for side, half in zip(SIDES, halves, strict=True)],
        unsafe_orders=[
            _unsafe_order(number, need, setting)
            for number, needs in requires.items()
            for need in sorted(needs)
        ],
        hazard_cures=_cures(setting),
        kernels={name: ep.patches | rc.patches in safe_set for name, (ep, rc) in KERNELS.items()},
    )


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


def _unsafe_order(number: int, without: int, setting: Setting) -> UnsafeOrder:
    side = next(patch.side for patch in PATCHES if patch.number == number)
    careless = frozenset(side_patches(side)) - {without}
    return UnsafeOrder(
        patch=number, without=without, failures=list(failures(side, careless, setting))
    )


def _cures(setting: Setting) -> list[HazardCure]:
    cures = []
    for side, hazard in product(SIDES, Hazard):
        subsets = powerset(side_patches(side))
        minimal = minimal_sets(
            s for s in subsets if hazard not in _own_hazards(driver(side, s), setting)
        )
        if minimal != [frozenset()]:  # else the unpatched driver is free of it
            cures.append(HazardCure(side=side, hazard=str(hazard), minimal=_sorted(minimal)))
    return cures


def _own_hazards(own: Driver, setting: Setting) -> frozenset[Hazard]:
    """Return one side's hazards in both directions, whoever its peer is."""
    slots = setting.slots_of(own.side)
    met = sending_hazards(own, slots) | receiving_hazards(own, slots, setting.doorbell)
    db_reads = receiving(own, slots, setting.doorbell).db_reads[own.db_start : slots]
    wrong = any(word != 1 << bit for bit, word in enumerate(db_reads))
    return met | {Hazard.WRONG_BIT} if wrong else met


def _sorted(sets: Iterable[Subset]) -> list[list[int]]:
    return sorted(sorted(subset) for subset in sets)


# Subsets that are safe in one setting and lose doorbells in another that worked before.


def other_settings(side: Side) -> list[OtherSettings]:
    """Return the smallest subsets of a half that break a setting which works without them.

    Subsets whose traits agree in all settings cannot be told apart and are judged once.
    """
    found: list[OtherSettings] = []
    harmless: set[tuple[Traits, ...]] = set()
    for subset in powerset(side_patches(side)):
        if any(subset.issuperset(smaller.patches) for smaller in found):
            continue
        modes = Doorbell if side == "ep" else (Doorbell.POLL,)
        everywhere = product(SLOTS[side], MW_COUNTS, modes)
        fingerprint = tuple(traits(driver(side, subset), *key) for key in everywhere)
        if fingerprint in harmless:
            continue
        hits = list(_hits(side, subset))
        if hits:
            spans: dict[str, tuple[int, int]] = {}
            for name in ("ep_slots", "rc_vectors", "mw_count"):
                values = [getattr(setting, name) for setting, _ in hits]
                spans[name] = min(values), max(values)
            verdicts = sorted({str(verdict) for _, verdict in hits})
            found.append(
                OtherSettings(
                    side=side,
                    patches=sorted(subset),
                    settings=len(hits),
                    verdicts=verdicts,
                    **spans,
                )
            )
        else:
            harmless.add(fingerprint)
    return found


def _hits(side: Side, subset: Subset) -> Iterator[tuple[Setting, Verdict]]:
    """Yield the settings that the subset breaks, once for each peer and direction."""
    own, base = driver(side, subset), driver(side, ())
    for slots, mw_count, doorbell in product(SLOTS[side], MW_COUNTS, Doorbell):
        before = traits(base, slots, mw_count, doorbell)
        after = traits(own, slots, mw_count, doorbell)
        if before is after:
            continue
        for peer, peer_slots in product(_peers(side), SLOTS[PEER_SIDE[side]]):
            facing = traits(peer, peer_slots, mw_count, doorbell)
            for way in DIRECTIONS:
                verdict, _ = judge(way, *_ordered(side, after, facing))
                if verdict not in WORKS and judge(way, *_ordered(side, before, facing))[0] in WORKS:
                    both = _ordered(side, slots, peer_slots)
                    yield Setting(*both, mw_count, doorbell), verdict
