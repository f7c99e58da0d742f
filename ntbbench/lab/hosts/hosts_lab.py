# SPDX-License-Identifier: BSD-3-Clause
"""The lab of two hosts: pci-epf-ntb and two ntb_hw_epf built, a guest run, recordings laid out."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.lab.guest_task import Task, record
from ntbbench.lab.packages.cache import Cache, sha256
from ntbbench.lab.packages.fetch import unpack_files
from ntbbench.lab.packages.modules import ModuleSet, build_modules, build_program, ntb_sources
from ntbbench.lab.pair.pair_kernel import (
    CHECK,
    ENDPOINT_FUNCTION,
    GUEST,
    Say,
    imported,
)
from ntbbench.lab.pair.plan import RC, AnySetup, DriverSource, PairPlan, PairRecordings
from ntbbench.lab.pair.runner import (
    PairLab,
    accelerator_options,
    lay_out,
    machine,
    task,
    window_size,
)
from ntbbench.lab.pair.sources import DRIVERS, DebianSource, driver_source, fetch_source
from ntbbench.lab.qemu import kvm_runs
from ntbbench.pair.setting import HOST_ENDS

NTB_FUNCTION = "drivers/pci/endpoint/functions/pci-epf-ntb.c"
HOST_MODULES = ("ntb_hw_epf.ko", "ntb_hw_epf_2.ko")  # of host 1 and host 2
HOSTS_MODULES = (
    *("ntb.ko", "ntb_transport.ko", "ntb_netdev.ko", "pci-epf-ntb.ko"),
    *(*HOST_MODULES, "epc_loop.ko"),
)
# BAR 2 holds window 1 and, in front of it, as much for the doorbells: both are one of epc_loop's
# windows, of which two controllers have 8 MiB each.
HOST_WINDOW_MAX = 4 << 20


@dataclass
class HostLab(PairLab):
    """As `PairLab`, of two hosts that pci-epf-ntb joins."""

    def boot(self, plan: PairPlan, folder: Path) -> PairRecordings:
        """Carry out `plan` in one boot and leave its recordings in `folder`; see `PairLab`."""
        drivers = self.drivers(plan.setup)
        debug = self.kernel.variant == CHECK
        recordings = record(
            host_task(plan, debug=debug),
            folder,
            image=self.kernel.image,
            modules=build_hosts(self, *drivers),
            accel=accelerator_options(
                plan.deterministic, not plan.deterministic and kvm_runs(), plan.setup.cpus
            ),
            # doorbells are MSIs: no register has to interrupt
            machine=replace(machine(plan.setup, plan.deterministic, debug), devices=()),
            programs=(build_program(self.cache, "ntb_flow", self.say),),
        )
        found = lay_out(plan, *drivers, recordings)
        self.releases.add(found.release)
        return found

    def drivers(self, setup: AnySetup) -> tuple[DriverSource, DriverSource]:
        """Return the drivers of host 1 and host 2; InputError, FetchError: one could not be had."""
        first, second = HOST_ENDS.names
        return self._driver(first, setup.ep_driver), self._driver(second, setup.rc_driver)

    def _driver(self, host: str, spec: str) -> DriverSource:
        try:
            return driver_source(self.cache, RC, spec, self.kernel.source, self.say)
        except InputError as error:
            raise InputError(f"--{host}-driver", error.value, error.allowed) from None

    def read_sources(self, ep_drivers: Iterable[str], rc_drivers: Iterable[str]) -> dict[str, str]:
        """Return what the boots of these drivers run, as `PairResult.sources`, and keep it."""
        self.sources = self.stack_sources()
        function = ntb_function(self.cache, self.kernel.source, self.say)
        self.sources["pci-epf-ntb"] = sha256(function)
        for host, specs in zip(HOST_ENDS.names, (ep_drivers, rc_drivers), strict=True):
            for spec in specs:
                self.sources[f"{host} driver {spec}"] = sha256(self._driver(host, spec).path)
        return self.sources


def host_task(plan: PairPlan, *, debug: bool) -> Task:
    """Return what the guest does: the pair's task, but for what script `hosts` says otherwise."""
    usual = task(plan, debug)
    size = min(window_size(plan.setup), HOST_WINDOW_MAX)
    settings = {**usual.settings, "MW_SIZE": size}
    return replace(usual, settings=settings, scripts=(GUEST / "hosts",))


def ntb_function(cache: Cache, source: DebianSource, say: Say) -> Path:
    """Return pci-epf-ntb.c of a kernel's source, taken out of its package once; FetchError."""
    path = source.folder / NTB_FUNCTION
    if not path.is_file():
        source = fetch_source(cache, source.manifest.version, say, keep=True)
        with cache.lock(say):
            say(f"unpacking {path.name} of {source.origin}")
            unpack_files(source.package, (NTB_FUNCTION,), source.folder)
    return path


def build_hosts(lab: HostLab, first: DriverSource, second: DriverSource) -> Path:
    """Return the folder with the modules of two hosts: built in seconds, once.

    BuildError: with the compiler's first error.
    InputError: a file is no driver of a host.
    """
    kernel = lab.kernel
    sources = {
        **ntb_sources(kernel.source.folder if lab.tree is None else lab.tree),
        **{path.name: path for path in sorted(GUEST.glob("epc_loop*.[ch]"))},
        "Kbuild": GUEST / "Kbuild.hosts",
        "pci-epf-ntb.c": ntb_function(lab.cache, kernel.source, lab.say),
        "ntb_hw_epf.c": first.path,
        "ntb_hw_epf_2.c": second.path,
    }
    label = f"{first.spec} on host 1, {second.spec} on host 2"
    wanted = ModuleSet(label, kernel.kbuild, sources, HOSTS_MODULES)
    modules = build_modules(lab.cache, wanted, lab.say)
    for host, driver, module in zip(HOST_ENDS.names, (first, second), HOST_MODULES, strict=True):
        if ENDPOINT_FUNCTION in imported(modules / module):
            allowed = f"a driver as {Path(DRIVERS[RC]).name}"
            raise InputError(f"--{host}-driver", str(driver.path), allowed)
    return modules
