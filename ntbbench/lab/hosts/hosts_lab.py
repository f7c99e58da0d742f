# SPDX-License-Identifier: BSD-3-Clause
"""The lab of two hosts: pci-epf-ntb and two ntb_hw_epf, in place of the pair's drivers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ntbbench.core.errors import InputError
from ntbbench.lab.packages.cache import Cache, sha256
from ntbbench.lab.packages.fetch import unpack_files
from ntbbench.lab.packages.modules import ModuleSet, build_modules
from ntbbench.lab.pair.pair_kernel import GUEST, Say
from ntbbench.lab.pair.pair_modules import (
    ENDPOINT_FUNCTION,
    Stack,
    build_stack,
    driver_sources,
    imported,
    merged,
)
from ntbbench.lab.pair.plan import RC, AnySetup, DriverSource
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.pair.sources import DRIVERS, DebianSource, driver_source, fetch_source
from ntbbench.pair.setting import HOST_ENDS

NTB_FUNCTION = "drivers/pci/endpoint/functions/pci-epf-ntb.c"
HOST_MODULES = ("ntb_hw_epf.ko", "ntb_hw_epf_2.ko")  # of host 1 and host 2
# epc_loop is another here: its BARs are no plain memory, and a host's accessors are its own.
HOSTS_STACK = ("ntb.ko", "ntb_transport.ko", "ntb_netdev.ko", "pci-epf-ntb.ko", "epc_loop.ko")
ACCESSORS = "epc_loop_writel.h"


@dataclass
class HostLab(PairLab):
    """As `PairLab`, of two hosts that pci-epf-ntb joins."""

    scripts: ClassVar[tuple[Path, ...]] = (GUEST / "hosts",)

    def modules(self, ep: DriverSource, rc: DriverSource) -> Path:
        """Return the folder with the modules of two hosts: each built in seconds, once.

        BuildError: with the compiler's first error.
        InputError: a file is no driver of a host.
        """
        function = ntb_function(self.cache, self.kernel.source, self.say)
        built = Stack("Kbuild.hosts", HOSTS_STACK, {"pci-epf-ntb.c": function})
        stack = build_stack(self.cache, self.kernel, self.tree, self.say, built)
        modules = merged(
            self.cache,
            [stack, *(self._host_module(stack, *host) for host in self._hosts(ep, rc))],
            self.say,
        )
        for name, driver, module in self._hosts(ep, rc):
            if ENDPOINT_FUNCTION in imported(modules / module):
                allowed = f"a driver as {Path(DRIVERS[RC]).name}"
                raise InputError(f"--{name}-driver", str(driver.path), allowed)
        return modules

    def _hosts(
        self, first: DriverSource, second: DriverSource
    ) -> Iterator[tuple[str, DriverSource, str]]:
        return zip(HOST_ENDS.names, (first, second), HOST_MODULES, strict=True)

    def _host_module(self, stack: Path, host: str, driver: DriverSource, module: str) -> Path:
        sources = driver_sources(self.kernel, self.tree, stack)
        sources |= {ACCESSORS: GUEST / ACCESSORS, f"{Path(module).stem}.c": driver.path}
        wanted = ModuleSet(f"{driver.spec} on {host}", self.kernel.kbuild, sources, (module,))
        return build_modules(self.cache, wanted, self.say)

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


def ntb_function(cache: Cache, source: DebianSource, say: Say) -> Path:
    """Return pci-epf-ntb.c of a kernel's source, taken out of its package once; FetchError."""
    path = source.folder / NTB_FUNCTION
    if not path.is_file():
        source = fetch_source(cache, source.manifest.version, say, keep=True)
        with cache.lock(say):
            say(f"unpacking {path.name} of {source.origin}")
            unpack_files(source.package, (NTB_FUNCTION,), source.folder)
    return path
