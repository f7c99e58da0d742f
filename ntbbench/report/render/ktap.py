# SPDX-License-Identifier: BSD-3-Clause
"""KTAP version 1, what the kernel's own test tools read.

Source: Documentation/dev-tools/ktap.rst of Linux 7.3; tools/testing/kunit/kunit_parser.py.
"""

import re
from collections.abc import Iterator, Sequence

from ntbbench.report.document import Check, Document
from ntbbench.report.wording import ascii_only

INDENT = "  "  # of a subtest
_DASHES = re.compile(r"^(-( |$))+")


def render(document: Document) -> str:
    """Return the document's checks as KTAP; the verdict is the first diagnostic of the whole."""
    about = [document.verdict, *document.lines, *(text for text, _ in document.warnings)]
    return "\n".join(_plan(document.tested("ktap"), about, "")) + "\n"


def passed(check: Check) -> bool:
    """Tell whether a check passed; of one with subtests, whether none of them failed."""
    if check.checks:
        return all(passed(inner) for inner in check.checks)
    return check.ok is not False


def _plan(
    checks: Sequence[Check], about: Sequence[str], indent: str, name: str = ""
) -> Iterator[str]:
    yield f"{indent}KTAP version 1"
    yield from [f"{indent}# Subtest: {name}"] * bool(name)
    yield from _diagnostics([line for line in about if line], indent)
    yield f"{indent}1..{len(checks)}"
    for number, check in enumerate(checks, 1):
        title = _name(check.name)
        if title == name:  # the parser would take its result for that of its parent
            title += " itself"
        if check.checks:
            yield from _plan(check.checks, (), indent + INDENT, title)
        found = [check.reason] if check.reason and check.ok is not None else []
        yield from _diagnostics([*found, *check.diagnostics], indent)
        yield f"{indent}{'ok' if passed(check) else 'not ok'} {number} {title}{_skipped(check)}"


def _skipped(check: Check) -> str:
    return f" # SKIP {_plain(check.reason)}" if check.ok is None and not check.checks else ""


def _diagnostics(lines: Sequence[str], indent: str) -> Iterator[str]:
    for line in lines:
        yield f"{indent}# {_plain(line)}"


def _plain(text: str) -> str:
    return ascii_only(" ".join(text.split()))


def _name(text: str) -> str:
    """Return a description: a `#` in it begins a directive, and a dash before it is dropped."""
    return _DASHES.sub("", _plain(text)).replace("#", "No.") or "unnamed"
