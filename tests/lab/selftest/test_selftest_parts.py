# SPDX-License-Identifier: BSD-3-Clause
"""Parts of the kernel's own tests: what became of each, and whose fault that is."""

import re
from pathlib import Path

import pytest

from ntbbench.lab.guest_task import Recordings
from ntbbench.lab.qemu import Boot
from ntbbench.lab.selftest.records import FAILED, KNOWN, NOT_RUN, PASSED
from ntbbench.lab.selftest.selftest_parts import (
    DECIMAL,
    NO_LINK_DOWN,
    PARTS,
    READ_AT_ONCE,
    UNEQUAL,
    only_parts,
)
from ntbbench.lab.selftest.selftest_run import judged, judged_parts

BY_NAME = {part.name: part for part in PARTS}
DOORBELL = "Doorbell doesn't match expected value 1  in /sys/kernel/debug/ntb_tool/x/db"
REFUSED = "/bin/ntb_test.sh: line 117: echo: write error: Invalid argument"
OTHER = "Scratchpad 3 value 0 doesn't match 17"


def ran(folder: Path, output: str, status: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "output").write_text(f"{output}\n")
    (folder / "status").write_text(f"{status}\n")
    (folder / "dmesg").write_text("")
    return folder


@pytest.mark.parametrize(
    ("part", "output", "status", "polled", "found"),
    [
        ("ports", "  Passed", 0, False, (PASSED, "")),
        ("messages", "  Unsupported", 0, False, (NOT_RUN, "the device has none")),
        ("doorbells-rc-to-ep", DOORBELL, 255, True, (KNOWN, READ_AT_ONCE.reason)),
        ("doorbells-rc-to-ep", DOORBELL, 255, False, (FAILED, DOORBELL)),
        ("doorbells-ep-to-rc", DOORBELL, 255, True, (FAILED, DOORBELL)),
        ("doorbells-ep-to-rc", REFUSED, 1, False, (KNOWN, UNEQUAL.reason)),
        ("windows-rc-to-ep", REFUSED, 1, False, (KNOWN, DECIMAL.reason)),
        ("scratchpads-ep-to-rc", REFUSED, 1, False, (FAILED, REFUSED)),
        ("scratchpads-ep-to-rc", OTHER, 255, True, (FAILED, OTHER)),
        ("link-from-ep", "Running link tests", 137, False, (KNOWN, NO_LINK_DOWN.reason)),
        ("link-from-rc", "Running link tests", 137, False, (FAILED, "timed out")),
    ],
)
def test_a_failure_is_known_where_the_test_is_to_blame(
    tmp_path: Path, part: str, output: str, status: int, polled: bool, found: tuple[str, str]
) -> None:
    told = judged(BY_NAME[part], ran(tmp_path / part, output, status), polled=polled)
    assert (told["status"], told["reason"]) == found
    assert told["output"] == [output]


@pytest.mark.parametrize(("last", "status"), [("pingpong", FAILED), ("msi", KNOWN)])
def test_what_a_guest_died_in_hides_no_other_part(tmp_path: Path, last: str, status: str) -> None:
    ran(tmp_path / "setup", "", 0)
    (tmp_path / "setup" / "result").write_text("cause=\n")
    names = [part.name for part in PARTS]
    for name in names[: names.index(last)]:
        ran(tmp_path / name, "  Passed", 0)
    console = "RIP: 0010:ntb_msi_setup_mws+0x1/0x2\nKernel panic - not syncing: Fatal exception\n"
    recordings = Recordings("7.3.4", tmp_path, Boot(console, ""))
    found = dict(zip(names, judged_parts(recordings, PARTS, polled=False), strict=True))
    assert found[last]["status"] == status
    for name in names[names.index(last) + 1 :]:
        assert found[name] == {"status": NOT_RUN, "reason": f"the guest had died in {last}"}


def test_a_pair_that_does_not_join_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "setup").mkdir()
    (tmp_path / "setup" / "result").write_text("cause=pci-epf-vntb refuses 16=db_count\n")
    recordings = Recordings("7.3.4", tmp_path, Boot("", ""))
    reasons = {
        (one["status"], one["reason"]) for one in judged_parts(recordings, PARTS, polled=False)
    }
    assert reasons == {(NOT_RUN, "pci-epf-vntb refuses 16=db_count")}


def test_the_script_runs_one_part_alone() -> None:
    script = (
        "function ntb_tool_tests()\n{\n\techo all\n}\n\nntb_tool_tests\necho\nntb_msi_tests\necho\n"
    )
    text = only_parts(script)
    assert "function ntb_tool_tests()\n" in text and text.endswith("exit $status\n")
    assert not re.search(r"^ntb_\w+_tests$", text, re.MULTILINE)
