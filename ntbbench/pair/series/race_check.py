# SPDX-License-Identifier: BSD-3-Clause
"""What a doorbell costs in tasklet runs, the race check included, for each queue."""

from msgspec import Struct

from ntbbench.pair.drivers.patches import Driver
from ntbbench.pair.ring_trace import ring
from ntbbench.pair.series.verdict import setting_traits
from ntbbench.pair.setting import Direction, Setting
from ntbbench.pair.wakeups import Client


class RaceCost(Struct, frozen=True, kw_only=True):
    """Tasklet runs that one spaced doorbell with one packet causes, by the QP that is rung.

    `race_checks` are the runs' db_read() hits; with a client that reposts buffers a hit on the
    rung QP merges with the repost and adds no run.
    """

    direction: str
    ep: str
    rc: str
    client: str
    runs: list[int]
    race_checks: list[int]


def race_cost(
    direction: Direction, ep: Driver, rc: Driver, setting: Setting, client: Client
) -> RaceCost:
    """Ring each QP once on a fresh pair and count the runs.

    Raises
    ------
    DriverError : a driver that refuses the setting.
    """
    receiver = rc if direction == "ep-to-rc" else ep
    qp_count = setting_traits(receiver, setting).qp_count
    traces = [ring(direction, ep, rc, setting, 1 << bit, client=client) for bit in range(qp_count)]
    return RaceCost(
        direction=direction,
        ep=ep.label,
        rc=rc.label,
        client=str(client),
        runs=[len(trace.runs) for trace in traces],
        race_checks=[len(trace.race_checks) for trace in traces],
    )
