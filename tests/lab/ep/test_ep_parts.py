# SPDX-License-Identifier: BSD-3-Clause
"""Parts of the endpoint tests: which there are, and what became of each."""

from pathlib import Path

import pytest

from ntbbench.lab.ep.ep_parts import NO_DMA, REBIND, judged, judged_parts, part_names
from ntbbench.lab.ep.records import SKIPPED
from ntbbench.lab.guest_task import Recordings
from ntbbench.lab.qemu import Boot
from ntbbench.lab.selftest.records import FAILED, KNOWN, NOT_RUN, PASSED

SOURCE = """\
FIXTURE_VARIANT_ADD(bar, BAR0) { .barno = 0 };
FIXTURE_VARIANT_ADD(bar, BAR1) { .barno = 1 };
TEST_F(bar, BAR_TEST)
FIXTURE_VARIANT_ADD(transfer, memcpy)
FIXTURE_VARIANT_ADD(transfer, dma)
TEST_F(transfer, READ_TEST)
TEST_F(doorbell, DOORBELL_TEST)
"""
OK = "ok 1 x.MSI_TEST\n"
LINE = "# pci_endpoint_test.c:217:READ_TEST:"
EIO = f"{LINE}Expected 0 (0) == ret (-5)\n{LINE}Test failed for size (1024)\nnot ok 1 x\n"
TIMED_OUT = "# READ_TEST: Test terminated by timeout\nnot ok 1 x\n"
DROPPED = "[ 1.0] pci_epf_test pci_epf_test.0: Cannot transfer data using DMA\n"
STRAY = (
    "[ 1.0] epc_loop epc_loop.0: the endpoint writes 4 bytes from 10000002000, where the host lets "
    "it write none\n"
)


def ran(folder: Path, output: str = "", status: int = 0, log: str = "", cause: str = "") -> Path:
    folder.mkdir(parents=True)
    (folder / "dmesg").write_text(log)
    if cause:
        (folder / "cause").write_text(f"{cause}\n")
    else:
        (folder / "output").write_text(output)
        (folder / "status").write_text(f"{status}\n")
    return folder


def test_parts_are_those_of_the_source_with_dma_last() -> None:
    assert part_names(SOURCE) == [
        "bar.BAR0.BAR_TEST",
        "bar.BAR1.BAR_TEST",
        "transfer.memcpy.READ_TEST",
        "doorbell.DOORBELL_TEST",
        REBIND,
        "transfer.dma.READ_TEST",
    ]


@pytest.mark.parametrize(
    ("output", "status", "log", "found"),
    [
        (OK, 0, "", (PASSED, "", "")),
        ("ok 1 x # SKIP BAR is reserved\n", 0, "", (SKIPPED, "", "BAR is reserved")),
        (EIO, 1, "", (FAILED, "EIO", "Test failed for size (1024): EIO")),
        (
            EIO.replace("-5", "-22"),
            1,
            "",
            (FAILED, "EINVAL", "Test failed for size (1024): EINVAL"),
        ),
        (TIMED_OUT, 1, DROPPED, (KNOWN, "", NO_DMA.reason)),
        (TIMED_OUT, 1, "", (FAILED, "", "Test terminated by timeout")),
        ("", 1, "", (FAILED, "", "no output")),
        ("Segmentation fault\n", 139, "", (FAILED, "", "Segmentation fault")),
        (OK, 0, STRAY, (FAILED, "", STRAY.split(": ", 1)[1].strip())),
        (OK, 0, "epc_loop.0: broken identity: x\n", (FAILED, "", "broken identity: x")),
    ],
)
def test_a_part_is_judged_by_what_it_said(
    tmp_path: Path, output: str, status: int, log: str, found: tuple[str, str, str]
) -> None:
    told = judged(ran(tmp_path / "x", output, status, log))
    assert (told["status"], told.get("errno", ""), told.get("reason", "")) == found
    assert told["output"] == output.splitlines()


def test_a_part_that_could_not_begin_says_why(tmp_path: Path) -> None:
    cause = "pci_endpoint_test made no device: Cannot perform PCI test without BAR0"
    assert judged(ran(tmp_path / "x", cause=cause))["status"] == FAILED
    told = judged(ran(tmp_path / "y", cause="pci_endpoint_test never came back from x"))
    assert (told["status"], told["reason"]) == (
        NOT_RUN,
        "pci_endpoint_test never came back from x",
    )


def test_what_a_guest_died_in_hides_no_other_part(tmp_path: Path) -> None:
    ran(tmp_path / "a", OK)
    console = "Kernel panic - not syncing: Fatal exception\n"
    recordings = Recordings("7.3.4", tmp_path, Boot(console, ""))
    found = [*judged_parts(recordings, ["a", "b", "c"])]
    assert [one["status"] for one in found] == [PASSED, FAILED, NOT_RUN]
    assert "panic" in found[1]["reason"]
    assert found[2]["reason"] == "the guest had died in b"
