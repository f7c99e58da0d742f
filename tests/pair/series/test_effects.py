# SPDX-License-Identifier: BSD-3-Clause
"""What each patch changes, and the tasklet runs per doorbell with the race check."""

import pytest
from pair_strategies import unpatched, whole

from ntbbench.pair.drivers.kernel_around import Client, db_vector_mask
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.effects import effects, race_cost, race_costs
from ntbbench.pair.setting import DIRECTIONS, Direction, Pair, Setting

FOUR = Setting()


def test_runs_before_the_series_depend_on_the_number_that_db_read_shows() -> None:
    """RC: db_read() is b + 3; EP: bit b + 1; each QP that it names runs once more."""
    named = {
        "ep-to-rc": [[qp for qp in range(4) if b + 3 >> qp & 1][:1] for b in range(4)],
        "rc-to-ep": [[b + 1] if b < 3 else [] for b in range(4)],
    }
    for direction in DIRECTIONS:
        for client, repost in ((Client.SILENT, False), (Client.REPOSTS, True)):
            cost = race_cost(direction, unpatched("ep"), unpatched("rc"), FOUR, client)
            again = [set(named[direction][b]) | ({b} if repost else set()) for b in range(4)]
            assert cost.runs == [4 + len(qps) for qps in again]
            assert cost.race_checks == [len(named[direction][b]) for b in range(4)]


@pytest.mark.parametrize("client", Client)
@pytest.mark.parametrize(
    ("direction", "doorbell", "runs", "hits"),
    [(way, Doorbell.POLL, 2, 1) for way in DIRECTIONS] + [("rc-to-ep", Doorbell.EMBEDDED, 8, 4)],
)
def test_the_series_leaves_one_empty_run_for_every_scheduled_tasklet(
    direction: Direction, doorbell: Doorbell, runs: int, hits: int, client: Client
) -> None:
    cost = race_cost(direction, whole("ep"), whole("rc"), Setting(doorbell=doorbell), client)
    assert (cost.runs, cost.race_checks) == ([runs] * 4, [hits] * 4)


def test_report_holds_before_and_after_of_both_directions_and_clients() -> None:
    assert len({(c.direction, c.client, c.ep, c.rc) for c in race_costs(FOUR)}) == 8


def test_the_core_falls_back_to_the_valid_mask_whatever_the_vector() -> None:
    pair = Pair(unpatched("ep"), whole("rc"), FOUR, ep_event=print, rc_event=print)
    assert {db_vector_mask(pair.ep, vector) for vector in (-1, 0, 7, 99)} == {0xFF}
    assert [db_vector_mask(pair.rc, vector) for vector in (-1, 0, 13, 14)] == [0, 1, 1 << 13, 0]


def test_documentation_patches_change_nothing_and_all_others_do() -> None:
    changed = {effect.patch for effect in effects(FOUR) if effect.changes}
    assert changed == set(range(1, 13)) - {1, 8}
