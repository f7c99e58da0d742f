# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench sweep`: measure wakeup amplification over queue and doorbell counts."""

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path

from ntbbench.cli import sweep_options as options
from ntbbench.cli.progress import RUNS, Interrupts, Saving, bar, interrupts, tell
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.result_file import check_writable, load_result, new_run, real_path
from ntbbench.dispatch.records import OkPoint, SweepResult
from ntbbench.dispatch.resume import check_same
from ntbbench.dispatch.scenario import Scenario, load_scenario, scenario_from
from ntbbench.dispatch.sweep import Hooks, run_sweep

DESCRIPTION = """\
Sweep queue and doorbell counts: how many receive tasklets does one doorbell interrupt
schedule, and what does the dispatch cost? Every point is checked against the analytic law.
"""
EPILOG = """\
Numbers are lists and ranges: 1,2,8   1-16 (by one)   1,2,4..64 (doubling).
Workloads: uniform  round-robin  hot:queue=0,share=0.9  zipf:s=1.1  flows:k=16
           burst:size=4,of=uniform  log:FILE.csv|.npy|.npz
A SCENARIO.toml has the same keys (max_num_clients, ...); options override it.

examples:
  ntbbench sweep
  ntbbench sweep --hardware generic --queues 1-16 --doorbells 32 --vectors 1,4,32
  ntbbench sweep --workload zipf --drain 8 --repeats 0 --format md
  ntbbench sweep scenario.toml -o run.json --html run.html
  ntbbench sweep --resume run.json
"""


@dataclass(frozen=True)
class Plan:
    """What one call is to do.

    Parameters
    ----------
    scenario : what to sweep.
    previous : an earlier result of it to go on from.
    output : the result file.
    """

    scenario: Scenario
    previous: SweepResult | None
    output: Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "sweep",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO.toml", help="what to sweep")
    options.add_scenario_options(parser)
    options.add_report_options(parser)
    group = parser.add_argument_group("result file")
    group.add_argument(
        "-o",
        "--output",
        metavar="FILE.json",
        help=f"the result (default {RUNS}/sweep-<UTC time>.json)",
    )
    group.add_argument("--resume", metavar="FILE.json", help="go on with an interrupted sweep")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Sweep, save, report."""
    reports = options.reports_of(args)
    plan = plan_of(args)
    if reports.html is not None and real_path(reports.html) == real_path(plan.output):
        raise InputError("--html", args.html, "another file than the result's")
    saving = Saving(plan.output)
    if plan.previous is not None and plan.previous.complete:
        tell(f"{args.resume} is complete: there is nothing to go on with")
        result = plan.previous
        if args.output is not None:
            saving.at_the_end(result)
    else:
        with interrupts() as signals:
            result = swept(plan, signals, saving)
        if not result.complete:
            saving.check()
            on = resume_command(args, plan)
            tell(f"interrupted; what is finished is saved; go on with: {on}")
            return signals.exit_code
    if args.output is None and args.resume is None and saving.saved:
        tell(f"saved {plan.output}")
    options.publish(result, reports)
    saving.check()
    return verdict(result)


def plan_of(args: argparse.Namespace) -> Plan:
    """Return what to do; nothing has been run or written when an error comes.

    Raises
    ------
    InputError : bad options, scenario, file to resume, or a result that could not be written.
    """
    base = Scenario() if args.scenario is None else load_scenario(args.scenario)
    previous = None
    if args.resume is not None:
        previous = load_result(Path(args.resume))
        recorded = scenario_from(previous.scenario, args.resume)
        base = base if args.scenario is not None else recorded
    scenario = options.scenario_with(args, base)
    if args.resume is not None:
        check_same(recorded, scenario, args.resume)
    chosen = args.output or args.resume
    output = new_run(RUNS, "sweep") if chosen is None else Path(chosen)
    check_writable(output)
    return Plan(scenario, previous, output)


def swept(plan: Plan, signals: Interrupts, saving: Saving) -> SweepResult:
    """Run the sweep with a bar on a terminal until done or asked to end; save it."""
    with bar() as progress:
        hooks = Hooks(progress=progress, stop=signals.stop, save=saving.on_the_way)
        result = run_sweep(plan.scenario, hooks=hooks, previous=plan.previous)
    saving.at_the_end(result)
    return result


def resume_command(args: argparse.Namespace, plan: Plan) -> str:
    """Return the command line that goes on with an interrupted sweep and ends like this one."""
    words = ["ntbbench", "sweep", "--resume", str(plan.output)]
    for option in ("jobs", "html"):
        value = getattr(args, option)
        words += [] if value is None else [f"--{option}", value]
    words += [] if args.format == "text" else ["--format", args.format]
    return shlex.join(words)


def verdict(result: SweepResult) -> int:
    """Return the exit code: a doorbell that woke nobody, or somebody else, is a finding."""
    lost = sum(
        isinstance(point, OkPoint) and (point.missed > 0 or point.misrouted > 0)
        for point in result.points
    )
    if lost:
        tell(f"{lost} points missed doorbells: see the report")
    return ExitCode.FINDING if lost else ExitCode.OK
