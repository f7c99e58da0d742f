# SPDX-License-Identifier: BSD-3-Clause
"""Flows over ntb_netdev as a guest delivers them.

The counts are those of Linux 7.3.4, four queues, one of them with an `ntb_transport` whose doorbell
callback schedules one QP too many.
"""

import shutil
from pathlib import Path

from captures import FOUR, PCI, set_counters

from ntbbench.lab.netdev_client import evaluate
from ntbbench.lab.records import NetdevPoint, NetdevResult

GAP = 1000
SPACED, SPACED_RUNS = [50, 30, 20, 60], [160, 110, 70, 140]
FAST, FAST_RUNS = [1000, 600, 800, 800], [2800, 2200, 2200, 2400]
IN_BOUNDS = [2800, 1700, 2200, 2400]


def counters(folder: Path, doorbells: list[int], runs: list[int], lost: int = 0) -> Path:
    """Write what the guest delivers of flows from port 0 to port 1."""
    folder.mkdir()
    total = sum(doorbells)
    (folder / "sent").write_text(f"{total} 0.5\n")
    (folder / "received").write_text(f"{total - lost}\n")
    (folder / "channels").write_text(f"{len(doorbells)}\n" * 2)
    for when, factor in (("before", 0), ("after", 1)):
        lines = [
            f"port 1 bit {bit} rung {count * factor} delivered {count * factor}\n"
            for bit, count in enumerate(doorbells)
        ]
        (folder / f"{when}-loop").write_text("".join(lines))
        for port in (0, 1):
            for qp_num, count in enumerate(runs):
                path = folder / f"{when}-stats" / f"0000:00:0{port}.0" / f"qp{qp_num}"
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(FOUR / "after-stats" / PCI / "qp0", path)
                set_counters(path, rx_ring_empty=count * factor, rx_max_entry=31)
    return folder


def point(tmp_path: Path, vectors: int, gap: int, *counts: list[int], lost: int = 0) -> NetdevPoint:
    folder = counters(tmp_path / f"{vectors}-{gap}", *counts, lost=lost)
    name = f"vectors-{vectors}-{'spaced' if gap else 'fast'}"
    return evaluate(folder, name, vectors, gap, flows=16)


def result(*points: NetdevPoint, queues: int = 4) -> NetdevResult:
    return NetdevResult(
        kernel="7.3.4+deb13-amd64",
        kernel_source="debian:7.3",
        ntb_source="/home/me/linux",
        source_tree="/home/me/linux",
        accelerator="tcg",
        ping="3 packets transmitted, 3 packets received, 0% packet loss",
        queues_asked=queues,
        points=list(points),
    )
