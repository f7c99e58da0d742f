# SPDX-License-Identifier: BSD-3-Clause
"""The tests of the kernel's pci_endpoint_test, and what became of each.

Source: tools/testing/selftests/pci_endpoint/pci_endpoint_test.c, kselftest_harness.h, Linux 7.3.
"""

import errno
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ntbbench.lab.ep.records import SKIPPED
from ntbbench.lab.guest_task import Recordings
from ntbbench.lab.selftest.records import FAILED, KNOWN, NOT_RUN, PASSED
from ntbbench.lab.selftest.selftest_parts import KnownFailure
from ntbbench.lab.selftest.selftest_run import OUTPUT_MAX

REBIND = "rebind"  # ours: unbinds the function, and binds it again
VARIANT = re.compile(r"^FIXTURE_VARIANT_ADD\((\w+), (\w+)\)", re.MULTILINE)
TEST = re.compile(r"^TEST_F\((\w+), (\w+)\)", re.MULTILINE)
DMA = ".dma."
SKIP = re.compile(r"^ok \d+ \S+ # SKIP (.*)$", re.MULTILINE)
RETURNED = re.compile(r"^# \S+:\d+:\w+:Expected .* \(-(\d+)\)$", re.MULTILINE)
SAID = re.compile(
    r"^# (?:\S+\.c:\d+:\w+:(?!Expected )|\w+: (?=Test terminated))(.+)$", re.MULTILINE
)
# What epc_loop says of drivers that do what no controller lets them.
COMPLAINT = re.compile(
    r"epc_loop\.\d+: ((?:broken identity|the endpoint writes|the host (?:unmaps|leaves)).*)"
)
NO_DMA = KnownFailure(
    re.compile(r"Cannot transfer data using DMA"),
    "pci-epf-test drops a command for DMA that it has not, pci_endpoint_test waits for ever",
)


def part_names(source: str) -> list[str]:
    """Return the tests in the text of the selftest, by the names that it takes.

    Those by DMA come last: where there is none, the first of them never returns.
    """
    variants: dict[str, list[str]] = {}
    for fixture, variant in VARIANT.findall(source):
        variants.setdefault(fixture, []).append(variant)
    names = [
        ".".join(filter(None, (fixture, variant, test)))
        for fixture, test in TEST.findall(source)
        for variant in variants.get(fixture, [""])
    ]
    return [
        *(name for name in names if DMA not in name),
        REBIND,
        *(name for name in names if DMA in name),
    ]


def judged_parts(recordings: Recordings, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield what became of each part; a guest that died did so in the first that left nothing."""
    died, cause = recordings.boot.died, ""
    for name in names:
        folder = recordings.folder / name
        if folder.is_dir():
            yield judged(folder)
        elif died:
            yield {"status": FAILED, "reason": died}
            cause, died = f"the guest had died in {name}", ""
        else:
            yield {"status": NOT_RUN, "reason": cause}


def judged(folder: Path) -> dict[str, Any]:
    """Return what became of a part whose recording came back."""
    log = (folder / "dmesg").read_text(errors="replace")
    cause = folder / "cause"
    if cause.is_file():
        told = cause.read_text().strip()
        hangs = "never came back" in told
        return {"status": NOT_RUN if hangs else FAILED, "reason": told, "log": _last(log)}
    output = (folder / "output").read_text(errors="replace")
    passed = (folder / "status").is_file() and (folder / "status").read_text().strip() == "0"
    return {**_conclusion(output, log, passed=passed), "output": _last(output), "log": _last(log)}


def _conclusion(output: str, log: str, *, passed: bool) -> dict[str, str]:
    if complaint := COMPLAINT.search(log):
        return {"status": FAILED, "reason": complaint[1]}
    if passed:
        skipped = SKIP.search(output)
        return {"status": SKIPPED, "reason": skipped[1]} if skipped else {"status": PASSED}
    if NO_DMA.pattern.search(log):
        return {"status": KNOWN, "reason": NO_DMA.reason}
    returned, said = RETURNED.search(output), SAID.search(output)
    words = said[1] if said else (output.splitlines() or ["no output"])[-1]
    if returned is None:
        return {"status": FAILED, "reason": words}
    name = errno.errorcode.get(int(returned[1]), returned[1])
    return {"status": FAILED, "errno": name, "reason": f"{words}: {name}"}


def _last(text: str) -> list[str]:
    return text.splitlines()[-OUTPUT_MAX:]
