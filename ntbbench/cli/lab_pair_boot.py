# SPDX-License-Identifier: BSD-3-Clause
"""What `lab pair run` and `check` share: the options of one boot, and what comes of them."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from ntbbench.cli.lab_kernel import add_pair_kernel, check_empty, say
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import Output, add_output
from ntbbench.cli.pair_setting import (
    EP_RC_DRIVERS,
    NTB_DRIVERS,
    VNTB,
    add_function,
    joins_hosts,
    pair_setup,
    refuse,
    refuse_drivers,
)
from ntbbench.core.ending import scratch_folder
from ntbbench.lab.hosts.bridge_records import HostResult
from ntbbench.lab.hosts.hosts_plan import HostPackets
from ntbbench.lab.pair.plan import AFTER, AnySetup, HostSetup, Packets, PairSetup
from ntbbench.lab.pair.records import PairResult


def add_boot(parser: argparse.ArgumentParser, saves: str) -> None:
    """Add the options of one boot: kernel, drivers, setting, packets, output."""
    add_pair_kernel(parser)
    add_function(parser)
    add_options(parser, "drivers", PairSetup(), only=EP_RC_DRIVERS)
    add_options(parser, "drivers of --function ntb", HostSetup(), only=NTB_DRIVERS)
    add_options(parser, "patches", PairSetup(), only=("ep_patches", "rc_patches"))
    add_options(parser, "setting", PairSetup(), only=("ep_slots", "mw_count", "queues", "doorbell"))
    add_options(parser, "packets", Packets())
    add_output(parser, saves=saves, checks=True, tested=True).add_argument(
        "--record", metavar="DIR", type=Path, help="keep ftrace text and counters, a folder a point"
    )


def packets_of(args: argparse.Namespace, setup: AnySetup) -> Packets:
    """Return what a boot sends; InputError: a value out of range."""
    return chosen(args, HostPackets() if isinstance(setup, HostSetup) else Packets())


def setup_of(args: argparse.Namespace) -> AnySetup:
    """Return the drivers and the setting of one boot; with --source `after` is that tree's.

    Raises
    ------
    InputError : a value out of range, other patches than the driver's name says, or an option of
        the other endpoint function.
    """
    refuse_drivers(args)
    if joins_hosts(args):
        refuse(args, ("ep_patches", "rc_patches", "doorbell"), VNTB)
        hosts = chosen(args, HostSetup(), only=(*NTB_DRIVERS, "ep_slots", "mw_count", "queues"))
        if args.source is None:
            return hosts
        tree = str(args.source.absolute())
        ours = {name: tree for name in NTB_DRIVERS if getattr(hosts, name) == AFTER}
        return replace(hosts, **ours)
    return pair_setup(args)


def result_kind(args: argparse.Namespace) -> type[PairResult]:
    """Return the kind of record that a run of this function makes."""
    return HostResult if joins_hosts(args) else PairResult


@contextmanager
def recordings_of(args: argparse.Namespace) -> Iterator[Path]:
    """Yield where the recordings go: --record, which must be new or empty, or for a while."""
    if args.record is not None:
        check_empty("--record", args.record)
        yield args.record
        return
    with scratch_folder() as scratch:
        yield scratch / "recordings"


def finish(args: argparse.Namespace, output: Output, result: PairResult) -> None:
    """Save and show a result; say where its recordings are."""
    if args.record is not None:
        say(f"recordings kept in {args.record}")
    output.finish(result, say)
