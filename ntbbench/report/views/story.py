# SPDX-License-Identifier: BSD-3-Clause
"""Stories of doorbells: every step, and the first one that goes wrong."""

from collections.abc import Iterator

from ntbbench.pair.host_records import HostStories, HostStory
from ntbbench.pair.joined_hosts import setting_of
from ntbbench.pair.records import Stories, Story, StoryStep
from ntbbench.pair.setting import Ends
from ntbbench.report.document import Cell, Column, Document, Sheet, Table, column
from ntbbench.report.views.compat import setting_fields, setting_line

WRONG = ">>"
STEP = StoryStep.__struct_fields__


def document(result: Stories | HostStories) -> Document:
    """Return the report of rings."""
    ends = setting_of(result).ends
    cells = any(story.verdict for story in result.stories)
    return Document(
        title="ntbbench compat --explain" if cells else "ntbbench doorbell",
        verdict="; ".join(f"{story.direction}: {_end(story)}" for story in result.stories),
        whole=True,
        record=result,
        lines=[setting_line(result)],
        blocks=[_steps(story, ends) for story in result.stories],
        sheet=lambda: Sheet(
            [
                *setting_fields(result),
                *("direction", *ends.names, "bits", "verdict", "step"),
                *STEP,
            ],
            _sheet_rows(result, ends),
        ),
    )


def _end(story: Story | HostStory) -> str:
    """Return what became of the doorbell: the last step but for hazards."""
    return next((s.what for s in reversed(story.steps) if s.where != "hazard"), "no step")


def _steps(story: Story | HostStory, ends: Ends) -> Table:
    bits = ", ".join(map(str, story.bits))
    verdict = f": {story.verdict}" if story.verdict else ""
    named = zip(ends.titles, ends.names, strict=True)
    drivers = ", ".join(f"{title} {getattr(story, name)}" for title, name in named)
    return Table(
        f"{story.direction}, {drivers}, bits {bits}{verdict}",
        [Column("", align="left"), *(column(StoryStep, name) for name in ("where", "what"))],
        [_step(step) for step in story.steps],
        [f"{WRONG} marks the first step that goes wrong"] * any(s.wrong for s in story.steps),
        keys=2,
    )


def _step(step: StoryStep) -> list[Cell]:
    texts = (WRONG if step.wrong else "", step.where, step.what)
    return [Cell(text, strong=step.wrong, tone="bad" if step.wrong else "") for text in texts]


def _sheet_rows(result: Stories | HostStories, ends: Ends) -> Iterator[list[object]]:
    asked = [getattr(result, name) for name in setting_fields(result)]
    for story in result.stories:
        ring = [getattr(story, name) for name in ("direction", *ends.names)]
        bits = " ".join(map(str, story.bits))
        for at, step in enumerate(story.steps):
            yield [*asked, *ring, bits, story.verdict, at, *(getattr(step, name) for name in STEP)]
