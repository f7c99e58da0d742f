# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench simulate`: what amplification costs in throughput, latency and CPU time."""

import argparse
import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import msgspec
from msgspec import Struct

import ntbbench
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import Output, add_output, output_of, report_output
from ntbbench.cli.progress import Saving, Signals, bar, interrupts
from ntbbench.cli.streams import tell
from ntbbench.core import environment as environments
from ntbbench.core.clock import timer
from ntbbench.core.errors import ExitCode, InputError, WorkersLost
from ntbbench.core.options import Count, OptionList, Word, described
from ntbbench.core.result_file import check_writable, write_bytes
from ntbbench.datapath import scenario_file
from ntbbench.datapath.engine import ENGINES, simulate_logged
from ntbbench.datapath.grid import (
    Found,
    Grid,
    GridHooks,
    WorkPlace,
    dask,
    local,
    run_grid,
)
from ntbbench.datapath.grid_point import engine_seed, expand, resolve
from ntbbench.datapath.records import OkSimulation, SimulationResult
from ntbbench.datapath.sections import AXES, BOARDS, Run, Scenario
from ntbbench.datapath.summary import adopt, result_of
from ntbbench.datapath.system import check_system
from ntbbench.report import timeline
from ntbbench.report.registry import RESULTS, kind_of
from ntbbench.report.wording import plural

DESCRIPTION = """\
Simulate the receive path packet by packet: senders, rings, doorbells, interrupts, tasklets,
copies. Every combination of the four axes is a point; each is run --replications times.
"""
EPILOG = """\
A SCENARIO.toml has sections run, device, traffic, sender, link and receiver; --set overrides
one key of them. docs/simulate.md lists the keys and says what is fitted and what is assumed.

examples:
  ntbbench simulate --preset rcar-s4-spider --queues 1,2,4
  ntbbench simulate --dispatch fallback,per-vector,msi --affinity single,spread --html sim.html
  ntbbench simulate board.toml --set receiver.byte=12.5ns --replications 30 -o board.json
  ntbbench simulate --preset generic --queues 4 --timeline trace.json   # ui.perfetto.dev
  ntbbench simulate --backend dask --scheduler tcp://head:8786 board.toml
  ntbbench simulate --resume board.json
"""
SAVES = "simulation"


class How(Struct, frozen=True, kw_only=True):
    """Where and with what the grid runs; the result is the same."""

    engine: Annotated[str, Word(ENGINES, "all give the same")] = ENGINES[0]
    jobs: Annotated[int, Count(0, 1024, "processes; 0: one per core")] = 0
    backend: Annotated[str, Word(("local", "dask"), "where the grid runs")] = "local"
    scheduler: Annotated[str | None, Word((), "address of the Dask cluster")] = None


@dataclass(frozen=True)
class SimulatePlan:
    """What one call is to do."""

    scenario: Scenario
    how: How
    grid: Grid
    found: Found  # the replications of an earlier run


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "simulate",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    boards = ", ".join(BOARDS)
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO.toml", help="what to simulate")
    parser.add_argument(
        "--preset", metavar="NAME", help=f"a board instead: {boards} (default generic)"
    )
    add_options(parser, "axes: every combination is a point", Scenario(), AXES)
    group = add_options(parser, "scenario: defaults are those of generic", Run())
    group.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a key of the scenario; can be given again",
    )
    group.add_argument("--keys", action="store_true", help="list the keys of a scenario, and end")
    add_options(parser, "how", How())
    group = add_output(parser, saves=SAVES)
    group.add_argument(
        "--timeline",
        metavar="FILE.json",
        type=Path,
        help="the first point's events for ui.perfetto.dev or chrome://tracing",
    )
    group.add_argument(
        "--resume",
        metavar="FILE.json",
        type=Path,
        help="go on with an interrupted run, or add replications to a finished one",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Simulate, save, report."""
    if args.keys:
        listed = OptionList(sections=described(Scenario()))
        report_output(args).show(kind_of(listed).document(listed))
        return ExitCode.OK
    plan = plan_of(args)
    output = outputs(args, plan)
    saving = output.saving
    assert saving is not None

    def go_on() -> str:  # the first save may find another name
        return f"go on with: {resume_command(args, plan.how, saving.output)}"

    with interrupts() as signals:
        result = simulated(plan, signals, saving, go_on)
    if not result.complete:
        saving.check()
        tell(f"interrupted; what is finished is saved; {go_on()}")
        return signals.exit_code
    if args.timeline is not None:
        write_timeline(args.timeline, plan.grid)
    output.publish(result)
    return verdict(result)


def plan_of(args: argparse.Namespace) -> SimulatePlan:
    """Return what to do; nothing has been run or written when an error comes.

    Raises
    ------
    InputError : bad options, scenario or file to resume.
    """
    previous = None
    if args.resume is not None:
        previous = cast(SimulationResult, RESULTS["simulation"].load(args.resume))
    scenario = scenario_of(args, previous)
    specs = expand(scenario)
    for spec in specs:
        if spec.reason is None:
            check_system(resolve(spec, 0))
    found: Found = [{} for _ in specs]
    if previous is not None:
        found = adopt(scenario, specs, previous, ntbbench.__version__)
    how = chosen(args, How())
    return SimulatePlan(scenario, how, Grid(specs, scenario.run.replications, how.engine), found)


def scenario_of(args: argparse.Namespace, previous: SimulationResult | None) -> Scenario:
    """Return the scenario of the options.

    Raises
    ------
    InputError : a file and a preset at once, or any bad value.
    """
    if previous is not None and args.scenario is None and args.preset is None:
        base = scenario_file.scenario_from(previous.scenario, str(args.resume))
    else:
        base = scenario_file.file_or_preset(args.scenario, args.preset)
    for text in args.set:
        section, _, key = scenario_file.key_of(text.partition("=")[0].strip()).partition(".")
        if section == "run" and getattr(args, key) is not None:
            raise InputError("--set", text, f"not together with --{key}")
    asked = msgspec.structs.replace(chosen(args, base, AXES), run=chosen(args, base.run))
    asked = scenario_file.with_settings(asked, args.set)
    scenario = scenario_file.with_true_note(asked, base)
    scenario_file.check_scenario(scenario)
    return scenario


def outputs(args: argparse.Namespace, plan: SimulatePlan) -> Output:
    """Return the output, after every file was found to be writable, each in a place of its own.

    Raises
    ------
    InputError : a bad file, or a timeline without a point that can be had.
    """
    if args.timeline is not None and not plan.grid.total:
        allowed = f"a point that the device can give: {plan.grid.specs[0].reason}"
        raise InputError("--timeline", str(args.timeline), allowed)
    output = output_of(args, saves=SAVES, resumed=args.resume)
    if args.timeline is not None:
        check_writable(args.timeline)
        for other in filter(None, (output.result, output.page)):
            Output.check_apart("--timeline", args.timeline, other)
    return output


def simulated(
    plan: SimulatePlan, signals: Signals, saving: Saving, go_on: Callable[[], str]
) -> SimulationResult:
    """Run what is missing with a bar on a terminal until done or asked to end; save it."""
    environment = environments.environment(timer())

    def result(found: Found) -> SimulationResult:
        return result_of(plan.scenario, plan.grid, found, environment)

    left = sum(map(len, plan.grid.missing(plan.found)))
    try:
        if left:
            with place_of(plan.how, left, signals.stop) as place, bar() as progress:
                hooks = GridHooks(
                    progress=progress,
                    stop=signals.stop,
                    save=lambda found: saving.on_the_way(result(found)),
                )
                signals.raises = place.in_process
                run_grid(plan.grid, plan.found, place, hooks)
                signals.raises = False
    except KeyboardInterrupt:  # it comes once: from here on signals only count
        pass
    except WorkersLost as error:
        saving.at_the_end(result(plan.found))
        if signals.asked():  # SIGTERM to the whole group ends the workers too
            return result(plan.found)
        saving.check()
        raise WorkersLost(f"{error} what is finished is saved; {go_on()}") from error
    found = result(plan.found)
    saving.at_the_end(found)
    return found


def place_of(how: How, left: int, stop: Callable[[], bool]) -> AbstractContextManager[WorkPlace]:
    """Return where to run.

    Raises
    ------
    InputError : options that do not go together.
    """
    if how.backend != "dask" and how.scheduler is not None:
        raise InputError("--scheduler", how.scheduler, "together with --backend dask")
    if how.backend != "dask":
        return local(how.jobs, left)
    if how.scheduler is None:
        raise InputError("--backend", "dask", "together with --scheduler ADDRESS")
    return dask(how.scheduler, stop)


def write_timeline(path: Path, grid: Grid) -> None:
    """Write the timeline of the first point that can be had, in its first replication."""
    spec = next(spec for spec in grid.specs if spec.reason is None)
    system = resolve(spec, 0)
    _, rows = simulate_logged(system, engine_seed(spec, 0), grid.engine, capacity=timeline.ROWS_MAX)
    about = (
        f"{spec.protocol} {spec.dispatch} {spec.affinity}, {plural(spec.queues, 'queue')}: "
        f"replication 0 of {spec.scenario.name}, simulated"
    )
    drawn = timeline.render(system, rows, about)
    write_bytes(path, drawn.text.encode())
    said = f"timeline of {about}: {path}, {plural(drawn.events, 'trace event')}"
    tell(", ".join(filter(None, (said, drawn.cut))))


def resume_command(args: argparse.Namespace, how: How, result: Path) -> str:
    """Return the command line that goes on and ends like this one."""
    words = ["ntbbench", "simulate", "--resume", str(result)]
    words += [] if args.html is None else ["--html", str(args.html)]
    if how.scheduler is not None:
        words += ["--backend", how.backend, "--scheduler", how.scheduler]
    words += [] if how.jobs == 0 else ["--jobs", str(how.jobs)]
    words += [] if args.format == "text" else ["--format", args.format]
    return shlex.join(words)


def verdict(result: SimulationResult) -> int:
    """Return the exit code: a doorbell that woke nobody, or somebody else, is a finding."""
    lost = sum(
        isinstance(point, OkSimulation) and (point.missed > 0 or point.misrouted > 0)
        for point in result.points
    )
    if lost:
        tell(f"{plural(lost, 'point')} missed doorbells: see the report")
    return ExitCode.FINDING if lost else ExitCode.OK
