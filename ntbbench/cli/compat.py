# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench compat`: which prefix of one half of the series works with which of the other."""

import argparse

from ntbbench.cli.output import add_output, output_of
from ntbbench.cli.pair_setting import add_setting, setting_from
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.pair.drivers.patches import ROOT_FIX, Side
from ntbbench.pair.records import CellName
from ntbbench.pair.search import exhaustive
from ntbbench.pair.setting import Ends
from ntbbench.pair.verdict import cell_stories, compat, rows

DESCRIPTION = """\
Pair every prefix of the endpoint's patches (pci-epf-vntb, 0..7 of patches 1-7) with every prefix
of the root complex's (ntb_hw_epf, 0..5 of patches 8-12), and with the rejected root fix, and say
what becomes of the doorbells in both directions. With --function ntb: two hosts with ntb_hw_epf
(0..5 of patches 8-12 on each) that pci-epf-ntb joins.
"""
EXAMPLES = """\
verdicts, the worst first:
  link-down   the two transports compute different qp_count and never come up
  missed      a rung queue is not woken
  misrouted   so are others, and each time another queue is woken instead
  fallback    works; every doorbell wakes all queues
  per-vector  works; a doorbell wakes its own queue

examples:
  ntbbench compat
  ntbbench compat --explain root-fix/5
  ntbbench compat --ep-slots 6 --exhaustive
  ntbbench compat --doorbell embedded --html compat.html
  ntbbench compat --function ntb --ep-slots 4 --mw-count 2

exit codes:
  0  the matrix is printed, whatever its verdicts
  2  bad input or usage, and what a driver refuses
  70 internal error
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "compat",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--exhaustive",
        action="store_true",
        help="also search all slots, vectors, windows and doorbell modes",
    )
    parser.add_argument(
        "--explain",
        metavar="EP/RC",
        help=f"tell the story of one doorbell in this cell, like 7/0 or {ROOT_FIX}/5; of hosts 1/2",
    )
    add_setting(parser)
    add_output(parser, redirects=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the matrix, or the story of one cell."""
    setting, output = setting_from(args), output_of(args)
    if args.explain is not None:
        if args.exhaustive:
            raise InputError("--explain", args.explain, "one cell's story: without --exhaustive")
        output.finish(cell_stories(*parse_cell(args.explain, setting.ends), setting))
    else:
        output.finish(compat(setting, exhaustive(setting) if args.exhaustive else None))
    return ExitCode.OK


def parse_cell(text: str, ends: Ends) -> tuple[CellName, CellName]:
    """Return the row and the column of "EP/RC".

    Raises
    ------
    InputError : no such cell.
    """
    first, slash, second = text.partition("/")
    one, two = ends.halves
    names = (_name(one, first), _name(two, second)) if slash else (None, None)
    if names[0] is None or names[1] is None:
        most = [rows(half)[-2] for half in ends.halves]
        cell = "/".join(ends.titles)
        allowed = f"{cell}: 0..{most[0]} or {ROOT_FIX}, a slash, 0..{most[1]} or {ROOT_FIX}"
        raise InputError("--explain", text, allowed)
    return names[0], names[1]


def _name(side: Side, text: str) -> CellName | None:
    return next((name for name in rows(side) if str(name) == text.strip()), None)
