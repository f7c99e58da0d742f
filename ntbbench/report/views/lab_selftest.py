# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own NTB tests: a row a part, and what the failed ones said."""

from ntbbench.lab.selftest.records import (
    HostSelftestPart,
    HostSelftestResult,
    SelftestPart,
    SelftestResult,
)
from ntbbench.report.document import Document
from ntbbench.report.views.part_tables import PartedTests


def _tests(part: type[SelftestPart], first: str, second: str) -> PartedTests:
    return PartedTests(
        part,
        ("ep_driver", "rc_driver"),
        f"{first} {{}}, {second} {{}}",
        "a driver",
        lambda pair: f"{first} {pair[0]}\n{second} {pair[1]}",
    )


TESTS = _tests(SelftestPart, "EP", "RC")
OF_HOSTS = _tests(HostSelftestPart, "host 1", "host 2")


def document(result: SelftestResult) -> Document:
    """Return the report of the tests."""
    line = f"Linux {result.kernel} ({result.kernel_source}), its own ntb_test.sh"
    tests = OF_HOSTS if isinstance(result, HostSelftestResult) else TESTS
    return tests.document("ntbbench lab pair selftest", line, result)
