# SPDX-License-Identifier: BSD-3-Clause
"""The pair's kernel and modules: built once from Debian's source or a tree, checked, cached."""

import hashlib
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.lab.commands import BuildError, program, run
from ntbbench.lab.packages.apt import parse_spec, version_key
from ntbbench.lab.packages.cache import Cache, write_checksums
from ntbbench.lab.packages.fetch import unpack_tree
from ntbbench.lab.packages.modules import (
    ModuleSet,
    build_modules,
    first_error,
    make,
    ntb_sources,
)
from ntbbench.lab.pair.plan import EP, RC, DriverSource
from ntbbench.lab.pair.sources import (
    AFTER_VERSION,
    DRIVERS,
    DebianSource,
    cached_source,
    fetch_source,
    read_driver,
)

IMAGE, KBUILD = "bzImage", "kbuild"
KERNELS = "pair-kernels"  # folder in the cache
RUN, CHECK = "run", "check"
FRAGMENTS = {RUN: ("kernel.config",), CHECK: ("kernel.config", "check.config")}
OPTION = re.compile(r"^(?:(CONFIG_\w+)=(.+)|# (CONFIG_\w+) is not set)$", re.MULTILINE)
# The same image on any machine and day: the guest's words, and so its timing, do not change.
STAMPS = {
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "ntbbench",
    "KBUILD_BUILD_HOST": "ntbbench",
}
# A guest that runs for seconds does not earn back what these save the compiler. Modules, the
# drivers among them, are built with the kernel's own flags.
QUICK = (
    "-ftrack-macro-expansion=0 -Wno-all"  # the same code
    " -Os -fno-expensive-optimizations -fno-gcse -fno-rerun-cse-after-loop -fno-schedule-insns2"
)
# What both drivers stand on, built once. A driver is built once too, whoever its peer is.
STACK = (
    "ntb.ko",
    "ntb_transport.ko",
    "ntb_netdev.ko",
    "epc_loop.ko",
    "ntb_probe.ko",
    "ntb_observe.ko",
)
SYMBOLS = "Module.symvers"  # what the stack exports, with checksums
SYMBOLS_OF_STACK = "stack.symvers"  # as driver.kbuild names them
SIDE_NAMES = {EP: "endpoint", RC: "root complex"}
DRIVER_MODULES = {EP: "pci-epf-vntb.ko", RC: "ntb_hw_epf.ko"}
OTHER_STACK = (
    "--source takes the tree's whole NTB stack, for a kernel of {}; --ep-driver and --rc-driver "
    "take the two drivers of an older tree alone"
)
# Names of the kernel's interfaces, whatever a driver's own functions are called.
ENDPOINT_FUNCTION = "__pci_epf_register_driver"
REGISTERS_FUNCTION = "pci_epf_register_driver"  # as a driver calls it
DOORBELLS = "pci_epf_alloc_doorbell"
GUEST = Path(str(files("ntbbench.lab.pair") / "guest"))
PROGRAMS = ("gcc", "ld", "make", "flex", "bison", "bc")  # that building a kernel takes
Say = Callable[[str], None]


@dataclass(frozen=True)
class PairKernel:
    """A built kernel: `folder` holds the boot image and what builds modules for it."""

    label: str  # how the user named it
    variant: str  # `run`, or `check` with the kernel's debugging options
    folder: Path
    source: DebianSource  # its source's NTB files and drivers

    @property
    def image(self) -> Path:
        """The compressed boot image."""
        return self.folder / IMAGE

    @property
    def kbuild(self) -> Path:
        """The folder that `make -C` takes to build modules."""
        return self.folder / KBUILD


def pair_kernel(cache: Cache, spec: str, say: Say, variant: str = RUN) -> PairKernel:
    """Return the kernel `spec` (`debian:VERSION`), building it unless the cache has just this one.

    InputError: a spec that is none, or a kernel that epc_loop does not know.
    FetchError: the source could not be had.
    BuildError: with the compiler's first error, or an option that the source does not know.
    MissingToolError: a program that building a kernel takes.
    """
    wanted = _wanted(spec)
    # a source that is not there yet has no kernel either: its package is kept, to be fetched once
    source = fetch_source(cache, wanted, say, keep=cached_source(cache, wanted) is None)
    place = cache.root / KERNELS / kernel_key(source, variant)
    if not (place / IMAGE).is_file():
        for name in PROGRAMS:
            program(name)
        source = fetch_source(cache, source.manifest.version, say, keep=True)
        with cache.lock(say, f"{KERNELS}.lock"):
            if not (place / IMAGE).is_file():
                say(f"building a {variant} kernel from {source.origin} (once; some minutes)")
                cache.publish(place, lambda folder: _build(folder, source, variant))
    return PairKernel(spec, variant, place, source)


def _wanted(spec: str) -> str:
    allowed = f"debian:{AFTER_VERSION} or newer: epc_loop needs its PCI endpoint core"
    try:
        wanted = parse_spec(spec)
    except InputError:
        raise InputError("--kernel", spec, allowed) from None
    if version_key(wanted) < version_key(AFTER_VERSION):
        raise InputError("--kernel", spec, allowed)
    return wanted


def fragment(variant: str) -> str:
    """Return the configuration of `variant`, on top of allnoconfig."""
    return "".join((GUEST / name).read_text() for name in FRAGMENTS[variant])


def kernel_key(source: DebianSource, variant: str) -> str:
    """Return what a built kernel is kept by: its source, configuration, flags and compiler."""
    parts = [source.manifest.sha256, fragment(variant), QUICK]
    for tool in ("gcc", "ld"):
        parts.append(run([tool, "--version"]).stdout.partition("\n")[0])
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def untaken(asked: str, config: str) -> list[str]:
    """Return the options of fragment `asked` that configuring dropped or changed."""
    got = {name: value for name, value, _ in OPTION.findall(config) if name}
    wrong = []
    for name, value, off in OPTION.findall(asked):
        if got.get(name or off, "n") != (value or "n"):
            wrong.append(f"{name}={value}" if name else f"{off}=n")
    return wrong


def _build(folder: Path, source: DebianSource, variant: str) -> None:
    """Build into `folder`; the tree and the objects, over a GB, are gone afterwards."""
    tree, objects = folder / "tree", folder / "objects"
    unpack_tree(source.package, tree)
    asked = folder / "fragment"
    asked.write_text(fragment(variant))
    objects.mkdir()
    _make(source, tree, objects, "allnoconfig", KCONFIG_ALLCONFIG=str(asked))
    wrong = untaken(asked.read_text(), (objects / ".config").read_text())
    if wrong:
        raise BuildError(f"{source.origin}: does not take {', '.join(wrong)}")
    _make(source, tree, objects, IMAGE, "modules")
    install = f"$(srctree)/scripts/package/install-extmod-build {folder / KBUILD}"
    _make(source, tree, objects, "run-command", f"KBUILD_RUN_COMMAND={install}")
    shutil.copyfile(objects / "arch" / "x86" / "boot" / IMAGE, folder / IMAGE)
    shutil.copyfile(objects / ".config", folder / "config")
    for left in (tree, objects):
        shutil.rmtree(left)
    asked.unlink()
    write_checksums(folder)


def _make(source: DebianSource, tree: Path, objects: Path, *words: str, **env: str) -> None:
    places = ("-s", "-C", tree, f"O={objects}")
    result = make(*places, *words, **{**STAMPS, "KCFLAGS": QUICK, **env})
    if result.status:
        raise BuildError(f"{source.origin}: {first_error(result, objects)}")


def build_pair(
    cache: Cache,
    kernel: PairKernel,
    ep: DriverSource,
    rc: DriverSource,
    *,
    tree: Path | None,
    say: Say,
) -> Path:
    """Return the folder with the modules of two drivers: built in seconds, once.

    `tree`: whose NTB core, transport and network device run; None: the kernel's.
    BuildError: with the compiler's first error.
    InputError: a file is another driver than that of its side.
    """
    stack = build_stack(cache, kernel, tree, say)
    drivers = [
        build_modules(cache, _driver(driver, kernel, tree, stack), say) for driver in (ep, rc)
    ]
    modules = merged(cache, [stack, *drivers], say)
    for source in (ep, rc):
        check_driver(source, modules)
    return modules


def build_stack(cache: Cache, kernel: PairKernel, tree: Path | None, say: Say) -> Path:
    """Return the folder of what drivers and clients stand on, with the symbols that it exports.

    BuildError: with the compiler's first error.
    """
    own = {path.name: path for path in sorted(GUEST.glob("*.[ch]"))}
    sources = {**_ntb_files(kernel, tree), **own, "Kbuild": GUEST / "Kbuild"}
    label = f"the NTB stack of {kernel.label if tree is None else tree}"
    try:
        return build_modules(
            cache, ModuleSet(label, kernel.kbuild, sources, (*STACK, SYMBOLS)), say
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
