# SPDX-License-Identifier: BSD-3-Clause
"""Recordings of two real hosts, as the lab hands them to evaluation."""

from pathlib import Path

from pair_recordings import keys_of, numbers, whole

from ntbbench.lab.hosts.hosts_plan import HostTraffic
from ntbbench.lab.pair.boot.left import SOC, DriverSource, PairRecordings, PointRecording
from ntbbench.lab.pair.observed_drivers import observed_driver
from ntbbench.lab.pair.observed_patches import read_observations
from ntbbench.lab.pair.plan import HostSetup, PairPlan
from ntbbench.pair.setting import HOST_ENDS

DATA = Path(__file__).parents[1] / "data" / "hosts"


def load(folder: Path) -> PairRecordings:
    """Return the recordings of one boot: three packets a flow, a flow a QP."""
    result = keys_of(folder / "setup" / "result")
    paths = [folder / f"{way}-f2-n3-g12000" for way in HOST_ENDS.directions]
    asked = keys_of(paths[0] / "point")
    setup = HostSetup(
        host1_driver=asked["host1_driver"],
        host2_driver=asked["host2_driver"],
        ep_slots=int(asked["ep_slots"]),
        mw_count=int(asked["mw_count"]),
    )
    traffic = tuple(HostTraffic(way, 2, 3, 12_000) for way in HOST_ENDS.directions)
    drivers = [
        DriverSource(
            "rc", asked[f"{host}_driver"], "", folder, numbers(asked[f"{host}_patches"]), place=host
        )
        for host in HOST_ENDS.names
    ]
    drivers.append(DriverSource("ep", "after", "", folder, (), place=SOC))
    answers = folder / "setup" / "observed"
    if answers.is_file():  # one of an older lab has none
        seen = read_observations(answers.read_text().splitlines())
        drivers = [observed_driver(driver, setup, seen) for driver in drivers]
    first, second, joint = drivers
    points = zip(traffic, paths, strict=True)
    return PairRecordings(
        plan=PairPlan(setup, traffic),
        folder=folder,
        release="",
        ep=first,
        rc=second,
        joint=joint,
        link=result["link"],
        cause=result["cause"],
        ep_qp_count=whole(result["ep_qp_count"]),
        rc_qp_count=whole(result["rc_qp_count"]),
        points=tuple(PointRecording(sent, path, result["link"]) for sent, path in points),
    )
