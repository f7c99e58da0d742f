# SPDX-License-Identifier: BSD-3-Clause
"""The report for a terminal of 80 columns."""

import textwrap
from collections import Counter

from ntbbench.compare.records import Comparison, Report
from ntbbench.report.comparison import gravity, wording

WIDTH = 80
LABEL = 14
INDENT = "    "
NOTES = 8
ENTRIES = 200
IGNORED = 20
EQUIVALENT = 40  # more than as many are only counted


def render(report: Report) -> str:
    """Return the report as text, what needs a look first."""
    title = f"{report.base} -> {', '.join(report.candidates) or 'nothing'}"
    lines = [*wrapped(wording.visible(title)), *wrapped(wording.totals_line(report)), ""]
    lines += environment(report)
    shown = gravity.by_gravity(wording.worth_showing(report), report)
    exact = len(report.comparisons) - len(shown)
    constant = sum(map(wording.constant, shown))
    shown = [c for c in shown if not wording.constant(c)]
    same = [c for c in shown if wording.state(c) == "equivalent"]
    if len(same) > EQUIVALENT:
        shown = [c for c in shown if wording.state(c) != "equivalent"]
    for comparison in shown[:ENTRIES]:
        lines += entry(comparison, several=len(report.candidates) > 1)
    if len(shown) > ENTRIES:
        left = Counter(wording.state(c) for c in shown[ENTRIES:])
        counts = ", ".join(f"{left[state]} {state}" for state in wording.SEVERITY if left[state])
        lines += wrapped(f"and {counts} that --format json, csv or --html show")
    if len(same) > EQUIVALENT:
        lines.append(f"{len(same)} noisy metrics are equivalent")
    if constant:
        lines.append(wording.counted(constant, "noisy metric(s) is|are one number in every sample"))
    if exact:
        lines.append(wording.counted(exact, "exact metric(s) is|are unchanged"))
    if report.ignored:
        lines.append("ignored by the policy:")
    for text in wording.ignored_lines(report, IGNORED):
        lines += wrapped(INDENT + wording.visible(text), f"{INDENT}  ")
    if report.family.size:
        lines += ["", *wrapped(wording.family_line(report))]
    lines += wrapped(wording.exit_line(report)) if report.causes else []
    return "\n".join(lines) + "\n"


def environment(report: Report) -> list[str]:
    """Return the warnings of whole results and the lines on the environments, a blank one after."""
    lines = []
    for text in wording.warning_lines(report):
        lines += wrapped(f"! {wording.visible(text)}", "  ")
    found = wording.environment_lines(report)
    lines += [line for text in found[:NOTES] for line in wrapped(wording.visible(text))]
    if len(found) > NOTES:
        lines.append(f"and {len(found) - NOTES} more; see --format json")
    return [*lines, ""] if lines else []


def entry(comparison: Comparison, *, several: bool) -> list[str]:
    """Return the lines of one comparison: verdict and name, change, reason, warnings."""
    name = wording.visible(comparison.metric)
    if several:
        name = f"{name} ({wording.visible(comparison.candidate)})"
    better = wording.better_of(comparison)
    name += f", {better}" if better else ""
    state = f"{wording.state(comparison):<{LABEL}}"
    fits = len(state) + len(name) <= WIDTH
    lines = [state + name] if fits else [state.rstrip(), *wrapped(f"{INDENT}{name}", INDENT)]
    lines += wrapped(INDENT + wording.change_of(comparison), INDENT)
    reason = wording.why(comparison)
    if reason:
        lines += wrapped(INDENT + reason, INDENT)
    for warning in comparison.warnings:
        if warning.code != "missing":
            lines += wrapped(f"{INDENT}! {wording.visible(warning.message)}", f"{INDENT}  ")
    return lines


def wrapped(text: str, indent: str = "") -> list[str]:
    """Return `text` in lines of at most 80 columns."""
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]
