# SPDX-License-Identifier: BSD-3-Clause
"""Where pci-epf-ntb, which joins two hosts, comes from: a kernel's source, a tree, a file."""

from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.lab.packages.apt import parse_spec
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.fetch import unpack_files
from ntbbench.lab.pair.boot.left import SOC, DriverSource
from ntbbench.lab.pair.pair_kernel import Say
from ntbbench.lab.pair.plan import AFTER, BEFORE, EP
from ntbbench.lab.pair.sources import BEFORE_VERSION, DEBIAN, DebianSource, fetch_source

NTB_FUNCTION = "drivers/pci/endpoint/functions/pci-epf-ntb.c"
MODULE = "pci-epf-ntb.ko"
OPTION = "--ntb-driver"


def joint_source(cache: Cache, spec: str, kernel_source: DebianSource, say: Say) -> DriverSource:
    """Return the pci-epf-ntb that `spec` names.

    `spec`: `before`, `after`, `debian:VERSION`, its C file, or a kernel tree.
    `kernel_source`: of the kernel to boot; `after` is its file.
    InputError: no such file. FetchError: the source could not be had.
    """
    if spec in (AFTER, BEFORE) or spec.startswith(DEBIAN):
        source = kernel_source if spec == AFTER else fetch_source(cache, _version(spec), say)
        return _driver(spec, source.origin, _unpacked(cache, source, say))
    given = Path(spec)
    path = given / NTB_FUNCTION if given.is_dir() else given
    if not path.is_file():
        name = Path(NTB_FUNCTION).name
        allowed = f"{BEFORE}, {AFTER}, {DEBIAN}VERSION, a {name} or a kernel tree with it"
        raise InputError(OPTION, spec, allowed)
    return _driver(spec, str(path), path.absolute())


def _driver(spec: str, origin: str, path: Path) -> DriverSource:
    return DriverSource(EP, spec, origin, path, (), place=SOC)


def _version(spec: str) -> str:
    try:
        return BEFORE_VERSION if spec == BEFORE else parse_spec(spec)
    except InputError as error:
        raise InputError(OPTION, spec, error.allowed) from None


def _unpacked(cache: Cache, source: DebianSource, say: Say) -> Path:
    """Return pci-epf-ntb.c of a kernel's source, taken out of its package once."""
    path = source.folder / NTB_FUNCTION
    if not path.is_file():
        source = fetch_source(cache, source.manifest.version, say, keep=True)
        with cache.lock(say):
            say(f"unpacking {path.name} of {source.origin}")
            unpack_files(source.package, (NTB_FUNCTION,), source.folder)
    return path
