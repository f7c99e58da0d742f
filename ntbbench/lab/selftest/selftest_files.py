# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own NTB tests: fetched with the kernel's source, built for it, run by a shell."""

from collections.abc import Callable
from pathlib import Path

from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.fetch import unpack_files
from ntbbench.lab.packages.modules import ModuleSet, build_modules
from ntbbench.lab.pair.pair_modules import build_stack, driver_sources
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.pair.sources import DebianSource, fetch_source

SCRIPT = "tools/testing/selftests/ntb/ntb_test.sh"
MODULES = ("ntb_tool", "ntb_pingpong", "ntb_perf", "ntb_msi_test")
FILES = (SCRIPT, *(f"drivers/ntb/test/{name}.c" for name in MODULES))
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
