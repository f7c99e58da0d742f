# SPDX-License-Identifier: BSD-3-Clause
"""The cache folder: nothing half-written, one writer at a time, checksums kept."""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ntbbench.core.ending import scratch_folder
from ntbbench.core.errors import InputError
from ntbbench.core.result_file import real_path
from ntbbench.lab.commands import FetchError

FOR_MAKE = re.compile(r"[\w/.+@~-]+")
CHECKSUMS = "SHA256SUMS"  # in the format of sha256sum(1): `sha256sum -c` reads it too


@dataclass(frozen=True)
class Cache:
    """The folder that holds what was fetched and built."""

    root: Path  # absolute path; made on first use

    def __post_init__(self) -> None:
        """Raise InputError where make, which builds here, cannot take the path."""
        check_for_make("--cache", self.root)

    @contextmanager
    def lock(self, say: Callable[[str], None], name: str = "lock") -> Iterator[None]:
        """Hold the cache for writing; a second run waits here, and `say` is told of the wait.

        What takes minutes has a lock of its own, `name`, and a folder that only its holder writes
        to. The kernel frees a lock on any exit. A cache that this user may only read is held
        against its writers, who alone can change it; `check_writable()` tells the two apart.

        InputError: the folder cannot be made.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._refused(error) from None
        for mode, how in (("w", fcntl.LOCK_EX), ("r", fcntl.LOCK_SH)):
            try:
                file = (self.root / name).open(mode)
            except OSError:
                continue
            with file:
                try:
                    fcntl.flock(file, how | fcntl.LOCK_NB)
                except BlockingIOError:
                    say(f"another run is using the cache {self.root}, waiting")
                    fcntl.flock(file, how)
                yield
            return
        yield  # no writer has ever been here, and this run is none

    def check_writable(self) -> None:
        """Raise InputError unless this user may write to the cache."""
        try:
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> InputError:
        reason = f"lacks what this run needs and cannot be written: {error.strerror}"
        return InputError("--cache", str(self.root), reason)

    def kept(
        self, place: Path, words: str, say: Callable[[str], None], fill: Callable[[Path], None]
    ) -> Path:
        """Return folder `place`, which `fill` fills the first time; `say` is told `words` then.

        Exceptions as of `publish`.
        """
        if place.is_dir():  # it appeared whole: no need to wait for others that build
            return place
        with self.lock(say):
            if not place.is_dir():
                say(words)
                self.publish(place, fill)
        return place

    def publish(self, place: Path, fill: Callable[[Path], None]) -> None:
        """Make folder `place` appear all at once: `fill` a temporary one, then rename it.

        Whatever stood at `place` is replaced. A run that dies leaves only a folder named
        `.new-*`, which the next one removes. Call it with the lock held.

        FetchError: the disk is full; nothing is left of the attempt.
        InputError: this user may not write to the cache.
        """
        self.check_writable()
        place.parent.mkdir(parents=True, exist_ok=True)
        for stale in place.parent.glob(".new-*"):
            shutil.rmtree(stale)
        try:
            with scratch_folder(place.parent, ".new-") as scratch:
                fresh = scratch / place.name
                fresh.mkdir()
                fill(fresh)
                fresh.chmod(0o755)
                if place.exists():
                    place.rename(scratch / "old")
                fresh.rename(place)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise FetchError(f"{place}: the disk is full; nothing was kept") from error


def check_for_make(option: str, path: Path) -> None:
    """Raise InputError for a folder that make would take apart, or give to a shell to run."""
    for name in (str(path), str(real_path(path))):
        if not FOR_MAKE.fullmatch(name):
            allowed = "a path of letters, digits and _ / . + @ ~ - alone: make runs the rest"
            raise InputError(option, name, allowed)


def default_root(given: Path | None) -> Path:
    """Return the cache's folder: `given`, else $NTBBENCH_CACHE, else ntbbench/ below XDG's."""
    if given is not None:
        return given.absolute()
    named = os.environ.get("NTBBENCH_CACHE")
    if named:
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ntbbench"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_checksums(folder: Path) -> None:
    """Write `SHA256SUMS` over every regular file below `folder`."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    lines = [f"{sha256(path)}  {path.relative_to(folder)}\n" for path in files]
    (folder / CHECKSUMS).write_text("".join(lines))


def damaged(folder: Path) -> list[str]:
    """Return the files below `folder` that are missing or differ from their checksum."""
    wrong = []
    for line in (folder / CHECKSUMS).read_text().splitlines():
        digest, _, name = line.partition("  ")
        path = folder / name
        if not path.is_file() or sha256(path) != digest:
            wrong.append(name)
    return wrong
