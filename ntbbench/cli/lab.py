# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab`: the real Linux NTB code in a virtual machine, beside the model."""

import argparse
from pathlib import Path

from msgspec import Struct

from ntbbench.cli.lab_ep import add_ep
from ntbbench.cli.lab_kernel import (
    DEFAULT_KERNEL,
    add_cache_option,
    add_kernel_options,
    check_empty,
    kernel_of,
    say,
)
from ntbbench.cli.lab_pair import add_pair
from ntbbench.cli.lab_series import add_series
from ntbbench.cli.lab_shell import add_shell
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import add_output, output_of
from ntbbench.core.ending import scratch_folder
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.options import kinds, option
from ntbbench.lab.lab_client import LabPlan, run_client
from ntbbench.lab.netdev_client import NetdevPlan
from ntbbench.lab.packages.apt import parse_spec
from ntbbench.lab.packages.cache import Cache, default_root
from ntbbench.lab.packages.doctor import examine, install_command
from ntbbench.lab.packages.fetch import fetch

LAB, NETDEV = "lab", "netdev"  # what uses ntb_transport in the guest
CLIENTS: dict[str, type[Struct]] = {LAB: LabPlan, NETDEV: NetdevPlan}

DESCRIPTION = """\
Boot a Debian kernel in QEMU, build its own unmodified NTB core and ntb_transport (or those of
your tree) as modules, ring doorbells over a loopback NTB device, and count what the kernel does
beside what the model predicts. Nothing is installed on this machine.

--client lab: the lab's own client rings, and every schedule is traced.
--client netdev: two ntb_netdev interfaces, one in a network namespace of its own, with --queues
queues where the kernel can (7.2 and later); ping, then UDP flows: for each --vectors once with
pauses, where the model must be exact, and once as fast as it goes.
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
  ntbbench lab run --client netdev --kernel debian:7.3       # flows over ntb_netdev
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
    running = _run_parser(actions, "run", "run points on a real kernel")
    running.add_argument("--client", choices=CLIENTS, default=LAB, help="of ntb_transport")
    listed = [key for key in kinds(LabPlan) if key != "senders"]
    add_options(running, "points: one for each --vectors and --db-read", LabPlan(), listed)
    running.add_argument("--senders", metavar="0,1", help="QPs that send (default all)")
    add_options(running, "points of --client netdev", NetdevPlan(), ("flows",))
    flowing = _run_parser(actions, "netdev", "the same as run --client netdev")
    add_options(flowing, "points: two for each --vectors", NetdevPlan())
    flowing.set_defaults(client=NETDEV)
    for parser in (running, flowing):
        add_output(parser, saves="lab", checks=True, tested=True).add_argument(
            "--keep",
            metavar="DIR",
            type=Path,
            nargs="?",
            const=Path(),
            help="keep the raw recordings, in DIR or beside the result",
        )
    add_pair(actions)
    add_ep(actions)
    add_series(actions)
    add_shell(actions)
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


def _run_parser(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, words: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=words,
        description=DESCRIPTION,
        epilog=RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_kernel_options(parser)
    parser.set_defaults(run=run_run)
    return parser


def run_run(args: argparse.Namespace) -> int:
    """Run the points, save and print them; a point that the model does not predict is a finding."""
    plan = plan_of(args)
    output = output_of(args, saves="lab" if args.client == LAB else f"lab-{args.client}")
    cache = Cache(default_root(args.cache))
    kernel = kernel_of(args, cache)
    with scratch_folder() as scratch:
        folder = scratch / "recordings"
        if args.keep is not None:
            folder = output.beside() if args.keep == Path() else args.keep
            check_empty("--keep", folder)
        result = run_client(cache, kernel, plan, folder, say=say, accel=args.accel)
    if args.keep is not None:
        say(f"recordings kept in {folder}")
    output.finish(result, say)
    return ExitCode.OK if all(point.agrees for point in result.points) else ExitCode.FINDING


def plan_of(args: argparse.Namespace) -> LabPlan | NetdevPlan:
    """Return the points that the options ask for.

    Raises
    ------
    InputError : a value out of range, or an option of another client.
    """
    own = kinds(CLIENTS[args.client])
    for client, plan in CLIENTS.items():
        for key in kinds(plan).keys() - own.keys():
            if (text := getattr(args, key, None)) is not None:
                raise InputError(option(key), text, f"an option of --client {client} only")
    return chosen(args, LabPlan()) if args.client == LAB else chosen(args, NetdevPlan())


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
