# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench patches`: what each patch changes, and what it cannot do without."""

import argparse
from pathlib import Path

from ntbbench.cli.pair_options import (
    U32_MAX,
    add_html,
    add_output,
    add_setting,
    chosen_format,
    setting_of,
    write,
)
from ntbbench.core.errors import ExitCode
from ntbbench.core.names import parse_int
from ntbbench.core.result_file import write_bytes
from ntbbench.pair.series.analysis import SEED, analyse
from ntbbench.report import patches as report

DESCRIPTION = """\
Judge all 2^7 x 2^5 subsets of the series against an unpatched and a fully patched peer, and say
what each patch changes, which others it needs, whether the posted order is bisectable, what the
deferred MSIs do under a storm, and what the race check costs.
"""
EXAMPLES = """\
examples:
  ntbbench patches
  ntbbench patches --format json -o patches.json --html patches.html

exit codes:
  0  the analysis is printed, whatever it says
  2  bad input or usage, and what a driver refuses
  70 internal error
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "patches",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--seed", metavar="N", default=str(SEED), help=f"of the storm (default {SEED})"
    )
    add_setting(parser)
    add_output(parser, report.FORMATS)
    add_html(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the analysis."""
    result = analyse(setting_of(args), parse_int("--seed", args.seed, 0, U32_MAX))
    write(args, report.FORMATS[chosen_format(args)](result))
    if args.html:
        write_bytes(Path(args.html), report.FORMATS["html"](result).encode())
    return ExitCode.OK
