# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own NTB tests: a row a part, and what the failed ones said."""

from ntbbench.lab.selftest.records import SelftestPart, SelftestResult
from ntbbench.report.document import Document
from ntbbench.report.views.part_tables import PartedTests

TESTS = PartedTests(
    SelftestPart,
    ("ep_driver", "rc_driver"),
    "EP {}, RC {}",
    "a driver",
    lambda pair: "EP {}\nRC {}".format(*pair),
)


def document(result: SelftestResult) -> Document:
    """Return the report of the tests."""
    line = f"Linux {result.kernel} ({result.kernel_source}), its own ntb_test.sh"
    return TESTS.document("ntbbench lab pair selftest", line, result)
