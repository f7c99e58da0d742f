# SPDX-License-Identifier: BSD-3-Clause
"""Debian's archive through a private apt configuration: the machine's own is never touched."""

import re
from dataclasses import dataclass
from pathlib import Path

from ntbbench.lab.commands import Output, run
from ntbbench.lab.lab_errors import FetchError

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
    """One version of one binary package, as the archive's signed index lists it.

    Parameters
    ----------
    depends : names of `Depends`, alternatives and versions dropped, and those version limits.
    size : bytes to download.
    """

    name: str
    version: str
    depends: tuple[str, ...]
    limits: tuple[tuple[str, str], ...]  # (name, at least this version)
    size: int

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.size / 1e6:.0f} MB)"


@dataclass(frozen=True)
class Archive:
    """The archive seen from folder `root`, which holds this view's lists and settings.

    Signatures are checked with Debian's keyring. Proxies that the machine's apt uses are used too.
    """

    root: Path

    def update(self) -> None:
        """Read the suites' indexes (some 25 MB).

        Raises
        ------
        FetchError : no network, or a signature that Debian's keyring does not know.
        """
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

        Raises
        ------
        FetchError : the archive no longer has it, or no network.
        """
        before = set(folder.glob("*.deb"))
        wanted = f"{package.name}={package.version}"
        result = self._apt("apt-get", "download", wanted, cwd=folder)
        new = set(folder.glob("*.deb")) - before
        if result.status or len(new) != 1:
            raise FetchError(f"cannot download {package}: {result.last_words}")
        return new.pop()

    def _apt(self, tool: str, *arguments: str, cwd: Path | None = None) -> Output:
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
