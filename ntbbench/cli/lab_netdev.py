# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab netdev`: UDP flows over ntb_netdev, between two network namespaces of a guest."""

import argparse
import sys
import tempfile
from pathlib import Path

from ntbbench.cli.lab_kernel import add_kernel_options, kernel_of, say
from ntbbench.cli.progress import Saving
from ntbbench.core.axes import parse_int_axis
from ntbbench.core.errors import ExitCode
from ntbbench.core.names import parse_int
from ntbbench.core.result_file import check_writable, new_run
from ntbbench.lab.loopback.netdev_flows import NetdevPlan, run_netdev
from ntbbench.lab.loopback.netdev_records import NetdevResult
from ntbbench.lab.loopback.run import DOORBELLS, QUEUES_MAX
from ntbbench.lab.packages.cache import Cache, default_root
from ntbbench.report.lab_netdev import FORMATS

RUNS = Path("results") / "runs"
FLOWS_MAX = 64
PACKETS_MAX = 1000
GAP_MAX = 100_000  # us
GAP_MIN = 700  # below it a doorbell may come before the last one is served

DESCRIPTION = """\
Boot a kernel with two ntb_netdev interfaces, one in a network namespace of its own, give them
--queues queues where the kernel can (7.2 and later), ping, and send UDP flows across: for each
--vectors once with pauses, where the model must be exact, and once as fast as it goes.
"""


def add_netdev(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `lab netdev` to the subcommands of lab."""
    parser = actions.add_parser(
        "netdev",
        help="UDP flows over ntb_netdev, by vector map",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_kernel_options(parser)
    flows = parser.add_argument_group("flows")
    for name, default, text in (
        ("--vectors", "0,16", "0: no callbacks; k: bit b belongs to vector b %% k"),
        ("--queues", "4", "of each interface"),
        ("--flows", "16", "UDP flows, hashed to queues by the stack"),
        ("--packets", "10", "of each spaced flow; the fast ones send 20 times as many"),
        ("--gap", "1000", "us between two packets of the spaced flows"),
    ):
        flows.add_argument(name, default=default, metavar="N", help=f"{text} (default {default})")
    output = parser.add_argument_group("output")
    output.add_argument("--format", choices=tuple(FORMATS), default="text")
    output.add_argument("-o", metavar="FILE.json", dest="output", type=Path)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the flows, save and print them; lost packets or an unpredicted run are a finding."""
    plan = NetdevPlan(
        vectors=tuple(parse_int_axis(args.vectors, "--vectors", 0, DOORBELLS)),
        queues=parse_int("--queues", args.queues, 1, QUEUES_MAX),
        flows=parse_int("--flows", args.flows, 1, FLOWS_MAX),
        packets=parse_int("--packets", args.packets, 1, PACKETS_MAX),
        gap_us=parse_int("--gap", args.gap, GAP_MIN, GAP_MAX),
    )
    output = args.output or new_run(RUNS, "lab-netdev")
    check_writable(output)
    cache = Cache(default_root(args.cache))
    kernel = kernel_of(args, cache)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "counters"
        result = run_netdev(cache, kernel, plan, folder, say=say, accel=args.accel)
    saving = Saving(output)
    saving.at_the_end(result)
    if args.output is None and saving.saved:
        say(f"result saved to {output}")
    publish(result, args.format)
    saving.check()
    return ExitCode.OK if all(point.agrees for point in result.points) else ExitCode.FINDING


def publish(result: NetdevResult, name: str) -> None:
    """Print the result in format `name` on stdout."""
    sys.stdout.write(FORMATS[name](result))
