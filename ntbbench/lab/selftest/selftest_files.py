# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own NTB tests: fetched with the kernel's source, built for it, run by a shell."""

from collections.abc import Callable
from pathlib import Path

from ntbbench.lab.commands import FetchError, run
from ntbbench.lab.packages.apt import Archive
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.fetch import unpack_files
from ntbbench.lab.packages.modules import ModuleSet, build_modules
from ntbbench.lab.pair.pair_modules import build_stack, driver_sources
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.pair.sources import DebianSource, fetch_source

SCRIPT = "tools/testing/selftests/ntb/ntb_test.sh"
MODULES = ("ntb_tool", "ntb_pingpong", "ntb_perf", "ntb_msi_test")
FILES = (SCRIPT, *(f"drivers/ntb/test/{name}.c" for name in MODULES))
BASH = "bash-static"  # of Debian: ntb_test.sh is no script for busybox
Say = Callable[[str], None]


def fetch_tests(cache: Cache, source: DebianSource, say: Say) -> Path:
    """Return the NTB tests of a kernel's source, as `fetch_files`."""
    return fetch_files(cache, source, ("selftests", "NTB tests"), FILES, say)


def fetch_files(
    cache: Cache, source: DebianSource, kind: tuple[str, str], names: tuple[str, ...], say: Say
) -> Path:
    """Return a folder with files of a kernel's source, taken out of its package the first time.

    `kind`: the folder of the cache that they are kept in, and what they are, in words.
    FetchError: the package could not be had, or lacks a file.
    """
    folder, words = kind
    place = cache.root / folder / source.manifest.version
    if not place.is_dir():
        package = fetch_source(cache, source.manifest.version, say, keep=True).package
        with cache.lock(say):
            if not place.is_dir():
                say(f"unpacking the {words} of {source.origin}")
                cache.publish(place, lambda folder: unpack_files(package, names, folder))
    return place


def fetch_bash(cache: Cache, say: Say) -> Path:
    """Return a bash that needs no library; FetchError: it could not be had."""
    place = cache.root / "programs" / BASH
    if not place.is_dir():
        with cache.lock(say):
            if not place.is_dir():
                cache.publish(place, lambda folder: _unpack_bash(cache, folder, say))
    return place / BASH


def _unpack_bash(cache: Cache, folder: Path, say: Say) -> None:
    archive = Archive(cache.root / "apt")
    say("reading Debian's package lists")
    archive.update()
    packages = archive.versions(BASH)
    if not packages:
        raise FetchError(f"{BASH}: no suite has it")
    say(f"fetching {packages[0]}")
    deb = archive.download(packages[0], folder)
    result = run(["dpkg-deb", "--extract", deb, folder / "unpacked"])
    program = folder / "unpacked" / "bin" / BASH
    usr = folder / "unpacked" / "usr" / "bin" / BASH
    found = program if program.is_file() else usr
    if result.status or not found.is_file():
        raise FetchError(f"{deb.name}: has no {BASH}: {result.last_words}")
    found.rename(folder / BASH)
    run(["rm", "-r", folder / "unpacked"])
    deb.unlink()


def build_tests(lab: PairLab, tests: Path) -> Path:
    """Return the folder of the tests' modules, on the NTB stack of a lab.

    BuildError: with the compiler's first error.
    """
    stack = build_stack(lab.cache, lab.kernel, lab.tree, lab.say, lab.stack)
    sources = driver_sources(lab.kernel, lab.tree, stack)
    sources |= {f"{name}.c": tests / f"drivers/ntb/test/{name}.c" for name in MODULES}
    built = tuple(f"{name}.ko" for name in MODULES)
    wanted = ModuleSet("the kernel's NTB tests", lab.kernel.kbuild, sources, built)
    return build_modules(lab.cache, wanted, lab.say)
