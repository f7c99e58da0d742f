# SPDX-License-Identifier: BSD-3-Clause
"""JUnit XML: a test case a comparison; what the policy fails is a failure, missing an error."""

import xml.etree.ElementTree as ET

from ntbbench.compare.records import Comparison, Report
from ntbbench.report.comparison import gravity, wording


def render(report: Report) -> str:
    """Return the report as one test suite; what XML cannot hold is shown as an escape."""
    outcomes = [outcome(comparison, report) for comparison in report.comparisons]
    suite = ET.Element(
        "testsuite",
        name=f"ntbbench: {wording.visible(report.base)}",
        tests=str(len(outcomes) + len(report.ignored)),
        failures=str(outcomes.count("failure")),
        errors=str(outcomes.count("error")),
        skipped=str(outcomes.count("skipped") + len(report.ignored)),
    )
    for comparison, kind in zip(report.comparisons, outcomes, strict=True):
        case = ET.SubElement(
            suite,
            "testcase",
            classname=wording.visible(comparison.candidate),
            name=wording.visible(comparison.metric),
        )
        text = f"{wording.state(comparison)}: {wording.change_with_way(comparison)}"
        if kind:
            ET.SubElement(case, kind, message=text).text = "; ".join(
                filter(
                    None,
                    (
                        wording.why(comparison),
                        wording.visible(wording.fatal_warnings(comparison, report)),
                    ),
                )
            )
        notes = [f"{warning.code}: {warning.message}" for warning in comparison.warnings]
        if notes:
            ET.SubElement(case, "system-out").text = wording.visible("; ".join(notes))
    for item in report.ignored:
        case = ET.SubElement(
            suite,
            "testcase",
            classname="ignored by the policy",
            name=wording.visible(item.metric),
        )
        ET.SubElement(case, "skipped", message=f"ignored: {wording.visible(item.reason)}")
    if lines := wording.warning_lines(report):
        ET.SubElement(suite, "system-out").text = wording.visible("; ".join(lines))
    ET.indent(suite)
    text = ET.tostring(suite, "us-ascii").decode("ascii")  # the same in every locale
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def outcome(comparison: Comparison, report: Report) -> str:
    """Return the JUnit element of a comparison that did not pass, or ""."""
    if comparison.missing:
        return "error"
    if gravity.fails(comparison, report):
        return "failure"
    only_told = gravity.reported_only(comparison, report) and comparison.verdict == "regressed"
    return "skipped" if only_told or comparison.verdict == "inconclusive" else ""
