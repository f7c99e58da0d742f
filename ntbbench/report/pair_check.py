# SPDX-License-Identifier: BSD-3-Clause
"""A check of the pair on a debug kernel: each finding with the first line that shows it."""

from collections.abc import Iterator

from ntbbench.lab.pair.records import UNAVAILABLE, PairFinding, PairResult
from ntbbench.report import pair, pair_words
from ntbbench.report.markdown import escaped
from ntbbench.report.wording import folded, plural

NOTE = """\
A finding is one kind of complaint at one function of a driver, however often it was seen. The \
lock checker falls silent after its first complaint: fix that and check again."""


def render_text(result: PairResult) -> str:
    """Return the check as plain ASCII of at most 80 columns: findings, then the points."""
    blocks = [folded(headline(result))]
    blocks += ["\n".join(_block(finding)) for finding in result.findings]
    blocks += [folded(NOTE), pair.render_text(result).rstrip()]
    return "\n\n".join(blocks) + "\n"


def render_markdown(result: PairResult) -> str:
    """Return the check as Markdown: findings as a list, then the points."""
    lines = ["### ntbbench lab pair check", "", escaped(headline(result)), ""]
    for finding in result.findings:
        lines.append(f"- **{escaped(place(finding))}**: {escaped(finding.line)}")
        lines.append(f"  ({escaped(seen(finding))})")
    return "\n".join([*lines, "", pair.render_markdown(result)])


def headline(result: PairResult) -> str:
    """Return in one sentence what was checked and what was found, or why nothing was."""
    if result.points and all(point.status == UNAVAILABLE for point in result.points):
        return pair_words.headline(result)  # nothing was booted, and nothing can have been found
    checks = ", ".join(result.checks)
    found = plural(len(result.findings), "finding") if result.findings else "no finding"
    rounds = plural(result.rounds, "unbind/bind round")
    return f"Linux {result.kernel} with {checks}, {rounds}: {found}"


def place(finding: PairFinding) -> str:
    """Return what kind of finding it is, and where."""
    side = f"{finding.side.upper()}, " if finding.side else ""
    function = f"{finding.function}()" if finding.function else "no function of a driver"
    return f"{finding.kind}: {side}{function}"


def seen(finding: PairFinding) -> str:
    """Return how often and with which drivers it was seen, and what the model says of it."""
    told = "known to the model" if finding.expected else "not known to the model"
    return f"{finding.boot}; seen {plural(finding.count, 'time')}; {told}"


def _block(finding: PairFinding) -> Iterator[str]:
    yield folded(place(finding))
    yield folded(finding.line, "  ")
    yield folded(seen(finding), "  ")
