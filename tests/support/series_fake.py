# SPDX-License-Identifier: BSD-3-Clause
"""A series whose boots are recordings: what a driver is stands in its text, as one word."""

import hashlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace
from pair_recordings import DATA, load, observations
from series_mails import Commits

from ntbbench.cli import lab_series
from ntbbench.lab.commands import BuildError
from ntbbench.lab.pair.boot.left import DriverSource
from ntbbench.lab.pair.pair_kernel import RUN, PairKernel
from ntbbench.lab.pair.plan import EP, RC
from ntbbench.lab.pair.points import all_points
from ntbbench.lab.pair.records import PairFinding, PairObserved, PairPoint
from ntbbench.lab.pair.sources import DRIVERS, FILES, DebianSource, SourceManifest
from ntbbench.lab.series import series_run
from ntbbench.lab.series.pairings import Pairing
from ntbbench.lab.series.series_run import BootOutcome

BEFORE, AFTER, LOSES, BROKEN = "before", "after", "loses", "broken"  # what a driver can be


def driver(kind: str) -> str:
    """Return the text of a driver of this kind."""
    return f"int {kind};\n/* 1 */\n/* 2 */\n/* 3 */\n"


def kind_of(spec: str) -> str:
    """Return what the driver is that a path or a word names."""
    text = Path(spec).read_text() if "/" in spec else driver(spec)
    return text.split()[1].rstrip(";")


def answers(side: str, kind: str) -> PairObserved:
    """Return what a driver of this kind answered the API probe; one that loses does as after."""
    known = BEFORE if kind == BEFORE else AFTER
    seen = observations(f"probed-{known}")[side]
    return PairObserved(side=side, driver=kind, behaves=known, observations=seen)


@dataclass
class FakeSeries:
    """What was booted, and how guests answer."""

    folder: Path
    booted: list[Pairing] = field(default_factory=list)
    interrupt_after: int = 0
    findings: list[PairFinding] = field(default_factory=list)
    change: Callable[[PairPoint], PairPoint] = lambda point: point
    answer: Callable[[PairObserved], PairObserved] = lambda observed: observed

    def kinds(self, pairing: Pairing) -> tuple[str, str]:
        """Return what both drivers are."""
        return kind_of(pairing.ep_driver), kind_of(pairing.rc_driver)

    def build(self, pairing: Pairing) -> str:
        kinds = self.kinds(pairing)
        if BROKEN in kinds:
            raise BuildError(f"{pairing.rc_driver} on the root complex: x.c:1: error: no brace")
        return hashlib.sha256(repr((kinds, pairing.checked)).encode()).hexdigest()[:16]

    def boot(self, pairing: Pairing) -> BootOutcome:
        self.booted.append(pairing)
        if len(self.booted) == self.interrupt_after:
            os.kill(os.getpid(), signal.SIGINT)
        ep, rc = self.kinds(pairing)
        recorded = load(DATA / "-".join(AFTER if kind == LOSES else kind for kind in (ep, rc)))
        spaced = [point for point in all_points(recorded) if point.gap_us]
        points = [self.change(point) for point in spaced]
        if LOSES in (ep, rc) and BEFORE in (ep, rc):  # old peers lose half of what they are sent
            lost = [replace(p, packets_received=p.packets_sent // 2, agrees=False) for p in points]
            points = [replace(point, notes=["half of it is lost"]) for point in lost]
        observed = [self.answer(answers(side, kind)) for side, kind in ((EP, ep), (RC, rc))]
        return BootOutcome(points, self.findings if pairing.checked else (), observed)


def fake_commits(folder: Path) -> Commits:
    """Return a repository that begins with two drivers of before, and the rest of a tree."""
    files = dict.fromkeys(FILES, "") | {name: driver(BEFORE) for name in DRIVERS.values()}
    return Commits(folder, files)


def kernel_in(folder: Path) -> Callable[..., PairKernel]:
    """Return what stands for `pair_kernel`: a kernel in `folder` that nothing boots."""
    manifest = SourceManifest(package="linux-source-7.3", version="7.3.4-1", sha256="0")

    def kernel(_cache: object, spec: str, _say: object, variant: str = RUN) -> PairKernel:
        return PairKernel(spec, variant, folder, DebianSource(folder, manifest))

    return kernel


def fake_series(monkeypatch: pytest.MonkeyPatch, folder: Path) -> FakeSeries:
    """Return the series lab that the command finds in `folder`."""
    fake = FakeSeries(folder)

    def found(_cache, side: str, spec: str, _source, _say) -> DriverSource:
        return DriverSource(side, spec, spec, Path(spec), ())

    (folder / "config").write_text("CONFIG_DEBUG_ATOMIC_SLEEP=y\n")
    monkeypatch.setattr(lab_series, "pair_kernel", kernel_in(folder))
    monkeypatch.setattr(series_run, "pair_kernel", kernel_in(folder))
    monkeypatch.setattr(series_run.SeriesLab, "build", fake.build)
    monkeypatch.setattr(series_run.SeriesLab, "boot", fake.boot)
    monkeypatch.setattr("ntbbench.lab.pair.runner.driver_source", found)
    monkeypatch.setattr("ntbbench.lab.pair.runner.environment", lambda: {"qemu": "none"})
    monkeypatch.chdir(folder)
    return fake


SIDES = {"EP": DRIVERS[EP], "RC": DRIVERS[RC]}
