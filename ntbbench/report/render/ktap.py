# SPDX-License-Identifier: BSD-3-Clause
"""KTAP version 1, what the kernel's own test tools read.

Source: Documentation/dev-tools/ktap.rst of Linux 7.3; tools/testing/kunit/kunit_parser.py.
"""

from collections.abc import Iterator, Sequence

from ntbbench.core.errors import InputError
from ntbbench.report.document import Check, Document
from ntbbench.report.wording import ascii_only

INDENT = "  "  # of a subtest


def render(document: Document) -> str:
    """Return the document's checks as KTAP; the verdict is the diagnostic of the whole.

    Raises
    ------
    InputError : the report checks nothing.
    """
    if document.checks is None:
        raise InputError("--format", "ktap", f"a format of `{document.title}`: it checks nothing")
    return "\n".join(_plan(document.checks(), document.verdict, "")) + "\n"


def passed(check: Check) -> bool:
    """Tell whether a check passed; of one with subtests, whether none of them failed."""
    if check.checks:
        return all(passed(inner) for inner in check.checks)
    return check.ok is not False


def _plan(checks: Sequence[Check], about: str, indent: str, name: str = "") -> Iterator[str]:
    yield f"{indent}KTAP version 1"
    yield from [f"{indent}# Subtest: {name}"] * bool(name)
    yield from _diagnostics([about] if about else [], indent)
    yield f"{indent}1..{len(checks)}"
    for number, check in enumerate(checks, 1):
        about = _name(check.name)
        if about == name:  # the parser would take its result for that of its parent
            about += " itself"
        if check.checks:
            yield from _plan(check.checks, "", indent + INDENT, about)
        yield from _diagnostics(check.diagnostics, indent)
        yield f"{indent}{'ok' if passed(check) else 'not ok'} {number} {about}{_skipped(check)}"


def _skipped(check: Check) -> str:
    return f" # SKIP {_plain(check.reason)}" if check.ok is None and not check.checks else ""


def _diagnostics(lines: Sequence[str], indent: str) -> Iterator[str]:
    for line in lines:
        yield f"{indent}# {_plain(line)}"


def _plain(text: str) -> str:
    return ascii_only(" ".join(text.split()))


def _name(text: str) -> str:
    """Return a description: a `#` in it would begin a directive."""
    return _plain(text).replace("#", "No.") or "unnamed"
