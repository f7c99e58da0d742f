# SPDX-License-Identifier: BSD-3-Clause
"""Flows over the modelled pair: what was measured, bounds, and the verdicts of `compat`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_strategies import unpatched, whole

from ntbbench.lab.pair.predict import PairModel, predicted_verdict
from ntbbench.pair.drivers.patches import Driver, prefix
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.flow import (
    POLL,
    Packet,
    PairFlow,
    RingEffect,
    RunBounds,
    Told,
    placed_by_events,
    ring_effects,
    run_bounds,
)
from ntbbench.pair.setting import DIRECTIONS, AnySlots, Setting
from ntbbench.pair.verdict import outcome, pair_link

FOUR = Setting()
ALL_FOUR = 0b1111
PREFIXES = st.integers(0, 7), st.integers(0, 5)


def drivers(series: bool):
    make = whole if series else unpatched
    return make("ep"), make("rc")


@pytest.mark.parametrize(
    ("series", "qp_num", "packets", "runs"),
    [(True, 0, 201, 402), (False, 0, 200, 1000), (False, 1, 200, 1200)],
)
def test_ep_to_rc_is_what_was_measured(series, qp_num, packets, runs) -> None:
    tally = PairFlow("ep-to-rc", *drivers(series), FOUR, ALL_FOUR).run([1 << qp_num] * packets)
    assert tally.msis == {qp_num + 3: packets}
    assert tally.vectors == {qp_num if series else qp_num + 2: packets}
    assert tally.runs.total() == runs


@pytest.mark.parametrize(
    ("series", "qp_num", "polls", "runs"),
    [
        *((True, qp_num, 100, 200) for qp_num in range(4)),
        *((False, qp_num, 101, 606) for qp_num in range(3)),
        (False, 3, 101, 505),
    ],
)
def test_polled_rc_to_ep_is_what_was_measured(series, qp_num, polls, runs) -> None:
    items = [1 << qp_num, 1 << qp_num, POLL] * polls
    tally = PairFlow("rc-to-ep", *drivers(series), FOUR, ALL_FOUR).run(items)
    assert (tally.vectors.total(), tally.runs.total()) == (polls, runs)


def test_one_ring_of_the_embedded_doorbell_reports_every_slot() -> None:
    embedded = Setting(doorbell=Doorbell.EMBEDDED)
    tally = PairFlow("rc-to-ep", *drivers(True), embedded, ALL_FOUR).run([1, 2])
    assert tally.vectors == dict.fromkeys(range(6), 2)
    assert tally.runs == dict.fromkeys(range(4), 4)


def test_a_ring_that_no_poll_follows_waits() -> None:
    tally = PairFlow("rc-to-ep", *drivers(True), FOUR, ALL_FOUR).run([POLL, 1])
    assert tally.vectors.total() == tally.runs.total() == 0


def test_a_slot_beyond_db_count_is_silently_lost() -> None:
    """An unpatched endpoint with db_count 3 gives two QPs and has one doorbell slot."""
    small = Setting(ep_slots=3, mw_count=2)
    link = pair_link(*drivers(False), small)
    assert (link.link, link.qps[0] and link.qps[0].qp_count) == ("up", 2)
    tally = PairFlow("rc-to-ep", *drivers(False), small, 0b11).run([2, POLL])
    assert tally.vectors.total() == tally.runs.total() == 0
    tally = PairFlow("rc-to-ep", *drivers(False), small, 0b11).run([1, POLL])
    assert tally.vectors == {2: 1}


@given(
    ep=PREFIXES[0],
    rc=PREFIXES[1],
    items=st.lists(st.sampled_from([1, 2, 4, 8, POLL]), max_size=40),
    choices=st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_however_polls_are_preempted_runs_lie_between_never_and_always(
    ep, rc, items, choices
) -> None:
    pair = ("rc-to-ep", prefix("ep", ep), prefix("rc", rc), FOUR, ALL_FOUR)
    never = PairFlow(*pair).run(items)
    always = PairFlow(*pair, preempts=lambda: True).run(items)
    left = iter(choices)
    mixed = PairFlow(*pair, preempts=lambda: next(left, True)).run(items)
    assert mixed.vectors == never.vectors == always.vectors
    for qp_num in range(4):
        assert never.runs[qp_num] <= mixed.runs[qp_num] <= always.runs[qp_num]


@given(
    direction=st.sampled_from(DIRECTIONS),
    ep=PREFIXES[0],
    rc=PREFIXES[1],
    doorbell=st.sampled_from([Doorbell.MSI, Doorbell.EMBEDDED]),
    rings=st.lists(st.integers(0, 3), min_size=1, max_size=30),
    data=st.data(),
)
def test_a_burst_stays_in_its_bounds_wherever_its_callbacks_come(
    direction, ep, rc, doorbell, rings, data
) -> None:
    setting = Setting(doorbell=doorbell)
    pair = (prefix("ep", ep), prefix("rc", rc), setting)
    effects = ring_effects(direction, *pair, 4)
    items: list[object] = []
    pending: set[int] = set()
    for bit in rings:
        items.append(1 << bit)
        pending.add(bit)
        for delivered in data.draw(st.lists(st.sampled_from(sorted(pending)), unique=True)):
            pending.discard(delivered)
            items += map(Told, effects[delivered].vectors)
    for left in sorted(pending):
        items += map(Told, effects[left].vectors)
    tally = PairFlow(direction, *pair, ALL_FOUR).run_apart(placed_by_events(effects, items))
    rung = [rings.count(qp_num) for qp_num in range(4)]
    bounds = run_bounds(effects, tally.vectors, rung, rx_max_entry=15)
    for qp_num in range(4):
        assert bounds.least[qp_num] <= tally.runs[qp_num] <= bounds.most[qp_num]


def test_rings_that_were_lost_ask_for_no_run() -> None:
    effects = ring_effects("ep-to-rc", *drivers(True), FOUR, 2)
    bounds = run_bounds(effects, {0: 1}, [100, 100], rx_max_entry=15)
    assert bounds.least == [1, 0]


def test_a_burst_whose_rings_are_served_one_by_one_is_a_spaced_flow() -> None:
    pair = (*drivers(False), FOUR)
    effects = ring_effects("ep-to-rc", *pair, 4)
    items = [item for bit in (0, 3, 1) for item in (1 << bit, Told(effects[bit].vectors[0]))]
    placed = PairFlow("ep-to-rc", *pair, ALL_FOUR).run_apart(placed_by_events(effects, items))
    assert placed == PairFlow("ep-to-rc", *pair, ALL_FOUR).run([1, 8, 2])


@given(
    direction=st.sampled_from(DIRECTIONS),
    ep=PREFIXES[0],
    rc=PREFIXES[1],
    slots=st.integers(3, 32),
    windows=st.integers(1, 4),
    doorbell=st.sampled_from(Doorbell),
)
def test_verdicts_are_those_of_compat(direction, ep, rc, slots, windows, doorbell) -> None:
    pair = prefix("ep", ep), prefix("rc", rc)
    setting = Setting(ep_slots=slots, mw_count=windows, doorbell=doorbell)
    expected = outcome(direction, *pair, setting).verdict
    link = pair_link(*pair, setting)
    assert (link.link == "down") == (expected == "link-down") or link.cause.startswith("no client")
    if link.link == "up":
        model = PairModel(*pair, setting, max_num_clients=0)
        assert predicted_verdict(model, direction) == expected


@pytest.mark.parametrize(
    ("slots", "windows", "series", "counts", "link"),
    [
        (8, 2, True, (2, 2), "up"),
        (4, 2, True, (1, 2), "down"),
        (4, 1, True, (1, 1), "up"),
        (3, 1, True, (0, 1), "down"),
        (3, 2, False, (2, 2), "up"),
        (2, 2, False, (1, 2), "down"),
    ],
)
def test_the_link_comes_up_where_both_compute_one_qp_count(
    slots, windows, series, counts, link
) -> None:
    found = pair_link(*drivers(series), AnySlots(ep_slots=slots, mw_count=windows))
    assert None not in found.qps
    assert (*(made.qp_count for made in found.qps), found.link) == (*counts, link)
    assert bool(found.cause) == (link == "down")


def test_max_num_clients_below_the_doorbells_sets_the_count() -> None:
    link = pair_link(*drivers(True), Setting(mw_count=2), max_num_clients=4)
    assert (link.link, link.qps[0] and link.qps[0].qp_count) == ("up", 4)
    link = pair_link(*drivers(True), Setting(ep_slots=6, mw_count=2), max_num_clients=4)
    assert link.cause.startswith("ntb_transport computed qp_count 2 on EP")
    assert "4 on RC (max_num_clients = 4)" in link.cause


def test_a_refused_db_count_leaves_no_device_on_either_side() -> None:
    link = pair_link(*drivers(True), AnySlots(ep_slots=2, mw_count=2))
    assert (link.qps, link.counts, link.link) == ((None, None), (None, None), "down")
    assert "db_count: -EINVAL: DB count 2 out of range (3 - 32)" in link.cause


def test_a_qp_count_of_no_doorbell_wraps_and_the_windows_limit_it() -> None:
    """Measured with 6.12.95's endpoint and db_count 0: two QPs published, and no netdev."""
    old = Driver("ep", frozenset(), frozenset())
    link = pair_link(old, whole("rc"), AnySlots(ep_slots=0, mw_count=2))
    assert (link.counts, link.link) == ((2, 2), "down")
    assert link.cause == "no client gets a QP on EP: doorbell bits: db_valid_mask is 0"


def effect(vectors: tuple[int, ...], masks: tuple[int, ...] = (), shown: int = 0) -> RingEffect:
    return RingEffect((), vectors, masks or (0,) * len(vectors), shown)


def test_bounds_by_hand() -> None:
    """Per QP, from one run to one for each callback of its bit and each look of the race check."""
    effects = (effect((3,), (0b01,), 0b100), effect((4,), (0b10,), 0b100))
    found = run_bounds(effects, {3: 5, 4: 2, 9: 7}, [0, 30, 0, 0], 15)
    assert found == RunBounds([1, 1, 0, 0], [5, 2 + 30 + 2, 7, 0])


@pytest.mark.parametrize(
    ("effects", "items", "placed"),
    [
        # A ring takes place where the first of its vectors was reported.
        (
            (effect((2, 0)), effect((1, 2)), effect((0,))),
            [1, 2, 4, Told(1), POLL, Told(2), POLL, Told(7)],
            [Packet(1), Packet(2), Packet(4), 2, POLL, 1, POLL, 4],
        ),
        # A ring that nothing reported is rung at the end.
        ((effect((0,)),) * 4, [2, 8], [Packet(2), Packet(8), 2, 8]),
    ],
)
def test_rings_are_placed_by_events(effects, items, placed) -> None:
    assert list(placed_by_events(effects, items)) == placed
