# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench ingest`: captures and files of tools as measured numbers with bounds."""

import argparse
from pathlib import Path

from ntbbench.capture.ingest import ingest
from ntbbench.cli.output import add_output, output_of
from ntbbench.cli.streams import fail
from ntbbench.core.errors import ExitCode

DESCRIPTION = """\
Read capture folders (see `ntbbench capture`), and single files: ftrace text, what
`trace-cmd report` and `perf script` print, `bpftrace -f json`, iperf3 (-J,
--json-stream, or its text), ping, sockperf, ntb_perf, `ethtool -l`, debugfs info of
intel's, AMD's and IDT's driver, the kernel's log. Every number names its source, and
every source says what it cannot tell.
"""
EPILOG = """\
exit codes:
  0  everything was read; cautions are in the report
  2  a file is damaged, cut off or foreign: one line each on stderr, the rest is reported

examples:
  ntbbench ingest tests/data/linux-6.12-ntb-loop/fallback-four-qps
  ntbbench ingest DIR -o measured.json && ntbbench explain measured.json
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "ingest",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("paths", metavar="DIR|FILE", type=Path, nargs="+")
    add_output(parser).add_argument(
        "-o", "--output", metavar="FILE.json", type=Path, help="write JSON too"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was measured; each file that cannot be used is one line on stderr."""
    output = output_of(args)
    measured = ingest(args.paths)
    for error in measured.errors:
        fail(error, ExitCode.BAD_INPUT)
    if measured.sources:
        output.finish(measured)
    return ExitCode.BAD_INPUT if measured.errors else ExitCode.OK
