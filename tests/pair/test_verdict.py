# SPDX-License-Identifier: BSD-3-Clause
"""The matrix and its stories: verdicts against an oracle, all settings, and the tables of docs."""

import re
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_strategies import drivers
from pair_strategies import settings as pair_settings

from ntbbench.lab.pair.predict import PairModel, predicted_verdict, same_verdict
from ntbbench.pair.drivers.kernel_around import EP_DB_COUNT_MAX, EP_MSIS, Hazard
from ntbbench.pair.drivers.patches import ROOT_FIX, cell_driver, parse_driver, prefix
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.records import Exhaustive, Story
from ntbbench.pair.ring_trace import ring, steps_of, story_of
from ntbbench.pair.search import exhaustive, nearest_break
from ntbbench.pair.setting import DIRECTIONS, EP_SLOTS_MIN, AnySlots, Setting
from ntbbench.pair.verdict import (
    WORKS,
    Verdict,
    cell,
    cell_stories,
    compat,
    outcome,
    rows,
    setting_traits,
)


@pytest.fixture(scope="module")
def found() -> Exhaustive:
    return exhaustive()


@given(ep=drivers("ep"), rc=drivers("rc"), setting=pair_settings(), way=st.sampled_from(DIRECTIONS))
@settings(max_examples=150, deadline=None)
def test_verdicts_agree_with_whole_rings(ep, rc, setting, way) -> None:
    """The verdict is composed from each side's behaviour alone; here both sides run together."""
    got = outcome(way, ep, rc, setting)
    counts = [setting_traits(side, setting).qp_count for side in (ep, rc)]
    traces = [ring(way, ep, rc, setting, 1 << bit) for bit in range(min(counts))]
    assert [t.link_up for t in traces] == [counts[0] == counts[1]] * len(traces)
    if counts[0] != counts[1]:
        assert (got.verdict, got.counts.cases) == (Verdict.LINK_DOWN, 0)
        return
    missed = [t for t in traces if t.asleep]
    calls = sum(len(slot.scheduled) for t in traces for slot in t.slots)
    arrived = sum(bool(slot.vectors) for t in traces for slot in t.slots)
    assert got.counts.missed == len(missed)
    assert got.counts.misrouted == sum(bool(t.woken) for t in missed)
    assert (got.counts.schedule_calls, got.counts.interrupts) == (calls, arrived)
    assert (got.verdict in WORKS) == (not missed)
    if got.verdict is Verdict.PER_VECTOR:
        assert got.counts.amplification == 1
        assert all(t.woken == {bit} for bit, t in enumerate(traces))


EP_RINGS, RC_RINGS = DIRECTIONS
IRQ_MODES = (Doorbell.MSI, Doorbell.EMBEDDED)


@pytest.mark.parametrize(
    ("hazard", "way", "mode", "has_it", "of_root_fix"),
    [
        (Hazard.SLEEPS, EP_RINGS, Doorbell.POLL, lambda ep, rc: ep in (0, 1), True),
        (Hazard.MISREAD, EP_RINGS, Doorbell.POLL, lambda ep, rc: rc in range(4), True),
        (Hazard.WRONG_BIT, EP_RINGS, Doorbell.POLL, lambda ep, rc: rc in range(4), False),
        (Hazard.WRONG_BIT, RC_RINGS, Doorbell.POLL, lambda ep, rc: ep in range(3), False),
        # A late configfs write: db_msg[] has as many entries as bind asked for, so in irq modes
        # even a db_count of 32 is too many.
        (Hazard.OUT_OF_RANGE, RC_RINGS, Doorbell.POLL, lambda ep, rc: ep in range(4), True),
        *(
            (Hazard.OUT_OF_RANGE, RC_RINGS, mode, lambda ep, rc: ep in range(5), True)
            for mode in IRQ_MODES
        ),
    ],
)
def test_hazards(hazard, way, mode, has_it, of_root_fix) -> None:
    for found in compat(Setting(doorbell=mode)).cells:
        if found.direction == way and (of_root_fix or ROOT_FIX not in (found.ep, found.rc)):
            assert (hazard in found.hazards) == has_it(found.ep, found.rc)
        if (found.ep, found.rc, mode) == (7, 5, Doorbell.POLL):
            assert found.hazards == []


EMBEDDED = Setting(doorbell=Doorbell.EMBEDDED)
# Where there is one queue, amplification is 1 either way, but in the embedded mode without masks.
ONE_QUEUE = [
    (Setting(mw_count=1, doorbell=mode), way, ep, rc, verdict, calls, 0, 0)
    for mode in Doorbell
    for way, ep, rc, verdict, calls in (
        ("ep-to-rc", 0, 4, "fallback", 1),
        ("ep-to-rc", 0, 5, "per-vector", 1),
        ("rc-to-ep", 6, 0, "fallback", 6 if mode is Doorbell.EMBEDDED else 1),
        ("rc-to-ep", 7, 0, "per-vector", 1),
    )
]


@pytest.mark.parametrize(
    ("setting", "way", "ep", "rc", "verdict", "amplification", "missed", "misrouted"),
    [
        # The root fix against v4 misses bit 0 and shifts the others.
        (Setting(), "ep-to-rc", ROOT_FIX, 5, "missed", ..., 4, 3),
        (Setting(), "rc-to-ep", 7, ROOT_FIX, "missed", ..., 4, 3),
        (Setting(), "ep-to-rc", ROOT_FIX, 3, "missed", ..., 1, 0),  # no masks, but slot 1 skipped
        # The embedded doorbell fires every vector.
        (EMBEDDED, "rc-to-ep", 7, 5, "fallback", 4, 0, 0),
        (EMBEDDED, "rc-to-ep", 6, 5, "fallback", 6 * 4, 0, 0),  # six callbacks of four QPs each
        (EMBEDDED, "rc-to-ep", 0, 0, "fallback", 7 * 4, 0, 0),  # the reserved slot reports too
        (EMBEDDED, "rc-to-ep", 7, ROOT_FIX, "fallback", ..., 0, 0),
        (EMBEDDED, "ep-to-rc", 7, 5, "per-vector", 1, 0, 0),
        # db_count 3 makes two QPs of three bits before the series, but only bit 0 has a slot.
        (Setting(3, 16, 2), "rc-to-ep", 0, 0, "missed", ..., 1, 0),
        (Setting(3, 16, 2), "ep-to-rc", 0, 0, "fallback", ..., 0, 0),
        (Setting(3, 16, 2), "ep-to-rc", 6, 0, "link-down", None, 0, 0),
        *ONE_QUEUE,
    ],
)
def test_cells(setting, way, ep, rc, verdict, amplification, missed, misrouted) -> None:
    found = cell(way, ep, rc, setting)
    assert (found.verdict, found.missed, found.misrouted) == (verdict, missed, misrouted)
    assert amplification in (found.amplification, ...)


def test_exhaustive_finds_only_links_that_do_not_come_up(found: Exhaustive) -> None:
    """A prefix never misses what 0/0 delivered; but patches 6 and 9 change qp_count."""
    assert found.settings == 30 * 29 * 4 * 3 * 2
    assert {cell.verdict for r in found.regressions for cell in r.cells} == {"link-down"}


def test_exhaustive_agrees_with_the_qp_rule(found: Exhaustive) -> None:
    """ilog2 of a mask of n ones is n - 1; windows limit it; both sides must agree."""
    listed = {
        (r.direction, r.ep_slots, r.rc_vectors, r.mw_count, r.doorbell): {
            (cell.ep, cell.rc) for cell in r.cells
        }
        for r in found.regressions
    }
    for windows, slots, vectors in ((4, 6, 16), (4, 7, 6), (4, 5, 16), (4, 8, 16), (1, 3, 16)):
        broken = {
            (ep, rc)
            for ep in range(8)
            for rc in range(6)
            if min(slots - (3 if ep >= 6 else 1), windows)
            != min(vectors - (3 if rc >= 2 else 2), windows)
        }
        for mode in Doorbell:
            assert listed.get(("ep-to-rc", slots, vectors, windows, str(mode)), set()) == broken


@given(setting=pair_settings(), way=st.sampled_from(DIRECTIONS))
@settings(max_examples=25, deadline=None)
def test_exhaustive_lists_what_the_matrix_shows(found, setting, way) -> None:
    cells = [c for c in compat(setting).cells if c.direction == way]
    works = {str(verdict) for verdict in WORKS}
    base = outcome(way, cell_driver("ep", 0), cell_driver("rc", 0), setting)
    shown = {(c.ep, c.rc) for c in cells if c.verdict not in works and ROOT_FIX not in (c.ep, c.rc)}
    listed = {
        (cell.ep, cell.rc)
        for r in found.regressions
        if (r.direction, r.ep_slots, r.rc_vectors) == (way, setting.ep_slots, setting.rc_vectors)
        and (r.mw_count, r.doorbell) == (setting.mw_count, str(setting.doorbell))
        for cell in r.cells
    }
    assert listed == (shown if base.verdict in WORKS else set())


@given(ep=drivers("ep"), rc=drivers("rc"), setting=pair_settings(), way=st.sampled_from(DIRECTIONS))
@settings(max_examples=60, deadline=None)
def test_a_story_marks_a_step_if_and_only_if_something_is_lost(ep, rc, setting, way) -> None:
    trace = ring(way, ep, rc, setting, 1)
    marks = sum(step.wrong for step in steps_of(trace))
    assert marks == int(bool(trace.asleep) or not trace.link_up)


def wrong(story: Story) -> list[str]:
    return [f"{step.where}: {step.what}" for step in story.steps if step.wrong]


@pytest.mark.parametrize("ep", rows("ep"))
def test_the_story_of_a_cell_goes_wrong_where_its_verdict_does(ep: int | str) -> None:
    for rc in rows("rc"):
        for story in cell_stories(ep, rc, Setting()).stories:
            assert len(wrong(story)) == (story.verdict not in WORKS)


def test_the_first_wrong_step_is_named() -> None:
    to_rc, _ = cell_stories("root-fix", 5, Setting()).stories
    mistaken = "MSI 2, slot 1 (doorbell bit 0); the receiver takes it for reserved"
    assert wrong(to_rc) == [f"wire: {mistaken}"]
    to_rc, _ = cell_stories(6, 0, Setting(ep_slots=6)).stories
    assert wrong(to_rc) == ["link: EP publishes 3 QPs, RC 4: they never agree"]


def test_a_ring_of_ones_own() -> None:
    ep, rc = parse_driver("ep", "all"), parse_driver("rc", "set:12")
    to_rc, to_ep = (story_of(ring(way, ep, rc, Setting(), 2)) for way in DIRECTIONS)
    assert (to_rc.direction, to_rc.scheduled, to_rc.asleep) == ("ep-to-rc", [3], [1])
    assert (to_ep.direction, to_ep.scheduled, to_ep.asleep) == ("rc-to-ep", [1], [])
    assert [step.where for step in to_rc.steps if step.wrong] == ["RC driver"]


ROOT = Path(__file__).resolve().parents[2]
MEASURED = (ROOT / "tests" / "data" / "pair-matrix-7.3.4.txt").read_text()
TABLE = re.compile(r"^(ep-to-rc|rc-to-ep), (\d) windows?(?:, poll)?\n.*\n.*\n((?:  .*\n)+)", re.M)
MATRIX = [
    (direction, int(windows), row.split())
    for direction, windows, rows in TABLE.findall(MEASURED)
    for row in rows.splitlines()
]
PATCHES = {"before": (0, 0), "after": (7, 5)}  # of the endpoint's half, of the root complex's


def test_the_measured_matrix_covers_every_setting_once() -> None:
    covered = [
        (direction, windows, row[0], row[1], slots)
        for direction, windows, row in MATRIX
        for slots in slots_of(row)
    ]
    drivers = ("before", "after")
    axes = DIRECTIONS, (1, 2), drivers, drivers, range(EP_SLOTS_MIN, EP_DB_COUNT_MAX + 1)
    assert sorted(covered) == sorted(product(*axes))


def slots_of(row: list[str]) -> range:
    low, _, high = row[2].partition("-")
    return range(int(low), int(high or low) + 1)


@pytest.mark.parametrize(("direction", "windows", "row"), MATRIX)
def test_the_model_says_what_was_measured(direction, windows, row) -> None:
    ep, rc = prefix("ep", PATCHES[row[0]][0]), prefix("rc", PATCHES[row[1]][1])
    for slots in slots_of(row):
        setting = AnySlots(ep_slots=slots, rc_vectors=EP_MSIS, mw_count=windows)
        model = PairModel(ep, rc, setting, max_num_clients=0)
        assert "/".join(map(str, model.link.counts)) == row[3]
        assert predicted_verdict(model, direction) == row[5]
        assert same_verdict(row[4], row[5]) and row[7] == "agrees"


def test_the_page_shows_rows_of_the_measured_matrix() -> None:
    """docs/pair-findings.md has those towards the root complex that matter."""
    page = (ROOT / "docs" / "pair-findings.md").read_text()
    table = re.search(r"```text\n  EP +RC +windows.*\n((?:  .*\n)+)```", page)
    assert table is not None
    for shown in (line.split() for line in table[1].splitlines()):
        ep, rc, windows, *rest = shown
        alike = [
            row
            for direction, of, row in MATRIX
            if direction == "ep-to-rc" and row[0] == ep and rc in ("any", row[1])
            if of == int(windows) and row[2] == rest[0]
        ]
        assert len(alike) == (2 if rc == "any" else 1), shown
        assert all([row[2], row[3], row[4], row[6]] == rest for row in alike), shown


@pytest.mark.parametrize("setting", [Setting(), Setting(4, mw_count=2), Setting(9, 20, 3)])
def test_the_nearest_setting_that_breaks_is_one_of_all(setting: Setting) -> None:
    _, found = nearest_break(setting)
    assert found and all(one in exhaustive().regressions for one in found)
    one_step = [
        other
        for other in exhaustive().regressions
        if other.doorbell == str(setting.doorbell)
        and sum(
            getattr(other, name) != getattr(setting, name)
            for name in ("ep_slots", "rc_vectors", "mw_count")
        )
        == 1
    ]
    changed = sum(
        getattr(found[0], name) != getattr(setting, name)
        for name in ("ep_slots", "rc_vectors", "mw_count")
    )
    assert changed == 1 or not one_step


@pytest.mark.parametrize(
    ("bits", "end"),
    [(0x2, "QP 1 is woken; QPs 0, 2, 3 for nothing"), (0x3, "QPs 0, 1 are woken; QPs 2, 3 for")],
)
def test_one_qp_is_woken_and_several_are(bits: int, end: str) -> None:
    told = story_of(ring("ep-to-rc", prefix("ep", 0), prefix("rc", 0), Setting(), bits))
    (last,) = [step.what for step in told.steps if step.where == "end"]
    assert last.startswith(end)
