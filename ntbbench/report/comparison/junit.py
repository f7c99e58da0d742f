# SPDX-License-Identifier: BSD-3-Clause
"""JUnit XML: a test case a comparison; what the policy fails is a failure, missing an error."""

import xml.etree.ElementTree as ET

from ntbbench.analyse.comparison import Comparison, Report
from ntbbench.report.comparison import wording


def render(report: Report) -> str:
    """Return the report as one test suite; what XML cannot hold is shown as an escape."""
    outcomes = [outcome(comparison, report) for comparison in report.comparisons]
    suite = ET.Element(
        "testsuite",
        name=f"ntbbench: {wording.visible(report.base)}",
        tests=str(len(outcomes)),
        failures=str(outcomes.count("failure")),
        errors=str(outcomes.count("error")),
        skipped=str(outcomes.count("skipped")),
    )
    for comparison, kind in zip(report.comparisons, outcomes, strict=True):
        case = ET.SubElement(
            suite,
            "testcase",
            classname=wording.visible(comparison.candidate),
            name=wording.visible(comparison.metric),
        )
        text = f"{wording.state(comparison)}: {wording.change_of(comparison)}"
        if kind:
            ET.SubElement(case, kind, message=text).text = wording.open_question(comparison)
        notes = [f"{warning.code}: {warning.message}" for warning in comparison.warnings]
        if notes:
            ET.SubElement(case, "system-out").text = wording.visible("; ".join(notes))
    ET.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, "unicode") + "\n"


def outcome(comparison: Comparison, report: Report) -> str:
    """Return the JUnit element of a comparison that did not pass, or ""."""
    if comparison.missing:
        return "error"
    if wording.reported_only(comparison, report):
        return "skipped" if comparison.verdict in ("regressed", "inconclusive") else ""
    fatal = any(warning.code in report.fatal_warnings for warning in comparison.warnings)
    if comparison.verdict == "regressed" or fatal:
        return "failure"
    if comparison.verdict == "inconclusive":
        return "failure" if report.fail_inconclusive else "skipped"
    return ""
