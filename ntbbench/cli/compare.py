# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench compare`: better, worse, same, or can't tell?"""

import argparse

from ntbbench.cli import comparison_options as options
from ntbbench.core.errors import ExitCode

EPILOG = """\
exit codes:
  0  compared, whatever the verdicts; `gate` turns them into an exit code
  2  bad input or usage          4  nothing measured, or a metric on one side only
  5  incomparable environments   70 internal error
With --fail-inconclusive or --fatal-warning the exit code is the one that `gate` gives.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "compare",
        description="Compare candidates with a base, metric by metric.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_inputs(parser)
    options.add_policy(parser)
    options.add_outputs(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report; verdicts decide the exit code only where an option asks for that."""
    from ntbbench.cli.comparison_run import run_comparison  # noqa: PLC0415 -- loads scipy

    asked = bool(args.fail_inconclusive or args.fatal_warning)
    report = run_comparison(args, gates=asked)
    if asked:
        return report.exit_code
    lacks = report.totals.missing or not report.comparisons
    return ExitCode.MISSING if lacks else ExitCode.OK
