# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench gate`: `compare` with an exit code for CI."""

import argparse

from ntbbench.cli.compare import Subparsers, add_comparison, run_comparison

EPILOG = """\
exit codes:
  0  pass                        1  regression
  2  bad input or usage
  3  not tested, for so few runs can show nothing; or inconclusive, or a fatal warning, where
     the policy says so
  4  nothing measured, or a metric on one side only
  5  incomparable environments   70 internal error
With several causes the code is the first of 2, 5, 4, 1, 3.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command to the command line."""
    what = "Compare candidates with a base and exit with the verdict."
    add_comparison(subparsers, "gate", what, EPILOG).set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report and return its exit code."""
    return run_comparison(args, gates=True).exit_code
