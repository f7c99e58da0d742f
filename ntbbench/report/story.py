# SPDX-License-Identifier: BSD-3-Clause
"""Stories of doorbells as text, Markdown and JSON."""

from collections.abc import Callable, Mapping
from textwrap import wrap

import msgspec

from ntbbench.pair.series.ring_report import Stories, Story, StoryStep
from ntbbench.report.wording import ascii_only

WIDTH = 80
WHERE = 14  # the longest place, "RC transport", and two spaces
MARK = ">> "


def text(told: Stories) -> str:
    """Return the stories as plain text of at most 80 columns."""
    parts = [setting_line(told)]
    for story in told.stories:
        lines = [title(story)]
        for step in story.steps:
            lines += _step_lines(step)
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def markdown(told: Stories) -> str:
    """Return the stories as Markdown lists."""
    parts = [setting_line(told)]
    for story in told.stories:
        lines = [f"### {title(story)}", ""]
        for step in story.steps:
            what = f"`{step.where}` {step.what}"
            lines.append(f"- **{what} (here it goes wrong)**" if step.wrong else f"- {what}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def as_json(told: Stories) -> str:
    """Return the stories as JSON."""
    return msgspec.json.format(msgspec.json.encode(told)).decode() + "\n"


def setting_line(told: Stories) -> str:
    """Return the setting in words."""
    return (
        f"{told.ep_slots} slots, {told.rc_vectors} vectors, {told.mw_count} windows, "
        f"doorbell {told.doorbell}"
    )


def title(story: Story) -> str:
    """Return what a story is about."""
    bits = ", ".join(map(str, story.bits))
    verdict = f": {story.verdict}" if story.verdict else ""
    return f"{story.direction}, EP {story.ep}, RC {story.rc}, bits {bits}{verdict}"


def _step_lines(step: StoryStep) -> list[str]:
    mark = MARK if step.wrong else " " * len(MARK)
    return wrap(
        ascii_only(f"{step.where:{WHERE}}{step.what}"),
        WIDTH,
        initial_indent=mark,
        subsequent_indent=" " * (len(MARK) + WHERE),
        break_on_hyphens=False,
    )


FORMATS: Mapping[str, Callable[[Stories], str]] = {
    "text": text,
    "md": markdown,
    "json": as_json,
}
