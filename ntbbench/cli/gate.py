# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench gate`: `compare` with an exit code for CI."""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ntbbench.cli.calibrate import OUTPUT, write_results
from ntbbench.cli.compare import Subparsers, add_comparison, policy_of, run_comparison
from ntbbench.cli.history import add_store, commits_of
from ntbbench.cli.output import output_of
from ntbbench.cli.progress import RUNS
from ntbbench.compare.policy import check_medians
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.names import encodable
from ntbbench.core.result_file import new_folder

if TYPE_CHECKING:
    from ntbbench.compare.policy import Policy
    from ntbbench.compare.records import Report
    from ntbbench.compare.series import Variant

EPILOG = """\
exit codes:
  0  pass                        1  regression
  2  bad input or usage
  3  not tested, for so few runs or commits can show nothing; or inconclusive, or a fatal
     warning, where the policy says so
  4  nothing measured, or a metric on one side only
  5  incomparable environments   70 internal error
With several causes the code is the first of 2, 5, 4, 1, 3.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command to the command line."""
    what = "Compare candidates with a base and exit with the verdict."
    parser = add_comparison(subparsers, "gate", what, EPILOG)
    parser.add_argument(
        "--confirm",
        metavar="CMD",
        help=f"where something regressed, measure the candidate once more, by a command that "
        f"writes {OUTPUT}, run without a shell; what does not regress again does not fail",
    )
    parser.set_defaults(run=run)
    group = parser.add_argument_group("history")
    group.add_argument(
        "--against-history",
        metavar="N",
        help="no base: compare RESULT with the last N commits of `ntbbench history`, each metric "
        "with those since its last step",
    )
    add_store(group)


def run(args: argparse.Namespace) -> int:
    """Print the report and return its exit code."""
    if args.against_history is not None:
        if args.confirm is not None:
            raise InputError("--confirm", args.confirm, "not with --against-history")
        return _run_against_history(args)
    if args.confirm is None:
        return run_comparison(args, gates=True).exit_code
    if args.by is not None or args.match is not None or args.runs or len(args.results) != 2:
        raise InputError("--confirm", args.confirm, "a base and one candidate, each a RESULT")
    return run_comparison(args, gates=True, settle=partial(_confirmed, args)).exit_code


def _run_against_history(args: argparse.Namespace) -> int:
    from ntbbench.compare.history_gate import against_history  # noqa: PLC0415 -- loads scipy
    from ntbbench.compare.rates import all_series, check_directions  # noqa: PLC0415
    from ntbbench.compare.readers.detect import load_variant  # noqa: PLC0415
    from ntbbench.compare.readers.paths import paths_of  # noqa: PLC0415
    from ntbbench.report.views.comparison import document  # noqa: PLC0415

    commits = commits_of("--against-history", args.against_history)
    for option in ("runs", "paired", "by", "match", "raw"):
        if getattr(args, option):
            raise InputError(f"--{option}", getattr(args, option), "not with --against-history")
    if len(args.results) != 1:
        raise InputError("RESULT", " ".join(args.results), "one result with --against-history")
    if args.force is not None and not args.force.strip():
        raise InputError("--force", args.force, "a text that says why")
    policy = policy_of(args)
    check_medians(policy.quantile, "p50 with --against-history: the history has medians")
    output = output_of(args)
    policies = [] if args.policy is None else [args.policy]
    output.check_inputs([*paths_of(args.results[0]), args.store, *policies])
    new = load_variant(args.results[0])
    check_directions(all_series([new]), policy)
    why = None if args.force is None else encodable(args.force)
    report = against_history(args.store, commits, new, policy, force=why)
    output.show(document(report, [new]))
    return report.exit_code


def _confirmed(
    args: argparse.Namespace, report: "Report", base: "Variant", policy: "Policy"
) -> "Report":
    """Return the report, after a second measurement where a regression would fail."""
    from ntbbench.compare.confirm import confirmed  # noqa: PLC0415 -- loads scipy
    from ntbbench.compare.readers.detect import load_variant  # noqa: PLC0415
    from ntbbench.compare.readers.paths import paths_of  # noqa: PLC0415

    if report.exit_code != ExitCode.FINDING:
        return report
    files = _places(len(paths_of(args.results[1])))
    write_results("--confirm", args.confirm, files, "measured once more, run")
    result = files[0] if len(files) == 1 else files[0].parent
    sides = (base, load_variant(str(result), policy.quantile))
    return confirmed(report, sides, policy, command=args.confirm, result=str(result))


def _places(count: int) -> list[Path]:
    """Return a file for each run: the second measurement has as many as the candidate."""
    folder = new_folder(RUNS, "confirm")
    return [folder / f"{number}.json" for number in range(1, count + 1)]
