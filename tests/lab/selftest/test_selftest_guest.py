# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own NTB tests on the real pair."""

from pathlib import Path

import pytest

from ntbbench.cli.main import main
from ntbbench.core.result_file import load_as
from ntbbench.lab.selftest.records import FAILED, PASSED, SELFTEST_SCHEMA, SelftestResult

# Boots a kernel that is built once: `make test-guest`.
pytestmark = pytest.mark.guest


@pytest.mark.parametrize(("rc", "code"), [("after", 0), ("before", 1)])
def test_the_drivers_of_today_pass_what_can_be_passed(tmp_path: Path, rc: str, code: int) -> None:
    out = tmp_path / "selftest.json"
    words = ("lab", "pair", "selftest", "--rc-driver", rc, "-o", str(out))
    assert main([*words]) == code
    found = {part.name: part for part in load_as(out, SELFTEST_SCHEMA, SelftestResult).parts}
    always = ("ports", "scratchpads-ep-to-rc", "scratchpads-rc-to-ep", "link-from-rc")
    assert {found[name].status for name in (*always, "pingpong", "perf")} == {PASSED}
    failed = {name for name, part in found.items() if part.status == FAILED}
    # before patches 9 to 11 db_read of the root complex shows another bit
    assert failed == (set() if rc == "after" else {"doorbells-ep-to-rc"})
