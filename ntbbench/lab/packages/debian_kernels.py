# SPDX-License-Identifier: BSD-3-Clause
"""Which Debian packages make one kernel of the lab: image, headers, build tools, NTB sources."""

import os
import re
from dataclasses import dataclass

from ntbbench.core.errors import InputError
from ntbbench.lab.lab_errors import FetchError
from ntbbench.lab.packages.apt import Archive, Package, version_key

SPEC = re.compile(r"debian:(?P<version>\d+\.\d+(?:\.\d+)?)")
HEADERS = re.compile(r"linux-headers-(?P<abi>\d+\.\d+\.\d+[^-]*(?:-\d+)?)-amd64")
# Where the boot image is, best first: of its own (7.x), unsigned, signed (6.x).
IMAGES = ("linux-binary-{}-amd64", "linux-image-{}-amd64-unsigned", "linux-image-{}-amd64")
BUILD_PARTS = ("linux-headers-", "linux-kbuild-", "linux-base-")
RUNTIME = ("libc6", "libelf1t64", "libelf1", "zlib1g", "libzstd1")  # what kbuild's programs load


@dataclass(frozen=True)
class KernelPackages:
    """The packages of one kernel, all of one version.

    Parameters
    ----------
    version : Debian's version of the source package.
    headers : headers and the build tools they need.
    runtime : libraries that the build tools need and this machine is too old for; often none.
    """

    version: str
    source: Package
    image: Package
    headers: tuple[Package, ...]
    runtime: tuple[Package, ...]

    @property
    def all(self) -> tuple[Package, ...]:
        """Every package, the smallest first."""
        packages = (self.source, self.image, *self.headers, *self.runtime)
        return tuple(sorted(packages, key=lambda package: package.size))


def parse_spec(spec: str) -> str:
    """Return the kernel version of `debian:VERSION`; InputError: anything else."""
    match = SPEC.fullmatch(spec)
    if match is None:
        raise InputError("--kernel", spec, "debian:VERSION, as debian:6.12 or debian:6.12.95")
    return match["version"]


def matches(version: str, wanted: str) -> bool:
    """Return whether Debian version `version` is of kernel `wanted` (6.12 takes any 6.12.x)."""
    return re.match(re.escape(wanted) + r"(?![0-9])", version) is not None


def resolve(archive: Archive, wanted: str) -> KernelPackages:
    """Return the packages of the newest kernel `wanted` that is complete in the archive.

    One whose build tools run on this machine is preferred to a newer one of a later suite.

    Raises
    ------
    FetchError : no suite has it; the message names those that there are.
    """
    branch = re.escape(".".join(wanted.split(".")[:2]))
    names = archive.names(rf"^linux-(source|image|binary|headers|kbuild|base)-{branch}([^0-9]|$)")
    packages = [p for p in archive.versions(*names) if matches(p.version, wanted)]
    kernels = []
    for version in dict.fromkeys(p.version for p in packages):  # newest first
        parts = assemble([p for p in packages if p.version == version])
        if parts is not None:
            kernels.append(KernelPackages(version, *parts, _runtime(archive, parts[2])))
            if not kernels[-1].runtime:
                return kernels[-1]
    if not kernels:
        have = archive.names(r"^linux-source-[0-9.]+$")
        known = sorted((name.removeprefix("linux-source-") for name in have), key=version_key)
        raise FetchError(
            f"debian:{wanted}: no suite has all of its packages; there are debian:"
            + ", debian:".join(known)
        )
    return kernels[0]


def assemble(packages: list[Package]) -> tuple[Package, Package, tuple[Package, ...]] | None:
    """Return source, image and headers out of the packages of one version; None: incomplete."""
    by_name = {package.name: package for package in packages}
    source = next((p for p in packages if p.name.startswith("linux-source-")), None)
    for headers in packages:
        match = HEADERS.fullmatch(headers.name)
        if match is None:
            continue
        images = [name.format(match["abi"]) for name in IMAGES]
        image = next((by_name[name] for name in images if name in by_name), None)
        tools = [by_name.get(name) for name in headers.depends if name.startswith(BUILD_PARTS)]
        if source is not None and image is not None and None not in tools:
            return source, image, (headers, *(tool for tool in tools if tool is not None))
    return None


def _runtime(archive: Archive, tools: tuple[Package, ...]) -> tuple[Package, ...]:
    """Return the newest libraries that `tools` load, if this machine's libc is too old for them."""
    needed = [limit for tool in tools for name, limit in tool.limits if name == "libc6"]
    libc = (os.confstr("CS_GNU_LIBC_VERSION") or "glibc 0").split()[1]
    if all(version_key(libc) >= version_key(limit) for limit in needed):
        return ()
    wanted = {name for tool in tools for name in tool.depends if name in RUNTIME} | {"libzstd1"}
    newest: dict[str, Package] = {}
    for package in archive.versions(*sorted(wanted)):
        newest.setdefault(package.name, package)
    return tuple(newest.values())
