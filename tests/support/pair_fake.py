# SPDX-License-Identifier: BSD-3-Clause
"""A lab for `ntbbench lab pair` whose guests are recordings, and what dying ones say."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
from pair_recordings import DATA, load

from ntbbench.cli import lab_kernel
from ntbbench.core.result_file import load_as
from ntbbench.lab.pair import runner
from ntbbench.lab.pair.boot.left import DriverSource, PairRecordings
from ntbbench.lab.pair.plan import PairPlan
from ntbbench.lab.pair.records import PAIR_SCHEMA, PairPoint, PairResult
from ntbbench.lab.pair.sources import FILES


@dataclass
class Lab:
    """What the command asked for, and how the guest answers: with the spaced points alone."""

    plans: list[PairPlan]
    error: Exception | None = None
    console: str = ""
    interrupt_after: int = 0
    signal: int = signal.SIGINT
    change: Callable[[PairRecordings], PairRecordings] = lambda recordings: recordings

    def driver(self, _cache, side: str, spec: str, _source, _say) -> DriverSource:
        """Return the file that `spec` names; of the rest any file stands for what is fetched."""
        path = Path(spec) if Path(spec).is_file() else Path(__file__)
        return DriverSource(side, spec, spec, path, ())

    def boot(self, _lab, plan: PairPlan, folder: Path) -> PairRecordings:
        self.plans.append(plan)
        if len(self.plans) == self.interrupt_after:
            os.kill(os.getpid(), self.signal)
        if self.error is not None:
            raise self.error
        folder.mkdir(parents=True)
        (folder / "console").write_text(self.console)
        setup = plan.setup
        ends = {4: "-slots-4", 2: "-slots-2"}.get(setup.ep_slots, "")
        name = "after-after" if ends else f"{setup.ep_driver}-{setup.rc_driver}"
        old = load(DATA / f"{name}{ends}")
        wanted = dict.fromkeys(traffic.direction for traffic in plan.traffic)
        points = [p for d in wanted for p in old.points if p.traffic.direction == d]
        points = [point for point in points if point.traffic.gap_us]
        asked = {"ep_slots": setup.ep_slots, "mw_count": setup.mw_count}
        setup = msgspec.structs.replace(old.plan.setup, **asked)
        plan = replace(old.plan, setup=setup, traffic=tuple(p.traffic for p in points))
        return self.change(replace(old, plan=plan, points=tuple(points)))


def fake_lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    """Return the lab that the command finds in `tmp_path`, in place of kernels and guests."""

    @dataclass
    class Manifest:
        version = "7.3.4-1"

    @dataclass
    class Source:
        manifest = Manifest()
        origin = "linux-source-7.3 7.3.4-1"

    @dataclass
    class Kernel:
        label: str
        folder: Path
        source = Source()

    fake = Lab([])
    (tmp_path / "config").write_text("CONFIG_DEBUG_ATOMIC_SLEEP=y\n# CONFIG_KASAN is not set\n")
    monkeypatch.setattr(
        lab_kernel, "pair_kernel", lambda _cache, spec, _say, _kind: Kernel(spec, tmp_path)
    )
    monkeypatch.setattr(runner, "boot_pair", fake.boot)
    monkeypatch.setattr(runner, "driver_source", fake.driver)
    monkeypatch.setattr(runner, "environment", lambda: {"qemu": "none", "gcc": "none"})
    monkeypatch.chdir(tmp_path)
    return fake


def tree(folder: Path) -> Path:
    """Return a kernel tree with the NTB files and the two drivers, all of them empty."""
    for name in FILES:
        path = folder / "linux" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder / "linux"


def load_pair_result(path: Path) -> PairResult:
    return load_as(path, PAIR_SCHEMA, PairResult)


def points_of(path: Path) -> list[PairPoint]:
    return load_pair_result(path).points


SLEEP = (
    "[ 1.0] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:591\n"
    "[ 1.0]  vntb_epf_peer_db_set+0x2d/0x60 [pci_epf_vntb]\n"
)
STUCK = (
    "[ 2.0] Oops: invalid opcode: 0000 [#1] SMP\n"
    "[ 2.0] RIP: 0010:queued_spin_lock_slowpath+0x6/0xf0\n"
    "[ 2.0]  ntb_epf_peer_db_set+0x8/0x20 [ntb_hw_epf]\n"
    "[ 2.0]  </TASK>\n"
)
HUNG = "the guest hung: no end after 9 s of processor time: in ntb_epf_peer_db_set() of ntb_hw_epf"
PANIC = (
    "[ 2.0] BUG: unable to handle page fault for address: ffff\n"
    "[ 2.0] RIP: 0010:ntb_epf_peer_db_set+0x8/0x20 [ntb_hw_epf]\n"
    "[ 2.0] Kernel panic - not syncing: Fatal exception\n"
)
GAVE_UP = "the guest gave up: broken identity: BAR 4 is not where window 0 is"
PANICKED = "the guest panicked: BUG: unable to handle page fault for address: ffff"
