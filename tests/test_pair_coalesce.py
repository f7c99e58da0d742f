# SPDX-License-Identifier: BSD-3-Clause
"""What a burst may coalesce to: the model's own bursts are within it, doctored ones are not."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ntbbench.model.pair.coalesce import Hop, Step, event_hops, msi_hops
from ntbbench.model.pair.deferral import PeerDbWork
from ntbbench.model.pair.flow import POLL, Raised, RingEffect, Seen, Told, ring_effects
from ntbbench.model.pair.joined import Pair, Setting
from ntbbench.model.pair.patches import Driver, prefix

FOUR = Setting()
QP_COUNT = 4
BITS = st.integers(0, QP_COUNT - 1)
# Rings of a bit and steps of the deferred work, as other CPUs see them, in any order.
MOVES = st.lists(st.one_of(BITS, st.none()), min_size=1, max_size=60)
C, E, P = Step.CAUSE, Step.EFFECT, Step.POLL


def to_rc(ep: Driver) -> tuple[RingEffect, ...]:
    return ring_effects("ep-to-rc", ep, prefix("rc", 5), FOUR, QP_COUNT)


def deferred_burst(moves: Sequence[int | None], budget: int) -> list[Seen]:
    """Return the rings and MSIs of a burst through the work of patch 2; None: a step of it."""
    seen: list[Seen] = []
    work = PeerDbWork(lambda bit: seen.append(Raised(bit + 3)), budget)
    work.enable()
    for move in moves:
        if move is None:
            work.step()
        else:
            seen.append(1 << move)
            work.set(1 << move)
    work.drain()
    return seen


def wrong(hops: dict[int, Hop]) -> Iterator[int]:
    for key, hop in hops.items():
        if not hop.least <= hop.count <= hop.most or hop.surplus() or hop.lost():
            yield key


@given(moves=MOVES, budget=st.integers(1, 5))
def test_however_the_work_coalesces_its_msis_are_within_the_bounds(moves, budget) -> None:
    seen = deferred_burst(moves, budget)
    hops = msi_hops(to_rc(prefix("ep", 7)), seen, deferred=True)
    assert list(wrong(hops)) == []
    rung = {move for move in moves if move is not None}
    assert {number: hop.least for number, hop in hops.items()} == {bit + 3: 1 for bit in rung}
    assert sum(hop.most for hop in hops.values()) == sum(move is not None for move in moves)


@given(moves=MOVES, budget=st.integers(1, 5), data=st.data())
def test_a_lost_last_msi_and_one_too_many_are_seen(moves, budget, data) -> None:
    seen = deferred_burst(moves, budget)
    effects = to_rc(prefix("ep", 7))
    msis = [n for n, item in enumerate(seen) if isinstance(item, Raised)]
    assume(msis)
    number = seen[data.draw(st.sampled_from(msis))].number
    *before, last = [n for n in msis if seen[n].number == number]
    # A ring that an MSI before the last one follows may have been gathered in that one.
    owed = 1 << (number - 3) in seen[max(before, default=0) : last]
    left = msi_hops(effects, seen[:last] + seen[last + 1 :], deferred=True)
    assert list(wrong(left)) == [number] * owed
    rings = sum(item == 1 << (number - 3) for item in seen)
    flood = [*seen, *[Raised(number)] * rings]
    assert list(wrong(msi_hops(effects, flood, deferred=True))) == [number]
    assert list(wrong(msi_hops(effects, [Raised(number), *seen], deferred=True))) == [number]


@given(rings=st.lists(BITS, min_size=1, max_size=20), data=st.data())
def test_before_the_deferral_each_ring_is_one_msi(rings, data) -> None:
    effects = to_rc(prefix("ep", 1))
    seen = [item for bit in rings for item in (1 << bit, Raised(bit + 3))]
    hops = msi_hops(effects, seen, deferred=False)
    assert list(wrong(hops)) == []
    assert {n: (h.least, h.most) for n, h in hops.items()} == {
        bit + 3: (rings.count(bit),) * 2 for bit in rings
    }
    gone = data.draw(st.sampled_from(range(1, len(seen), 2)))
    missing = msi_hops(effects, seen[:gone] + seen[gone + 1 :], deferred=False)
    assert list(wrong(missing)) == [seen[gone].number]


def test_a_driver_that_does_not_defer_rings_the_lowest_bit_only() -> None:
    seen: list[Seen] = [0b110, Raised(4)]
    assert list(wrong(msi_hops(to_rc(prefix("ep", 1)), seen, deferred=False))) == []
    assert list(wrong(msi_hops(to_rc(prefix("ep", 7)), seen, deferred=True))) == [5]


def test_a_slot_that_is_lost_on_the_way_asks_for_no_callback() -> None:
    """An unpatched endpoint with db_count 3 neither fills nor polls the slot of bit 1."""
    small = Setting(ep_slots=3, mw_count=2)
    effects = ring_effects("rc-to-ep", prefix("ep", 0), prefix("rc", 5), small, 2)
    seen: list[Seen] = [1, 2, POLL, Told(2), POLL]
    hops = event_hops(effects, seen, to_rc=False, polled=True)
    assert list(wrong(hops)) == [] and list(hops) == [2]


@given(
    ep=st.integers(0, 7),
    rc=st.integers(0, 5),
    items=st.lists(st.one_of(BITS.map(lambda bit: 1 << bit), st.just(POLL)), max_size=40),
)
def test_a_polled_burst_of_the_model_is_within_the_bounds(ep, rc, items) -> None:
    drivers = prefix("ep", ep), prefix("rc", rc)
    seen: list[Seen] = []
    pair = Pair(
        *drivers, FOUR, ep_event=lambda vector: seen.append(Told(vector)), rc_event=seen.append
    )
    for item in [*items, POLL]:
        seen.append(item)
        if item is POLL:
            pair.ep.poll()
        else:
            pair.rc.peer_db_set(item)
    effects = ring_effects("rc-to-ep", *drivers, FOUR, QP_COUNT)
    assert list(wrong(event_hops(effects, seen, to_rc=False, polled=True))) == []


@pytest.mark.parametrize(
    ("steps", "lost"),
    [
        ([C, P, E], False),
        ([C, P], True),
        ([P, C, E], False),  # the poll that began before has not come to the slot
        ([P, C, P, E], False),
        ([P, E, C], False),  # between the callback and the clearing: wiped
        ([P, E, C, P, P], False),
        ([P, E, P, C], True),
        ([P, E, C, P, C], True),
        ([C, P, P, E], True),  # two polls began, and the first must have found it
    ],
)
def test_a_poll_may_wipe_a_ring_behind_its_callback_alone(steps: list[Step], lost: bool) -> None:
    assert Hop(merges=True, polled=True, steps=steps).lost() == lost


@pytest.mark.parametrize(
    ("steps", "surplus", "lost"),
    [
        ([], False, False),
        ([C, C, E], False, False),
        ([C, E, E], True, False),
        ([E, C], True, True),
        ([C, E, C], False, True),
        ([C, C, E, E], False, False),
    ],
)
def test_a_pending_interrupt_gathers_and_loses_nothing(steps, surplus, lost) -> None:
    hop = Hop(merges=True, steps=steps)
    assert (hop.surplus(), hop.lost()) == (surplus, lost)
