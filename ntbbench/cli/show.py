# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench show`: a saved result in any format."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from ntbbench.capture.explain_records import EXPLAIN_SCHEMA
from ntbbench.capture.measured import MEASURED_SCHEMA
from ntbbench.cli import lab_netdev, lab_pair_options, simulate
from ntbbench.cli.output import Output, add_output, output_of
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.names import unknown
from ntbbench.core.result_file import schema_of
from ntbbench.datapath.grid.grid_result import load_simulation
from ntbbench.datapath.records import SIMULATION_SCHEMA
from ntbbench.lab.loopback.netdev_records import NETDEV_SCHEMA, load_netdev_result
from ntbbench.lab.pair.records import PAIR_SCHEMA, load_pair_result
from ntbbench.report.kinds import RESULTS, load_any

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


def _simulation(path: Path, output: Output) -> None:
    simulate.publish(load_simulation(path), output.form, output.page)


def _pair(path: Path, output: Output) -> None:
    lab_pair_options.publish(load_pair_result(path), output.form, output.page)


def _netdev(path: Path, output: Output) -> None:
    if output.page is not None:
        raise InputError("--html", str(output.page), "no page of `lab netdev`; --format md")
    lab_netdev.publish(load_netdev_result(path), output.form)


# How a result file of each schema is shown.
KINDS: Mapping[str, Callable[[Path, Output], None]] = {
    SIMULATION_SCHEMA: _simulation,
    PAIR_SCHEMA: _pair,
    NETDEV_SCHEMA: _netdev,
}
# What reads a file of ours that is no result of a run.
READERS = {
    MEASURED_SCHEMA: "`ntbbench explain` reads what `ntbbench ingest` measured",
    EXPLAIN_SCHEMA: "`ntbbench explain` itself prints it: --format",
    "ntbbench.compat/1": "`ntbbench compat` itself prints it; compare and gate read it",
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
    parser.add_argument("file", metavar="FILE.json", type=Path, help="a result that ntbbench saved")
    add_output(parser)
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
    schema = schema_of(path)
    if schema in READERS:
        raise InputError(f"{path}: schema", schema, READERS[schema])
    known = [kind.schema for kind in RESULTS.values()]
    if schema in known:
        output.finish(load_any(path))
    elif schema in KINDS:
        KINDS[schema](path, output)
    else:
        raise unknown(f"{path}: schema", schema, [*KINDS, *known])
    return ExitCode.OK
