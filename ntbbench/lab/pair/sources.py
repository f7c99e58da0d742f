# SPDX-License-Identifier: BSD-3-Clause
"""Where the pair's code comes from: Debian's linux-source packages, trees, single drivers.

What a driver does is observed. Its text is a hint: it chooses between sets of patches that behave
alike, and stands for a driver that never came to be observed.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ntbbench.core.errors import InputError
from ntbbench.core.result_file import encoded
from ntbbench.lab.commands import FetchError, program
from ntbbench.lab.packages.apt import Archive, Package, matches, parse_spec, version_key
from ntbbench.lab.packages.cache import Cache, sha256
from ntbbench.lab.packages.fetch import NTB_FILES, unpack_files
from ntbbench.lab.pair.boot.left import DriverSource
from ntbbench.lab.pair.plan import AFTER, BEFORE, EP, RC
from ntbbench.pair.drivers.patches import Side, side_patches

MANIFEST = "source.json"
PACKAGE = "package.deb"
PACKAGE_NAME = re.compile(r"linux-source-(\d+\.\d+)")
AFTER_VERSION = "7.3"
DEBIAN = "debian:"
# The newest release in Debian's archive whose two drivers carry no patch: stable took some later.
BEFORE_VERSION = "6.12.95"
DRIVERS: dict[Side, str] = {
    EP: "drivers/pci/endpoint/functions/pci-epf-vntb.c",
    RC: "drivers/ntb/hw/epf/ntb_hw_epf.c",
}
FILES = (*NTB_FILES, *DRIVERS.values())
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
ENDPOINT_DRIVER = "pci_epf_register_driver"
NTB_DRIVER = "ntb_register_device"  # the interface that no NTB driver goes without
FIRST_DB = r"(?:EPF_IRQ_DB_START|2)"
Say = Callable[[str], None]


class SourceManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What `source.json` in a source's folder says."""

    package: str
    version: str
    sha256: str  # of the .deb


@dataclass(frozen=True)
class DebianSource:
    """A linux-source package in the cache: `folder` holds the NTB files and drivers of its tree."""

    folder: Path
    manifest: SourceManifest

    @property
    def origin(self) -> str:
        """Which package it is, in words."""
        return f"{self.manifest.package} {self.manifest.version}"

    @property
    def package(self) -> Path:
        """The package itself, where the whole tree is; it is kept only if that was asked for."""
        return self.folder / PACKAGE


def fetch_source(cache: Cache, wanted: str, say: Say, *, keep: bool = False) -> DebianSource:
    """Return the files of Debian's source of kernel `wanted`, fetching them unless cached.

    `wanted`: a version such as 7.3 (any 7.3.x) or 6.12.95.
    `keep`: the package too.
    FetchError: no network, no such version, or a package that is not what it should be.
    """
    source = cached_source(cache, wanted)
    if source is not None and not keep:
        return source
    with cache.lock(say):
        source = cached_source(cache, wanted)
        if source is not None and (source.package.is_file() or not keep):
            return source
        archive = Archive(cache.root / "apt")
        say("reading Debian's package lists")
        archive.update()
        # the very version whose files are there already: drivers and kernel stay together
        package = newest(archive, source.manifest.version if source else wanted)
        place = cache.root / "sources" / package.version
        cache.publish(place, lambda folder: _fill(folder, archive, package, say, keep))
        source = cached_source(cache, package.version)
    if source is None:
        raise FetchError(f"{place}: holds no source after it was unpacked")
    return source


def cached_source(cache: Cache, wanted: str) -> DebianSource | None:
    """Return the newest cached source of version `wanted`; None: there is none.

    FetchError: its folder is damaged.
    """
    found = []
    for path in (cache.root / "sources").glob(f"[!.]*/{MANIFEST}"):
        try:
            manifest = msgspec.json.decode(path.read_bytes(), type=SourceManifest)
        except msgspec.MsgspecError as error:
            raise FetchError(f"{path}: {error}: remove its folder and fetch again") from error
        if matches(manifest.version, wanted):
            found.append(DebianSource(path.parent, manifest))
    return max(found, key=lambda source: version_key(source.manifest.version), default=None)


def newest(archive: Archive, wanted: str) -> Package:
    """Return the newest linux-source package of version `wanted`; FetchError: no suite has it; the
    message names those that there are."""
    names = archive.names(r"^linux-source-[0-9.]+$")
    packages = [package for package in archive.versions(*names) if matches(package.version, wanted)]
    if not packages:
        versions = sorted((PACKAGE_NAME.sub(r"\1", name) for name in names), key=version_key)
        known = ", ".join(f"debian:{version}" for version in versions)
        raise FetchError(f"debian:{wanted}: no suite has its source; there are {known}")
    return packages[0]


def _fill(folder: Path, archive: Archive, package: Package, say: Say, keep: bool) -> None:
    program("xz")  # missing, it is told before the download
    say(f"fetching {package}")
    deb = archive.download(package, folder)
    manifest = SourceManifest(package=package.name, version=package.version, sha256=sha256(deb))
    say("unpacking its NTB sources")
    unpack_files(deb, FILES, folder)
    if keep:
        deb.rename(folder / PACKAGE)
    else:
        deb.unlink()
    (folder / MANIFEST).write_bytes(msgspec.json.format(encoded(manifest)))


def check_tree(option: str, root: Path) -> Path:
    """Return `root` as an absolute path; InputError: it is no kernel tree with the NTB files and
    the two drivers."""
    missing = [name for name in FILES if not (root / name).is_file()]
    if missing:
        raise InputError(option, str(root), f"a kernel tree with {missing[0]}")
    return root.absolute()


def driver_source(
    cache: Cache, side: Side, spec: str, kernel_source: DebianSource, say: Say
) -> DriverSource:
    """Return the driver of `side` that `spec` names, with the patches that it seems to carry.

    `side`: `ep` or `rc`.
    `spec`: `before`, `after`, `debian:VERSION`, a driver's C file, or a kernel tree.
    `kernel_source`: of the kernel to boot; `after` is its driver.
    InputError: no such file, or another file.
    FetchError: the source could not be had.
    """
    if spec == AFTER:
        path, origin = kernel_source.folder / DRIVERS[side], kernel_source.origin
        return DriverSource(side, spec, origin, path, side_patches(side))
    if spec == BEFORE:
        source = fetch_source(cache, BEFORE_VERSION, say)
        return DriverSource(side, spec, source.origin, source.folder / DRIVERS[side], ())
    if spec.startswith(DEBIAN):
        source = fetch_source(cache, _debian_version(side, spec), say)
        path = source.folder / DRIVERS[side]
        return DriverSource(side, spec, source.origin, path, carried(side, path))
    path = _own_driver(side, Path(spec))
    return DriverSource(side, spec, str(path), path, carried(side, path))


def _debian_version(side: Side, spec: str) -> str:
    try:
        return parse_spec(spec)
    except InputError as error:
        raise InputError(f"--{side}-driver", spec, error.allowed) from None


def _own_driver(side: Side, given: Path) -> Path:
    option = f"--{side}-driver"
    path = given / DRIVERS[side] if given.is_dir() else given
    if not path.is_file():
        name = Path(DRIVERS[side]).name
        allowed = f"{BEFORE}, {AFTER}, {DEBIAN}VERSION, a {name} or a kernel tree with it"
        raise InputError(option, str(given), allowed)
    if not os.access(path, os.R_OK):
        raise InputError(option, str(given), "a file that can be read")
    return path.absolute()


def body(code: str, function: str) -> str:
    """Return the body of `function` in kernel style: up to the first brace in column 0."""
    match = re.search(rf"^\w[^\n;]*\b{function}\(.*?^}}", code, re.MULTILINE | re.DOTALL)
    return match[0] if match else ""


Test = Callable[[str, str], object]  # (source with its comments, code) -> truthy: carries it


def _loops_start_at_doorbells(_: str, code: str) -> object:
    loop = body(code, "epf_ntb_cmd_handler")
    return re.search(rf"for \(i = {FIRST_DB};", loop) and re.search(
        rf"ntb_db_event\([^;]*i - {FIRST_DB}\)", loop
    )


# Source: the patches' own text, linux-source-7.3; read on 6.1.192, 6.12.95, 6.12.118 and 7.3.4.
TESTS: dict[int, Test] = {
    1: lambda source, _: re.search(r"Legacy mapping|MSI #\d+\s*: unused", source),
    2: lambda _, code: (
        "queue_work" in body(code, "vntb_epf_peer_db_set") and "peer_db_pending" in code
    ),
    3: _loops_start_at_doorbells,
    4: lambda _, code: re.search(
        r"db_count < (?:MIN_DB_COUNT|3)\b", body(code, "epf_ntb_configure_interrupt")
    ),
    5: lambda _, code: "-EOPNOTSUPP" in code and "epc_attached" in code,
    6: lambda _, code: re.search(
        rf"db_vector_count|nr_vec|- {FIRST_DB}\b", body(code, "vntb_epf_db_valid_mask")
    ),
    7: lambda _, code: re.search(r"\.db_vector_count\b", code) and ".db_vector_mask" in code,
    8: lambda source, _: re.search(
        r"[Hh]istorical|[Ll]egacy|backward", body(source, "ntb_epf_peer_db_set")
    ),
    9: lambda _, code: re.search(r"db_valid_mask = BIT_ULL\(ndev->db_count - 1\) - 1", code),
    10: lambda _, code: re.search(rf"irq_no - {FIRST_DB}\b", body(code, "ntb_epf_vec_isr")),
    11: lambda _, code: re.search(r"atomic64_t db_val\b", code) and "pci_irq_vector" not in body(
        code, "ntb_epf_vec_isr"
    ),
    12: lambda _, code: re.search(r"\.db_vector_count\b", code) and ".db_vector_mask" in code,
}  # fmt: skip


def carried(side: Side, path: Path) -> tuple[int, ...]:
    """Return the numbers of the patches that the text of the driver at `path` shows, sorted;
    InputError: the file cannot be read, or is no NTB driver."""
    source = read_driver(side, path)
    code = COMMENT.sub(" ", source)
    return tuple(number for number in side_patches(side) if TESTS[number](source, code))


def side_of_file(option: str, path: Path) -> Side:
    """Return the side that a C file is the driver of; InputError: it is no driver of the pair."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise InputError(option, str(path), error.strerror or str(error)) from None
    if NTB_DRIVER not in text:
        raise InputError(option, str(path), f"a driver of the pair: it calls no {NTB_DRIVER}()")
    return "ep" if ENDPOINT_DRIVER in text else "rc"


def read_driver(side: Side, path: Path) -> str:
    """Return the text of the driver at `path`; InputError: it cannot be read, or is no NTB
    driver."""
    option = f"--{side}-driver"
    try:
        source = path.read_text(errors="replace")
    except OSError as error:
        raise InputError(option, str(path), error.strerror or str(error)) from None
    if NTB_DRIVER not in source:
        allowed = f"a driver as {Path(DRIVERS[side]).name}: it calls no {NTB_DRIVER}()"
        raise InputError(option, str(path), allowed)
    return source
