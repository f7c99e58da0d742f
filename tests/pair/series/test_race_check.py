# SPDX-License-Identifier: BSD-3-Clause
"""Tasklet runs of a doorbell, against what was measured on the real pair (ntb-facts, section 9)."""

import pytest
from pair_strategies import unpatched, whole

from ntbbench.pair.drivers.core_ops import db_vector_mask
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.series.analysis import race_costs
from ntbbench.pair.series.race_check import race_cost
from ntbbench.pair.setting import DIRECTIONS, Direction, Pair, Setting
from ntbbench.pair.wakeups import Client, Transport

FOUR = Setting()
LINK_UP = 1  # the measured runs saw one doorbell and packet more while the link came up


class Flow:
    """Packets of one flow, far enough apart that every tasklet has run before the next."""

    def __init__(self, direction: Direction, series: bool) -> None:
        make = whole if series else unpatched
        self.direction = direction
        self.callbacks = 0
        self.msis = 0
        pair = Pair(make("ep"), make("rc"), FOUR, ep_event=self.take, rc_event=self.take)
        self.pair = pair
        receiver = pair.rc if direction == "ep-to-rc" else pair.ep
        self.transport = Transport(receiver, 0b1111, Client.REPOSTS)
        pair.on_slot = self.count

    def count(self, slot, arrive) -> None:
        self.msis += self.direction == "ep-to-rc"
        arrive(slot)

    def take(self, vector: int) -> None:
        self.callbacks += 1
        self.transport.doorbell_callback(vector)

    def send(self, qp_num: int) -> None:
        self.transport.packets[qp_num] = self.transport.packets.get(qp_num, 0) + 1
        if self.direction == "ep-to-rc":
            self.pair.ep.peer_db_set(1 << qp_num)
            self.pair.ep.run_peer_db_work()
        else:
            self.pair.rc.peer_db_set(1 << qp_num)

    def settle(self) -> None:
        self.pair.ep.poll()
        self.transport.softirq()


@pytest.mark.parametrize(
    ("series", "qp_num", "packets", "runs"),
    [(True, 0, 200 + LINK_UP, 402), (False, 0, 200, 1000), (False, 1, 200, 1200)],
)
def test_ep_to_rc_as_measured(series: bool, qp_num: int, packets: int, runs: int) -> None:
    flow = Flow("ep-to-rc", series)
    for _ in range(packets):
        flow.send(qp_num)
        flow.settle()
    assert (flow.msis, flow.callbacks, len(flow.transport.runs)) == (packets, packets, runs)


def test_rc_to_ep_polled_after_the_series_as_measured() -> None:
    """200 packets 2 ms apart, polled every 5 ms: two coalesce in each of 100 callbacks."""
    for qp_num in range(4):
        flow = Flow("rc-to-ep", series=True)
        for _ in range(100):
            flow.send(qp_num)
            flow.send(qp_num)
            flow.settle()
        assert (flow.callbacks, len(flow.transport.runs)) == (100, 200)


def test_rc_to_ep_polled_before_the_series_as_measured() -> None:
    """101 callbacks, 505 runs: five each, which the model gives for a flow on QP 3."""
    runs = {}
    for qp_num in range(4):
        flow = Flow("rc-to-ep", series=False)
        for _ in range(101):
            flow.send(qp_num)
            flow.settle()
        runs[qp_num] = len(flow.transport.runs)
    assert runs == {0: 606, 1: 606, 2: 606, 3: 505}


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


def test_the_series_leaves_one_empty_run_for_every_doorbell() -> None:
    for direction in DIRECTIONS:
        for client in Client:
            cost = race_cost(direction, whole("ep"), whole("rc"), FOUR, client)
            assert (cost.runs, cost.race_checks) == ([2] * 4, [1] * 4)


def test_embedded_doorbell_runs_every_tasklet_twice_even_after_the_series() -> None:
    embedded = Setting(doorbell=Doorbell.EMBEDDED)
    cost = race_cost("rc-to-ep", whole("ep"), whole("rc"), embedded, Client.SILENT)
    assert cost.runs == [8] * 4


def test_report_holds_before_and_after_of_both_directions_and_clients() -> None:
    found = race_costs(FOUR)
    assert len({(c.direction, c.client, c.ep, c.rc) for c in found}) == 8


def test_the_core_falls_back_to_the_valid_mask_whatever_the_vector() -> None:
    pair = Pair(unpatched("ep"), whole("rc"), FOUR, ep_event=print, rc_event=print)
    assert {db_vector_mask(pair.ep, vector) for vector in (-1, 0, 7, 99)} == {0xFF}
    assert [db_vector_mask(pair.rc, vector) for vector in (-1, 0, 13, 14)] == [0, 1, 1 << 13, 0]
