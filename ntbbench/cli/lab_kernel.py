# SPDX-License-Identifier: BSD-3-Clause
"""Options that the lab's subcommands share: which kernel, from where, and how it runs."""

import argparse
import sys
from pathlib import Path

from ntbbench.cli.pair_setting import joins_hosts
from ntbbench.core.errors import InputError
from ntbbench.core.names import printable
from ntbbench.lab.hosts.hosts_lab import HostLab
from ntbbench.lab.packages.apt import parse_spec
from ntbbench.lab.packages.cache import Cache, default_root
from ntbbench.lab.packages.fetch import CachedKernel, fetch
from ntbbench.lab.packages.modules import Kernel, check_kbuild, check_source
from ntbbench.lab.pair.pair_kernel import RUN, pair_kernel
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.pair.sources import check_tree

DEFAULT_KERNEL = "debian:6.12"
PAIR_KERNEL = "debian:7.3"
ACCELERATORS = ("auto", "kvm", "tcg")


def add_kernel_options(parser: argparse.ArgumentParser) -> None:
    """Add --kernel, --source, --image, --kbuild, --accel and --cache."""
    kernel = parser.add_argument_group("kernel")
    kernel.add_argument("--kernel", metavar="debian:VERSION", help=f"default {DEFAULT_KERNEL}")
    kernel.add_argument("--source", metavar="DIR", type=Path, help="NTB files of this kernel tree")
    kernel.add_argument("--image", metavar="BZIMAGE", type=Path, help="boot your own kernel")
    kernel.add_argument("--kbuild", metavar="DIR", type=Path, help="its build folder")
    kernel.add_argument(
        "--accel", choices=ACCELERATORS, default="auto", help="auto: KVM where it runs a guest"
    )
    add_cache_option(kernel)


def add_cache_option(parser: argparse._ActionsContainer) -> None:
    """Add --cache."""
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        help="where kernels are kept (default: $NTBBENCH_CACHE, else ~/.cache/ntbbench)",
    )


def kernel_of(args: argparse.Namespace, cache: Cache) -> Kernel:
    """Return the kernel to boot with its NTB files, fetching what is missing.

    Raises
    ------
    InputError : options that exclude each other, or a folder that is not what it should be.
    """
    if (args.image is None) != (args.kbuild is None):
        raise InputError("--image", str(args.image), "goes together with --kbuild")
    if args.image is not None and args.kernel is not None:
        raise InputError("--kernel", args.kernel, "not with --image: one kernel only")
    tree_told = "" if args.source is None else str(args.source.absolute())
    if args.source is not None:
        check_source("--source", args.source)
    if args.image is None:
        spec = args.kernel or DEFAULT_KERNEL
        kernel: CachedKernel = fetch(cache, parse_spec(spec), say)
        source = kernel.source if args.source is None else args.source.absolute()
        return Kernel(spec, kernel.image, kernel.kbuild, source, tree_told)
    if not args.image.is_file():
        raise InputError("--image", str(args.image), "a kernel's bzImage")
    check_kbuild("--kbuild", args.kbuild)
    kbuild = args.kbuild.absolute()
    tree = kbuild / "source" if (kbuild / "source").is_dir() else kbuild
    if args.source is None:
        check_source("--kbuild", tree)
    source = tree if args.source is None else args.source.absolute()
    return Kernel(str(args.image), args.image.absolute(), kbuild, source, tree_told)


def add_pair_kernel(parser: argparse.ArgumentParser) -> None:
    """Add --kernel, --source and --cache of the driver pair."""
    group = parser.add_argument_group("kernel")
    group.add_argument(
        "--kernel", metavar="debian:VERSION", default=PAIR_KERNEL, help="default %(default)s"
    )
    group.add_argument(
        "--source", metavar="DIR", type=Path, help="a kernel tree of yours: its drivers are `after`"
    )
    add_cache_option(group)


def pair_lab(args: argparse.Namespace, variant: str = RUN) -> PairLab:
    """Return the lab that the options ask for, its kernel fetched and built; of two hosts with
    --function ntb.

    Raises
    ------
    InputError, FetchError, BuildError : as `pair_kernel`; --source is no kernel tree.
    """
    cache = Cache(default_root(args.cache))
    tree = None if args.source is None else check_tree("--source", args.source)
    kernel = pair_kernel(cache, args.kernel, say, variant)
    return (HostLab if joins_hosts(args) else PairLab)(cache, kernel, tree, say)


def check_empty(option: str, folder: Path) -> None:
    """Raise InputError for a folder that holds something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(option, str(folder), "a new or an empty folder")


def say(text: str) -> None:
    """Tell the user on stderr what is going on."""
    print(f"ntbbench lab: {printable(text)}", file=sys.stderr, flush=True)
