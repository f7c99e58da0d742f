# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own NTB tests: a row a part, and what the failed ones said."""

from ntbbench.core.fields import declared
from ntbbench.lab.selftest.records import (
    HostSelftestPart,
    HostSelftestResult,
    SelftestPart,
    SelftestResult,
)
from ntbbench.report.document import Document
from ntbbench.report.views.part_tables import PartedTests


def _tests(part: type[SelftestPart]) -> PartedTests:
    """Return the tests of two drivers, each end with the name that its part has."""
    ends = ("ep_driver", "rc_driver")
    one, other = (f"{declared(part)[end].title} {{}}" for end in ends)
    return PartedTests(
        part, ends, f"{one}, {other}", "a driver", lambda pair: f"{one}\n{other}".format(*pair)
    )


PAIR, HOSTS = _tests(SelftestPart), _tests(HostSelftestPart)


def document(result: SelftestResult) -> Document:
    """Return the report of the tests."""
    line = f"Linux {result.kernel} ({result.kernel_source}), its own ntb_test.sh"
    tests = HOSTS if isinstance(result, HostSelftestResult) else PAIR
    return tests.document("ntbbench lab pair selftest", line, result)
