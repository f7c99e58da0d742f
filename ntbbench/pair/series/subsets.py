# SPDX-License-Identifier: BSD-3-Clause
"""Which subsets of the series are safe, and what each patch therefore needs: computed."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain, combinations, product
from math import factorial

from msgspec import Struct

from ntbbench.pair.behaviour import receiving
from ntbbench.pair.drivers.hazards import Hazard
from ntbbench.pair.drivers.patches import (
    KERNELS,
    PATCHES,
    SIDES,
    Driver,
    Side,
    driver,
    side_patches,
)
from ntbbench.pair.series.verdict import WORKS, Outcome, outcome, receiving_hazards, sending_hazards
from ntbbench.pair.setting import DIRECTIONS, Direction, Setting

Subset = frozenset[int]
PEER_SIDE: dict[Side, Side] = {"ep": "rc", "rc": "ep"}


class Failure(Struct, frozen=True, kw_only=True):
    """One direction in which a subset loses doorbells, and against which peer."""

    patches: list[int]
    peer: str
    direction: str
    verdict: str
    missed: int
    misrouted: int


class UnsafeOrder(Struct, frozen=True, kw_only=True):
    """A patch without one that it needs, all others of its half applied: a careless backport."""

    patch: int
    without: int
    failures: list[Failure]


class HazardCure(Struct, frozen=True, kw_only=True):
    """The smallest sets of patches that free one side of a hazard."""

    side: str
    hazard: str
    minimal: list[list[int]]  # [] alone: the unpatched driver is free of it


class Half(Struct, frozen=True, kw_only=True):
    """One half of the series."""

    side: str
    subsets: int
    safe_subsets: int
    minimal_unsafe: list[list[int]]  # unsafe sets without an unsafe set inside
    orders: int  # permutations of the half
    safe_orders: int  # with every intermediate kernel safe


class Dependencies(Struct, frozen=True, kw_only=True):
    """What the subsets say."""

    requires: dict[str, list[int]]  # patch number: patches it is unsafe without
    minimal: dict[str, list[list[int]]]  # patch number: smallest safe sets that hold it
    bisectable: bool  # every prefix of the posted order is safe
    subsets: int
    safe_subsets: int
    mixed_failures: int  # safe halves that fail each other; 0 is the claim of the series
    halves: list[Half]
    unsafe_orders: list[UnsafeOrder]
    cures: list[HazardCure]
    kernels: dict[str, bool]  # released kernels: safe or not


def powerset(items: Iterable[int]) -> Iterator[Subset]:
    """Yield every subset, smaller ones first."""
    pool = tuple(items)
    sizes = (combinations(pool, size) for size in range(len(pool) + 1))
    return (frozenset(chosen) for chosen in chain.from_iterable(sizes))


def against(side: Side, own: Driver, peer: Driver, way: Direction, setting: Setting) -> Outcome:
    """Return the outcome of one side's driver with a peer."""
    return outcome(way, *((own, peer) if side == "ep" else (peer, own)), setting)


@cache
def failures(side: Side, patches: Subset, setting: Setting) -> tuple[Failure, ...]:
    """Return where a half's subset fails against an unpatched and a fully patched peer."""
    found = []
    other = PEER_SIDE[side]
    for peer, way in product((driver(other, ()), driver(other, side_patches(other))), DIRECTIONS):
        result = against(side, driver(side, patches), peer, way, setting)
        if result.verdict not in WORKS:
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


def dependencies(setting: Setting) -> Dependencies:
    """Judge all subsets of both halves; a kernel is safe when each of its halves is.

    Raises
    ------
    DriverError : a driver that refuses the setting.
    """
    ep_safe, rc_safe = (safe_sets(side, setting) for side in SIDES)
    # Both halves live in one kernel, but a half meets only the other half of its peer.
    safe = [ep | rc for ep, rc in product(ep_safe, rc_safe)]
    numbers = [patch.number for patch in PATCHES]
    subsets = 2 ** len(numbers)
    safe_set = set(safe)
    prefixes = [frozenset(numbers[:count]) for count in range(len(numbers) + 1)]
    requires = {number: required(number, safe) for number in numbers}
    return Dependencies(
        requires={str(number): sorted(needs) for number, needs in requires.items()},
        minimal={
            str(number): _sorted(minimal_sets(s for s in safe if number in s)) for number in numbers
        },
        bisectable=all(prefix in safe_set for prefix in prefixes),
        subsets=subsets,
        safe_subsets=len(safe),
        mixed_failures=_mixed_failures(ep_safe, rc_safe, setting),
        halves=[_half("ep", ep_safe), _half("rc", rc_safe)],
        unsafe_orders=[
            _unsafe_order(number, need, setting)
            for number, needs in requires.items()
            for need in sorted(needs)
        ],
        cures=_cures(setting),
        kernels={version: ep | rc in safe_set for version, (ep, rc, *_) in KERNELS.items()},
    )


def safe_sets(side: Side, setting: Setting) -> list[Subset]:
    """Return a half's safe subsets, smaller ones first."""
    return [s for s in powerset(side_patches(side)) if not failures(side, s, setting)]


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


def _mixed_failures(ep_safe: list[Subset], rc_safe: list[Subset], setting: Setting) -> int:
    return sum(
        outcome(way, driver("ep", ep), driver("rc", rc), setting).verdict not in WORKS
        for ep, rc, way in product(ep_safe, rc_safe, DIRECTIONS)
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
        numbers = side_patches(side)
        free = [s for s in powerset(numbers) if hazard not in own_hazards(driver(side, s), setting)]
        minimal = minimal_sets(free)
        if minimal != [frozenset()]:
            cures.append(HazardCure(side=side, hazard=str(hazard), minimal=_sorted(minimal)))
    return cures


def own_hazards(own: Driver, setting: Setting) -> frozenset[Hazard]:
    """Return one side's hazards in both directions, whoever its peer is."""
    slots = setting.slots_of(own.side)
    receives = receiving(own, slots, setting.doorbell)
    met = sending_hazards(own, setting) | receiving_hazards(own, setting)
    shown = enumerate(receives.db_reads[own.db_start :])
    wrong = any(word != 1 << bit for bit, word in shown if own.db_start + bit < slots)
    return met | {Hazard.WRONG_BIT} if wrong else met


def _sorted(sets: Iterable[Subset]) -> list[list[int]]:
    return sorted(sorted(subset) for subset in sets)
