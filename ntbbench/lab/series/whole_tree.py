# SPDX-License-Identifier: BSD-3-Clause
"""A repository with a whole kernel: which commits change the kernel itself, and its build."""

import hashlib
import re
import tarfile
from functools import partial
from pathlib import Path

from ntbbench.lab.commands import output, reading
from ntbbench.lab.packages.apt import version_key
from ntbbench.lab.packages.fetch import is_read
from ntbbench.lab.pair.pair_kernel import KernelTree
from ntbbench.lab.pair.sources import AFTER_VERSION, FILES
from ntbbench.lab.series.repository import git

# What a build reads first; a repository with part of a kernel lacks one.
PARTS = ("Kbuild", "Kconfig", "arch/x86/Makefile", "init", "kernel", "lib", "mm", "scripts")
# The endpoint core, which both drivers stand on: a commit that changes it is one of the series.
NEAR = ("drivers/pci/endpoint", "include/linux/pci-ep*")
# Texts, and drivers that the lab's kernel has not: the lab builds its own modules apart.
SILENT = re.compile(
    r"(CREDITS|MAINTAINERS|README|\.mailmap)$|LICENSES/|drivers/ntb/|drivers/pci/endpoint/functions/"
)


def is_whole(tree: Path, commit: str, version: str | None) -> bool:
    """Return whether a commit of a repository is a kernel that the lab can boot."""
    if version is None or version_key(version) < version_key(AFTER_VERSION):
        return False
    found = git("-C", tree, "ls-tree", "--name-only", commit, "--", *PARTS).stdout.split()
    return len(found) == len(PARTS)


def is_built_in(name: str) -> bool:
    """Return whether a file of the tree decides on the kernel that the lab boots."""
    return is_read(name) and name not in FILES and not SILENT.match(name)


def kernel_tree(tree: Path, commit: str) -> KernelTree:
    """Return the kernel of a commit of a repository."""
    origin = f"commit {commit[:12]} of {tree}"
    return KernelTree(origin, content(tree, commit), partial(_unpack, tree, commit))


def content(tree: Path, commit: str) -> str:
    """Return a digest of what the kernel of a commit is built of."""
    listed = git("-C", tree, "ls-tree", "-r", "-z", "--full-tree", commit).stdout.split("\0")
    lines = [line for line in listed if line and is_built_in(line.partition("\t")[2])]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _unpack(tree: Path, commit: str, folder: Path) -> None:
    archived = ["git", "-C", str(tree), "archive", "--format=tar", commit]
    with (
        reading(archived) as archiving,
        tarfile.open(fileobj=output(archiving), mode="r|") as archive,
    ):
        for member in archive:
            if is_read(member.name):
                archive.extract(member, folder, filter="tar")
