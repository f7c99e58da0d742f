# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench show`: a saved result in any format."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ntbbench.cli.compare import tell_cautions
from ntbbench.cli.output import add_output, output_of
from ntbbench.core.errors import ExitCode
from ntbbench.core.input_file import reading
from ntbbench.report.registry import load_any

if TYPE_CHECKING:
    from ntbbench.compare.readers.baseline import Baseline

DESCRIPTION = """\
Show a saved result: a table here, a page for a browser, or its numbers for another tool.
"""
EPILOG = """\
examples:
  ntbbench show results/runs/sweep.json
  ntbbench show run.json --format md
  ntbbench show run.json --format csv > run.csv
  ntbbench show run.json --html run.html
  ntbbench show new.json --medians --format json > ci/baseline.json     # of pytest-benchmark, ...
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "show",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "file", metavar="FILE.json", type=Path, help="a result that ntbbench saved; - is stdin"
    )
    parser.add_argument(
        "--medians",
        action="store_true",
        help="only medians and counts, of any result that `compare` reads; with --format json a "
        "base for `gate` that is small enough for git",
    )
    add_output(parser, checks=True, tested=True, revises=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show the result.

    Raises
    ------
    InputError : an unknown format, a page that cannot be written, a file that is no result, or a
        result of a schema that this ntbbench does not know.
    """
    output = output_of(args)
    path: Path = args.file
    if output.page is not None:
        output.check_apart("--html", output.page, path)
    if args.medians:
        output.finish(_medians(path))
        return ExitCode.OK
    with reading(path):  # a record whose parts do not fit shows itself in the view
        output.finish(load_any(path))
    return ExitCode.OK


def _medians(path: Path) -> "Baseline":
    from ntbbench.compare.readers.baseline import baseline_of  # noqa: PLC0415 -- loads numpy
    from ntbbench.compare.readers.detect import load_variant  # noqa: PLC0415

    variant = load_variant("/dev/stdin" if str(path) == "-" else str(path))
    tell_cautions([variant])
    return baseline_of(variant)
