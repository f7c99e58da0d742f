# SPDX-License-Identifier: BSD-3-Clause
"""The lab of the driver pair: modules built, a guest run, its recordings laid out."""

import hashlib
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from ntbbench.lab.commands import GuestError
from ntbbench.lab.guest_task import Recordings, record
from ntbbench.lab.lab_client import environment
from ntbbench.lab.packages.cache import Cache, sha256
from ntbbench.lab.packages.modules import build_program, ntb_sources
from ntbbench.lab.pair.boot.laid_out import lay_out
from ntbbench.lab.pair.boot.left import DriverSource, PairRecordings, without_points
from ntbbench.lab.pair.boot.pair_task import accelerator_options, machine, task
from ntbbench.lab.pair.pair_kernel import CHECK, PairKernel, Say
from ntbbench.lab.pair.pair_modules import PAIR_STACK, Stack, asks_for_doorbells, build_pair
from ntbbench.lab.pair.plan import EP, RC, AnySetup, PairPlan
from ntbbench.lab.pair.records import OK, PairResult
from ntbbench.lab.pair.sources import driver_source
from ntbbench.lab.qemu import kvm_runs
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell

# Options of a check kernel that a finding can come from, as they are shown.
CHECKS = ("DEBUG_ATOMIC_SLEEP", "PROVE_LOCKING", "KASAN", "UBSAN", "DEBUG_OBJECTS", "DEBUG_LIST")
RELEASES = ", "  # between the kernels of several guests


@dataclass
class PairLab:
    """What boots plans, and what a result says of it."""

    cache: Cache
    kernel: PairKernel  # the kernel to boot
    # a kernel tree whose NTB core, transport and network device run; None: the kernel's
    tree: Path | None
    say: Say  # gets a line for each thing that takes long
    releases: set[str] = field(default_factory=set)  # fills with the guests' uname -r
    sources: dict[str, str] = field(default_factory=dict)  # what `read_sources` found
    stack: ClassVar[Stack] = PAIR_STACK
    scripts: ClassVar[tuple[Path, ...]] = ()  # that the guest's script `pair` reads

    def boot(self, plan: PairPlan, folder: Path) -> PairRecordings:
        """Carry out `plan` in one boot and leave its recordings in `folder`.

        A link that does not come up, and a doorbell mode that the driver lacks, are results. May be
        called from several threads.

        InputError, FetchError: a driver could not be had.
        BuildError, GuestError: the modules did not build, the guest did not finish.
        """
        recordings = boot_pair(self, plan, folder)
        if recordings.release:
            self.releases.add(recordings.release)
        return recordings

    def drivers(self, setup: AnySetup) -> tuple[DriverSource, ...]:
        """Return the drivers that a setup names, endpoint first; of two hosts, then what joins
        them. InputError, FetchError: one could not be had, or does not fit its name."""
        source = self.kernel.source
        ep = driver_source(self.cache, EP, setup.ep_driver, source, self.say)
        return ep, driver_source(self.cache, RC, setup.rc_driver, source, self.say)

    def modules(self, drivers: Sequence[DriverSource]) -> Path:
        """Return the folder with the modules that a boot of `drivers` loads; InputError,
        BuildError: as `build_pair`."""
        ep, rc = drivers
        return build_pair(self.cache, self.kernel, ep, rc, tree=self.tree, say=self.say)

    def go_on(self, previous: PairResult) -> None:
        """Keep the kernels that an earlier result's guests ran: this one may boot none."""
        if any(point.status == OK for point in previous.points):
            self.releases.update(previous.kernel.split(RELEASES))

    def read_sources(self, setups: Iterable[AnySetup]) -> dict[str, str]:
        """Return what boots of these setups run, as `PairResult.sources`, and keep it; InputError,
        FetchError: a driver could not be had."""
        self.sources = self.stack_sources()
        booted = {setup.driver_specs: setup for setup in setups}
        for drivers in zip(*map(self.drivers, booted.values()), strict=True):
            for driver in drivers:
                self.sources[driver.source_name] = sha256(driver.path)
        return self.sources

    def stack_sources(self) -> dict[str, str]:
        """Return what runs beside the drivers, as `PairResult.sources`."""
        found = {"kernel": self.kernel.source.manifest.version}
        if self.tree is not None:
            files = sorted(ntb_sources(self.tree).values())
            lines = "".join(f"{sha256(path)}\n" for path in files)
            found[f"NTB files of {self.tree}"] = hashlib.sha256(lines.encode()).hexdigest()
        return found

    @property
    def checks(self) -> list[str]:
        """The debugging options of the kernel."""
        config = (self.kernel.folder / "config").read_text()
        return [name for name in CHECKS if re.search(rf"^CONFIG_{name}=y$", config, re.MULTILINE)]

    def facts(self) -> dict[str, Any]:
        """Return the fields of a `PairResult` that tell where it is from."""
        label = self.kernel.label
        return {
            "kernel": RELEASES.join(sorted(self.releases)) or self.kernel.source.manifest.version,
            "kernel_source": label if self.tree is None else f"{label}, drivers of {self.tree}",
            "accelerator": "tcg",
            "deterministic": True,
            "sources": self.sources,
            "environment": {"source": self.kernel.source.origin, **environment()},
        }


def boot_pair(lab: PairLab, plan: PairPlan, folder: Path) -> PairRecordings:
    """Carry out `plan`, as `PairLab.boot` says."""
    drivers = lab.drivers(plan.setup)
    modules = lab.modules(drivers)
    if plan.setup.interrupts_endpoint and not asks_for_doorbells(modules):
        cause = f"{drivers[0].origin} has no {plan.setup.doorbell} doorbells, only {Doorbell.POLL}"
        shutil.rmtree(folder, ignore_errors=True)
        return without_points(plan, folder, drivers, cause, available=False)
    made = recorded(lab, plan, folder, modules)
    try:
        return lay_out(plan, drivers, made)
    except GuestError:
        shutil.rmtree(folder, ignore_errors=True)  # of use to nobody
        raise


def recorded(lab: PairLab, plan: PairPlan, folder: Path, modules: Path) -> Recordings:
    """Boot `plan` with these modules and leave in `folder` what the guest recorded.

    GuestError: it left no whole recording.
    """
    debug = lab.kernel.variant == CHECK
    return record(
        # whether what it left is a result is told by what was observed of the drivers
        replace(task(plan, debug), may_die=True),
        folder,
        image=lab.kernel.image,
        modules=modules,
        accel=accelerator_options(
            plan.deterministic, not plan.deterministic and kvm_runs(), plan.setup.cpus
        ),
        machine=machine(plan.setup, plan.deterministic, debug),
        programs=(build_program(lab.cache, "ntb_flow", lab.say), *lab.scripts),
    )
