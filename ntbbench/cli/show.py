# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench show`: a saved result in any format."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from ntbbench.cli import sweep_options as options
from ntbbench.cli.output import Output
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.names import unknown
from ntbbench.core.result_file import load_result, real_path, schema_of
from ntbbench.dispatch.records import SWEEP_SCHEMA
from ntbbench.report.kinds import RESULTS, kind_of, load_any

DESCRIPTION = """\
Show a saved result: a table here, a page for a browser, or its numbers for another tool.
"""
EPILOG = """\
examples:
  ntbbench show results/runs/sweep.json
  ntbbench show run.json --format md
  ntbbench show run.json --format csv > run.csv
  ntbbench show run.json --html run.html
"""


def _sweep(path: Path, reports: options.Reports) -> None:
    options.publish(load_result(path), reports)


# How a result file of each schema is shown.
KINDS: Mapping[str, Callable[[Path, options.Reports], None]] = {
    SWEEP_SCHEMA: _sweep,
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "show",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE.json", help="a result that ntbbench saved")
    options.add_report_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show the result.

    Raises
    ------
    InputError : an unknown format, a page that cannot be written, a file that is no result, or a
        result of a schema that this ntbbench does not know.
    """
    reports = options.reports_of(args)
    path = Path(args.file)
    if reports.html is not None and real_path(reports.html) == real_path(path):
        raise InputError("--html", args.html, "another file than the result's")
    schema = schema_of(path)
    if schema in {kind.schema for kind in RESULTS.values()}:
        record = load_any(path)
        Output(reports.name, reports.html).show(kind_of(record).document(record))
        return ExitCode.OK
    if schema not in KINDS:
        raise unknown(
            f"{path}: schema", schema, {*KINDS, *(kind.schema for kind in RESULTS.values())}
        )
    KINDS[schema](path, reports)
    return ExitCode.OK
