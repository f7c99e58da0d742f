# SPDX-License-Identifier: BSD-3-Clause
"""The pair's kernel and modules: built once from Debian's source or a tree, checked, cached."""

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ntbbench.core.clock import NS, monotonic
from ntbbench.core.errors import InputError
from ntbbench.lab.commands import BuildError, program, run
from ntbbench.lab.packages.apt import parse_spec, version_key
from ntbbench.lab.packages.cache import Cache, write_checksums
from ntbbench.lab.packages.fetch import unpack_tree
from ntbbench.lab.packages.modules import (
    first_error,
    make,
)
from ntbbench.lab.pair.sources import (
    AFTER_VERSION,
    DebianSource,
    cached_source,
    fetch_source,
)

IMAGE, KBUILD = "bzImage", "kbuild"
KERNELS = "pair-kernels"  # folder in the cache
RUN, CHECK, BOARD = "run", "check", "board"
FRAGMENTS = {
    RUN: ("kernel.config",),
    CHECK: ("kernel.config", "check.config"),
    BOARD: ("kernel.config", "board.config"),
}
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


@dataclass(frozen=True)
class KernelTree:
    """A whole kernel tree to build."""

    origin: str  # what it is, in words
    content: str  # a digest of it
    unpack: Callable[[Path], None]  # writes it to a new folder


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

    def unpack(folder: Path) -> None:
        unpack_tree(fetch_source(cache, source.manifest.version, say, keep=True).package, folder)

    tree = KernelTree(source.origin, source.manifest.sha256, unpack)
    place = built_kernel(cache, tree, say, variant)
    return PairKernel(spec, variant, place, source)


def built_kernel(cache: Cache, tree: KernelTree, say: Say, variant: str) -> Path:
    """Return the folder of a tree's kernel, building it unless the cache has just this one;
    BuildError, MissingToolError: as `pair_kernel`."""
    place = cache.root / KERNELS / kernel_key(tree.content, variant)
    if not (place / IMAGE).is_file():
        for name in PROGRAMS:
            program(name)
        with cache.lock(say, f"{KERNELS}.lock"):
            if not (place / IMAGE).is_file():
                say(f"building a {variant} kernel from {tree.origin} (once; some minutes)")
                start = monotonic()
                cache.publish(place, lambda folder: _build(folder, tree, variant))
                say(f"built it in {(monotonic() - start) / NS:.0f} s")
    return place


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


def kernel_key(content: str, variant: str) -> str:
    """Return what a built kernel is kept by: its source, configuration, flags and compiler."""
    parts = [content, fragment(variant), QUICK]
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


def _build(folder: Path, source: KernelTree, variant: str) -> None:
    """Build into `folder`; the tree and the objects, over a GB, are gone afterwards."""
    tree, objects = folder / "tree", folder / "objects"
    source.unpack(tree)
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


def _make(source: KernelTree, tree: Path, objects: Path, *words: str, **env: str) -> None:
    places = ("-s", "-C", tree, f"O={objects}")
    result = make(*places, *words, **{**STAMPS, "KCFLAGS": QUICK, **env})
    if result.status:
        raise BuildError(f"{source.origin}: {first_error(result, objects)}")
