# SPDX-License-Identifier: BSD-3-Clause
"""Two real hosts that pci-epf-ntb joins, an old one beside a new one, on the real kernel."""

from pathlib import Path

import pytest
from pair_kernel import CACHE, rig

from ntbbench.lab.hosts.hosts_lab import HostLab
from ntbbench.lab.hosts.hosts_plan import HostPackets
from ntbbench.lab.pair.plan import BEFORE, HostSetup, PairPlan
from ntbbench.lab.pair.points import evaluate, observed

# Boots a kernel that is built once: `make test-guest`.
pytestmark = pytest.mark.guest


def test_an_old_and_a_new_host_do_what_the_model_says(tmp_path: Path) -> None:
    """Spaced packets count exactly, bursts within bounds; with four slots there is no link.

    All three drivers are observed and probed, and behave as they are called.
    """
    lab = HostLab(CACHE, rig().kernel, None, print)
    setup = HostSetup(host1_driver=BEFORE, ep_slots=5)
    plan = PairPlan(setup, HostPackets(packets=5).whole(setup), probe=True)
    recordings = lab.boot(plan, tmp_path / "up")
    points = evaluate(recordings)
    assert [one.behaves for one in observed(recordings)] == [
        "that of Linux 7.3",
        "no patch of the series",
        "patches 8-12 (all)",
    ]
    assert [(point.link, point.agrees, point.notes) for point in points] == [("up", True, [])] * 4
    assert [point.verdict for point in points[:2]] == ["per-vector", "fallback"]
    assert {point.packets_received for point in points} == {10}
    few = HostSetup(host1_driver=BEFORE, ep_slots=4)
    down = evaluate(lab.boot(PairPlan(few, HostPackets().points(few)), tmp_path / "down"))
    assert [(point.link, point.agrees) for point in down] == [("down", True)] * 2
