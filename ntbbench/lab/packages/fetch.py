# SPDX-License-Identifier: BSD-3-Clause
"""Kernels in the cache: fetched from Debian, unpacked, never installed on this machine."""

import re
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ntbbench.core.ending import scratch_folder
from ntbbench.core.result_file import encoded
from ntbbench.lab.commands import FetchError, output, program, reading, run
from ntbbench.lab.packages.apt import (
    HEADERS,
    Archive,
    KernelPackages,
    matches,
    resolve,
    version_key,
)
from ntbbench.lab.packages.cache import Cache, sha256, write_checksums

TARBALL = ("--wildcards", "--no-wildcards-match-slash", "./usr/src/linux-source-[0-9]*.tar.xz")
UNREAD = 1 << 20  # bytes of it that are read at a time
# What no build of a small x86-64 kernel compiles; its Kconfig and make files are read all the same.
UNUSED = re.compile(
    r"(Documentation|arch/(?!x86/)[^/]+|sound|samples|rust"
    r"|drivers/(accel|ata|block|bluetooth|clk|comedi|crypto|gpu|greybus|hid|hwmon|hwtracing|i2c|i3c"
    r"|iio|infiniband|input|interconnect|isdn|leds|md|media|mfd|misc|mmc|mtd|nvme|perf|phy|pinctrl"
    r"|platform|power|regulator|remoteproc|s390|scsi|soc|spi|staging|target|thunderbolt|usb|video|w1"
    r"|watchdog|net/[^/]+)"
    r"|fs/(?!proc/|sysfs/|kernfs/|configfs/|debugfs/|tracefs/|devpts/|ramfs/|notify/|iomap/)[^/]+"
    r"|net/(?!core/|ipv4/|ipv6/|sched/|netlink/|ethtool/|ethernet/)[^/]+"
    r"|tools/(testing|perf|net|power|verification|virtio))/"
)
READ_ANYWAY = re.compile(r"(Kconfig|Makefile|Kbuild)[^/]*$")


def is_read(name: str) -> bool:
    """Return whether a build of the lab's kernel reads this file of the tree."""
    return not UNUSED.match(name) or READ_ANYWAY.search(name) is not None


def unpack_files(deb: Path, names: tuple[str, ...], folder: Path) -> None:
    """Take files `names` of the kernel tree out of the package, without unpacking the rest;
    FetchError: it is no linux-source package, or lacks a file."""
    missing = set(names)
    with _tree(deb) as inner:
        while missing and (member := inner.next()) is not None:
            name = member.name.partition("/")[2]
            file = inner.extractfile(member) if name in missing else None
            if file is not None:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(file.read())
                missing.remove(name)
    if missing:
        raise FetchError(f"{deb.name}: has no {', '.join(sorted(missing))}")


def unpack_tree(deb: Path, folder: Path) -> None:
    """Unpack the kernel tree, without what a build of a small x86-64 kernel never reads;
    FetchError: it is no linux-source package."""
    with _tree(deb) as inner:
        for member in inner:
            member.name = member.name.partition("/")[2]
            if member.name and is_read(member.name):
                inner.extract(member, folder, filter="tar")


@contextmanager
def _tree(deb: Path) -> Iterator[tarfile.TarFile]:
    """Open the tarball inside the package as a stream, which must prove whole at its end.

    By programs in a pipeline: Debian packs it in blocks, which xz unpacks on all processors.
    """
    take = ["tar", "--extract", "--file=-", "--to-stdout", *TARBALL]
    with (
        reading(["dpkg-deb", "--fsys-tarfile", deb]) as package,
        reading(take, output(package)) as packed,
        reading(["xz", "--decompress", "--stdout", "--threads=0"], output(packed)) as unpacked,
    ):
        stream = output(unpacked)
        try:
            with tarfile.open(fileobj=stream, mode="r|") as tree:
                yield tree
        except tarfile.TarError as error:
            raise FetchError(f"{deb.name}: no whole linux-source tarball: {error}") from error
        while stream.read(UNREAD):
            pass
        # tarfile takes an end between two files for the archive's
        if any(child.wait() for child in (unpacked, packed, package)):
            raise FetchError(f"{deb.name}: no whole linux-source tarball")


MANIFEST = "kernel.json"
KERNELS = "kernels"  # folder in the cache
IMAGE = re.compile(r"\./(boot/vmlinuz-[^/]+|usr/lib/modules/[^/]+/vmlinuz)")
NTB_FILES = (
    "drivers/ntb/core.c",
    "drivers/ntb/msi.c",
    "drivers/ntb/ntb_transport.c",
    "drivers/net/ntb_netdev.c",
    "include/linux/ntb.h",
    "include/linux/ntb_transport.h",
)
# Debian's headers name each other by absolute path; this names them by where they lie.
INSTALLED = "/usr/src/"
BESIDE = "$(abspath $(dir $(lastword $(MAKEFILE_LIST)))/..)/"
ELF = b"\x7fELF"
LOADER = "ld-linux-x86-64.so.2"
Say = Callable[[str], None]


class FetchedPackage(msgspec.Struct, frozen=True, kw_only=True):
    """One package that was unpacked, with the SHA-256 of its .deb."""

    name: str
    version: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What `kernel.json` in a kernel's folder says."""

    version: str
    release: str  # as uname -r
    packages: list[FetchedPackage]


@dataclass(frozen=True)
class CachedKernel:
    """An unpacked kernel: `folder` holds boot image, headers and NTB sources."""

    folder: Path
    manifest: Manifest

    @property
    def image(self) -> Path:
        """The compressed boot image."""
        return self.folder / "vmlinuz"

    @property
    def kbuild(self) -> Path:
        """The folder that `make -C` takes to build modules."""
        return self.folder / "headers" / "usr" / "src" / f"linux-headers-{self.manifest.release}"

    @property
    def source(self) -> Path:
        """The NTB files of linux-source, in the kernel tree's own layout."""
        return self.folder / "source"


def cached(cache: Cache, wanted: str) -> CachedKernel | None:
    """Return the newest cached kernel of version `wanted`; None: there is none."""
    found = []
    for path in (cache.root / KERNELS).glob(f"[!.]*/{MANIFEST}"):
        try:
            manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        except msgspec.MsgspecError as error:
            raise FetchError(f"{path}: {error}: remove its folder and fetch again") from error
        if matches(manifest.version, wanted):
            found.append(CachedKernel(path.parent, manifest))
    return max(found, key=lambda kernel: version_key(kernel.manifest.version), default=None)


def fetch(cache: Cache, wanted: str, say: Say, *, newest: bool = False) -> CachedKernel:
    """Return kernel `wanted`, fetching it unless the cache holds one.

    `wanted`: a version such as 6.12 (any 6.12.x) or 6.12.95.
    `say`: told each step.
    `newest`: ask Debian for a newer one even if the cache holds one.
    FetchError: no network, no such version, or a package that is not what it should be.
    """
    with cache.lock(say):
        kernel = cached(cache, wanted)
        if kernel is not None and not newest:
            return kernel
        cache.check_writable()
        archive = Archive(cache.root / "apt")
        say("reading Debian's package lists")
        archive.update()
        packages = resolve(archive, wanted)
        place = cache.root / KERNELS / packages.version
        if not (place / MANIFEST).is_file():
            cache.publish(place, lambda folder: _fill(folder, archive, packages, say))
        kernel = cached(cache, packages.version)
    if kernel is None:
        raise FetchError(f"{place}: holds no kernel after it was unpacked")
    return kernel


def _fill(folder: Path, archive: Archive, packages: KernelPackages, say: Say) -> None:
    program("xz")  # missing, it is told before the download
    fetched = []
    with scratch_folder(folder) as scratch:
        for package in packages.all:
            say(f"fetching {package}")
            deb = archive.download(package, scratch)
            size, digest, version = deb.stat().st_size, sha256(deb), package.version
            fetched.append(
                FetchedPackage(name=package.name, version=version, size=size, sha256=digest)
            )
            if package == packages.source:
                say("unpacking its NTB sources")
                unpack_files(deb, NTB_FILES, folder / "source")
            elif package == packages.image:
                _unpack_image(deb, folder / "vmlinuz")
            else:
                below = "runtime" if package in packages.runtime else "headers"
                result = run(["dpkg-deb", "--extract", deb, folder / below])
                if result.status:
                    raise FetchError(f"{deb.name}: {result.last_words}")
            deb.unlink()
    match = HEADERS.fullmatch(packages.headers[0].name)
    assert match is not None
    release = f"{match['abi']}-amd64"
    makefile = folder / "headers" / "usr" / "src" / f"linux-headers-{release}" / "Makefile"
    makefile.write_text(makefile.read_text().replace(INSTALLED, BESIDE))
    if packages.runtime:
        wrap_programs(folder / "headers", folder / "runtime")
    manifest = Manifest(version=packages.version, release=release, packages=fetched)
    (folder / MANIFEST).write_bytes(msgspec.json.format(encoded(manifest)))
    write_checksums(folder)


def _unpack_image(deb: Path, image: Path) -> None:
    with reading(["dpkg-deb", "--fsys-tarfile", deb]) as unpacking:
        try:
            with tarfile.open(fileobj=output(unpacking), mode="r|") as archive:
                for member in archive:
                    file = archive.extractfile(member) if IMAGE.fullmatch(member.name) else None
                    if file is not None:
                        image.write_bytes(file.read())
                        return
        except tarfile.TarError as error:
            raise FetchError(f"{deb.name}: {error}") from error
    raise FetchError(f"{deb.name}: holds no boot image")


def wrap_programs(headers: Path, runtime: Path) -> None:
    """Make the build tools below `headers` run on the libraries below `runtime`.

    Each program becomes a script that starts it through its own loader: this machine's libc is
    older than the one that they were linked with.
    """
    up = '$(dirname "$(readlink -f "$0")")'
    for path in sorted((headers / "usr" / "lib").rglob("*")):
        if path.is_symlink() or not path.is_file() or not path.stat().st_mode & stat.S_IXUSR:
            continue
        with path.open("rb") as file:
            if file.read(len(ELF)) != ELF:
                continue
        program = path.with_name(f"{path.name}.elf")
        path.rename(program)
        back = "/".join([".."] * len(path.parent.relative_to(headers.parent).parts))
        libraries = f"{up}/{back}/{runtime.name}/usr/lib"
        path.write_text(
            "#!/bin/sh\n"
            f'exec "{libraries}64/{LOADER}" --library-path "{libraries}/x86_64-linux-gnu" \\\n'
            f'\t--argv0 "$0" "{up}/{program.name}" "$@"\n'
        )
        path.chmod(0o755)
