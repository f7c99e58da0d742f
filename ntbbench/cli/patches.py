# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench patches`: what each patch changes, and what it cannot do without."""

import argparse
from typing import Annotated

from msgspec import Struct

from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import add_output, output_of
from ntbbench.cli.pair_setting import VNTB, add_setting, joins_hosts, refuse, setting_from
from ntbbench.core.errors import ExitCode
from ntbbench.core.options import Count
from ntbbench.pair.effects import analyse
from ntbbench.pair.storm import SEED

SEED_MAX = (1 << 32) - 1
DESCRIPTION = """\
Judge all 2^7 x 2^5 subsets of the series against an unpatched and a fully patched peer, and say
what each patch changes, which others it needs, whether the posted order is bisectable, what the
deferred MSIs do under a storm, and what the race check costs. With --function ntb: the 2^5 subsets
of ntb_hw_epf on two hosts that pci-epf-ntb joins.
"""
EXAMPLES = """\
examples:
  ntbbench patches
  ntbbench patches --function ntb --ep-slots 4 --mw-count 2
  ntbbench patches --format json -o patches.json --html patches.html

exit codes:
  0  the analysis is printed, whatever it says
  2  bad input or usage, and what a driver refuses
  70 internal error
"""


class StormOptions(Struct, frozen=True, kw_only=True):
    """The storm of doorbells on the deferred work."""

    seed: Annotated[int, Count(0, SEED_MAX, "of the rings and of the gaps between runs")] = SEED


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "patches",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_options(parser, "storm", StormOptions())
    add_setting(parser)
    add_output(parser, redirects=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the analysis."""
    setting, storm, output = setting_from(args), chosen(args, StormOptions()), output_of(args)
    if joins_hosts(args):
        refuse(args, ("seed",), VNTB)  # a host has no work that a storm could meet
    output.finish(analyse(setting, storm.seed))
    return ExitCode.OK
