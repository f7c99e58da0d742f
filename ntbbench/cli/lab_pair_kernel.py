# SPDX-License-Identifier: BSD-3-Clause
"""The kernel that `lab pair` boots, and what a result says of it."""

import argparse
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ntbbench.cli.lab_kernel import say
from ntbbench.lab.cache import Cache, default_root
from ntbbench.lab.pair.kernel import CHECK, RUN, pair_kernel
from ntbbench.lab.pair.plan import PairPlan, PairRecordings
from ntbbench.lab.pair.runner import PairStack, boot_pair
from ntbbench.lab.pair.sources import check_tree
from ntbbench.lab.run import environment

# Options of a check kernel that a finding can come from, as they are shown.
CHECKS = ("DEBUG_ATOMIC_SLEEP", "PROVE_LOCKING", "KASAN", "UBSAN", "DEBUG_OBJECTS", "DEBUG_LIST")


@dataclass
class PairLab:
    """What boots a plan.

    Parameters
    ----------
    tree : the user's kernel tree; None: the kernel's own.
    releases : fills with the guests' uname -r.
    """

    cache: Cache
    stack: PairStack
    tree: Path | None
    releases: set[str] = field(default_factory=set)

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
            "kernel": ", ".join(sorted(self.releases)) or kernel.source.manifest.version,
            "kernel_source": source,
            "accelerator": "tcg",
            "deterministic": True,
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
