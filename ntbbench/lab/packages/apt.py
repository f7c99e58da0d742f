# SPDX-License-Identifier: BSD-3-Clause
"""Debian's archive through a private apt configuration: the machine's own is never touched.

And which of its packages make one kernel: image, headers, build tools, NTB sources.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.lab.commands import CommandOutput, FetchError, run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR = "http://deb.debian.org"
# Codenames, not versions: which kernels they hold is read from them.
SUITES = (
    ("debian", "bookworm"),
    ("debian-security", "bookworm-security"),
    ("debian", "bookworm-backports"),
    ("debian", "trixie"),
    ("debian-security", "trixie-security"),
    ("debian", "trixie-backports"),
)
ARCHITECTURE = "amd64"


@dataclass(frozen=True)
class Package:
    """One version of one binary package, as the archive's signed index lists it."""

    name: str
    version: str
    # names of `Depends`, alternatives and versions dropped, and those version limits
    depends: tuple[str, ...]
    limits: tuple[tuple[str, str], ...]  # (name, at least this version)
    size: int  # bytes to download

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.size / 1e6:.0f} MB)"


@dataclass(frozen=True)
class Archive:
    """The archive seen from folder `root`, which holds this view's lists and settings.

    Signatures are checked with Debian's keyring. Proxies that the machine's apt uses are used too.
    """

    root: Path

    def update(self) -> None:
        """Read the suites' indexes (some 25 MB); FetchError: no network, or a signature that
        Debian's keyring does not know."""
        if not KEYRING.is_file():
            raise FetchError(f"{KEYRING} is missing: apt-get install debian-archive-keyring")
        for folder in ("lists/partial", "cache/archives/partial"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        lines = [
            f"deb [arch={ARCHITECTURE} signed-by={KEYRING}] {MIRROR}/{archive} {suite} main\n"
            for archive, suite in SUITES
        ]
        (self.root / "sources.list").write_text("".join(lines))
        result = self._apt("apt-get", "--error-on=any", "update")
        if result.status:
            raise FetchError(f"cannot read Debian's package lists: {result.last_words}")

    def names(self, pattern: str) -> list[str]:
        """Return the packages whose name matches the regular expression `pattern`."""
        result = self._apt("apt-cache", "search", "--names-only", pattern)
        return sorted({line.split(" ", 1)[0] for line in result.stdout.splitlines()})

    def versions(self, *names: str) -> list[Package]:
        """Return every version of the packages `names`, newest first by Debian's order."""
        if not names:
            return []
        result = self._apt("apt-cache", "show", "--all-versions", *names)
        found = {parse_stanza(text) for text in result.stdout.split("\n\n") if text.strip()}
        return sorted(found, key=lambda package: version_key(package.version), reverse=True)

    def download(self, package: Package, folder: Path) -> Path:
        """Download `package` into `folder` and return the .deb; apt checks its hash.

        FetchError: the archive no longer has it, or no network.
        """
        before = set(folder.glob("*.deb"))
        wanted = f"{package.name}={package.version}"
        result = self._apt("apt-get", "download", wanted, cwd=folder)
        new = set(folder.glob("*.deb")) - before
        if result.status or len(new) != 1:
            raise FetchError(f"cannot download {package}: {result.last_words}")
        return new.pop()

    def _apt(self, tool: str, *arguments: str, cwd: Path | None = None) -> CommandOutput:
        root = self.root
        settings = {
            "Dir::Etc::SourceList": root / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State": root,
            "Dir::State::Lists": root / "lists",
            "Dir::State::Status": root / "status",
            "Dir::Cache": root / "cache",
            "APT::Architecture": ARCHITECTURE,
            "APT::Sandbox::User": "root",  # else root warns that _apt cannot write here
            "Acquire::Languages": "none",
            "Acquire::GzipIndexes": "true",
            "Acquire::Retries": "3",
        }
        options = [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]
        return run([tool, "-q", *options, *arguments], cwd=cwd)


PartKey = tuple[tuple[tuple[int, ...], int], ...]  # texts and numbers in turn
VersionKey = tuple[int, PartKey, PartKey]  # epoch, upstream version, revision


def version_key(version: str) -> VersionKey:
    """Return what Debian versions sort by.

    Source: Debian Policy 5.6.12: epoch, upstream version, revision; text and numbers alternate,
    letters sort before other characters, and a tilde before the end.
    """
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return int(epoch or 0), _part_key(upstream), _part_key(revision)


def _part_key(part: str) -> PartKey:
    pieces = re.findall(r"([^0-9]*)([0-9]*)", part)
    return tuple(((*map(_weight, text), 0), int(number or 0)) for text, number in pieces)


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def parse_stanza(text: str) -> Package:
    """Return the package that one stanza of `apt-cache show` describes."""
    fields: dict[str, str] = dict(re.findall(r"^([A-Za-z-]+): *(.*)$", text, re.MULTILINE))
    first = [part.split("|")[0].strip() for part in fields.get("Depends", "").split(",")]
    limits = re.findall(r"([a-z0-9.+-]+)(?::\w+)? \(>= ([^)]+)\)", ", ".join(first))
    return Package(
        name=fields["Package"],
        version=fields["Version"],
        depends=tuple(re.findall(r"(?:^|, )([a-z0-9.+-]+)", ", ".join(first))),
        limits=tuple(limits),
        size=int(fields.get("Size", 0)),
    )


SPEC = re.compile(r"debian:(?P<version>\d+\.\d+(?:\.\d+)?)")
HEADERS = re.compile(r"linux-headers-(?P<abi>\d+\.\d+\.\d+[^-]*(?:-\d+)?)-amd64")
# Where the boot image is, best first: of its own (7.x), unsigned, signed (6.x).
IMAGES = ("linux-binary-{}-amd64", "linux-image-{}-amd64-unsigned", "linux-image-{}-amd64")
BUILD_PARTS = ("linux-headers-", "linux-kbuild-", "linux-base-")
RUNTIME = ("libc6", "libelf1t64", "libelf1", "zlib1g", "libzstd1")  # what kbuild's programs load


@dataclass(frozen=True)
class KernelPackages:
    """The packages of one kernel, all of one version."""

    version: str  # Debian's version of the source package
    source: Package
    image: Package
    headers: tuple[Package, ...]  # headers and the build tools they need
    # libraries that the build tools need and this machine is too old for; often none
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

    FetchError: no suite has it; the message names those that there are.
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
