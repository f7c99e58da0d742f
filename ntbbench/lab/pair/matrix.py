# SPDX-License-Identifier: BSD-3-Clause
"""Many boots of the pair: every combination of drivers, slots and windows, several at a time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated

from msgspec import Struct

from ntbbench.core.ending import scratch_folder
from ntbbench.core.options import Axis
from ntbbench.lab.boot_pool import BootPool, PoolHooks
from ntbbench.lab.commands import GuestError
from ntbbench.lab.pair.boot.left import DriverSource, PairRecordings, without_points
from ntbbench.lab.pair.plan import (
    AFTER,
    BEFORE,
    WINDOWS,
    AnySetup,
    Directions,
    DriverNames,
    Flows,
    Packets,
    PairPlan,
    PairSetup,
    Queues,
)
from ntbbench.lab.pair.points import all_points, failed_points
from ntbbench.lab.pair.records import FAILED, PairPoint
from ntbbench.pair.drivers.kernel_around import EP_DB_COUNT_MAX
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.setting import DIRECTIONS, DOORBELL, GAP, PACKETS, SLOTS_TEXT, Traffic

BootPair = Callable[[PairPlan, Path], PairRecordings]  # leaves its recordings in the folder
FindDrivers = Callable[[AnySetup], tuple[DriverSource, ...]]
Key = tuple[object, ...]


class MatrixScenario(
    Struct,
    frozen=True,
    kw_only=True,
    rename={
        "ep_driver": "ep_drivers",
        "rc_driver": "rc_drivers",
        "mw_count": "mw_counts",
        "direction": "directions",
    },
):
    """What a matrix covers: a boot for each combination, all directions in it.

    A field has the name of its option, and in files that of its list.
    """

    # kernel, source: as the user wrote them
    kernel: str
    source: str | None = None
    ep_driver: DriverNames = (BEFORE, AFTER)
    rc_driver: DriverNames = (BEFORE, AFTER)
    ep_slots: Annotated[tuple[int, ...], Axis(0, EP_DB_COUNT_MAX, SLOTS_TEXT)] = (8,)
    mw_count: Annotated[tuple[int, ...], Axis(WINDOWS.low, WINDOWS.high, WINDOWS.text)] = (2,)
    queues: Queues = None
    doorbell: Annotated[Doorbell, DOORBELL] = Doorbell.POLL
    direction: Directions = DIRECTIONS
    flows: Flows = None
    packets: Annotated[int, PACKETS] = Traffic().packets
    gap_us: Annotated[int, GAP] = Traffic().gap_us

    def plans(self) -> list[PairPlan]:
        """Return the boots in the order of the axes, windows outermost, drivers innermost;
        InputError: a value that no guest can have."""
        cells = product(self.mw_count, self.ep_slots, self.ep_driver, self.rc_driver)
        setups = [
            PairSetup(
                ep_driver=ep,
                rc_driver=rc,
                ep_slots=slots,
                mw_count=windows,
                queues=self.queues,
                doorbell=self.doorbell,
            )
            for windows, slots, ep, rc in cells
        ]
        sent = Packets(self.direction, self.flows, self.packets, self.gap_us)
        return [PairPlan(setup, sent.points(setup), may_die=True) for setup in setups]


@dataclass
class MatrixHooks:
    """How a matrix talks to its surroundings."""

    boot: BootPair  # boots one plan; called from several threads
    drivers: FindDrivers  # what a boot that left nothing was of, endpoint first
    # gets all points that there are, in the order of the plans, after every boot
    save: Callable[[list[PairPoint]], None]
    stop: Callable[[], bool] = lambda: False  # asked now and then; True: start no more boots
    # gets, once, how many boots still run where no more are started
    waits: Callable[[int], None] = lambda _running: None
    # gets how many boots are done, of how many
    progress: Callable[[int, int], None] = lambda _done, _total: None
    # gets, for each guest that died, which boot it was and how it ended
    failed: Callable[[str], None] = lambda _told: None
    jobs: int = 1  # boots at a time


def run_matrix(
    plans: Sequence[PairPlan], previous: Iterable[PairPoint], hooks: MatrixHooks
) -> tuple[list[PairPoint], bool]:
    """Boot the plans that `previous` has no points of; return all points, and whether all are done.

    The order and the content of the result do not depend on `jobs`. An interrupted boot leaves
    nothing; finished ones are saved. What a guest that died had not measured are points with its
    end; boots with such points in `previous` are tried again. A source that does not build, or
    a machine that fails, ends the matrix once the running boots have ended.

    BuildError, HostError, OSError: a source did not build, QEMU or the disk failed; what was
    finished is saved.
    """
    boots = {plan_key(plan): partial(_booted, plan, hooks) for plan in plans}
    labels = {plan_key(plan): plan.setup.label for plan in plans}
    pool: BootPool[Key, list[PairPoint]] = BootPool(
        boots,
        _adopt(plans, previous),
        PoolHooks(
            save=lambda done: hooks.save(_ordered(plans, done)),
            failures=failures,
            stop=hooks.stop,
            waits=hooks.waits,
            progress=hooks.progress,
            failed=lambda key, cause: hooks.failed(f"{labels[key]}: {cause}"),
            jobs=hooks.jobs,
        ),
    )
    pool.run()
    return _ordered(plans, pool.done), pool.complete


def failures(points: Iterable[PairPoint]) -> list[str]:
    """Return how the guests of these points died, each end once."""
    return list(dict.fromkeys(point.cause for point in points if point.status == FAILED))


def plan_key(plan: PairPlan) -> Key:
    """Return what tells one boot of a matrix from another."""
    setup = plan.setup
    return setup.ep_driver, setup.rc_driver, setup.ep_slots, setup.mw_count


def point_key(point: PairPoint) -> Key:
    """Return the key of the boot that a point is of."""
    return point.ep_driver, point.rc_driver, point.ep_slots, point.mw_count


def _booted(plan: PairPlan, hooks: MatrixHooks) -> list[PairPoint]:
    with scratch_folder() as scratch:
        return booted(plan, scratch / "boot", hooks.boot, hooks.drivers)[1]


def booted(
    plan: PairPlan, folder: Path, boot: BootPair, drivers: FindDrivers
) -> tuple[PairRecordings, list[PairPoint]]:
    """Return the recordings and the points of one boot; those that its guest did not come to have
    failed."""
    try:
        recordings = boot(plan, folder)
        return recordings, all_points(recordings)
    except GuestError as error:  # it left nothing that can be read
        died = str(error)
        nothing = without_points(plan, folder, drivers(plan.setup), died, died=died)
        return nothing, failed_points(nothing)


def _adopt(plans: Sequence[PairPlan], previous: Iterable[PairPoint]) -> dict[Key, list[PairPoint]]:
    """Return the points of boots that were finished before: all of their directions, or none.

    A boot whose guest died is not finished.
    """
    asked = {plan_key(plan): len(plan.traffic) for plan in plans}
    found: dict[Key, list[PairPoint]] = {}
    for point in previous:
        found.setdefault(point_key(point), []).append(point)
    whole = {key: points for key, points in found.items() if asked.get(key) == len(points)}
    return {key: points for key, points in whole.items() if not failures(points)}


def _ordered(plans: Sequence[PairPlan], done: Mapping[Key, list[PairPoint]]) -> list[PairPoint]:
    return [point for plan in plans for point in done.get(plan_key(plan), ())]
