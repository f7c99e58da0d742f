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
from ntbbench.pair.effects import race_cost
from ntbbench.pair.records import Dependencies
from ntbbench.pair.setting import DIRECTIONS, Direction, Pair, Setting
from ntbbench.pair.subsets import (
    dependencies,
    first_failure,
    minimal_sets,
    powerset,
    required,
    safe_orders,
)
from ntbbench.pair.verdict import WORKS, outcome

FOUR = Setting()


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


def test_orders_are_counted_like_permutations(found: Dependencies) -> None:
    rc = next(half for half in found.halves if half.side == "rc")
    safe_ones = sum(
        all(safe(frozenset(), frozenset(order[:count])) for count in range(6))
        for order in permutations(RC_PATCHES)
    )
    assert (rc.safe_orders, rc.orders) == (safe_ones, 120)


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


@pytest.mark.parametrize(
    ("setting", "number", "verdict"),
    [(Setting(), None, ""), (Setting(6), 6, "link-down"), (Setting(4, mw_count=2), 6, "link-down")],
)
def test_the_first_patch_that_fails_in_a_setting(setting: Setting, number, verdict: str) -> None:
    """What fails without any patch is no patch's doing."""
    found = first_failure(setting)
    assert (None if found is None else found[0]) == number
    assert found is None or found[1].verdict == verdict
    assert dependencies(setting).bisectable == (number is None)
