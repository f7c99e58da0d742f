# SPDX-License-Identifier: BSD-3-Clause
"""Programs of Debian for the guest, with the libraries that they load: never installed here."""

import re
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from ntbbench.core.ending import scratch_folder
from ntbbench.lab.commands import FetchError, run
from ntbbench.lab.packages.apt import Archive, Package
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.fetch import LOADER

LIBRARY = ("lib", "zlib1g")  # how the names of packages with libraries begin
SONAME = re.compile(r"lib[\w+.-]+\.so\.\d+")  # what a program names, not libz.so.1.3.1 behind it


def fetch_programs(cache: Cache, programs: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """Return a folder with programs in `bin`, their libraries in `lib` and `lib64`.

    Parameters
    ----------
    programs : the package of each program, by the program's name.

    FetchError: a package could not be had, or lacks its program.
    """
    place = cache.root / "programs" / f"debian-{'+'.join(sorted(programs.values()))}"
    words = "reading Debian's package lists"
    return cache.kept(place, words, say, lambda folder: _fill(cache, folder, programs, say))


def _fill(
    cache: Cache, folder: Path, programs: Mapping[str, str], say: Callable[[str], None]
) -> None:
    archive = Archive(cache.root / "apt")
    archive.update()
    with scratch_folder(folder) as scratch:
        root = scratch / "root"
        for package in with_libraries(archive.versions, programs.values()):
            say(f"fetching {package}")
            deb = archive.download(package, scratch)
            result = run(["dpkg-deb", "--extract", deb, root])
            if result.status:
                raise FetchError(f"{deb.name}: {result.last_words}")
        lay_out(root, folder, programs)


def with_libraries(versions: Callable[..., list[Package]], names: Collection[str]) -> list[Package]:
    """Return the newest version of each package and of all packages of libraries below it.

    FetchError: no suite has one.
    """
    newest: dict[str, Package] = {}
    wanted = set(names)
    while wanted:
        for package in versions(*sorted(wanted)):
            newest.setdefault(package.name, package)
        if missing := sorted(wanted - newest.keys()):
            raise FetchError(f"{missing[0]}: no suite has it")
        needed = {name for package in newest.values() for name in package.depends}
        wanted = {name for name in needed if name.startswith(LIBRARY)} - newest.keys()
    return [newest[name] for name in sorted(newest)]


def lay_out(root: Path, folder: Path, programs: Mapping[str, str]) -> None:
    """Copy what a guest needs of unpacked packages; FetchError: a program is not in them."""
    for name in ("bin", "lib", "lib64"):
        (folder / name).mkdir()
    files = {path.name: path for path in sorted(root.glob("**/lib*/**/*")) if path.is_file()}
    for name, package in programs.items():
        found = [path for path in root.glob(f"**/*bin/{name}") if path.is_file()]
        if not found:
            raise FetchError(f"{package}: has no {name}")
        shutil.copy(found[0], folder / "bin")
    for name, path in files.items():
        if SONAME.fullmatch(name):
            shutil.copy(path, folder / "lib")
    if LOADER in files:
        shutil.copy(files[LOADER], folder / "lib64")
