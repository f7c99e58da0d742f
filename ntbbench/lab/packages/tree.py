# SPDX-License-Identifier: BSD-3-Clause
"""The modules of a developer's tree: where they do not build, whether the versions differ."""

import re
from collections.abc import Callable
from pathlib import Path

from ntbbench.lab.lab_errors import BuildError
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.modules import Kernel, build

SETTING = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(\S*)[ \t]*$", re.M)
SERIES = re.compile(r"\d+\.\d+")


def build_tree(cache: Cache, kernel: Kernel, say: Callable[[str], None]) -> Path:
    """Return the folder with the modules of `kernel`, as `build()` does.

    Raises
    ------
    BuildError : with the compiler's first error, and both versions where they may be its cause.
    """
    try:
        return build(cache, kernel, say)
    except BuildError as error:
        if hint := version_hint(kernel):
            raise BuildError(f"{error} ({hint})") from error
        raise


def version_hint(kernel: Kernel) -> str:
    """Return how the versions of --source and of the kernel differ; empty: they do not."""
    release = kernel.kbuild / "include" / "config" / "kernel.release"
    if not kernel.source_tree or not release.is_file():
        return ""
    booted, own = release.read_text().strip(), tree_version(kernel.source)
    if own is None:
        return f"the kernel is {booted}; --source has no Makefile that tells its version"
    series = [SERIES.match(version) for version in (own, booted)]
    if len({match and match[0] for match in series}) == 1:
        return ""
    return f"--source is Linux {own}, the kernel is {booted}: choose one of its version, --kernel"


def tree_version(root: Path) -> str | None:
    """Return the version in the Makefile of a kernel tree; None: it has none."""
    try:
        text = (root / "Makefile").read_text(errors="replace")
    except OSError:
        return None
    found = dict(SETTING.findall(text))
    if not found.get("VERSION") or not found.get("PATCHLEVEL"):
        return None
    sublevel = f".{found['SUBLEVEL']}" if found.get("SUBLEVEL") else ""
    return f"{found['VERSION']}.{found['PATCHLEVEL']}{sublevel}{found.get('EXTRAVERSION', '')}"
