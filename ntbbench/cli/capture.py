# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench capture`: a real machine's counters before and after an interval or a command."""

import argparse
import sys
from pathlib import Path

from ntbbench.capture.script import SECONDS_MAX, run_around, run_script, script_text
from ntbbench.cli.streams import tell
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.names import parse_int

DESCRIPTION = """\
Record /proc/interrupts, /proc/softirqs, ntb_transport's debugfs counters and ethtool -l
before and after an interval or a command, and a trace of it where the machine allows
one; where bpftrace is installed, also how long a doorbell waits for its run.
`ntbbench ingest DIR` reads the folder. What could not be read is said on stderr with
the privilege that is missing, and kept in DIR/unread.
"""
EPILOG = """\
exit codes: 0 recorded, 2 DIR cannot be used or written, 130 interrupted (DIR holds what there is)
With COMMAND: its own (127 not found, 126 not executable, 128 and the number of a signal).

examples:
  ntbbench capture -o before-patch --seconds 30
  ntbbench capture -o run -- iperf3 -c 192.168.0.2 -P 4 -J
  ntbbench capture --print-script > capture.sh    # on the board: sh capture.sh DIR 30
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "capture",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help="new or empty folder")
    parser.add_argument("--seconds", metavar="N", help="length of the interval (default 10)")
    parser.add_argument(
        "--print-script", action="store_true", help="print the POSIX shell script, record nothing"
    )
    parser.add_argument(
        "command", metavar="-- COMMAND", nargs="*", help="record while it runs; signals reach it"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Record, or print the script."""
    if args.print_script:
        if args.output is not None or args.seconds is not None or args.command:
            raise InputError("--print-script", True, "alone: the script takes DIR and SECONDS")
        sys.stdout.write(script_text())
        return ExitCode.OK
    if args.output is None:
        raise InputError("-o", "not given", "the folder to record into (or --print-script)")
    if args.command:
        if args.seconds is not None:
            raise InputError("--seconds", args.seconds, "without it: COMMAND is the interval")
        return run_around(args.output, args.command)
    seconds = parse_int("--seconds", args.seconds or "10", 0, SECONDS_MAX)
    code = run_script(args.output, seconds)
    if code == ExitCode.OK:
        tell(f"recorded to {args.output}")
    return code
