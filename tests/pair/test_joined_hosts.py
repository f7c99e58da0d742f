# SPDX-License-Identifier: BSD-3-Clause
"""Two hosts that pci-epf-ntb joins: verdicts against whole rings, the QP rule, what was seen."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_strategies import drivers, unpatched, whole

from ntbbench.core.errors import InputError
from ntbbench.pair.drivers.kernel_around import Client, Hazard
from ntbbench.pair.drivers.patches import ROOT_FIX, cell_driver
from ntbbench.pair.effects import analyse, race_cost
from ntbbench.pair.flow import PairFlow
from ntbbench.pair.host_records import HostCell
from ntbbench.pair.joined_hosts import HostSetting, setting_of
from ntbbench.pair.ring_trace import ring, story_of
from ntbbench.pair.search import exhaustive, nearest_break
from ntbbench.pair.setting import HOST_ENDS
from ntbbench.pair.verdict import WORKS, Verdict, cell, compat, outcome, pair_link, rows

FORTH, BACK = HOST_ENDS.directions


@st.composite
def host_settings(draw: st.DrawFn) -> HostSetting:
    irq_type = draw(st.sampled_from(["msi", "msix"]))
    setting = HostSetting(
        ep_slots=draw(st.integers(3, 32)), mw_count=draw(st.integers(1, 4)), irq_type=irq_type
    )
    granted = st.none() | st.integers(4, setting.offered)
    return HostSetting(setting.ep_slots, setting.mw_count, irq_type, draw(granted), draw(granted))


@given(
    one=drivers("rc"),
    two=drivers("rc"),
    setting=host_settings(),
    way=st.sampled_from(HOST_ENDS.directions),
)
@settings(max_examples=150, deadline=None)
def test_verdicts_agree_with_whole_rings(one, two, setting, way) -> None:
    """The verdict is composed from each host's behaviour alone; here both run together."""
    got = outcome(way, one, two, setting)
    trace = ring(way, one, two, setting, 1)
    counts = [qps.qp_count for qps in trace.qps]
    assert trace.link_up == (counts[0] == counts[1])
    if not trace.link_up:
        assert (got.verdict, got.counts.cases) == (Verdict.LINK_DOWN, 0)
        return
    traces = [ring(way, one, two, setting, 1 << bit) for bit in range(counts[0])]
    missed = [t for t in traces if t.asleep]
    calls = sum(len(slot.scheduled) for t in traces for slot in t.slots)
    arrived = sum(bool(slot.vectors) for t in traces for slot in t.slots)
    assert got.counts.missed == len(missed)
    assert got.counts.misrouted == sum(bool(t.woken) for t in missed)
    assert (got.counts.schedule_calls, got.counts.interrupts) == (calls, arrived)
    assert (got.verdict in WORKS) == (not missed)


@given(
    one=drivers("rc"),
    two=drivers("rc"),
    setting=host_settings(),
    client=st.sampled_from(Client),
)
@settings(max_examples=100, deadline=None)
def test_hosts_can_change_places(one, two, setting, client) -> None:
    """The function treats both alike, so that a mirrored pair does the mirrored thing."""
    sizes = setting.ep_slots, setting.mw_count, setting.irq_type
    mirrored = HostSetting(*sizes, *reversed(setting.slots))
    assert outcome(FORTH, one, two, setting) == outcome(BACK, two, one, mirrored)
    runs = race_cost(FORTH, one, two, setting, client).runs
    assert runs == race_cost(BACK, two, one, mirrored, client).runs


@pytest.mark.parametrize(
    ("slots", "irq_type", "offered"),
    [(3, "msi", 4), (5, "msi", 8), (32, "msi", 32), (5, "msix", 5), (3, "msix", 4)],
)
def test_the_vectors_that_a_host_is_offered(slots, irq_type, offered) -> None:
    """MSI counts in powers of two; three MSI-X are too few, and MSI is taken."""
    setting = HostSetting(ep_slots=slots, irq_type=irq_type)
    assert (setting.offered, setting.slots) == (offered, (offered, offered))


def test_no_more_vectors_than_are_offered() -> None:
    with pytest.raises(InputError, match=r"--host2-vectors: 16: at most the 8 that db_count 5"):
        HostSetting(ep_slots=5, host2_vectors=16)


# Seen on Linux 7.3.4 with the ntb_hw_epf of 6.12.95 (before) and of 7.3.4 (after), two windows.
@pytest.mark.parametrize(
    ("slots", "old", "new"), [(3, 2, 1), (4, 2, 1), (5, 2, 2), (8, 2, 2), (16, 2, 2)]
)
def test_the_links_that_were_seen(slots, old, new) -> None:
    setting = HostSetting(ep_slots=slots, mw_count=2)
    before, after = unpatched("rc"), whole("rc")
    for (one, qps), (two, others) in product(((before, old), (after, new)), repeat=2):
        link = pair_link(one, two, setting)
        assert (link.counts, link.link) == ((qps, others), "up" if qps == others else "down")


@pytest.mark.parametrize(("receiver", "vectors", "runs"), [("old", {2, 3}, 6), ("new", {0, 1}, 4)])
@pytest.mark.parametrize("sender", ["old", "new"])
def test_the_runs_that_were_seen(sender, receiver, vectors, runs) -> None:
    """Only the receiving host's version decides what a doorbell wakes."""
    known = {"old": unpatched("rc"), "new": whole("rc")}
    setting = HostSetting(ep_slots=8, mw_count=2)
    for way in HOST_ENDS.directions:
        pair = known[sender], known[receiver]
        flow = PairFlow(way, *(pair if way == FORTH else pair[::-1]), setting, 0b11)
        tally = flow.run([1, 2])
        assert set(tally.vectors) == vectors
        assert tally.runs.total() == runs
        assert tally.msis == {3: 1, 4: 1}


def test_exhaustive_lists_links_that_do_not_come_up() -> None:
    found = exhaustive(HostSetting())
    assert found.settings == 29 * 29 * 4 * 2
    assert {cell.verdict for r in found.regressions for cell in r.cells} == {"link-down"}
    four = {
        (cell.host1, cell.host2)
        for r in found.regressions
        if (r.host1_vectors, r.host2_vectors, r.mw_count, r.direction) == (4, 4, 2, FORTH)
        for cell in r.cells
    }
    assert four == {(a, b) for a, b in product(range(6), repeat=2) if (a < 2) != (b < 2)}


def test_the_nearest_setting_that_breaks() -> None:
    near = nearest_break(HostSetting())
    assert near is not None
    assert (near[0].ep_slots, near[0].mw_count) == (4, 4)
    assert {one.direction for one in near[1]} == set(HOST_ENDS.directions)


def test_a_ring_of_a_slot_that_the_other_host_has_not_is_lost() -> None:
    setting = HostSetting(ep_slots=8, mw_count=4, host2_vectors=4)
    trace = ring(FORTH, whole("rc"), whole("rc"), setting, 1 << 3)
    assert (trace.slots, trace.lost) == ([], ["slot 5 leads nowhere: the other host has 4"])
    assert not trace.link_up


def test_the_root_fix_needs_both_hosts() -> None:
    for names in product(rows("rc"), repeat=2):
        if names.count(ROOT_FIX) == 1:
            verdicts = {cell(way, *names, HostSetting()).verdict for way in HOST_ENDS.directions}
            assert not verdicts <= WORKS


def test_hazards_are_of_the_receiving_host() -> None:
    for found in compat(HostSetting()).cells:
        assert isinstance(found, HostCell)
        receiver = found.host2 if found.direction == FORTH else found.host1
        if isinstance(receiver, int) and ROOT_FIX not in (found.host1, found.host2):
            legacy = receiver < 4
            assert (Hazard.WRONG_BIT in found.hazards) == legacy
            assert (Hazard.MISREAD in found.hazards) == legacy


def test_patches_of_the_hosts() -> None:
    """12 without 9, 10 and 11 wakes wrong queues; with few slots 9 alone takes the link down."""
    found = analyse(HostSetting())
    assert (found.subsets, found.bisectable, found.requires["12"]) == (32, True, [10])
    assert [half.side for half in found.halves] == ["rc"]
    few = analyse(HostSetting(ep_slots=4, mw_count=2))
    assert not few.bisectable
    assert few.kernels == {"6.1.192": False, "6.12.95": True, "6.12.117": False, "7.3": False}


def test_a_record_gives_its_setting_back() -> None:
    setting = HostSetting(5, 3, "msix", 4, None)
    back = setting_of(compat(setting))
    assert isinstance(back, HostSetting)
    assert (back.slots, back.mw_count, back.irq_type) == ((4, 5), 3, "msix")


def test_the_story_of_a_link_that_stays_down_marks_it() -> None:
    pair = cell_driver("rc", 0), cell_driver("rc", 5)
    story = story_of(ring(FORTH, *pair, HostSetting(ep_slots=4, mw_count=2), 1))
    assert [step.where for step in story.steps if step.wrong] == ["link"]
