# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab`: the real Linux NTB code in a virtual machine, beside the model."""

import argparse
import tempfile
from pathlib import Path

from ntbbench.cli.lab_kernel import (
    DEFAULT_KERNEL,
    add_cache_option,
    add_kernel_options,
    check_empty,
    kernel_of,
    say,
)
from ntbbench.cli.lab_netdev import add_netdev
from ntbbench.cli.lab_pair import add_pair
from ntbbench.cli.output import add_output, output_of
from ntbbench.core.axes import parse_int_axis
from ntbbench.core.errors import ExitCode
from ntbbench.core.names import parse_int, unknown
from ntbbench.lab.loopback.evaluate import DB_READS
from ntbbench.lab.loopback.run import DOORBELLS, ORDERS, QUEUES_MAX, LabPlan, run_lab
from ntbbench.lab.packages.cache import Cache, default_root
from ntbbench.lab.packages.debian_kernels import parse_spec
from ntbbench.lab.packages.doctor import examine, install_command
from ntbbench.lab.packages.fetch import fetch

GAP_MAX = 1_000_000  # us
PACKETS_MAX = 100_000

DESCRIPTION = """\
Boot a Debian kernel in QEMU, build its own unmodified NTB core and ntb_transport (or those of
your tree) as modules, ring doorbells over a loopback NTB device, and count what the kernel does
beside what the model predicts. Nothing is installed on this machine.
"""
RUN_EPILOG = """\
exit codes:
  0  the kernel and the model agree in every point
  1  they do not, in at least one
  2  bad input, a missing tool, or a package that cannot be had
  3  the modules did not build, QEMU failed, or the guest panicked, hung or gave up

examples:
  ntbbench lab run
  ntbbench lab run --kernel debian:7.3 --vectors 0,16 --db-read latched,zero
  ntbbench lab run --source ~/linux --kernel debian:7.3      # did my patch make it better?
  ntbbench lab run --gap 0 --order together --senders 0-3    # bursts
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its subcommands to the command line."""
    parser = subparsers.add_parser(
        "lab",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND", required=True)
    _add_run(actions)
    add_netdev(actions)
    add_pair(actions)
    doctor = actions.add_parser(
        "doctor", help="say what this machine lacks for the lab", allow_abbrev=False
    )
    doctor.set_defaults(run=run_doctor)
    fetching = actions.add_parser(
        "fetch", help="fetch a kernel into the cache; nothing is installed", allow_abbrev=False
    )
    fetching.add_argument("--newest", action="store_true", help="even if one is in the cache")
    fetching.set_defaults(run=run_fetch)
    for action in (doctor, fetching):
        action.add_argument("--kernel", metavar="debian:VERSION", default=DEFAULT_KERNEL)
        add_cache_option(action)


def _add_run(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "run",
        help="run points on a real kernel",
        description=DESCRIPTION,
        epilog=RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_kernel_options(parser)
    points = parser.add_argument_group("points: one for each --vectors and --db-read")
    points.add_argument(
        "--vectors",
        metavar="LIST",
        default="0,1,2,4,16",
        help="0: no callbacks; k: bit b belongs to vector b %% k (default %(default)s)",
    )
    points.add_argument("--queues", metavar="N", default="4", help="QPs of each port (default 4)")
    points.add_argument("--db-read", metavar="LIST", default="latched", help="latched, zero")
    points.add_argument("--senders", metavar="LIST", help="QPs that send (default: all)")
    points.add_argument("--order", choices=ORDERS, default="turn", help="in turn, or all at once")
    points.add_argument(
        "--gap", metavar="US", default="1000", help="between packets (default 1000)"
    )
    points.add_argument("--packets", metavar="N", default="50", help="of each QP (default 50)")
    add_output(parser, saves="lab", checks=True).add_argument(
        "--keep",
        metavar="DIR",
        type=Path,
        nargs="?",
        const=Path(),
        help="keep the raw recordings, in DIR or beside the result",
    )
    parser.set_defaults(run=run_run)


def run_run(args: argparse.Namespace) -> int:
    """Run the points, save and print them; a point that the model does not predict is a finding."""
    plan = plan_of(args)
    output = output_of(args, saves="lab")
    cache = Cache(default_root(args.cache))
    kernel = kernel_of(args, cache)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "recordings"
        if args.keep is not None:
            folder = output.beside() if args.keep == Path() else args.keep
            check_empty("--keep", folder)
        result = run_lab(cache, kernel, plan, folder, say=say, accel=args.accel)
    if args.keep is not None:
        say(f"recordings kept in {folder}")
    output.finish(result, say)
    return ExitCode.OK if all(point.agrees for point in result.points) else ExitCode.FINDING


def run_doctor(args: argparse.Namespace) -> int:
    """Print what the lab needs and whether it is there; something missing is a finding."""
    cache = Cache(default_root(args.cache))
    needs = examine(cache, parse_spec(args.kernel))
    for need in needs:
        print(f"{'ok     ' if need.found else 'MISSING'}  {need.name}: {need.detail}")
    if command := install_command(needs, args.kernel):
        print(f"\nTo install what is missing:\n  {command}")
    return ExitCode.OK if all(need.found for need in needs) else ExitCode.FINDING


def run_fetch(args: argparse.Namespace) -> int:
    """Fetch a kernel and say where it is and what it holds."""
    cache = Cache(default_root(args.cache))
    kernel = fetch(cache, parse_spec(args.kernel), say, newest=args.newest)
    print(f"{args.kernel}: Linux {kernel.manifest.release}, {kernel.folder}")
    for package in kernel.manifest.packages:
        print(f"  {package.name} {package.version}  sha256 {package.sha256}")
    return ExitCode.OK


def plan_of(args: argparse.Namespace) -> LabPlan:
    """Return the points that the options ask for.

    Raises
    ------
    InputError : a value out of range.
    """
    queues = parse_int("--queues", args.queues, 1, QUEUES_MAX)
    last = queues - 1
    db_reads = tuple(dict.fromkeys(part.strip() for part in args.db_read.split(",")))
    for name in db_reads:
        if name not in DB_READS:
            raise unknown("--db-read", name, DB_READS)
    return LabPlan(
        vectors=tuple(parse_int_axis(args.vectors, "--vectors", 0, DOORBELLS)),
        queues=queues,
        db_reads=db_reads,
        senders=tuple(parse_int_axis(args.senders or f"0-{last}", "--senders", 0, last)),
        order=args.order,
        gap_us=parse_int("--gap", args.gap, 0, GAP_MAX),
        packets=parse_int("--packets", args.packets, 1, PACKETS_MAX),
    )
