# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench show`: report a saved sweep again, in any format."""

import argparse
from pathlib import Path

from ntbbench.cli import options
from ntbbench.errors import ExitCode
from ntbbench.measure.files import load_result

DESCRIPTION = """\
Report a saved sweep: as text, as Markdown for a pull request, as CSV or JSON, as a page.
"""
EXAMPLES = """\
examples:
  ntbbench show results/runs/sweep.json
  ntbbench show run.json --format md
  ntbbench show run.json --format csv --html run.html
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "show",
        help="report a saved sweep in any format",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE.json", help="the result of `ntbbench sweep`")
    options.add_report_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Load and report; an unfinished result says so in the report."""
    reports = options.reports_of(args)
    options.publish(load_result(Path(args.file)), reports)
    return ExitCode.OK
