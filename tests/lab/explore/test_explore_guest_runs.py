# SPDX-License-Identifier: BSD-3-Clause
"""Seeds on the real drivers: the ring that a poll wipes, mutants that one CPU does not tell."""

from pathlib import Path

import pytest
from pair_kernel import patched_driver, rig
from pair_kit import EDITS

from ntbbench.lab.explore.explore_guest import ExploreLab
from ntbbench.lab.explore.explore_run import Seeds, profiled, run_batch
from ntbbench.lab.explore.records import HELD, LOST, STUCK
from ntbbench.lab.explore.schedules import ScheduleDraws
from ntbbench.lab.pair.plan import AFTER, PairSetup

pytestmark = pytest.mark.guest
TRAFFIC = ScheduleDraws("traffic", "random")


def outcomes(seeds: range, ep: str = AFTER) -> list[str]:
    """Return what each seed comes to with this endpoint."""
    lab = ExploreLab(rig(), PairSetup(ep_driver=ep, queues=4, cpus=2))
    found = run_batch(Seeds(lab, TRAFFIC, profiled(lab, "traffic")), seeds)
    return [one.judgement.oracle for one in found]


def edited(folder: Path, key: str) -> str:
    return str(patched_driver(folder, "ep", EDITS[key].apply))


def test_a_ring_between_a_slots_event_and_its_clearing_is_wiped() -> None:
    assert STUCK in outcomes(range(20))


def test_a_poll_that_clears_the_slot_first_wipes_nothing(tmp_path: Path) -> None:
    found = outcomes(range(20), edited(tmp_path, "ep: the slot is cleared first"))
    assert set(found) == {HELD}


def test_an_endpoint_whose_rings_overwrite_each_other_loses_packets(tmp_path: Path) -> None:
    found = outcomes(range(2), edited(tmp_path, "ep: a ring overwrites those pending"))
    assert set(found) == {LOST}
