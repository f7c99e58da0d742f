# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair check`: the pair on a debug kernel, over rounds of unbind and bind."""

import argparse
import tempfile
from pathlib import Path

from ntbbench.cli import lab_pair_options as options
from ntbbench.cli.lab_pair_kernel import pair_lab
from ntbbench.cli.lab_pair_patches import add_patches
from ntbbench.cli.progress import Saving
from ntbbench.core.errors import ExitCode
from ntbbench.core.names import parse_int
from ntbbench.core.result_file import new_run
from ntbbench.lab.pair.judged.boot import observed
from ntbbench.lab.pair.judged.exercised import not_exercised
from ntbbench.lab.pair.judged.findings import known_to_model, read_findings
from ntbbench.lab.pair.judged.points import all_agree, evaluate
from ntbbench.lab.pair.plan import AFTER, PairPlan
from ntbbench.lab.pair.records import CHECK, PairResult

ROUNDS = 3
ROUNDS_MAX = 1000
DESCRIPTION = """\
Run the pair on a kernel that watches itself (sleeping in atomic context, lock order, use after
free), send packets, unbind and bind the endpoint again --rounds times, and list what the kernel
complained of, each with the first line that shows it.
"""
EPILOG = """\
exit codes:
  0  no finding
  1  at least one, or a point that disagrees; that the guest panicked, hung or gave up is the
     last finding, after what it said before
  2  bad input
  3  a source does not build, or the guest did not get as far as loading the drivers

examples:
  ntbbench lab pair check
  ntbbench lab pair check --ep-driver before      # sleeps in atomic context
  ntbbench lab pair check --source ~/linux --rounds 20
"""


def add_check(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `check` to the subcommands of lab pair."""
    parser = actions.add_parser(
        "check",
        help="the pair on a debug kernel: atomic sleeps, lock order, use after free",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_kernel(parser)
    options.add_drivers(parser, AFTER)
    add_patches(parser)
    options.add_setting(parser)
    options.add_traffic(parser)
    parser.add_argument(
        "--rounds",
        metavar="N",
        default=str(ROUNDS),
        help=f"times that the endpoint is unbound and bound again (default {ROUNDS})",
    )
    options.add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Boot once, list the findings; a finding is one whatever the points say."""
    rounds = parse_int("--rounds", args.rounds, 0, ROUNDS_MAX)
    setup = options.setup_of(args)
    plan = PairPlan(setup, options.points_of(args, setup), rounds=rounds, may_die=True)
    output = args.output or new_run(options.RUNS, "lab-pair-check")
    options.check_outputs(args, output)
    lab = pair_lab(args, debug=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.record_folder(args, Path(scratch) / "recordings")
        recordings = lab.boot(plan, folder)
        points = evaluate(recordings)
        found = read_findings(folder, recordings.died) if recordings.available else []
        findings = known_to_model(found, recordings)
    result = PairResult(
        kind=CHECK,
        points=points,
        observed=observed(recordings),
        not_exercised=not_exercised(points),
        findings=findings,
        rounds=rounds,
        complete=not recordings.died,
        checks=lab.checks,
        **lab.facts(),
    )
    saving = Saving(output)
    saving.at_the_end(result)
    options.tell_saved(args, saving)
    options.publish(result, args.format, args.html)
    saving.check()
    return ExitCode.OK if all_agree(points) and not findings else ExitCode.FINDING
