# SPDX-License-Identifier: BSD-3-Clause
"""The modules of a boot: the stack and each driver on it, all built once, in one folder."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.lab.commands import BuildError, program, run
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.modules import ModuleSet, build_modules, ntb_sources
from ntbbench.lab.pair.boot.left import DriverSource
from ntbbench.lab.pair.pair_kernel import GUEST, PairKernel, Say
from ntbbench.lab.pair.plan import EP, RC
from ntbbench.lab.pair.sources import DRIVERS, read_driver


@dataclass(frozen=True)
class Stack:
    """What the drivers of a boot stand on."""

    kbuild: str  # which of the guest's files builds it
    modules: tuple[str, ...]
    files: Mapping[str, Path] = field(default_factory=dict)  # beside the NTB files and the guest's
    flags: tuple[str, ...] = ()  # make's variables, beside those of every build


# What both drivers stand on, built once. A driver is built once too, whoever its peer is.
PAIR_STACK = Stack(
    "Kbuild",
    (
        "ntb.ko",
        "ntb_transport.ko",
        "ntb_netdev.ko",
        "epc_loop.ko",
        "ntb_probe.ko",
        "ntb_observe.ko",
    ),
)
SYMBOLS = "Module.symvers"  # what the stack exports, with checksums
SYMBOLS_OF_STACK = "stack.symvers"  # as driver.kbuild names them
SIDE_NAMES = {EP: "endpoint", RC: "root complex"}
# The same where pci-epf-ntb joins two hosts: epc_loop is another there, for its BARs are no plain
# memory.
HOSTS_STACK = Stack("Kbuild.hosts", (*PAIR_STACK.modules, "ntb_bridge.ko"))
DRIVER_MODULES = {EP: "pci-epf-vntb.ko", RC: "ntb_hw_epf.ko"}
OTHER_STACK = (
    "--source takes the tree's whole NTB stack, for a kernel of {}; --ep-driver and --rc-driver "
    "take the two drivers of an older tree alone"
)
# Names of the kernel's interfaces, whatever a driver's own functions are called.
ENDPOINT_FUNCTION = "__pci_epf_register_driver"
REGISTERS_FUNCTION = "pci_epf_register_driver"  # as a driver calls it
DOORBELLS = "pci_epf_alloc_doorbell"


def build_pair(
    cache: Cache,
    kernel: PairKernel,
    ep: DriverSource,
    rc: DriverSource,
    *,
    tree: Path | None,
    say: Say,
    flags: tuple[str, ...] = (),
) -> Path:
    """Return the folder with the modules of two drivers: built in seconds, once.

    `tree`: whose NTB core, transport and network device run; None: the kernel's.
    `flags`: make's variables, beside those of every build.
    BuildError: with the compiler's first error.
    InputError: a file is another driver than that of its side.
    """
    stack = build_stack(cache, kernel, tree, say, replace(PAIR_STACK, flags=flags))
    drivers = [
        build_modules(cache, replace(_driver(driver, kernel, tree, stack), flags=flags), say)
        for driver in (ep, rc)
    ]
    modules = merged(cache, [stack, *drivers], say)
    for source in (ep, rc):
        check_driver(source, modules)
    return modules


def build_stack(
    cache: Cache, kernel: PairKernel, tree: Path | None, say: Say, stack: Stack = PAIR_STACK
) -> Path:
    """Return the folder of what drivers and clients stand on, with the symbols that it exports.

    BuildError: with the compiler's first error.
    """
    own = {path.name: path for path in sorted(GUEST.glob("*.[ch]"))}
    sources = {**_ntb_files(kernel, tree), **own, **stack.files, "Kbuild": GUEST / stack.kbuild}
    label = f"the NTB stack of {kernel.label if tree is None else tree}"
    built = (*stack.modules, SYMBOLS)
    try:
        return build_modules(
            cache, ModuleSet(label, kernel.kbuild, sources, built, stack.flags), say
        )
    except BuildError as error:
        if tree is None:
            raise
        raise BuildError(f"{error}; {OTHER_STACK.format(kernel.source.origin)}") from error


def driver_sources(kernel: PairKernel, tree: Path | None, stack: Path) -> dict[str, Path]:
    """Return what a module beside C files of its own needs to build on a stack."""
    headers = {n: path for n, path in _ntb_files(kernel, tree).items() if n.endswith(".h")}
    return {**headers, "Kbuild": GUEST / "driver.kbuild", SYMBOLS_OF_STACK: stack / SYMBOLS}


def _ntb_files(kernel: PairKernel, tree: Path | None) -> dict[str, Path]:
    return ntb_sources(kernel.source.folder if tree is None else tree)


def _driver(driver: DriverSource, kernel: PairKernel, tree: Path | None, stack: Path) -> ModuleSet:
    sources = driver_sources(kernel, tree, stack)
    sources[Path(DRIVERS[driver.side]).name] = driver.path
    label = f"{driver.spec} on the {SIDE_NAMES[driver.side]}"
    return ModuleSet(label, kernel.kbuild, sources, (DRIVER_MODULES[driver.side],))


def merged(cache: Cache, folders: Sequence[Path], say: Say) -> Path:
    """Return one folder with the modules of several, which lie in the cache: links to them."""
    digest = hashlib.sha256("\0".join(folder.name for folder in folders).encode())
    place = cache.root / "modules" / f"pair-{digest.hexdigest()[:16]}"

    def fill(folder: Path) -> None:
        for part in folders:
            for module in part.glob("*.ko"):
                (folder / module.name).hardlink_to(module)

    if not place.is_dir():
        with cache.lock(say):
            if not place.is_dir():
                cache.publish(place, fill)
    return place


def imported(module: Path) -> frozenset[str]:
    """Return the symbols that a module takes from the kernel and from other modules; BuildError: it
    is no module."""
    told = run([program("nm"), "-u", module])
    if told.status:
        raise BuildError(f"{module.name}: {told.last_words}")
    return frozenset(line.split()[-1] for line in told.stdout.splitlines() if line.strip())


def check_driver(source: DriverSource, modules: Path) -> None:
    """Raise InputError unless what was built of `source` is its side's driver.

    One that fails before it registers may import less than its text calls.
    """
    is_function = ENDPOINT_FUNCTION in imported(modules / DRIVER_MODULES[source.side])
    if source.side == EP:
        is_function |= REGISTERS_FUNCTION in read_driver(source.side, source.path)
    if is_function != (source.side == EP):
        name = Path(DRIVERS[source.side]).name
        raise InputError(f"--{source.side}-driver", str(source.path), f"a driver as {name}")


def asks_for_doorbells(modules: Path) -> bool:
    """Return whether the endpoint's driver asks for interrupts as doorbells; it polls otherwise."""
    return DOORBELLS in imported(modules / DRIVER_MODULES[EP])
