# SPDX-License-Identifier: BSD-3-Clause
"""What the lab's tests share: the kernel they run, and a patched copy of its NTB files."""

import os
import select
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ntbbench.cli.main import main
from ntbbench.lab.packages.cache import Cache, default_root
from ntbbench.lab.packages.fetch import CachedKernel, fetch

VERSION = "6.12"
CACHE = Cache(default_root(None))


def kernel() -> CachedKernel:
    """Return the tests' kernel, fetched from Debian the first time."""
    return fetch(CACHE, VERSION, print)


def patched_tree(folder: Path, name: str, patch: Callable[[str], str]) -> Path:
    """Return a tree of the kernel's NTB files in which `patch` changed file `name`."""
    tree = folder / "linux"
    shutil.copytree(kernel().source, tree)
    before = (tree / name).read_text()
    after = patch(before)
    assert after != before
    (tree / name).write_text(after)
    return tree


def lab_run(*arguments: str | Path) -> int:
    """Run `ntbbench lab run` with `arguments` in this process and return its exit code."""
    words: Sequence[str] = ["lab", "run", *(str(argument) for argument in arguments)]
    return main(words)


def guests_of(parent: int) -> list[int]:
    """Return the QEMU processes that `parent` started."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if status(pid, "PPid") == str(parent) and "qemu" in name(pid)]


def gone(pid: int) -> bool:
    """Wait until process `pid` is no more; the kernel kills it, so it takes a moment."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10)[0])
    finally:
        os.close(descriptor)


def name(pid: int) -> str:
    return status(pid, "Name")


def status(pid: int, key: str) -> str:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return next((line.split()[1] for line in lines if line.startswith(f"{key}:")), "")
