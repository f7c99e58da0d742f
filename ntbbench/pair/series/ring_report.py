# SPDX-License-Identifier: BSD-3-Clause
"""Stories of doorbells as records: of one cell of the matrix, or of one ring."""

from msgspec import Struct

from ntbbench.pair.drivers.patches import Driver, cell_driver
from ntbbench.pair.ring_story import sleeping, tell
from ntbbench.pair.ring_trace import RingTrace, ring
from ntbbench.pair.series.prefix_matrix import CellName
from ntbbench.pair.series.verdict import outcome, setting_traits
from ntbbench.pair.setting import DIRECTIONS, Direction, Setting

STORY_SCHEMA = "ntbbench.story/1"


class StoryStep(Struct, frozen=True, kw_only=True):
    """One step; `wrong` marks the first that takes the doorbell off its way."""

    where: str
    what: str
    wrong: bool


class Story(Struct, frozen=True, kw_only=True):
    """One ring. `verdict` is that of its cell, over all bits; null for a ring of one's own."""

    direction: str
    ep: str
    rc: str
    bits: list[int]
    verdict: str | None
    scheduled: list[int]  # QPs, in order, merged calls included
    runs: list[int]  # QPs of the tasklet runs, in order
    asleep: list[int]  # rung QPs that nothing scheduled
    steps: list[StoryStep]


class Stories(Struct, frozen=True, kw_only=True):
    """What `compat --explain` and `doorbell` print."""

    schema: str
    ep_slots: int
    rc_vectors: int
    mw_count: int
    doorbell: str
    stories: list[Story]


def stories(ep: CellName, rc: CellName, setting: Setting) -> Stories:
    """Return the story of a cell in both directions: of the first bit that goes astray, or bit 0.

    Raises
    ------
    DriverError : a driver that refuses the setting.
    """
    drivers = cell_driver("ep", ep), cell_driver("rc", rc)
    told = []
    for direction in DIRECTIONS:
        verdict = str(outcome(direction, *drivers, setting).verdict)
        told.append(story_of(_telling(direction, *drivers, setting), verdict))
    return collected(told, setting)


def collected(told: list[Story], setting: Setting) -> Stories:
    """Return stories with the setting that they play in."""
    return Stories(
        schema=STORY_SCHEMA,
        ep_slots=setting.ep_slots,
        rc_vectors=setting.rc_vectors,
        mw_count=setting.mw_count,
        doorbell=str(setting.doorbell),
        stories=told,
    )


def story_of(trace: RingTrace, verdict: str | None = None) -> Story:
    """Return a traced ring as a record."""
    return Story(
        direction=trace.direction,
        ep=trace.ep.label,
        rc=trace.rc.label,
        bits=[bit for bit in range(trace.db_bits.bit_length()) if trace.db_bits >> bit & 1],
        verdict=verdict,
        scheduled=[qp_num for slot in trace.slots for qp_num in slot.scheduled],
        runs=trace.runs,
        asleep=sleeping(trace),
        steps=[StoryStep(where=s.where, what=s.what, wrong=s.wrong) for s in tell(trace)],
    )


def _telling(direction: Direction, ep: Driver, rc: Driver, setting: Setting) -> RingTrace:
    """Return the trace of the first bit that goes astray, or of bit 0."""
    sender = ep if direction == "ep-to-rc" else rc
    bits = max(setting_traits(sender, setting).qp_count, 1)
    traces = (ring(direction, ep, rc, setting, 1 << bit) for bit in range(bits))
    first = next(traces)
    return next((trace for trace in (first, *traces) if sleeping(trace)), first)
