# SPDX-License-Identifier: BSD-3-Clause
"""What the lab takes out of a linux-source package, on small packages of the same make."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import children
import pytest

from ntbbench.lab.commands import FetchError
from ntbbench.lab.packages.fetch import unpack_files, unpack_tree

# Packages are made and unpacked by the programs that `make test-guest` installs.
pytestmark = pytest.mark.guest

FILES = {
    "Makefile": "the top",
    "drivers/ntb/core.c": "the core",
    "drivers/gpu/drm/big.c": "never compiled here",
    "drivers/gpu/Kconfig": "read all the same",
    "arch/arm/kernel/setup.c": "another machine's",
    "net/ipv4/udp.c": "udp",
}


def package(folder: Path, tarball: str, names: Sequence[str]) -> Path:
    """Return a package that holds a tree of `names`, packed in blocks as Debian's are."""
    tree = folder / "linux-source-7.3"
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(FILES[name])
    root = folder / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN").chmod(0o755)  # as dpkg-deb wants it, whatever the umask is
    (root / "DEBIAN" / "control").write_text(
        "Package: linux-source-7.3\nVersion: 7.3.4-1\nArchitecture: all\n"
        "Maintainer: none <none@example.org>\nDescription: a small one\n"
    )
    source = root / "usr" / "src"
    source.mkdir(parents=True)
    with tarfile.open(folder / "tree.tar", "w") as archive:
        archive.add(tree, tree.name)
    with (source / tarball).open("wb") as packed:
        command = ["xz", "--stdout", "--threads=2", "--block-size=4096", folder / "tree.tar"]
        children.run(command, check=True, stdout=packed)
    deb = folder / "package.deb"
    children.run(["dpkg-deb", "--build", root, deb], check=True, stdout=subprocess.DEVNULL)
    return deb


def contents(folder: Path) -> dict[str, str]:
    """Return the text of each file below `folder`, by its path."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def test_a_tree_lacks_only_what_the_build_never_reads(tmp_path: Path) -> None:
    deb = package(tmp_path, "linux-source-7.3.tar.xz", list(FILES))
    unpack_tree(deb, tmp_path / "out")
    unused = {"drivers/gpu/drm/big.c", "arch/arm/kernel/setup.c"}
    assert contents(tmp_path / "out") == {
        name: text for name, text in FILES.items() if name not in unused
    }


def test_single_files_are_taken_and_no_others(tmp_path: Path) -> None:
    deb = package(tmp_path, "linux-source-7.3.tar.xz", list(FILES))
    unpack_files(deb, ("drivers/ntb/core.c", "net/ipv4/udp.c"), tmp_path / "out")
    assert contents(tmp_path / "out") == {"drivers/ntb/core.c": "the core", "net/ipv4/udp.c": "udp"}


def test_a_file_that_the_package_lacks_is_named(tmp_path: Path) -> None:
    deb = package(tmp_path, "linux-source-7.3.tar.xz", ["Makefile"])
    with pytest.raises(FetchError, match=r"^package\.deb: has no drivers/ntb/core\.c$"):
        unpack_files(deb, ("Makefile", "drivers/ntb/core.c"), tmp_path / "out")


def test_a_package_without_the_tarball_is_told(tmp_path: Path) -> None:
    deb = package(tmp_path, "linux-doc-7.3.tar.xz", list(FILES))
    with pytest.raises(FetchError, match=r"^package\.deb: no whole linux-source tarball"):
        unpack_tree(deb, tmp_path / "out")


def test_what_is_no_package_is_told(tmp_path: Path) -> None:
    deb = tmp_path / "package.deb"
    deb.write_bytes(b"no package")
    with pytest.raises(FetchError, match=r"^package\.deb: no whole linux-source tarball"):
        unpack_tree(deb, tmp_path / "out")


@pytest.mark.parametrize("program", ["dpkg-deb", "tar", "xz"])
@pytest.mark.parametrize("files", [1, 3, 5])
def test_a_tree_cut_between_two_files_is_not_whole(program, files, tmp_path, monkeypatch) -> None:
    """Each program in turn ends in failure, with what it wrote ending behind a file, or whole."""
    deb = package(tmp_path, "linux-source-7.3.tar.xz", list(FILES))
    fake = tmp_path / "bin" / program
    fake.parent.mkdir()
    ending = f"head -c {files * 3 * tarfile.BLOCKSIZE}" if program == "xz" else "cat"
    fake.write_text(f'#!/bin/sh\n{shutil.which(program)} "$@" | {ending}\nkill -9 $$\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    for unpack in (
        lambda: unpack_tree(deb, tmp_path / "out"),
        lambda: unpack_files(deb, ("Makefile",), tmp_path / "out"),
    ):
        with pytest.raises(FetchError, match=r"^package\.deb: no whole linux-source tarball"):
            unpack()
