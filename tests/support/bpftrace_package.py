# SPDX-License-Identifier: BSD-3-Clause
"""Debian's bpftrace and all that it needs, as an archive that a guest can unpack."""

import shutil
import tarfile
import tempfile
from pathlib import Path

from lab_kernel import CACHE

from ntbbench.lab.commands import run
from ntbbench.lab.packages.apt import Archive, Package

PACKAGE = "bpftrace"
UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/locale")
MEMORY = 2048  # MiB of a guest that holds the archive, its files and the compiler at work


def archive() -> Path:
    """Return the archive, made from Debian's packages the first time (60 MB to download)."""
    path = CACHE.root / f"{PACKAGE}.tar"
    if not path.is_file():
        source = Archive(CACHE.root / "apt")
        source.update()
        with tempfile.TemporaryDirectory(dir=CACHE.root) as name:
            root, new = Path(name) / "root", Path(name) / "new.tar"
            root.mkdir()
            for package in closure(source).values():
                deb = source.download(package, Path(name))
                assert run(["dpkg-deb", "--extract", deb, root]).status == 0, package
                deb.unlink()
            for unused in UNUSED:
                shutil.rmtree(root / unused, ignore_errors=True)
            with tarfile.open(new, "w") as tar:
                tar.add(root, ".")
            new.replace(path)
    return path


def closure(source: Archive) -> dict[str, Package]:
    """Return bpftrace and what it depends on, by name, of the oldest suite: they fit each other."""
    found: dict[str, Package] = {}
    wanted = [PACKAGE]
    while wanted:
        name = wanted.pop()
        versions = [package for package in source.versions(name) if package.name == name]
        if name not in found and versions:
            found[name] = versions[-1]
            wanted += found[name].depends
    return found
