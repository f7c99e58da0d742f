# SPDX-License-Identifier: BSD-3-Clause
"""What a boot of the pair left, completed: its points and what was observed of the drivers."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ntbbench.lab.commands import GuestError
from ntbbench.lab.guest_task import Recordings
from ntbbench.lab.pair.boot.left import (
    DriverSource,
    PairRecordings,
    PointRecording,
    without_points,
)
from ntbbench.lab.pair.observed_drivers import observed_driver
from ntbbench.lab.pair.observed_patches import read_observations
from ntbbench.lab.pair.plan import EP, RC, PairPlan
from ntbbench.lab.pair.point_files import read_sides, write_point, write_state
from ntbbench.lab.qemu import ENDED, complaints
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.observations import Observations

RESULT_KEYS = ("ep_qp_count", "rc_qp_count", "ep_queues", "rc_queues", "link", "cause")
# A remark of the endpoint core on x86, once a boot, whichever drivers run.
EXPECTED = re.compile(r"WARNING: drivers/pci/endpoint/pci-epc-core\.c:\d+ at __pci_epc_create\+")


def lay_out(
    plan: PairPlan, drivers: Sequence[DriverSource], recordings: Recordings
) -> PairRecordings:
    """Complete the recordings of a boot: `state` and `point`, and what the set-up came to.

    A guest that died has recorded the first of its points, or not even its set-up. It is a result
    where the plan says so, and where its set-up showed what is wrong with a driver.

    GuestError: the guest died and may not, or a recording is not whole.
    """
    folder, died = recordings.folder, recordings.boot.died
    (folder / "console").write_text(recordings.boot.console)
    told = tuple(warnings(recordings.boot.own_console))
    if died and not (folder / "setup").is_dir():
        if not plan.may_die:
            raise recordings.boot.error
        return without_points(
            plan, folder, drivers, died, release=recordings.release, warnings=told, died=died
        )
    result = read_result(folder / "setup" / "result")
    observed = _observed(folder / "setup" / "observed")
    drivers = [observed_driver(driver, plan.setup, observed) for driver in drivers]
    ep, rc, *_ = drivers
    points, lost = _lay_out_points(plan, ep, rc, folder, result["link"])
    if (died or lost) and not (plan.may_die or any(one.findings for one in drivers)):
        raise GuestError(lost) if lost else recordings.boot.error
    return PairRecordings(
        plan=plan,
        folder=folder,
        release=recordings.release,
        ep=ep,
        rc=rc,
        joint=next(iter(drivers[2:]), None),
        link=result["link"],
        cause=result["cause"],
        # an older driver has interrupts for its doorbells and none that slots share
        available=not (
            plan.setup.doorbell == Doorbell.EMBEDDED and result.get("doorbell_irqs") == "0"
        ),
        ep_qp_count=_count(result["ep_qp_count"]),
        rc_qp_count=_count(result["rc_qp_count"]),
        points=points,
        warnings=told,
        died=died or (f"{ENDED}: {lost}" if lost else ""),
    )


def _lay_out_points(
    plan: PairPlan, ep: DriverSource, rc: DriverSource, folder: Path, link: str
) -> tuple[tuple[PointRecording, ...], str]:
    """Complete the points that are there; return them, and why the next one is of no use, if so.

    A guest that did not die has recorded all of them.
    """
    devices = plan.setup.devices
    sides = read_sides(folder / "setup" / "trace", devices)
    points: list[PointRecording] = []
    for traffic in plan.traffic:
        place = folder / traffic.name
        if not place.is_dir():
            break
        if link == "up":
            write_state(place, sides, devices)
            if lost := _lost_counts(place):
                return tuple(points), lost
        write_point(place, plan.setup, traffic, {EP: ep, RC: rc})
        points.append(PointRecording(traffic, place, link))
    return tuple(points), ""


def warnings(console: str) -> list[str]:
    """Return the kernel's complaints, but for the one that every boot has."""
    return [line for line in complaints(console) if not EXPECTED.match(line)]


def read_result(path: Path) -> dict[str, str]:
    """Return the key=value lines of `setup/result`; GuestError: a key is missing."""
    lines = path.read_text().splitlines() if path.is_file() else []
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    missing = [key for key in RESULT_KEYS if key not in found]
    if missing:
        raise GuestError(f"the guest reported no {missing[0]}")
    return found


def _observed(path: Path) -> Mapping[str, Observations]:
    """Return what the guest observed of either side; of one that did not bind it is little.

    GuestError: the file is damaged.
    """
    try:
        return read_observations(path.read_text().splitlines())
    except (OSError, ValueError) as error:
        raise GuestError(f"{path.parent.name}/{path.name}: {error}") from error


def _lost_counts(folder: Path) -> str:
    """Return what the traffic program said where it left not both of its counts; else nothing."""
    for name in ("sent", "received"):
        words = (folder / name).read_text().split() if (folder / name).is_file() else []
        if not words or not words[0].isdigit():
            return f"{folder.name}: {name}: {' '.join(words) or 'nothing'}"
    return ""


def _count(text: str) -> int | None:
    return int(text) if text.isdigit() else None
