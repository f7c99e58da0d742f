# SPDX-License-Identifier: BSD-3-Clause
"""Workflow commands of GitHub Actions: an annotation for each finding.

The escapes are those of actions/toolkit, packages/core/src/command.ts.
"""

from ntbbench.analyse.comparison import Comparison, Report
from ntbbench.report.comparison import wording

LEVELS = {
    "missing": "error",
    "regressed": "error",
    "inconclusive": "warning",
    "improved": "notice",
}
MOST = 10  # GitHub shows as many of a level a step


def render(report: Report) -> str:
    """Return the annotations, at most ten of a level, and the totals as a notice."""
    lines = [command("notice", "ntbbench", wording.totals_line(report))]
    shown = dict.fromkeys(LEVELS.values(), 0)
    shown["notice"] = 1
    for comparison in wording.by_severity(report.comparisons):
        level = LEVELS.get(wording.state(comparison))
        if level == "error" and wording.reported_only(comparison, report):
            level = "warning"
        if level is not None and shown[level] < MOST:
            shown[level] += 1
            lines.append(annotation(level, comparison))
    return "\n".join(lines) + "\n"


def annotation(level: str, comparison: Comparison) -> str:
    """Return the annotation of one comparison."""
    title = f"{wording.state(comparison)}: {comparison.metric}"
    question = wording.open_question(comparison)
    text = wording.change_of(comparison) + (f"; {question}" if question else "")
    return command(level, title, text)


def command(level: str, title: str, text: str) -> str:
    """Return one workflow command; neither text can start another."""
    name = data(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={name}::{data(text)}"


def data(text: str) -> str:
    """Return `text` escaped as the data of a workflow command."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return "".join(c if c.isprintable() else wording.visible(c) for c in escaped)
