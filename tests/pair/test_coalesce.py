# SPDX-License-Identifier: BSD-3-Clause
"""What a burst may coalesce to: the model's own bursts are within it, doctored ones are not."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ntbbench.pair.coalesce import Hop, PollStep, event_hops, msi_hops
from ntbbench.pair.drivers.patches import Driver, prefix
from ntbbench.pair.drivers.pci_epf_vntb import PeerDbWork
from ntbbench.pair.flow import POLL, Raised, RingEffect, Seen, Told, ring_effects
from ntbbench.pair.setting import Pair, Setting

FOUR = Setting()
QP_COUNT = 4
BITS = st.integers(0, QP_COUNT - 1)
# Rings of a bit and steps of the deferred work, as other CPUs see them, in any order.
MOVES = st.lists(st.one_of(BITS, st.none()), min_size=1, max_size=60)
C, E, P = PollStep.CAUSE, PollStep.EFFECT, PollStep.POLL


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
    assert (number in list(wrong(left))) == owed
    rings = sum(item == 1 << (number - 3) for item in seen)
    flood = [*seen, *[Raised(number)] * rings]
    assert list(wrong(msi_hops(effects, flood, deferred=True))) == [number]
    assert list(wrong(msi_hops(effects, [Raised(number), *seen], deferred=True))) == [number]


@given(rings=st.lists(BITS, min_size=2, max_size=40), budget=st.integers(1, 5))
def test_a_work_that_raises_each_bit_twice_is_seen(rings, budget) -> None:
    """As soon as it has two bits in hand: one alone may have rung again meanwhile."""
    assume(len(set(rings)) > 1)
    seen = deferred_burst(rings, budget)
    twice = [item for one in seen for item in [one] * (2 if isinstance(one, Raised) else 1)]
    assert list(wrong(msi_hops(to_rc(prefix("ep", 7)), twice, deferred=True)))


def test_a_snapshot_is_raised_before_the_next_is_taken() -> None:
    effects = to_rc(prefix("ep", 7))
    rings: list[Seen] = [1, 2, 1, 2]
    for msis, told in (
        ([3, 4, 3, 4], []),
        ([3, 3, 4], []),  # the first ring alone, then all
        ([3, 3, 4, 4], [4]),  # two snapshots had bit 0: none before the second had bit 1
        ([3, 4, 3, 4, 3], [3]),  # one pending and one in hand at most
    ):
        seen = [*rings, *map(Raised, msis)]
        assert list(wrong(msi_hops(effects, seen, deferred=True))) == told


def test_two_msis_behind_the_last_ring_are_what_was_pending_and_in_hand() -> None:
    effects = to_rc(prefix("ep", 7))
    seen: list[Seen] = [1] * 20
    assert list(wrong(msi_hops(effects, [*seen, Raised(3), Raised(3)], deferred=True))) == []
    more = [*seen, Raised(3), Raised(3), Raised(3)]
    assert list(wrong(msi_hops(effects, more, deferred=True))) == [3]


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


@given(
    ep=st.integers(0, 7),
    items=st.lists(st.one_of(BITS.map(lambda bit: 1 << bit), st.just(POLL)), max_size=30),
    data=st.data(),
)
def test_rings_between_the_callbacks_of_a_poll_are_within_the_bounds(ep, items, data) -> None:
    drivers = prefix("ep", ep), prefix("rc", 5)
    seen: list[Seen] = []

    def ring(db_bits: int) -> None:
        seen.append(db_bits)
        pair.rc.peer_db_set(db_bits)

    def called(vector: int) -> None:
        seen.append(Told(vector))
        for bit in data.draw(st.lists(BITS, max_size=2)):
            ring(1 << bit)

    pair = Pair(*drivers, FOUR, ep_event=called, rc_event=seen.append)
    for item in [*items, *[POLL] * 2]:
        if item is POLL:
            seen.append(POLL)
            pair.ep.poll()
        else:
            ring(item)
    effects = ring_effects("rc-to-ep", *drivers, FOUR, QP_COUNT)
    hops = event_hops(effects, seen, to_rc=False, polled=True)
    assert not any(hop.surplus() for hop in hops.values())


@given(
    ep=st.integers(0, 7),
    rc=st.integers(0, 5),
    moves=st.lists(st.tuples(BITS, st.booleans()), max_size=40),
)
def test_interrupts_that_gather_while_pending_are_within_the_bounds(ep, rc, moves) -> None:
    """An MSI is raised, or the interrupt of one is taken: in any order."""
    effects = ring_effects("ep-to-rc", prefix("ep", ep), prefix("rc", rc), FOUR, QP_COUNT)
    seen: list[Seen] = []
    pending: list[int] = []
    for bit, raised in [*moves, *((bit, False) for bit in range(QP_COUNT))]:
        if raised:
            seen += map(Raised, effects[bit].msis)
            pending += [bit] * (bit not in pending)
        elif bit in pending:
            pending.remove(bit)
            seen += map(Told, effects[bit].vectors)
    assert list(wrong(event_hops(effects, seen, to_rc=True, polled=False))) == []


def test_a_doorbell_word_that_is_never_cleared_is_seen() -> None:
    effects = ring_effects("rc-to-ep", prefix("ep", 7), prefix("rc", 5), FOUR, QP_COUNT)
    seen: list[Seen] = [*[1] * 200, *[POLL, Told(0)] * 2]
    assert list(wrong(event_hops(effects, seen[:-2], to_rc=False, polled=True))) == []
    assert list(wrong(event_hops(effects, seen, to_rc=False, polled=True))) == [0]


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
def test_a_poll_may_wipe_a_ring_behind_its_callback_alone(
    steps: list[PollStep], lost: bool
) -> None:
    assert Hop(merges=True, polled=True, steps=steps).lost() == lost


@pytest.mark.parametrize(
    ("holds", "steps", "surplus", "lost"),
    [
        (None, [], False, False),
        (None, [C, C, E], False, False),
        (None, [C, E, E], True, False),
        (None, [E, C], True, True),
        (None, [C, E, C], False, True),
        (None, [C, C, E, E], False, False),
        (None, [C, C, C, E, E, E], False, False),
        (1, [C, E, C, E], False, False),
        (1, [C, C, E, C, E], False, False),
        (1, [C, C, E, E], True, False),
        (2, [C, C, C, E, E], False, False),
        (2, [C, C, C, E, E, E], True, False),
        (2, [C, C, C, E, C, E, E], False, False),
    ],
)
def test_what_waits_gathers_loses_nothing_and_brings_no_more(holds, steps, surplus, lost) -> None:
    hop = Hop(merges=True, holds=holds, steps=steps)
    assert (hop.surplus(), hop.lost()) == (surplus, lost)
