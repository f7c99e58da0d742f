# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own tests in one boot: each part a result, or why it came to none."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ntbbench.core.ending import scratch_folder
from ntbbench.lab.guest_task import Recordings, Task, record
from ntbbench.lab.packages.debian_programs import fetch_programs
from ntbbench.lab.pair.boot.pair_task import machine, task
from ntbbench.lab.pair.pair_kernel import GUEST
from ntbbench.lab.pair.pair_modules import asks_for_doorbells, merged
from ntbbench.lab.pair.plan import AnySetup, HostSetup, PairPlan, PairSetup
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.qemu import TCG
from ntbbench.lab.selftest.records import (
    FAILED,
    KNOWN,
    NOT_RUN,
    PASSED,
    HostSelftestPart,
    SelftestPart,
)
from ntbbench.lab.selftest.selftest_files import (
    SCRIPT,
    build_tests,
    fetch_tests,
)
from ntbbench.lab.selftest.selftest_parts import ORDER, SLOTS, WINDOW, Part, only_parts, parts_of
from ntbbench.lab.watch import Limits
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell

BOOT_SECONDS, PART_SECONDS = 120.0, 40.0  # of processor time, that only a guest that hangs takes
BASH = "bash-static"  # of Debian: ntb_test.sh is no script for busybox
OUTPUT_MAX = 40  # lines of a part that are kept
KILLED = 137  # what the shell says of a part that took too long
NONE = "the device has none"
UNSUPPORTED = "Unsupported"  # what the script says of what the device lacks


def boot_tests(lab: PairLab, drivers: AnySetup) -> list[SelftestPart]:
    """Run every part with the drivers of a setup, in one boot.

    An endpoint's doorbells are interrupts where its driver has them: the tests read at once.

    InputError, FetchError, BuildError: something could not be had, or does not build.
    GuestError: the guest ended before its first part.
    """
    tests = fetch_tests(lab.cache, lab.kernel.source, lab.say)
    built = lab.modules(lab.drivers(drivers))
    modules = merged(lab.cache, [built, build_tests(lab, tests)], lab.say)
    polled = isinstance(drivers, PairSetup) and not asks_for_doorbells(built)
    setup = _setup_of(drivers, polled=polled)
    parts = parts_of(setup)
    plan = PairPlan(setup, may_die=True)
    bash = fetch_programs(lab.cache, {BASH: BASH}, lab.say) / "bin" / BASH
    with scratch_folder() as scratch:
        script = scratch / "ntb_test.sh"
        script.write_text(only_parts((tests / SCRIPT).read_text()))
        own = (script, GUEST / "modprobe", GUEST / "selftest", *lab.scripts)
        recordings = record(
            _task(plan, parts),
            scratch / "recordings",
            image=lab.kernel.image,
            modules=modules,
            accel=TCG,
            machine=machine(plan.setup, deterministic=True),
            programs=(bash, *own),
        )
        lab.releases.add(recordings.release)
        return [
            kind_of_part(drivers)(
                ep_driver=drivers.ep_driver, rc_driver=drivers.rc_driver, name=part.name, **found
            )
            for part, found in zip(
                parts, judged_parts(recordings, parts, polled=polled), strict=True
            )
        ]


def _setup_of(drivers: AnySetup, *, polled: bool) -> AnySetup:
    """Return the setting of the tests. Its drivers are of the modules already."""
    if isinstance(drivers, HostSetup):
        return HostSetup(ep_slots=SLOTS)
    return PairSetup(ep_slots=SLOTS, doorbell=Doorbell.POLL if polled else Doorbell.MSI)


def kind_of_part(drivers: AnySetup) -> type[SelftestPart]:
    """Return the kind of record that a part with these drivers makes."""
    return HostSelftestPart if isinstance(drivers, HostSetup) else SelftestPart


def _task(plan: PairPlan, parts: Sequence[Part]) -> Task:
    usual = task(plan)
    processor = BOOT_SECONDS + PART_SECONDS * len(parts)
    return replace(
        usual,
        lines=tuple(part.line for part in parts),
        names=("setup", *(part.name for part in parts)),
        limits=Limits(processor, sum(part.seconds for part in parts)),
        settings={**usual.settings, "INSTEAD": "selftest", "MW_SIZE": WINDOW, "ORDER": ORDER},
        may_die=True,
    )


def judged_parts(
    recordings: Recordings, parts: Sequence[Part], *, polled: bool
) -> Iterator[dict[str, Any]]:
    """Yield what became of each part, in their order; the one that a guest died in comes first of
    those that left nothing."""
    cause = _cause(recordings.folder / "setup" / "result")
    died = recordings.boot.died
    for part in parts:
        folder = recordings.folder / part.name
        if folder.is_dir():
            yield judged(part, folder, polled=polled)
        elif died:
            console = recordings.boot.console
            known = next(
                (one for one in part.known if not one.hollow and one.pattern.search(console)), None
            )
            told = (KNOWN, f"{known.reason}: {died}") if known else (FAILED, died)
            yield dict(zip(("status", "reason"), told, strict=True))
            cause, died = f"the guest had died in {part.name}", ""
        else:
            yield {"status": NOT_RUN, "reason": cause}


def _cause(result: Path) -> str:
    text = result.read_text() if result.is_file() else ""
    return text.partition("cause=")[2].strip()


def judged(part: Part, folder: Path, *, polled: bool) -> dict[str, Any]:
    """Return what became of a part that ran to its end or was ended."""
    output = (folder / "output").read_text(errors="replace")
    status = int((folder / "status").read_text())
    told = {
        "output": output.splitlines()[-OUTPUT_MAX:],
        "log": (folder / "dmesg").read_text(errors="replace").splitlines()[-OUTPUT_MAX:],
    }
    if status == 0:
        log = "\n".join(told["log"])
        hollow = [one.reason for one in part.known if one.hollow and one.pattern.search(log)]
        reason = NONE if UNSUPPORTED in output else "; ".join(hollow)
        return {"status": NOT_RUN if reason else PASSED, "reason": reason, **told}
    said = f"{output}\ntimed out" if status == KILLED else output
    for known in part.known:
        if known.pattern.search(said) and (polled or not known.polled):
            return {"status": KNOWN, "reason": known.reason, **told}
    last = next((line for line in reversed(said.splitlines()) if line.strip()), f"status {status}")
    return {"status": FAILED, "reason": last.strip(), **told}
