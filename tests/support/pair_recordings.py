# SPDX-License-Identifier: BSD-3-Clause
"""Recordings of the real pair, as the lab hands them to evaluation."""

import re
from functools import cache
from pathlib import Path

from ntbbench.lab.pair.boot.left import DriverSource, PairRecordings, PointRecording
from ntbbench.lab.pair.observed_patches import read_observations
from ntbbench.lab.pair.plan import PairPlan, PairSetup
from ntbbench.lab.pair.points import evaluate
from ntbbench.lab.pair.records import PairPoint, PairResult
from ntbbench.pair.setting import Traffic

DATA = Path(__file__).parents[1] / "data" / "pair"
BOOTS = sorted(path.name for path in DATA.iterdir() if path.is_dir())
POINT_NAME = re.compile(r"(ep-to-rc|rc-to-ep)-f(\d+)-n(\d+)-g(\d+)")


def keys_of(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def whole(text: str) -> int | None:
    return int(text) if text else None


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split())


def load(folder: Path) -> PairRecordings:
    """Return the recordings of one boot below `folder`."""
    result = keys_of(folder / "setup" / "result")
    points = []
    for path in sorted(folder.iterdir()):
        if match := POINT_NAME.fullmatch(path.name):
            direction, *counts = match.groups()
            traffic = Traffic(direction, *map(int, counts))
            points.append(PointRecording(traffic, path, result["link"]))
    asked = keys_of(points[0].folder / "point")
    drivers = [
        DriverSource(
            side=side,
            spec=asked[f"{side}_driver"],
            origin="",
            path=folder,
            patches=numbers(asked[f"{side}_patches"]),
        )
        for side in ("ep", "rc")
    ]
    setup = PairSetup(
        ep_driver=asked["ep_driver"],
        rc_driver=asked["rc_driver"],
        ep_slots=int(asked["ep_slots"]),
        mw_count=int(asked["mw_count"]),
        queues=whole(asked["queues"]),
        doorbell=asked["doorbell"],
    )
    return PairRecordings(
        plan=PairPlan(setup, tuple(point.traffic for point in points)),
        folder=folder,
        release=(folder / "kernel").read_text().split()[0],
        ep=drivers[0],
        rc=drivers[1],
        link=result["link"],
        cause=result["cause"],
        available=True,
        ep_qp_count=whole(result["ep_qp_count"]),
        rc_qp_count=whole(result["rc_qp_count"]),
        points=tuple(points),
        warnings=(),
    )


@cache
def evaluated(boot: str) -> tuple[PairPoint, ...]:
    """Return the points of one of BOOTS."""
    return tuple(evaluate(load(DATA / boot)))


def pair_result(*boots: str, kind: str = "run") -> PairResult:
    """Return a result with the points of several boots."""
    return PairResult(
        kind=kind,
        kernel="7.3.4",
        kernel_source="debian:7.3",
        accelerator="tcg",
        deterministic=True,
        points=[point for boot in boots for point in evaluated(boot)],
    )


OBSERVED = Path(__file__).parents[1] / "data" / "pair-observed"


def observations(boot: str) -> dict[str, dict[str, str]]:
    """Return what the guest observed of either driver.

    Parameters
    ----------
    boot : `before-before`, `after-after`, `6.12.118` (stable: patches 9-11), or the drivers of 7.3
        with interrupts as doorbells, `msi` and `embedded`; `probed-`: with the API probe.
    """
    found = read_observations((OBSERVED / boot).read_text().splitlines())
    return {side: dict(seen) for side, seen in found.items()}
