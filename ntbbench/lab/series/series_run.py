# SPDX-License-Identifier: BSD-3-Clause
"""A series run: what runs is built once, and booted once however many commits it serves."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from msgspec.structs import replace as changed

from ntbbench.core.ending import scratch_folder
from ntbbench.lab.boot_pool import BootPool, PoolHooks
from ntbbench.lab.commands import BuildError
from ntbbench.lab.packages.cache import Cache, sha256
from ntbbench.lab.pair.boot.left import without_points
from ntbbench.lab.pair.findings import known_to_model, read_findings
from ntbbench.lab.pair.matrix import booted, failures
from ntbbench.lab.pair.pair_kernel import CHECK, RUN, PairKernel, built_kernel, pair_kernel
from ntbbench.lab.pair.pair_modules import build_pair
from ntbbench.lab.pair.plan import PairPlan
from ntbbench.lab.pair.points import evaluate, observed
from ntbbench.lab.pair.records import OK, PairFinding, PairObserved, PairPoint
from ntbbench.lab.pair.runner import RELEASES, PairLab
from ntbbench.lab.series.judge import NOT_BUILT
from ntbbench.lab.series.pairings import BASE, NEW, Pairing
from ntbbench.lab.series.records import SeriesResult
from ntbbench.lab.series.series_scenario import SeriesScenario
from ntbbench.lab.series.whole_tree import kernel_tree

Say = Callable[[str], None]


@dataclass(frozen=True)
class BootOutcome:
    """What a boot came to."""

    points: Sequence[PairPoint]
    findings: Sequence[PairFinding] = ()  # of the debug kernel
    observed: Sequence[PairObserved] = ()  # what both drivers answered the API probe


@dataclass
class SeriesLab:
    """What boots the pairings of a series."""

    cache: Cache
    kernel: PairKernel
    asked: SeriesScenario
    say: Say
    releases: set[str] = field(default_factory=set)  # fills with the guests' uname -r
    # by commit and variant; one that does not build is not tried again
    _kernels: dict[tuple[str, str], PairKernel | BuildError] = field(default_factory=dict)
    _labs: dict[tuple[Path | None, PairKernel], PairLab] = field(default_factory=dict)

    def lab(self, pairing: Pairing) -> PairLab:
        """Return the pair lab with the kernel and the NTB stack of a pairing.

        BuildError: its kernel does not build.
        """
        kernel = self._kernel(pairing.kernel, CHECK if pairing.checked else RUN)
        place = pairing.tree, kernel
        if place not in self._labs:
            lab = PairLab(self.cache, kernel, pairing.tree, self.say, releases=self.releases)
            self._labs[place] = lab
        return self._labs[place]

    def _kernel(self, commit: str, variant: str) -> PairKernel:
        """Return a kernel; it is built the first time."""
        key = commit, variant
        if key not in self._kernels:
            try:
                self._kernels[key] = self._built(commit, variant)
            except BuildError as error:
                self._kernels[key] = error
        kernel = self._kernels[key]
        if isinstance(kernel, BuildError):
            raise kernel
        return kernel

    def _built(self, commit: str, variant: str) -> PairKernel:
        if commit:
            tree = kernel_tree(Path(self.asked.tree or ""), commit)
            place = built_kernel(self.cache, tree, self.say, variant)
            return replace(self.kernel, label=tree.origin, variant=variant, folder=place)
        if variant == RUN:
            return self.kernel
        return pair_kernel(self.cache, self.asked.kernel, self.say, variant)

    def plan(self, pairing: Pairing) -> PairPlan:
        """Return the boot of a pairing."""
        drivers = pairing.ep_driver, pairing.rc_driver
        return self.asked.plan(*drivers, checked=pairing.checked)

    def facts(self) -> dict[str, Any]:
        """Return the fields of a `SeriesResult` that tell where it is from."""
        facts = PairLab(self.cache, self.kernel, None, self.say, releases=self.releases).facts()
        names = ("kernel", "kernel_source", "accelerator", "deterministic", "environment")
        if any(commit for commit, _ in self._kernels):
            facts["kernel_source"] = f"commits of {self.asked.tree}"
        checked = [lab.checks for lab in self._labs.values() if lab.kernel.variant == CHECK]
        return {name: facts[name] for name in names} | {"checks": checked[0] if checked else []}

    def go_on(self, previous: SeriesResult) -> None:
        """Keep the kernels that an earlier result's guests ran: this one may boot none."""
        if any(point.status == OK for point in previous.points):
            self.releases.update(previous.kernel.split(RELEASES))

    def build(self, pairing: Pairing) -> str:
        """Build what a pairing runs, and return its digest.

        BuildError: with the compiler's first error.
        """
        lab, plan = self.lab(pairing), self.plan(pairing)
        ep, rc = lab.drivers(plan.setup)
        modules = build_pair(
            self.cache,
            lab.kernel,
            ep,
            rc,
            tree=pairing.tree,
            say=lambda text: self.say(unnamed(text, pairing)),
        )
        return digest(lab.kernel, modules, plan)

    def boot(self, pairing: Pairing) -> BootOutcome:
        """Boot a pairing; a guest that dies is an outcome too."""
        lab, plan = self.lab(pairing), self.plan(pairing)
        with scratch_folder() as scratch:
            folder = scratch / "boot"
            recordings, points = booted(plan, folder, lab.boot, lab.drivers)
            found = []
            if pairing.checked and recordings.available and folder.is_dir():
                found = read_findings(folder, recordings.died)
            return BootOutcome(points, known_to_model(found, recordings), observed(recordings))

    def unbuilt(self, pairing: Pairing, cause: str) -> list[PairPoint]:
        """Return the points of a pairing that does not build: nothing was measured."""
        plan = self.plan(pairing)
        drivers = PairLab(self.cache, self.kernel, pairing.tree, self.say).drivers(plan.setup)
        why = f"{NOT_BUILT}: {cause}"
        nothing = without_points(plan, Path(), drivers, why, available=False)
        return evaluate(nothing)


def digest(kernel: PairKernel, modules: Path, plan: PairPlan) -> str:
    """Return what a boot is known by: the content of all that runs, and what it is asked to do.

    A commit that changes comments alone leaves the same modules, and needs no boot of its own.
    """
    guest = files("ntbbench.lab") / "guest", files("ntbbench.lab.pair") / "guest"
    scripts = [Path(str(place)) for folder in guest for place in folder.iterdir()]
    ours = [path for path in (*modules.iterdir(), *scripts) if path.is_file()]
    unnamed = changed(plan.setup, ep_driver="", rc_driver="")
    about = [kernel.folder.name, repr(replace(plan, setup=unnamed))]
    about += sorted(f"{path.name} {sha256(path)}" for path in ours)
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]


@dataclass
class SeriesHooks:
    """How a series talks to its surroundings."""

    say: Say
    # gets the outcomes by digest, after every boot
    save: Callable[[Mapping[str, BootOutcome]], None] = lambda _outcomes: None
    stop: Callable[[], bool] = lambda: False
    waits: Callable[[int], None] = lambda _running: None
    progress: Callable[[str, int, int], None] = lambda _what, _done, _of: None
    jobs: int = 1


@dataclass
class Built:
    """What each pairing runs: a digest, or why it does not build."""

    digests: dict[Pairing, str] = field(default_factory=dict)
    causes: dict[Pairing, str] = field(default_factory=dict)


def build_all(lab: SeriesLab, pairings: Iterable[Pairing], hooks: SeriesHooks) -> Built:
    """Build what the pairings run, until a signal asks to end; a driver is built once."""
    built, wanted = Built(), list(dict.fromkeys(pairings))
    for number, pairing in enumerate(wanted):
        if hooks.stop():
            break
        hooks.progress("builds", number, len(wanted))
        try:
            built.digests[pairing] = lab.build(pairing)
        except BuildError as error:
            built.causes[pairing] = unnamed(str(error), pairing)
    return built


def unnamed(text: str, pairing: Pairing) -> str:
    """Return what is told of a pairing, with its drivers named by what they are in the series."""
    own = {NEW: f"the driver of commit {pairing.commit}", BASE: "the driver of the base"}
    for path, who in ((pairing.ep_driver, pairing.ep), (pairing.rc_driver, pairing.rc)):
        text = text.replace(path, own.get(who, who))
    return text if pairing.tree is None else text.replace(str(pairing.tree), "this commit")


def boot_all(
    lab: SeriesLab, built: Built, done: Mapping[str, BootOutcome], hooks: SeriesHooks
) -> tuple[Mapping[str, BootOutcome], bool]:
    """Boot what is built and not done; return the outcomes by digest, and whether all are there.

    HostError, OSError: QEMU or the disk failed; what was finished is saved.
    """
    first = {built.digests[pairing]: pairing for pairing in reversed(built.digests)}
    order = dict.fromkeys(built.digests.values())
    pool: BootPool[str, BootOutcome] = BootPool(
        {key: partial(lab.boot, first[key]) for key in order},
        done,
        PoolHooks(
            save=hooks.save,
            failures=lambda outcome: failures(outcome.points),
            stop=hooks.stop,
            waits=hooks.waits,
            progress=partial(hooks.progress, "boots"),
            failed=lambda key, cause: hooks.say(f"{first[key].label}: {cause}"),
            jobs=hooks.jobs,
        ),
    )
    pool.run()
    return pool.done, pool.complete
