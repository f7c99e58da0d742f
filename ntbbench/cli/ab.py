# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench ab`: two commands, run in random blocks until the pairs decide."""

import argparse
import os
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from ntbbench.ab.records import AbCommand, AbResult
from ntbbench.ab.schedule import SIDES, AbPlan
from ntbbench.cli.compare import OF_AB
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import add_output, output_of, report_output
from ntbbench.cli.progress import Saving, interrupts, status_line
from ntbbench.cli.streams import tell
from ntbbench.compare.policy import Policy, check_medians, load_policy
from ntbbench.core.ending import scratch_folder
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.names import parse_int
from ntbbench.core.options import changed, option, shown

if TYPE_CHECKING:
    from ntbbench.ab.revisions import Setup
    from ntbbench.compare.records import Report, Side

DESCRIPTION = """\
Run two commands as fresh processes, in blocks whose order is drawn, and stop when the pairs have
decided. Looking after every block costs no error: the chance of a false alarm is at most alpha.
"""
EPILOG = """\
metrics: wall (default), cpu, instructions (perf, else callgrind), json:PATH, regex:PATTERN; of a
command with {output} in it also those of the result that it writes there

examples:
  ntbbench ab --base './old 100' --candidate './new 100' --pin
  ntbbench ab --base 'python a.py' --candidate 'python b.py' --metric regex:'took (.*) ms'
  ntbbench ab --git main..HEAD --command '{python} -m pytest bench/ --benchmark-json={output}'
  ntbbench ab --resume run.json
  ntbbench gate run.json

exit codes:
  0  done, whatever the verdicts    2  bad input, or a command that fails
  130, 143  interrupted; the blocks so far are saved
With --gate those of `gate`: 1 a regression, 3 inconclusive where the policy fails it.
"""
HOW = ("until", "max_runs", "max_time", "warmup", "timeout", "seed")
COUNTS = ("alpha", "threshold", "higher_is_better", "fail_inconclusive")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "ab",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_sides(parser)
    group = add_options(parser, "how", AbPlan(), HOW)
    group.add_argument(
        "--pin", nargs="?", const="", metavar="CPU", help="run both on one CPU (default the last)"
    )
    group = add_options(parser, "what counts", Policy(), COUNTS)
    group.add_argument("--policy", type=Path, metavar="FILE.toml", help="thresholds by metric")
    group.add_argument("--gate", action="store_true", help="exit with the verdict, as `gate` does")
    add_output(parser, saves="ab", checks=True).add_argument(
        "--resume", metavar="FILE.json", type=Path, help="go on with a result of ab"
    )
    parser.set_defaults(run=run)


def _add_sides(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to run, without a shell")
    group.add_argument("--base", metavar="CMD", help="the base")
    group.add_argument("--candidate", metavar="CMD", help="what is compared with it")
    group.add_argument("--command", metavar="CMD", help="both; with --git")
    group.add_argument(
        "--git",
        metavar="A..B",
        help="two revisions, each in a worktree and a virtual environment of its own, {python}",
    )
    group.add_argument(
        "--build",
        metavar="CMD",
        help="builds each side first (with --git default: pip install .)",
    )
    group.add_argument("--build-base", metavar="CMD", help="builds the base")
    group.add_argument("--build-candidate", metavar="CMD", help="builds the candidate")
    group.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="wall|cpu|instructions|json:PATH|regex:...",
        help="what is compared; repeatable: all of them are one family",
    )


def run(args: argparse.Namespace) -> int:
    """Run the blocks, save, report."""
    from ntbbench.compare.readers.ab_blocks import load_ab  # noqa: PLC0415 -- loads numpy

    previous = None if args.resume is None else load_ab(args.resume)
    result = begun(args) if previous is None else resumed(args, previous)
    output = output_of(args, saves="ab", resumed=args.resume)
    if result.complete:
        tell(f"{args.resume} is complete: there is nothing to go on with")
        output = output if args.output is not None else report_output(args)
        output.finish(result)
        return _exit_code(args, result)
    saving = output.saving
    assert saving is not None  # a run is always saved
    on = shlex.join(["ntbbench", "ab", "--resume", str(output.result)])
    with interrupts() as signals:
        try:
            result = _measured(result, saving, signals.stop)
        except InputError:
            if saving.output.exists():
                tell(f"what was finished is saved; go on with: {on}")
            raise
    if not result.complete:
        saving.at_the_end(result)
        saving.check()
        tell(f"interrupted; what is finished is saved; go on with: {on}")
        return signals.exit_code
    output.finish(result)
    return _exit_code(args, result)


def begun(args: argparse.Namespace) -> AbResult:
    """Return the result that a run begins with; InputError: options that do not fit."""
    from ntbbench import __version__  # noqa: PLC0415
    from ntbbench.ab.noise import noise  # noqa: PLC0415
    from ntbbench.core.clock import timer  # noqa: PLC0415
    from ntbbench.core.environment import environment  # noqa: PLC0415

    plan = chosen(args, AbPlan())
    plan = plan if plan.seed is not None else replace(plan, seed=secrets.randbits(32))
    if args.git is None and args.command is not None:
        raise InputError("--command", args.command, "with --git; else --base and --candidate")
    return AbResult(
        ntbbench_version=__version__,
        base=_command(args, "base", AbCommand(command="")),
        candidate=_command(args, "candidate", AbCommand(command="")),
        asked=args.metric,
        git=args.git or "",
        cpu=_cpu(args.pin),
        counter="",
        plan=shown(plan),
        policy=shown(_policy(args, load_policy(args.policy))),
        environment=environment(timer()).record(),
        noise=noise(),
        stopped="",
        seconds=0.0,
        metrics=[],
        runs=[],
    )


def resumed(args: argparse.Namespace, previous: AbResult) -> AbResult:
    """Return the result to go on with; its bounds may be moved, for its verdicts hold at any time.

    InputError: what else is asked for is not what the result has.
    """
    from ntbbench.core.clock import timer  # noqa: PLC0415
    from ntbbench.core.environment import comparable, environment  # noqa: PLC0415

    recorded: AbPlan = changed("plan: ", AbPlan(), previous.plan)
    plan = chosen(args, recorded)
    known: Policy = changed("policy: ", Policy(), previous.policy)
    policy = _policy(args, known if args.policy is None else load_policy(args.policy))
    here = comparable(environment(timer()).record())
    for field, asked, has in (
        *((f"--{s}", _command(args, s, getattr(previous, s)), getattr(previous, s)) for s in SIDES),
        ("--metric", args.metric or previous.asked, previous.asked),
        ("--git", args.git or previous.git, previous.git),
        ("--pin", previous.cpu if args.pin is None else _cpu(args.pin), previous.cpu),
        ("--seed", plan.seed, recorded.seed),
        ("--warmup", plan.warmup, recorded.warmup),
        # What a policy of an older version does not say yet is what it says by itself.
        *((option(key), value, shown(known)[key]) for key, value in shown(policy).items()),
        *((key, value, previous.environment.get(key)) for key, value in here.items()),
    ):
        if asked != has:
            allowed = f"{_plain(has)!r}, as in the result"
            raise InputError(f"{args.resume}: {field}", _plain(asked), allowed)
    moved = {"max-runs": plan.most > previous.blocks, "until": plan.most > previous.blocks}
    moved["max-time"] = plan.max_time > previous.seconds
    goes_on = moved.get(previous.stopped, False)
    return replace(previous, plan=shown(plan), stopped="" if goes_on else previous.stopped)


def _plain(value: object) -> object:
    return value.command if isinstance(value, AbCommand) else value


def _command(args: argparse.Namespace, side: "Side", known: AbCommand) -> AbCommand:
    """Return what a side runs; where nothing is said, what is known of it."""
    own = getattr(args, side)
    if own is not None and args.command is not None:
        raise InputError("--command", args.command, f"not beside --{side}")
    command = own or args.command or known.command
    if not command:
        raise InputError(f"--{side}", own or "", "a command to run")
    build = getattr(args, f"build_{side}") or args.build or known.build
    return AbCommand(command=command, build=build, revision=known.revision, inputs=known.inputs)


def _cpu(pin: str | None) -> int | None:
    """Return the CPU of --pin; without a number the last one that this process may use."""
    usable = os.sched_getaffinity(0)
    if pin is None:
        return None
    return parse_int("--pin", pin, min(usable), max(usable)) if pin else max(usable)


def _policy(args: argparse.Namespace, base: Policy) -> Policy:
    """Return the policy; whatever it says, the test is one that may look after every block."""
    check_medians(base.quantile, OF_AB)
    return replace(chosen(args, base, COUNTS), test="sequential")


def _measured(result: AbResult, saving: Saving, stop: Callable[[], bool]) -> AbResult:
    """Build, then run until done or asked to end."""
    from ntbbench.ab.metrics import OUTPUT, RunReader  # noqa: PLC0415 -- loads numpy
    from ntbbench.ab.process import Interrupted  # noqa: PLC0415
    from ntbbench.ab.run import Bench, Watcher, run_blocks  # noqa: PLC0415 -- loads scipy

    both = (result.base.command, result.candidate.command)
    leaves_file = any(OUTPUT in command for command in both)
    if leaves_file and not all(OUTPUT in command for command in both):
        raise InputError("--candidate", both[1], f"{OUTPUT} in both commands, or in none")
    reader = RunReader(result.asked, leaves_file=leaves_file)
    result = replace(result, counter=reader.counter.name if reader.counter else "")
    try:
        with (
            scratch_folder() as folder,
            _places(result, stop) as places,
            status_line() as show,
        ):
            revised = {side: _known(result, side, places[side]) for side in SIDES}
            watcher = Watcher(stop, saving.on_the_way, lambda *now: show(progress(*now)))
            bench = Bench(places, reader, result.cpu, folder)
            return run_blocks(replace(result, **revised), bench, watcher)
    except Interrupted:  # while it was built
        return replace(result, stopped="interrupted")


def _known(result: AbResult, side: "Side", place: "Setup") -> AbCommand:
    """Return a side's command with the content that it runs; of --git the commit tells that."""
    from ntbbench.ab.inputs import check_inputs_same, inputs_of  # noqa: PLC0415

    known: AbCommand = getattr(result, side)
    if place.revision:
        return replace(known, revision=place.revision)
    found = inputs_of(place.words(f"--{side}", known.command))
    if result.runs:
        check_inputs_same(f"--{side}", known.inputs, found)
        if known.inputs is UNSET:
            tell(f"--{side}: the file has no SHA-256 of what its blocks ran; this may differ")
    return replace(known, inputs=found)


@contextmanager
def _places(result: AbResult, stop: Callable[[], bool]) -> "Iterator[Mapping[Side, Setup]]":
    """Yield where each side runs, built."""
    from ntbbench.ab.revisions import HERE, built, worktrees  # noqa: PLC0415

    builds = {side: getattr(result, side).build for side in SIDES}
    if not result.git:
        for side in SIDES:
            if builds[side] and not result.runs:
                built(f"--build-{side}", builds[side], HERE, stop)
        yield dict.fromkeys(SIDES, HERE)
        return
    # On the way on the commits that were measured, wherever the names point by now.
    known = [getattr(result, side).revision for side in SIDES]
    with worktrees("..".join(known) if all(known) else result.git, builds, stop) as places:
        yield places


def progress(result: AbResult, report: "Report | None") -> str:
    """Return the line that says how far it is: the first metric that is not decided."""
    from ntbbench.report.views.ab import change  # noqa: PLC0415

    plan: AbPlan = changed("plan: ", AbPlan(), result.plan)
    if report is None:
        return "warming up"
    found = report.comparisons
    open_ones = [c for c in found if c.verdict == "inconclusive"]
    first = (open_ones or found)[0]
    done = f"  {len(found) - len(open_ones)} of {len(found)} decided" if len(found) > 1 else ""
    return f"block {result.blocks}/{plan.most}{done}  {first.metric} {change(first)}"


def _exit_code(args: argparse.Namespace, result: AbResult) -> int:
    from ntbbench.ab.run import judged  # noqa: PLC0415 -- loads scipy
    from ntbbench.compare.rates import all_series, check_directions  # noqa: PLC0415
    from ntbbench.compare.readers.ab_blocks import ab_sides  # noqa: PLC0415

    if not args.gate:
        return ExitCode.OK
    policy: Policy = changed("policy: ", Policy(), result.policy)
    check_directions(all_series(ab_sides(result)), policy)
    return judged(result).exit_code
