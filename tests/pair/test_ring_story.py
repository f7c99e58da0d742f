# SPDX-License-Identifier: BSD-3-Clause
"""Stories of doorbells: a step is marked where one is lost, and nowhere else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_strategies import drivers
from pair_strategies import settings as pair_settings

from ntbbench.pair.drivers.patches import Driver, parse_driver
from ntbbench.pair.records import Story
from ntbbench.pair.ring_trace import ring, steps_of, story_of
from ntbbench.pair.setting import DIRECTIONS, Direction, Setting
from ntbbench.pair.verdict import WORKS, cell_stories, rows


@given(ep=drivers("ep"), rc=drivers("rc"), setting=pair_settings(), way=st.sampled_from(DIRECTIONS))
@settings(max_examples=60, deadline=None)
def test_a_story_marks_a_step_if_and_only_if_something_is_lost(
    ep: Driver, rc: Driver, setting: Setting, way: Direction
) -> None:
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
