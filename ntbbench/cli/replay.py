# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench replay`: recordings of a real kernel beside what the model predicts."""

import argparse
from pathlib import Path

from ntbbench.capture.replay import replay_log
from ntbbench.capture.replay_records import DISAGREES, points_of
from ntbbench.cli.output import add_output, output_of
from ntbbench.core.errors import ExitCode

DESCRIPTION = """\
Run recordings of a real kernel through the model of the device that they were
recorded on, and print recorded and predicted doorbell interrupts, tasklet_schedule()
calls and tasklet runs side by side, with the cause of every difference.

LOG is a folder with the files point, trace and state (one recording), or a folder of
such folders.
"""
EPILOG = """\
exit codes:
  0  every recording agrees, or its rings are close and each difference is explained
  1  a recording of spaced packets differs, or a difference has no explanation
  2  a file is missing or malformed, or the trace lost events

examples:
  ntbbench replay tests/data/linux-6.12-ntb-loop
  ntbbench replay tests/data/linux-6.12-ntb-loop/fallback-burst --format json
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "replay",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("log", metavar="LOG", type=Path, help="folder of a recording, or of many")
    add_output(parser, checks=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the replay; a recording that the model does not agree with is a finding."""
    output = output_of(args)
    replay = replay_log(args.log)
    output.finish(replay)
    failed = any(point.verdict == DISAGREES for point in points_of(replay))
    return ExitCode.FINDING if failed else ExitCode.OK
