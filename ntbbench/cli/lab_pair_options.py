# SPDX-License-Identifier: BSD-3-Clause
"""Options that the subcommands of `lab pair` share: kernel, drivers, setting, traffic, output."""

import argparse
import sys
from pathlib import Path

from ntbbench.cli.lab_kernel import add_cache_option, say
from ntbbench.cli.lab_pair_patches import patches_of
from ntbbench.cli.progress import Saving
from ntbbench.core.errors import InputError
from ntbbench.core.names import parse_int, unknown
from ntbbench.core.result_file import check_writable, write_bytes
from ntbbench.lab.pair.plan import (
    AFTER,
    DIRECTIONS,
    DOORBELLS,
    EP,
    FLOWS_MAX,
    GAP_MAX,
    PACKETS_MAX,
    QUEUES_MAX,
    RC,
    SLOTS_MAX,
    WINDOWS_MAX,
    PairSetup,
    Traffic,
)
from ntbbench.lab.pair.records import PairResult
from ntbbench.report.pair_kinds import FORMATS

DEFAULT_KERNEL = "debian:7.3"
RUNS = Path("results") / "runs"
DEFAULT = PairSetup()
PACKETS = 20  # of a flow: more than a ring of ntb_netdev has entries
GAP = Traffic().gap_us


def add_kernel(parser: argparse.ArgumentParser) -> None:
    """Add --kernel, --source and --cache."""
    group = parser.add_argument_group("kernel")
    group.add_argument(
        "--kernel", metavar="debian:VERSION", default=DEFAULT_KERNEL, help="default %(default)s"
    )
    group.add_argument(
        "--source", metavar="DIR", type=Path, help="a kernel tree of yours: its drivers are `after`"
    )
    add_cache_option(group)


def add_drivers(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --ep-driver and --rc-driver."""
    group = parser.add_argument_group("drivers: before or after the series, a C file, a tree")
    for side, name in (("ep", "pci-epf-vntb"), ("rc", "ntb_hw_epf")):
        group.add_argument(
            f"--{side}-driver",
            metavar="DRIVER",
            default=default,
            help=f"{name} (default {default})",
        )


def driver_of(name: str, args: argparse.Namespace) -> str:
    """Return which driver a name means: with --source `after` is that tree's."""
    own: Path | None = args.source
    return name if own is None or name != AFTER else str(own.absolute())


def add_setting(parser: argparse.ArgumentParser) -> None:
    """Add what configfs and modprobe are told."""
    group = parser.add_argument_group("setting")
    group.add_argument(
        "--ep-slots",
        metavar="N",
        default=str(DEFAULT.ep_slots),
        help=f"db_count, link and reserved slot included (default {DEFAULT.ep_slots})",
    )
    group.add_argument(
        "--mw-count",
        metavar="N",
        default=str(DEFAULT.mw_count),
        help=f"memory windows, 1..{WINDOWS_MAX} (default {DEFAULT.mw_count})",
    )
    add_queues(group)


def add_queues(group: argparse._ActionsContainer) -> None:
    """Add --queues and --doorbell."""
    group.add_argument(
        "--queues", metavar="N", help="max_num_clients of ntb_transport (default: unset, all QPs)"
    )
    group.add_argument(
        "--doorbell",
        choices=DOORBELLS,
        default=DEFAULT.doorbell,
        help="how the endpoint takes its doorbells (default poll)",
    )


def add_traffic(parser: argparse.ArgumentParser) -> None:
    """Add --direction, --flows, --packets and --gap: of both directions, a flow for each QP."""
    group = parser.add_argument_group("packets")
    group.add_argument(
        "--direction",
        metavar="LIST",
        default=",".join(DIRECTIONS),
        help=f"{', '.join(DIRECTIONS)} (default both)",
    )
    group.add_argument(
        "--flows",
        metavar="N",
        help="UDP flows; flow i goes to QP i while there are QPs (default: one a QP)",
    )
    for name, value, text in (
        ("--packets", PACKETS, "of each flow"),
        ("--gap", GAP, "microseconds between two packets; 0: a burst"),
    ):
        group.add_argument(name, metavar="N", default=str(value), help=f"{text} (default {value})")


def directions_of(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the directions of --direction, each once.

    Raises
    ------
    InputError : one that is none.
    """
    names = tuple(dict.fromkeys(part.strip() for part in args.direction.split(",")))
    for name in names:
        if name not in DIRECTIONS:
            raise unknown("--direction", name, DIRECTIONS)
    return names


def add_output(parser: argparse.ArgumentParser, *, record: bool = True) -> None:
    """Add --format, -o, --html, and --record where one boot is recorded."""
    group = parser.add_argument_group("output")
    group.add_argument("--format", choices=tuple(FORMATS), default="text")
    group.add_argument("-o", "--output", metavar="FILE.json", type=Path, help="the result")
    group.add_argument("--html", metavar="FILE.html", type=Path, help="also write an HTML page")
    if not record:
        return
    group.add_argument(
        "--record", metavar="DIR", type=Path, help="keep ftrace text and counters, a folder a point"
    )


def setup_of(args: argparse.Namespace) -> PairSetup:
    """Return the drivers and the setting of one boot.

    Raises
    ------
    InputError : a value out of range.
    """
    ep_driver, rc_driver = (driver_of(name, args) for name in (args.ep_driver, args.rc_driver))
    return PairSetup(
        ep_driver=ep_driver,
        rc_driver=rc_driver,
        ep_patches=patches_of(args, EP, ep_driver),
        rc_patches=patches_of(args, RC, rc_driver),
        ep_slots=parse_int("--ep-slots", args.ep_slots, 0, SLOTS_MAX),
        mw_count=parse_int("--mw-count", args.mw_count, 1, WINDOWS_MAX),
        queues=queues_of(args),
        doorbell=args.doorbell,
    )


def queues_of(args: argparse.Namespace) -> int | None:
    """Return --queues, or None where it is unset."""
    return None if args.queues is None else parse_int("--queues", args.queues, 1, QUEUES_MAX)


def traffic_of(args: argparse.Namespace) -> tuple[int | None, int, int]:
    """Return flows, packets and gap; without --flows there is one for each QP.

    Raises
    ------
    InputError : a value out of range.
    """
    return (
        None if args.flows is None else parse_int("--flows", args.flows, 1, FLOWS_MAX),
        parse_int("--packets", args.packets, 1, PACKETS_MAX),
        parse_int("--gap", args.gap, 0, GAP_MAX),
    )


def points_of(args: argparse.Namespace, setup: PairSetup) -> tuple[Traffic, ...]:
    """Return the points of one boot: each direction with the same flows.

    Raises
    ------
    InputError : a value out of range.
    """
    flows, packets, gap_us = traffic_of(args)
    return tuple(
        Traffic(direction, flows or setup.most_qps, packets, gap_us)
        for direction in directions_of(args)
    )


def record_folder(args: argparse.Namespace, scratch: Path) -> Path:
    """Return where the recordings go: --record, which must be new or empty, or `scratch`.

    Raises
    ------
    InputError : a folder that holds something.
    """
    if args.record is None:
        return scratch
    folder: Path = args.record
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError("--record", str(folder), "a new or an empty folder")
    return folder


def check_outputs(args: argparse.Namespace, output: Path) -> None:
    """Make sure, before a guest boots, that the result and --html can be written.

    Raises
    ------
    InputError : one cannot.
    """
    check_writable(output)
    if args.html is None:
        return
    try:
        check_writable(args.html)
    except InputError as error:
        raise InputError("--html", error.value, error.allowed) from None


def tell_saved(args: argparse.Namespace, saving: Saving) -> None:
    """Say where result and recordings are, unless the user named the place of the result."""
    if args.output is None and saving.saved:
        say(f"result saved to {saving.output}")
    if getattr(args, "record", None) is not None:
        say(f"recordings kept in {args.record}")


def publish(result: PairResult, name: str, html: Path | None) -> None:
    """Print the result in format `name` on stdout; write the page to `html` if it is given."""
    sys.stdout.write(FORMATS[name](result))
    if html is not None:
        write_bytes(html, FORMATS["html"](result).encode())
