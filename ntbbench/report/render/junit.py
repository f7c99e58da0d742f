# SPDX-License-Identifier: BSD-3-Clause
"""JUnit XML: a test case a check; what could not be measured is an error, not a failure."""

import xml.etree.ElementTree as ET

from ntbbench.core.names import printable
from ntbbench.report.document import Check, Document, leaves


def render(document: Document) -> str:
    """Return the checks as one test suite; what XML cannot hold is shown as an escape."""
    cases = [*leaves(document.tested("junit"), document.title)]
    outcomes = [_outcome(check) for _, check in cases]
    suite = ET.Element(
        "testsuite",
        name=printable(document.title),
        tests=str(len(cases)),
        failures=str(outcomes.count("failure")),
        errors=str(outcomes.count("error")),
        skipped=str(outcomes.count("skipped")),
    )
    for (group, check), outcome in zip(cases, outcomes, strict=True):
        case = ET.SubElement(
            suite, "testcase", classname=printable(group), name=printable(check.name)
        )
        if outcome:
            ET.SubElement(case, outcome, message=printable(check.reason))
        told = [check.reason] if check.ok and check.notable else []
        if text := "; ".join([*told, *check.diagnostics]):
            ET.SubElement(case, "system-out").text = printable(text)
    lines = [document.verdict, *document.lines, *(text for text, _ in document.warnings)]
    ET.SubElement(suite, "system-out").text = printable("; ".join(lines))
    ET.indent(suite)
    xml = ET.tostring(suite, "us-ascii").decode("ascii")  # the same in every locale
    return f'<?xml version="1.0" encoding="utf-8"?>\n{xml}\n'


def _outcome(check: Check) -> str:
    """Return the element of a check that did not pass, or ""."""
    if check.ok is None:
        return "skipped"
    return "" if check.ok else "error" if check.error else "failure"
