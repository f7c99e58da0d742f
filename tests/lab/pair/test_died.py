# SPDX-License-Identifier: BSD-3-Clause
"""A driver that kills its guest, or floods its trace, keeps the finding that its set-up showed."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pair_recordings import DATA, OBSERVED, load, observations

from ntbbench.lab.lab_errors import GuestError
from ntbbench.lab.machine.guest_task import Recordings
from ntbbench.lab.machine.qemu import Boot
from ntbbench.lab.pair import runner
from ntbbench.lab.pair.observed_patches import observed_driver
from ntbbench.lab.pair.plan import DriverSource, PairPlan, PairRecordings, PairSetup
from ntbbench.lab.pair.points import all_points
from ntbbench.lab.pair.records import FAILED, UNAVAILABLE
from ntbbench.pair.setting import Traffic

WRONG = ("slot 2, db_read after db_clear=0x0", "slot 2, db_read after db_clear=0x1")
TOLD = "EP driver: no known behaviour fits: slot 2, db_read after db_clear: 0x1 instead of 0x0"
RESULT = (
    "ep_qp_count=2\nrc_qp_count=2\nep_queues=2\nrc_queues=2\ndoorbell_irqs=%s\nlink=up\ncause=\n"
)


def laid_out(
    folder: Path, *, wrong: bool, died: bool, doorbell: str = "poll", irqs: str = "0"
) -> PairRecordings:
    """Return what comes of a guest that came to its set-up, and hung after it if it `died`."""
    setup = folder / "setup"
    setup.mkdir(parents=True)
    (setup / "result").write_text(RESULT % irqs)
    (setup / "trace").write_text("")
    seen = (OBSERVED / "after-after").read_text()
    (setup / "observed").write_text(seen.replace(*WRONG, 1) if wrong else seen)
    drivers = [DriverSource(side, "my.c", "", folder, ()) for side in ("ep", "rc")]
    boot = Boot("", "", "55 s of processor time" if died else "")
    plan = PairPlan(PairSetup(doorbell=doorbell), (Traffic(), Traffic("rc-to-ep")))
    return runner.lay_out(plan, *drivers, Recordings("7.3.4", folder, boot))


def test_a_hung_guest_whose_driver_is_wrong_is_a_failed_point(tmp_path: Path) -> None:
    recordings = laid_out(tmp_path, wrong=True, died=True)
    points = all_points(recordings)
    assert [point.direction for point in points] == ["ep-to-rc", "rc-to-ep"]
    for point in points:
        assert (point.status, point.agrees, point.notes) == (FAILED, False, [TOLD])
        assert point.cause.startswith("the guest hung: no end after 55 s")


def test_a_hung_guest_whose_drivers_are_right_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="the guest hung: no end after 55 s"):
        laid_out(tmp_path, wrong=False, died=True)


def test_damaged_observations_are_an_error(tmp_path: Path) -> None:
    laid_out(tmp_path, wrong=False, died=False)
    (tmp_path / "setup" / "observed").write_text("ep what is this\n")
    recordings = Recordings("7.3.4", tmp_path, Boot("", ""))
    drivers = [DriverSource(side, "my.c", "", tmp_path, ()) for side in ("ep", "rc")]
    with pytest.raises(GuestError, match="setup/observed: ep what is this"):
        runner.lay_out(PairPlan(PairSetup()), *drivers, recordings)


@pytest.mark.parametrize(
    ("doorbell", "irqs", "available"),
    [("embedded", "0", False), ("embedded", "1", True), ("msi", "0", True), ("poll", "0", True)],
)
def test_an_older_driver_without_the_embedded_doorbell_is_no_finding(
    tmp_path: Path, doorbell: str, irqs: str, available: bool
) -> None:
    """It has interrupts for its doorbells, so only the guest shows that it polls."""
    recordings = laid_out(tmp_path, wrong=False, died=False, doorbell=doorbell, irqs=irqs)
    assert recordings.available is available
    if not available:
        assert {point.status for point in all_points(recordings)} == {UNAVAILABLE}


@pytest.mark.parametrize("wrong", [False, True])
def test_an_unreadable_trace_of_a_wrong_driver_is_a_failed_point(
    tmp_path: Path, wrong: bool
) -> None:
    shutil.copytree(DATA / "after-after", tmp_path / "boot")
    recordings = load(tmp_path / "boot")
    seen = observations("after-after")
    if wrong:
        key, value = WRONG[1].split("=")
        seen["ep"][key] = value
    ep = observed_driver(recordings.ep, recordings.plan.setup, seen)
    recordings = replace(recordings, ep=ep)
    trace = recordings.points[0].folder / "trace"
    trace.write_text("# entries-in-buffer/entries-written: 1/9   #P:1\n" + trace.read_text())
    if not wrong:
        with pytest.raises(GuestError, match="overwritten"):
            all_points(recordings)
        return
    first, *others = all_points(recordings)
    assert (first.status, first.agrees) == (FAILED, False) and "overwritten" in first.cause
    assert [point.status for point in others] == ["ok"] * len(others)
