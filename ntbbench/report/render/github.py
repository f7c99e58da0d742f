# SPDX-License-Identifier: BSD-3-Clause
"""Workflow commands of GitHub Actions: an annotation for each check that needs a look.

The escapes are those of actions/toolkit, packages/core/src/command.ts.
"""

from ntbbench.core.names import printable
from ntbbench.report.document import Check, Document, leaves
from ntbbench.report.wording import plural

LEVELS = ("error", "warning", "notice")  # from what fails to what is good news
MOST = 10  # GitHub shows as many of a level a step
OWN = 2  # notices that are of no check: the verdict, and what is left out


def render(document: Document) -> str:
    """Return the verdict as a notice, at most ten annotations of a level, and what is left out."""
    lines = [_command("notice", document.title, document.verdict)]
    lines += [_command("warning", document.title, text) for text, _ in document.warnings]
    own = {"notice": OWN, "warning": len(document.warnings)}
    cases = [case for case in leaves(document.tested("github")) if _level(case[1])]
    several = len({group for group, _ in cases}) > 1
    left = []
    for level in LEVELS:
        found = [(group, check) for group, check in cases if _level(check) == level]
        found.sort(key=lambda case: case[1].error)  # what failed before what was not there
        most = max(0, MOST - own.get(level, 0))
        for group, check in found[:most]:
            name = f"{check.name} ({group})" if several and group else check.name
            lines.append(_command(level, name, check.reason))
        left += [plural(len(found) - most, level)] if len(found) > most else []
    if left:
        text = f"and {', '.join(left)} more; the job's summary and the other formats have them"
        lines.append(_command("notice", document.title, text))
    return "\n".join(lines) + "\n"


def _level(check: Check) -> str:
    if check.ok is False:
        return "error"
    if not check.notable:
        return ""
    return "notice" if check.ok else "warning"


def _command(level: str, title: str, text: str) -> str:
    """Return one workflow command; neither text can start another."""
    name = _data(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={name}::{_data(text)}"


def _data(text: str) -> str:
    """Return `text` escaped as the data of a workflow command."""
    return printable(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))
