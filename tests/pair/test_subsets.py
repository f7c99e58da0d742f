# SPDX-License-Identifier: BSD-3-Clause
"""The series: what each patch changes, all subsets, and the logic that reads them."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_strategies import EP_PATCHES, RC_PATCHES, subsets, unpatched, whole

from ntbbench.pair.drivers.kernel_around import Client, db_vector_mask
from ntbbench.pair.drivers.patches import driver
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.effects import effects, race_cost
from ntbbench.pair.records import Dependencies
from ntbbench.pair.setting import DIRECTIONS, Direction, Pair, Setting
from ntbbench.pair.subsets import (
    dependencies,
    minimal_sets,
    other_settings,
    powerset,
    required,
    safe_orders,
)
from ntbbench.pair.verdict import WORKS, outcome

FOUR = Setting()


def test_runs_before_the_series_depend_on_the_number_that_db_read_shows() -> None:
    """RC: db_read() is b + 3; EP: bit b + 1; each QP that it names runs once more."""
    named = {
        "ep-to-rc": [[qp for qp in range(4) if b + 3 >> qp & 1][:1] for b in range(4)],
        "rc-to-ep": [[b + 1] if b < 3 else [] for b in range(4)],
    }
    for direction in DIRECTIONS:
        for client, repost in ((Client.SILENT, False), (Client.REPOSTS, True)):
            cost = race_cost(direction, unpatched("ep"), unpatched("rc"), FOUR, client)
            again = [set(named[direction][b]) | ({b} if repost else set()) for b in range(4)]
            assert cost.runs == [4 + len(qps) for qps in again]
            assert cost.race_checks == [len(named[direction][b]) for b in range(4)]


@pytest.mark.parametrize("client", Client)
@pytest.mark.parametrize(
    ("direction", "doorbell", "runs", "hits"),
    [(way, Doorbell.POLL, 2, 1) for way in DIRECTIONS] + [("rc-to-ep", Doorbell.EMBEDDED, 8, 4)],
)
def test_the_series_leaves_one_empty_run_for_every_scheduled_tasklet(
    direction: Direction, doorbell: Doorbell, runs: int, hits: int, client: Client
) -> None:
    cost = race_cost(direction, whole("ep"), whole("rc"), Setting(doorbell=doorbell), client)
    assert (cost.runs, cost.race_checks) == ([runs] * 4, [hits] * 4)


def test_the_core_falls_back_to_the_valid_mask_whatever_the_vector() -> None:
    pair = Pair(unpatched("ep"), whole("rc"), FOUR, ep_event=print, rc_event=print)
    assert {db_vector_mask(pair.ep, vector) for vector in (-1, 0, 7, 99)} == {0xFF}
    assert [db_vector_mask(pair.rc, vector) for vector in (-1, 0, 13, 14)] == [0, 1, 1 << 13, 0]


def test_documentation_patches_change_nothing_and_all_others_do() -> None:
    changed = {effect.patch for effect in effects(FOUR) if effect.changes}
    assert changed == set(range(1, 13)) - {1, 8}


SETS = st.lists(st.frozensets(st.integers(0, 5)), max_size=12)


@pytest.fixture(scope="module")
def found() -> Dependencies:
    return dependencies(Setting())


def safe(ep: frozenset[int], rc: frozenset[int]) -> bool:
    """The definition of the issue, spelled out."""
    setting = Setting()
    pairs = [(driver("ep", ep), peer) for peer in (unpatched("rc"), whole("rc"))]
    pairs += [(peer, driver("rc", rc)) for peer in (unpatched("ep"), whole("ep"))]
    return all(
        outcome(way, *pair, setting).verdict in WORKS for pair in pairs for way in DIRECTIONS
    )


def test_counts(found: Dependencies) -> None:
    assert found.subsets == 2**7 * 2**5
    assert found.safe_subsets == sum(
        safe(frozenset(ep), frozenset(rc))
        for ep in powerset(EP_PATCHES)
        for rc in powerset(RC_PATCHES)
    )


def test_only_the_masks_require_anything_and_that_is_the_vector_numbering(found) -> None:
    assert {p: needs for p, needs in found.requires.items() if needs} == {"7": [3], "12": [10]}
    assert sorted(found.requires, key=int) == [str(n) for n in range(1, 13)]


@given(ep=subsets("ep"), rc=subsets("rc"))
def test_a_subset_is_safe_exactly_when_it_holds_what_its_patches_require(found, ep, rc) -> None:
    chosen = ep | rc
    closed = all(set(found.requires[str(n)]) <= chosen for n in chosen)
    assert safe(ep, rc) == closed


def test_posted_order_is_bisectable(found: Dependencies) -> None:
    assert found.bisectable
    order = (*EP_PATCHES, *RC_PATCHES)
    for count in range(13):
        done = frozenset(order[:count])
        assert safe(done & set(EP_PATCHES), done & set(RC_PATCHES))


def test_careless_orders_are_shown(found: Dependencies) -> None:
    orders = {(o.patch, o.without): o.failures for o in found.unsafe_orders}
    assert set(orders) == {(7, 3), (12, 10)}
    assert {f.direction for f in orders[12, 10]} == {"ep-to-rc"}
    assert {f.direction for f in orders[7, 3]} == {"rc-to-ep"}
    assert all(f.missed == 4 for failures in orders.values() for f in failures)


def test_orders_are_counted_like_permutations(found: Dependencies) -> None:
    rc = next(half for half in found.halves if half.side == "rc")
    safe_ones = sum(
        all(safe(frozenset(), frozenset(order[:count])) for count in range(6))
        for order in permutations(RC_PATCHES)
    )
    assert (rc.safe_orders, rc.orders) == (safe_ones, 120)


def test_hazards_are_cured_by_the_patches_that_claim_it(found: Dependencies) -> None:
    cures = {(c.side, c.hazard): c.minimal for c in found.hazard_cures}
    assert cures == {
        ("ep", "sleeps in atomic context"): [[2]],
        ("ep", "out-of-range shift or read"): [[4], [5]],
        ("ep", "wrong bit in db_read"): [[3]],
        ("rc", "vector misread from non-contiguous irqs"): [[11]],
        ("rc", "wrong bit in db_read"): [[10, 11]],
    }


def test_safe_halves_work_with_each_other_and_so_do_released_kernels(found: Dependencies) -> None:
    assert found.mixed_failures == 0
    assert found.kernels == dict.fromkeys(("6.1.192", "6.12.95", "6.12.117", "7.3"), True)


def test_other_settings_are_broken_by_the_masks_of_6_and_9() -> None:
    ep = {tuple(e.patches): e for e in other_settings("ep")}
    rc = {tuple(e.patches): e for e in other_settings("rc")}
    assert set(ep) == {(6,), (7,)}
    assert set(rc) == {(9,), (11,), (12,)}
    assert ep[6,].verdicts == rc[9,].verdicts == ["link-down"]
    assert ep[6,].ep_slots == (3, 6)
    assert rc[9,].rc_vectors == (4, 6)


@given(SETS)
def test_minimal_sets(sets: list[frozenset[int]]) -> None:
    minimal = minimal_sets(sets)
    assert all(any(small <= one for small in minimal) for one in sets)
    assert not any(a <= b for a, b in permutations(minimal, 2))
    assert set(minimal) <= set(sets)


@given(SETS, st.integers(0, 5))
def test_required(sets: list[frozenset[int]], number: int) -> None:
    holding = [s for s in sets if number in s]
    expected = {q for q in range(6) if q != number and holding and all(q in s for s in holding)}
    assert required(number, sets) == expected


@given(st.sets(st.frozensets(st.integers(0, 3)), max_size=16))
def test_safe_orders(sets: set[frozenset[int]]) -> None:
    expected = sum(
        all(frozenset(order[: n + 1]) in sets for n in range(4)) for order in permutations(range(4))
    )
    assert safe_orders(range(4), sets.__contains__) == expected
