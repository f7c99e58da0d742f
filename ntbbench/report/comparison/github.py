# SPDX-License-Identifier: BSD-3-Clause
"""Workflow commands of GitHub Actions: an annotation for each finding.

The escapes are those of actions/toolkit, packages/core/src/command.ts.
"""

from collections import Counter
from collections.abc import Sequence

from ntbbench.compare.records import Comparison, Report
from ntbbench.report.comparison import gravity, wording

LEVELS = ("error", "warning", "notice")  # from what fails to what is good news
MOST = 10  # GitHub shows as many of a level a step
OWN = 2  # notices that are of no comparison: the totals, and what is left out


def render(report: Report) -> str:
    """Return the totals as a notice, at most ten annotations of a level, and what is left out."""
    lines = [command("notice", "ntbbench", wording.totals_line(report))]
    warnings = [command("warning", f"ntbbench: {w.code}", w.message) for w in report.warnings]
    found: dict[str, list[Comparison]] = {level: [] for level in LEVELS}
    for comparison in gravity.by_gravity(wording.worth_showing(report), report):
        level = level_of(comparison, report)
        if level:
            found[level].append(comparison)
    lines += warnings
    left: list[Comparison] = []
    for level, comparisons in found.items():
        own = {"notice": OWN, "warning": len(warnings)}.get(level, 0)
        most = MOST - own
        lines += [annotation(level, comparison, report) for comparison in comparisons[:most]]
        left += comparisons[most:]
    if left:
        lines.append(command("notice", f"ntbbench: and {len(left)} more", left_out(left)))
    return "\n".join(lines) + "\n"


def level_of(comparison: Comparison, report: Report) -> str:
    """Return the level of the annotation of a comparison, "" where none is needed."""
    if gravity.fails(comparison, report):
        return "error"
    if comparison.verdict in ("regressed", "inconclusive"):
        return "warning"
    return "notice" if comparison.verdict == "improved" else ""


def annotation(level: str, comparison: Comparison, report: Report) -> str:
    """Return the annotation of one comparison."""
    title = f"{wording.state(comparison)}: {comparison.metric}"
    if len(report.candidates) > 1:
        title += f" ({comparison.candidate})"
    reason = wording.why(comparison)
    fatal = wording.fatal_warnings(comparison, report)
    text = "; ".join(filter(None, (wording.change_with_way(comparison), reason, fatal)))
    return command(level, title, text)


def left_out(comparisons: Sequence[Comparison]) -> str:
    """Return how many comparisons of each state have no annotation, and where they are."""
    left = Counter(wording.state(comparison) for comparison in comparisons)
    counts = ", ".join(f"{left[state]} {state}" for state in wording.SEVERITY if left[state])
    return f"and {counts}; the job's summary and --write csv=FILE have more"


def command(level: str, title: str, text: str) -> str:
    """Return one workflow command; neither text can start another."""
    name = data(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={name}::{data(text)}"


def data(text: str) -> str:
    """Return `text` escaped as the data of a workflow command."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return "".join(c if c.isprintable() else wording.visible(c) for c in escaped)
