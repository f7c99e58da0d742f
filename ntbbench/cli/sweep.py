# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench sweep`: measure wakeup amplification over queue and doorbell counts."""

import argparse
import shlex
from pathlib import Path

from msgspec.structs import replace

from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import add_output, output_of, report_output
from ntbbench.cli.progress import Saving, Signals, bar, interrupts
from ntbbench.cli.streams import tell
from ntbbench.core.errors import ExitCode
from ntbbench.core.result_file import load_as
from ntbbench.dispatch.records import SWEEP_SCHEMA, OkPoint, SweepResult
from ntbbench.dispatch.scenario import SweepScenario, load_scenario, scenario_from
from ntbbench.dispatch.sweep import Hooks, check_same, run_sweep
from ntbbench.ntb.custom import parse_devices

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


WHAT = ("hardware", "dispatch", "queues", "doorbells", "vectors", "workload")
HOW = ("interrupts", "seed", "repeats", "jobs", "mw_count", "max_num_clients", "drain")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "sweep",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "scenario", nargs="?", metavar="SCENARIO.toml", type=Path, help="what to sweep"
    )
    group = add_options(
        parser, "what to sweep: every combination is a point", SweepScenario(), WHAT
    )
    group.add_argument(
        "--device",
        metavar="NAME:KEY=VALUE,...",
        action="append",
        help="a custom device; without --hardware only custom devices are swept",
    )
    add_options(parser, "how", SweepScenario(), HOW)
    add_output(parser, saves="sweep").add_argument(
        "--resume", metavar="FILE.json", type=Path, help="go on with an interrupted sweep"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Sweep, save, report."""
    scenario, previous = asked(args)
    output = output_of(args, saves="sweep", resumed=args.resume)
    if previous is not None and previous.complete:
        tell(f"{args.resume} is complete: there is nothing to go on with")
        output = output if args.output is not None else report_output(args)
        output.finish(previous)
        return verdict(previous)
    saving = output.saving
    assert saving is not None  # a sweep always is
    with interrupts() as signals:
        result = swept(scenario, previous, signals, saving)
    if not result.complete:
        saving.at_the_end(result)
        saving.check()
        on = resume_command(args, saving.output)
        tell(f"interrupted; what is finished is saved; go on with: {on}")
        return signals.exit_code
    output.finish(result)
    return verdict(result)


def asked(args: argparse.Namespace) -> tuple[SweepScenario, SweepResult | None]:
    """Return what to sweep, and an earlier result of it to go on from.

    Raises
    ------
    InputError : bad options or scenario, or a file that cannot be resumed with them.
    """
    base = SweepScenario() if args.scenario is None else load_scenario(args.scenario)
    previous, recorded = None, base
    if args.resume is not None:
        previous = load_as(args.resume, SWEEP_SCHEMA, SweepResult)
        recorded = scenario_from(previous.scenario, str(args.resume))
        base = base if args.scenario is not None else recorded
    scenario = chosen(args, base)
    if args.device is not None:
        given = parse_devices(args.device)
        scenario = replace(scenario, device=base.device | given)
        if args.hardware is None:
            scenario = replace(scenario, hardware=tuple(given))
    if previous is not None:
        check_same(recorded, scenario, str(args.resume))
    return scenario, previous


def swept(
    scenario: SweepScenario, previous: SweepResult | None, signals: Signals, saving: Saving
) -> SweepResult:
    """Run the sweep with a bar on a terminal until done or asked to end."""
    with bar() as progress:
        hooks = Hooks(progress=progress, stop=signals.stop, save=saving.on_the_way)
        return run_sweep(scenario, hooks=hooks, previous=previous)


def resume_command(args: argparse.Namespace, saved: Path) -> str:
    """Return the command line that goes on with an interrupted sweep and ends like this one."""
    words = ["ntbbench", "sweep", "--resume", str(saved)]
    for option in ("jobs", "html"):
        value = getattr(args, option)
        words += [] if value is None else [f"--{option}", str(value)]
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
