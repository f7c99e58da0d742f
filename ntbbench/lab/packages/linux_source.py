# SPDX-License-Identifier: BSD-3-Clause
"""Debian's linux-source packages: single files or the whole tree out of one, never installed."""

import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ntbbench.lab.commands import output, reading
from ntbbench.lab.lab_errors import FetchError

TARBALL = ("--wildcards", "--no-wildcards-match-slash", "./usr/src/linux-source-[0-9]*.tar.xz")
UNREAD = 1 << 20  # bytes of it that are read at a time
# What no build of a small x86-64 kernel compiles; its Kconfig and make files are read all the same.
UNUSED = re.compile(
    r"(Documentation|arch/(?!x86/)[^/]+|sound|samples|rust"
    r"|drivers/(accel|ata|block|bluetooth|clk|comedi|crypto|gpu|greybus|hid|hwmon|hwtracing|i2c|i3c"
    r"|iio|infiniband|input|interconnect|isdn|leds|md|media|mfd|misc|mmc|mtd|nvme|perf|phy|pinctrl"
    r"|platform|power|regulator|remoteproc|s390|scsi|soc|spi|staging|target|thunderbolt|usb|video|w1"
    r"|watchdog|net/[^/]+)"
    r"|fs/(?!proc/|sysfs/|kernfs/|configfs/|debugfs/|tracefs/|ramfs/|notify/|iomap/)[^/]+"
    r"|net/(?!core/|ipv4/|ipv6/|sched/|netlink/|ethtool/|ethernet/)[^/]+"
    r"|tools/(testing|perf|net|power|verification|virtio))/"
)
READ_ANYWAY = re.compile(r"(Kconfig|Makefile|Kbuild)[^/]*$")


def unpack_files(deb: Path, names: tuple[str, ...], folder: Path) -> None:
    """Take files `names` of the kernel tree out of the package, without unpacking the rest.

    Raises
    ------
    FetchError : it is no linux-source package, or lacks a file.
    """
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
    """Unpack the kernel tree, without what a build of a small x86-64 kernel never reads.

    Raises
    ------
    FetchError : it is no linux-source package.
    """
    with _tree(deb) as inner:
        for member in inner:
            member.name = member.name.partition("/")[2]
            if member.name and (not UNUSED.match(member.name) or READ_ANYWAY.search(member.name)):
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
