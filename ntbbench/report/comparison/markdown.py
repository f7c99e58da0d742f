# SPDX-License-Identifier: BSD-3-Clause
"""Markdown for a pull request or a job summary."""

import re

from ntbbench.compare.records import Comparison, Report
from ntbbench.report.comparison import gravity, wording

ROWS = 100  # a comment on GitHub holds 65,536 characters
MARKS = {
    "missing": ":grey_question: missing",
    "regressed": ":red_circle: **regressed**",
    "inconclusive": ":white_circle: inconclusive",
    "improved": ":green_circle: improved",
    "equivalent": ":heavy_equals_sign: equivalent",
}
HEADER = "| verdict | metric | change | better | 95 % interval | p (adjusted) | n | detectable |"
RULE = "|---|---|---:|---|---:|---:|---:|---:|"


def render(report: Report) -> str:
    """Return the report as Markdown, what needs a look first."""
    title = f"{report.base} -> {', '.join(report.candidates) or 'nothing'}"
    lines = [f"### ntbbench: {code(title)}", "", f"**{wording.totals_line(report)}**", ""]
    lines += [f"- :warning: {code(text)}" for text in wording.warning_lines(report)]
    lines += [f"- {code(text)}" for text in wording.environment_lines(report)]
    shown = gravity.by_gravity(wording.worth_showing(report), report)
    if shown:
        lines += ["", HEADER, RULE, *(row(c, report) for c in shown[:ROWS])]
    if len(shown) > ROWS:
        lines += ["", wording.counted(len(shown) - ROWS, "more row(s) is|are left out.")]
    same = sum(wording.unchanged(c) for c in report.comparisons)
    if same:
        lines += ["", wording.counted(same, "exact metric(s) is|are unchanged.")]
    if report.ignored:
        lines += ["", "Ignored by the policy:", ""]
    lines += [f"- {code(text)}" for text in wording.ignored_lines(report, ROWS)]
    if report.family.size:
        lines += ["", f"<sub>{wording.family_line(report)}.</sub>"]
    if report.causes:
        lines += ["", f"E{wording.exit_line(report)[1:]}."]
    return "\n".join(lines) + "\n"


def row(comparison: Comparison, report: Report) -> str:
    """Return one row of the table."""
    name = code(comparison.metric)
    if len(report.candidates) > 1:
        name += f" ({code(comparison.candidate)})"
    if notes := wording.notes(comparison):
        name += f"<br><sub>{', '.join(notes)}</sub>"
    better = wording.better_of(comparison).removesuffix(" is better")
    if comparison.kind == "exact" or comparison.missing:
        cells = [code(wording.change_of(comparison)), better, "", "", "", ""]
    else:
        p = f"{wording.probability(comparison.p_value)} "
        p += f"({wording.probability(comparison.p_adjusted)})"
        detectable = wording.effect(comparison.minimal_detectable_effect)
        if comparison.verdict == "inconclusive" and comparison.runs_needed:
            detectable += f"; {comparison.runs_needed} {wording.samples_of(comparison)} settle"
        n = f"{comparison.n_base}/{comparison.n_candidate}"
        change = wording.percent(comparison.ratio)
        cells = [
            change,
            better,
            wording.interval(comparison),
            p.replace("<", "&lt;"),
            n,
            detectable,
        ]
    return f"| {' | '.join([MARKS[wording.state(comparison)], name, *cells])} |"


def code(text: str) -> str:
    """Return `text` as a code span in a table: nothing in it is markup, a link or a mention."""
    text = wording.visible(text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest or not text.strip() else f"{fence}{text}{fence}"
