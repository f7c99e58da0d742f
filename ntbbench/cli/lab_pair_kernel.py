# SPDX-License-Identifier: BSD-3-Clause
"""The kernel that `lab pair` boots, and what a result says of it."""

import argparse
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ntbbench.cli.lab_kernel import say
from ntbbench.lab.loopback.run import environment
from ntbbench.lab.packages.cache import Cache, default_root, sha256
from ntbbench.lab.packages.modules import ntb_sources
from ntbbench.lab.pair.drivers.pair_kernel import CHECK, RUN, pair_kernel
from ntbbench.lab.pair.drivers.sources import check_tree, driver_source
from ntbbench.lab.pair.plan import EP, RC, DriverSource, PairPlan, PairRecordings, PairSetup
from ntbbench.lab.pair.records import OK, PairResult
from ntbbench.lab.pair.runner import PairStack, boot_pair, find_drivers

# Options of a check kernel that a finding can come from, as they are shown.
CHECKS = ("DEBUG_ATOMIC_SLEEP", "PROVE_LOCKING", "KASAN", "UBSAN", "DEBUG_OBJECTS", "DEBUG_LIST")
RELEASES = ", "  # between the kernels of several guests


@dataclass
class PairLab:
    """What boots a plan.

    Parameters
    ----------
    tree : the user's kernel tree; None: the kernel's own.
    releases : fills with the guests' uname -r.
    sources : what `read_sources` found.
    """

    cache: Cache
    stack: PairStack
    tree: Path | None
    releases: set[str] = field(default_factory=set)
    sources: dict[str, str] = field(default_factory=dict)

    def boot(self, plan: PairPlan, folder: Path) -> PairRecordings:
        """Boot `plan` and leave its recordings in `folder`; may be called from several threads.

        Raises
        ------
        BuildError, GuestError : a module did not build, the guest did not finish.
        """
        recordings = boot_pair(self.cache, self.stack, plan, folder, say=say)
        if recordings.release:
            self.releases.add(recordings.release)
        return recordings

    def go_on(self, previous: PairResult) -> None:
        """Keep the kernels that an earlier result's guests ran: this one may boot none."""
        if any(point.status == OK for point in previous.points):
            self.releases.update(previous.kernel.split(RELEASES))

    def drivers(self, setup: PairSetup) -> tuple[DriverSource, DriverSource]:
        """Return the drivers that a setup names, endpoint first.

        Raises
        ------
        InputError, FetchError : one could not be had.
        """
        return find_drivers(self.cache, self.stack, setup, say)

    def read_sources(self, ep_drivers: Iterable[str], rc_drivers: Iterable[str]) -> dict[str, str]:
        """Return what the boots of these drivers run, as `PairResult.sources`, and keep it.

        Raises
        ------
        InputError, FetchError : a driver could not be had.
        """
        kernel = self.stack.kernel.source
        self.sources = {"kernel": kernel.manifest.version}
        if self.tree is not None:
            files = sorted(ntb_sources(self.tree).values())
            lines = "".join(f"{sha256(path)}\n" for path in files)
            self.sources[f"NTB files of {self.tree}"] = hashlib.sha256(lines.encode()).hexdigest()
        for side, specs in ((EP, ep_drivers), (RC, rc_drivers)):
            for spec in specs:
                path = driver_source(self.cache, side, spec, kernel, say).path
                self.sources[f"{side.upper()} driver {spec}"] = sha256(path)
        return self.sources

    @property
    def checks(self) -> list[str]:
        """The debugging options of the kernel."""
        config = (self.stack.kernel.folder / "config").read_text()
        return [name for name in CHECKS if re.search(rf"^CONFIG_{name}=y$", config, re.MULTILINE)]

    def facts(self) -> dict[str, Any]:
        """Return the fields of a `PairResult` that tell where it is from."""
        kernel = self.stack.kernel
        source = kernel.label if self.tree is None else f"{kernel.label}, drivers of {self.tree}"
        return {
            "kernel": RELEASES.join(sorted(self.releases)) or kernel.source.manifest.version,
            "kernel_source": source,
            "accelerator": "tcg",
            "deterministic": True,
            "sources": self.sources,
            "environment": {"source": kernel.source.origin, **environment()},
        }


def pair_lab(args: argparse.Namespace, *, debug: bool = False) -> PairLab:
    """Return the lab that the options ask for, its kernel fetched and built.

    Raises
    ------
    InputError, FetchError, BuildError : as `pair_kernel`; --source is no kernel tree.
    """
    cache = Cache(default_root(args.cache))
    tree = None if args.source is None else check_tree("--source", args.source)
    kernel = pair_kernel(cache, args.kernel, say, CHECK if debug else RUN)
    return PairLab(cache, PairStack(kernel, tree), tree)
