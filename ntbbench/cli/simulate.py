# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench simulate`: what amplification costs in throughput, latency and CPU time."""

import argparse
import shlex
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import ntbbench
from ntbbench.cli.progress import RUNS, Interrupts, Saving, bar, interrupts, tell
from ntbbench.cli.simulate_options import JOBS_MAX, add_options, check_scheduler, scenario_of
from ntbbench.core import environment as environments
from ntbbench.core.clock import timer
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.names import parse_int, unknown
from ntbbench.core.result_file import check_writable, new_run, real_path, write_bytes
from ntbbench.datapath.engine import simulate_logged
from ntbbench.datapath.grid.backends import Place, dask, local
from ntbbench.datapath.grid.grid import Found, Grid, Hooks, WorkersLost, run_grid
from ntbbench.datapath.grid.grid_result import adopt, load_simulation, result_of
from ntbbench.datapath.records import OkSimulation, SimulationResult
from ntbbench.datapath.scenario.grid_point import expand
from ntbbench.datapath.scenario.load import all_keys
from ntbbench.datapath.scenario.resolve import engine_seed, resolve
from ntbbench.datapath.scenario.sections import Scenario
from ntbbench.datapath.system_checks import check_system
from ntbbench.report import timeline
from ntbbench.report.simulation import FORMATS
from ntbbench.report.simulation_keys import keys_text
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


@dataclass(frozen=True)
class Plan:
    """What one call is to do.

    Parameters
    ----------
    scenario : what to simulate.
    grid : its points.
    found : the replications of an earlier run, by point.
    output : the result file.
    """

    scenario: Scenario
    grid: Grid
    found: Found
    output: Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "simulate",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Simulate, save, report."""
    if args.keys:
        sys.stdout.write(keys_text(all_keys()))
        return ExitCode.OK
    if args.format not in FORMATS:
        raise unknown("--format", args.format, FORMATS)
    plan = plan_of(args)
    check_outputs(args, plan)
    saving = Saving(plan.output)
    with interrupts() as signals:
        result = simulated(args, plan, signals, saving)
        if not result.complete:
            saving.check()
            on = resume_command(args, plan)
            tell(f"interrupted; what is finished is saved; go on with: {on}")
            return signals.exit_code
    if args.output is None and args.resume is None and saving.saved:
        tell(f"saved {plan.output}")
    publish(result, args.format, None if args.html is None else Path(args.html))
    if args.timeline is not None:
        write_timeline(Path(args.timeline), plan.grid)
    saving.check()
    return verdict(result)


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
    told = f"timeline of {about}: {path}, {plural(drawn.events, 'trace event')}"
    tell(", ".join(filter(None, (told, drawn.cut))))


def plan_of(args: argparse.Namespace) -> Plan:
    """Return what to do; nothing has been run or written when an error comes.

    Raises
    ------
    InputError : bad options, scenario or file to resume.
    """
    previous = None if args.resume is None else load_simulation(Path(args.resume))
    scenario = scenario_of(args, previous)
    specs = expand(scenario)
    for spec in specs:
        if spec.reason is None:
            check_system(resolve(spec, 0))
    if previous is None:
        found: Found = [{} for _ in specs]
    else:
        found = adopt(scenario, specs, previous, ntbbench.__version__)
    chosen = args.resume if args.output is None else args.output
    output = new_run(RUNS, "simulation") if chosen is None else Path(chosen)
    grid = Grid(specs, scenario.run.replications, args.engine)
    return Plan(scenario, grid, found, output)


def check_outputs(args: argparse.Namespace, plan: Plan) -> None:
    """Raise InputError unless every file can be written, each to a place of its own.

    A timeline needs a point that can be had.
    """
    if args.timeline is not None and not plan.grid.total:
        reason = plan.grid.specs[0].reason
        raise InputError("--timeline", args.timeline, f"a point that the device can give: {reason}")
    taken = {real_path(plan.output): "the result's"}
    check_writable(plan.output)
    for option in ("html", "timeline"):
        text = getattr(args, option)
        if text is None:
            continue
        path = Path(text)
        check_writable(path)
        if real_path(path) in taken:
            raise InputError(f"--{option}", text, f"another file than {taken[real_path(path)]}")
        taken[real_path(path)] = f"--{option}'s"


def simulated(
    args: argparse.Namespace, plan: Plan, signals: Interrupts, saving: Saving
) -> SimulationResult:
    """Run what is missing with a bar on a terminal until done or asked to end; save it."""
    scenario = plan.scenario
    environment = environments.environment(timer())

    def result(found: Found) -> SimulationResult:
        return result_of(scenario, plan.grid, found, environment)

    left = sum(map(len, plan.grid.missing(plan.found)))
    try:
        if left:
            with place_of(args, left) as place, bar() as progress:
                hooks = Hooks(
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
        on = resume_command(args, plan)
        raise WorkersLost(f"{error} what is finished is saved; go on with: {on}") from error
    found = result(plan.found)
    saving.at_the_end(found)
    return found


def place_of(args: argparse.Namespace, left: int) -> AbstractContextManager[Place]:
    """Return where to run.

    Raises
    ------
    InputError : options that do not go together, or a number out of range.
    """
    if args.backend == "dask":
        if args.scheduler is None:
            raise InputError("--backend", "dask", "together with --scheduler ADDRESS")
        check_scheduler(args.scheduler)
        return dask(args.scheduler)
    if args.scheduler is not None:
        raise InputError("--scheduler", args.scheduler, "together with --backend dask")
    return local(parse_int("--jobs", args.jobs, 0, JOBS_MAX), left)


def publish(result: SimulationResult, name: str, html: Path | None) -> None:
    """Print the result in format `name` on stdout; write the page to `html` if it is given."""
    sys.stdout.write(FORMATS[name](result))
    if html is not None:
        from ntbbench.report.simulation_html import render_html  # noqa: PLC0415  # plotly is slow

        write_bytes(html, render_html(result).encode())


def resume_command(args: argparse.Namespace, plan: Plan) -> str:
    """Return the command line that goes on and ends like this one."""
    words = ["ntbbench", "simulate", "--resume", str(plan.output)]
    if args.html is not None:
        words += ["--html", args.html]
    if args.backend == "dask":
        words += ["--backend", "dask", "--scheduler", args.scheduler]
    words += [] if args.jobs == "0" else ["--jobs", args.jobs]
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
