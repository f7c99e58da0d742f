# SPDX-License-Identifier: BSD-3-Clause
"""What a built driver takes from the kernel: which driver it is, and whether it can be interrupted.

A module's imports are names of the kernel's interfaces, whatever its own functions are called. A
driver that fails before it registers may import less than its text calls.
"""

from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.lab.commands import program, run
from ntbbench.lab.lab_errors import BuildError
from ntbbench.lab.pair.drivers.text_patches import read_driver
from ntbbench.lab.pair.plan import EP, RC, DriverSource

ENDPOINT_FUNCTION = "__pci_epf_register_driver"
REGISTERS_FUNCTION = "pci_epf_register_driver"  # as a driver calls it
DOORBELLS = "pci_epf_alloc_doorbell"
MODULES = {EP: "pci-epf-vntb.ko", RC: "ntb_hw_epf.ko"}


def imported(module: Path) -> frozenset[str]:
    """Return the symbols that a module takes from the kernel and from other modules.

    Raises
    ------
    BuildError : it is no module.
    """
    told = run([program("nm"), "-u", module])
    if told.status:
        raise BuildError(f"{module.name}: {told.last_words}")
    return frozenset(line.split()[-1] for line in told.stdout.splitlines() if line.strip())


def check_driver(source: DriverSource, modules: Path) -> None:
    """Raise InputError unless what was built of `source` is its side's driver."""
    is_function = ENDPOINT_FUNCTION in imported(modules / MODULES[source.side])
    if source.side == EP:
        is_function |= REGISTERS_FUNCTION in read_driver(source.side, source.path)
    if is_function != (source.side == EP):
        name = Path(MODULES[source.side]).stem
        raise InputError(f"--{source.side}-driver", str(source.path), f"a driver as {name}.c")


def asks_for_doorbells(modules: Path) -> bool:
    """Return whether the endpoint's driver asks for interrupts as doorbells; it polls otherwise."""
    return DOORBELLS in imported(modules / MODULES[EP])
