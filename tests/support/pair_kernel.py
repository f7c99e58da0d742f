# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the pair on its real kernel share: kernel, drivers, patched drivers."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from ntbbench.lab.packages.cache import Cache, default_root
from ntbbench.lab.pair.boot.left import PairRecordings
from ntbbench.lab.pair.pair_kernel import RUN, pair_kernel
from ntbbench.lab.pair.plan import PairPlan
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.pair.sources import DRIVERS

CACHE = Cache(default_root(None))
KERNEL = "debian:7.3"


@cache
def rig(variant: str = RUN) -> PairLab:
    """Return what the tests boot; the kernel is built the first time, in some minutes."""
    return PairLab(CACHE, pair_kernel(CACHE, KERNEL, print, variant), None, print)


def boot(plan: PairPlan, folder: Path, variant: str = RUN) -> PairRecordings:
    """Carry out `plan` and return its recordings."""
    return rig(variant).boot(plan, folder)


def patched_driver(folder: Path, side: str, patch: Callable[[str], str]) -> Path:
    """Return a copy of the driver of `side` that `patch` changed."""
    original = rig().kernel.source.folder / DRIVERS[side]
    before = original.read_text()
    after = patch(before)
    assert after != before
    path = folder / original.name
    path.write_text(after)
    return path


def count(folder: Path, event: str) -> int:
    """Return how often the trace of a point has `event`."""
    return (folder / "trace").read_text().count(f": {event}:")


def counts(folder: Path) -> dict[str, int]:
    """Return rings, MSIs, callbacks and receive-tasklet runs of a point."""
    events = ("peer_db_set", "raise_irq", "isr", "db_event", "rxc_db")
    return {event: count(folder, event) for event in events}
