# SPDX-License-Identifier: BSD-3-Clause
"""The lab of two hosts: pci-epf-ntb and two ntb_hw_epf, in place of the pair's drivers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from ntbbench.core.errors import InputError
from ntbbench.lab.hosts.joint_source import MODULE, joint_source
from ntbbench.lab.packages.modules import ModuleSet, build_modules
from ntbbench.lab.pair.boot.left import HOST1, HOST2, DriverSource
from ntbbench.lab.pair.pair_kernel import GUEST
from ntbbench.lab.pair.pair_modules import (
    ENDPOINT_FUNCTION,
    HOSTS_STACK,
    Stack,
    build_stack,
    driver_sources,
    imported,
    merged,
)
from ntbbench.lab.pair.plan import RC, AnySetup, HostSetup
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.pair.sources import DRIVERS, driver_source

HOST_MODULES = {HOST1: "ntb_hw_epf.ko", HOST2: "ntb_hw_epf_2.ko"}
ACCESSORS = "epc_loop_writel.h"  # a host's own, where a BAR is no plain memory


@dataclass
class HostLab(PairLab):
    """As `PairLab`, of two hosts that pci-epf-ntb joins."""

    scripts: ClassVar[tuple[Path, ...]] = (GUEST / "hosts",)
    stack: ClassVar[Stack] = HOSTS_STACK

    def modules(self, drivers: Sequence[DriverSource]) -> Path:
        """Return the folder with the modules of two hosts and of what joins them.

        BuildError: with the compiler's first error.
        InputError: a file is no driver of a host, or is no endpoint function.
        """
        stack = build_stack(self.cache, self.kernel, self.tree, self.say, self.stack)
        parts = [self._module(stack, driver) for driver in drivers]
        modules = merged(self.cache, [stack, *parts], self.say)
        for driver in drivers:
            module = HOST_MODULES.get(driver.place, MODULE)
            if (ENDPOINT_FUNCTION in imported(modules / module)) != (module == MODULE):
                name = Path(module).stem if module == MODULE else Path(DRIVERS[RC]).stem
                raise InputError(_option(driver), str(driver.path), f"a driver as {name}.c")
        return modules

    def _module(self, stack: Path, driver: DriverSource) -> Path:
        module = HOST_MODULES.get(driver.place, MODULE)
        sources = driver_sources(self.kernel, self.tree, stack)
        sources[f"{Path(module).stem}.c"] = driver.path
        if module != MODULE:
            sources[ACCESSORS] = GUEST / ACCESSORS
        label = f"{driver.spec} as {driver.title}"
        return build_modules(
            self.cache, ModuleSet(label, self.kernel.kbuild, sources, (module,)), self.say
        )

    def drivers(self, setup: AnySetup) -> tuple[DriverSource, ...]:
        """Return the drivers of host 1 and host 2, and of what joins them; InputError, FetchError:
        one could not be had."""
        assert isinstance(setup, HostSetup)
        return (
            self._host(HOST1, setup.host1_driver),
            self._host(HOST2, setup.host2_driver),
            self._joint(setup.ntb_driver),
        )

    def _host(self, host: str, spec: str) -> DriverSource:
        try:
            found = driver_source(self.cache, RC, spec, self.kernel.source, self.say)
        except InputError as error:
            raise InputError(f"--{host}-driver", error.value, error.allowed) from None
        return replace(found, place=host)

    def _joint(self, spec: str) -> DriverSource:
        return joint_source(self.cache, spec, self.kernel.source, self.say)


def _option(driver: DriverSource) -> str:
    return f"--{driver.place if driver.place in HOST_MODULES else 'ntb'}-driver"
