# SPDX-License-Identifier: BSD-3-Clause
"""Subsets that are safe in one setting and lose doorbells in another that worked before."""

from collections.abc import Iterator
from itertools import product

from msgspec import Struct

from ntbbench.pair.drivers.patches import Driver, Side, driver, side_patches
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.drivers.slots import MW_COUNT_MAX
from ntbbench.pair.series.prefix_matrix import EP_SLOTS, RC_VECTORS
from ntbbench.pair.series.subsets import PEER_SIDE, Subset, powerset
from ntbbench.pair.series.verdict import WORKS, Traits, Verdict, judge, traits
from ntbbench.pair.setting import DIRECTIONS, Direction, Setting

SLOTS: dict[Side, range] = {"ep": EP_SLOTS, "rc": RC_VECTORS}
Fingerprint = tuple[Traits, ...]


class Elsewhere(Struct, frozen=True, kw_only=True):
    """A smallest subset that breaks settings in which the unpatched half works.

    `settings` counts settings, directions and peers (unpatched, fully patched); the others span
    them.
    """

    side: str
    patches: list[int]
    settings: int
    verdicts: list[str]
    ep_slots: tuple[int, int]
    rc_vectors: tuple[int, int]
    mw_count: tuple[int, int]


def elsewhere(side: Side) -> list[Elsewhere]:
    """Return the smallest subsets of a half that break a setting which works without them.

    Subsets whose traits agree in all settings cannot be told apart and are judged once.
    """
    found: list[Elsewhere] = []
    harmless: set[Fingerprint] = set()
    for subset in powerset(side_patches(side)):
        if any(subset.issuperset(smaller.patches) for smaller in found):
            continue
        fingerprint = _fingerprint(driver(side, subset))
        if fingerprint in harmless:
            continue
        hits = list(_hits(side, subset))
        if hits:
            found.append(_span(side, subset, hits))
        else:
            harmless.add(fingerprint)
    return found


def _keys(side: Side) -> Iterator[tuple[int, int, Doorbell]]:
    """Yield all that traits depend on: slots, windows, doorbell mode."""
    modes = Doorbell if side == "ep" else (Doorbell.POLL,)
    return product(SLOTS[side], range(1, MW_COUNT_MAX + 1), modes)


def _fingerprint(own: Driver) -> Fingerprint:
    """Return the traits of one side in every setting."""
    return tuple(traits(own, *key) for key in _keys(own.side))


def _hits(side: Side, subset: Subset) -> Iterator[tuple[Setting, Verdict]]:
    """Yield the settings that the subset breaks, once for each peer and direction."""
    other = PEER_SIDE[side]
    own, base = driver(side, subset), driver(side, ())
    peers = (driver(other, ()), driver(other, side_patches(other)))
    for slots, mw_count, doorbell in product(SLOTS[side], range(1, MW_COUNT_MAX + 1), Doorbell):
        before = traits(base, slots, mw_count, doorbell)
        after = traits(own, slots, mw_count, doorbell)
        if before is after:
            continue
        for peer, peer_slots in product(peers, SLOTS[other]):
            facing = traits(peer, peer_slots, mw_count, doorbell)
            for way in DIRECTIONS:
                verdict = _verdict(side, way, after, facing)
                if verdict not in WORKS and _verdict(side, way, before, facing) in WORKS:
                    both = (slots, peer_slots) if side == "ep" else (peer_slots, slots)
                    yield Setting(*both, mw_count, doorbell), verdict


def _verdict(side: Side, way: Direction, own: Traits, facing: Traits) -> Verdict:
    return judge(way, *((own, facing) if side == "ep" else (facing, own)))[0]


def _span(side: Side, subset: Subset, hits: list[tuple[Setting, Verdict]]) -> Elsewhere:
    ep_slots = [setting.ep_slots for setting, _ in hits]
    rc_vectors = [setting.rc_vectors for setting, _ in hits]
    mw_counts = [setting.mw_count for setting, _ in hits]
    return Elsewhere(
        side=side,
        patches=sorted(subset),
        settings=len(hits),
        verdicts=sorted({str(verdict) for _, verdict in hits}),
        ep_slots=(min(ep_slots), max(ep_slots)),
        rc_vectors=(min(rc_vectors), max(rc_vectors)),
        mw_count=(min(mw_counts), max(mw_counts)),
    )
