# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair matrix`: old and new drivers on either side, on the real code."""

import argparse
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ntbbench.cli import lab_pair_options as options
from ntbbench.cli.lab_kernel import say
from ntbbench.cli.lab_pair_kernel import PairLab, pair_lab
from ntbbench.cli.progress import Saving, bar, interrupts
from ntbbench.core.axes import parse_int_axis
from ntbbench.core.errors import ExitCode, InputError, NtbbenchError
from ntbbench.core.names import parse_int
from ntbbench.core.result_file import new_run
from ntbbench.lab.lab_errors import GuestError
from ntbbench.lab.pair.judged.exercised import not_exercised
from ntbbench.lab.pair.judged.points import all_agree
from ntbbench.lab.pair.matrix import MatrixHooks, MatrixScenario, failures, point_key, run_matrix
from ntbbench.lab.pair.plan import SLOTS_MAX, WINDOWS_MAX
from ntbbench.lab.pair.records import MATRIX, PairPoint, PairResult, load_pair_result
from ntbbench.pair.setting import EP_SLOTS_MIN
from ntbbench.report.wording import plural

DEFAULT = MatrixScenario(kernel=options.DEFAULT_KERNEL)
JOBS_MAX = 64
EXHAUSTIVE_SLOTS = f"{EP_SLOTS_MIN}-{SLOTS_MAX}"
EXHAUSTIVE_WINDOWS = f"1-{WINDOWS_MAX}"
WAITS = "interrupted: waiting for {} to end; what is finished is kept"
DESCRIPTION = """\
Pair old and new drivers on either side, in both directions, and say what becomes of the doorbells
on the real code: `ntbbench compat`, measured. Each pair of drivers, number of slots and number of
windows is one boot; the guest's clock counts instructions, so the counts do not vary.
"""
EPILOG = """\
exit codes:
  0    model and kernel agree in every cell     1   they differ in at least one
  2    bad input
  3    a source does not build, QEMU or the disk failed: finished boots are saved; or guests
       panicked, hung or gave up: each is a point with its cause, the matrix is printed, and
       --resume tries those boots again
  70   internal error
  130  interrupted: finished boots are saved, and --resume goes on     143  the same, by SIGTERM

examples:
  ntbbench lab pair matrix
  ntbbench lab pair matrix --ep-slots 3-8 --mw-count 1-2
  ntbbench lab pair matrix --exhaustive -o all.json
  ntbbench lab pair matrix --resume all.json
"""


def add_matrix(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `matrix` to the subcommands of lab pair."""
    parser = actions.add_parser(
        "matrix",
        help="old and new drivers on either side: what works, measured",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_kernel(parser)
    options.add_drivers(parser, ",".join(DEFAULT.ep_drivers))
    setting = parser.add_argument_group("setting")
    setting.add_argument("--ep-slots", metavar="LIST", help="db_counts, as 8 or 3-8 (default 8)")
    setting.add_argument("--mw-count", metavar="LIST", help="memory windows (default 2)")
    setting.add_argument(
        "--exhaustive",
        action="store_true",
        help=f"slots {EXHAUSTIVE_SLOTS} and windows {EXHAUSTIVE_WINDOWS}",
    )
    options.add_queues(setting)
    options.add_traffic(parser)
    options.add_output(parser, record=False)
    running = parser.add_argument_group("running")
    running.add_argument("--jobs", metavar="N", help="boots at a time (default: one a CPU)")
    running.add_argument(
        "--resume", metavar="FILE.json", type=Path, help="go on with an interrupted matrix"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Boot every cell, save after each, print; an interrupted matrix keeps what is finished."""
    previous = None if args.resume is None else load_pair_result(args.resume)
    scenario = scenario_of(args) if previous is None else resumed(args, previous)
    plans = scenario.plans()
    output = args.output or args.resume or new_run(options.RUNS, "lab-pair-matrix")
    options.check_outputs(args, output)
    jobs = parse_int("--jobs", args.jobs or str(os.cpu_count() or 1), 1, JOBS_MAX)
    lab = pair_lab(args)
    sources = lab.read_sources(scenario.ep_drivers, scenario.rc_drivers)
    if previous is not None:
        check_sources(args.resume, previous.sources, sources)
        lab.go_on(previous)
    adopted = previous.points if previous else []
    saving = Saving(output)
    with interrupts() as signals, bar() as progress:

        def unfinished(points: list[PairPoint]) -> PairResult:
            return _result(lab, scenario, points, complete=len(points) == total)

        total = sum(len(plan.traffic) for plan in plans)
        hooks = MatrixHooks(
            boot=lab.boot,
            drivers=lab.drivers,
            save=lambda points: saving.on_the_way(unfinished(points)),
            stop=signals.asked,
            waits=lambda running: say(WAITS.format(plural(running, "boot"))),
            progress=lambda done, of: progress("boots", done, of),
            failed=say,
            jobs=jobs,
        )
        saving.at_the_end(unfinished(adopted))  # whatever ends the matrix, --resume has a file
        saving.check()
        try:
            points, complete = run_matrix(plans, adopted, hooks)
        except (NtbbenchError, OSError):
            if saving.saved:
                say(f"finished boots are saved; go on with: {_again(output)}")
            raise
        result = _result(lab, scenario, points, complete=complete)
        saving.at_the_end(result)
        if not complete:
            saving.check()
            say(f"interrupted; finished boots are saved; go on with: {_again(output)}")
            return signals.exit_code
    options.tell_saved(args, saving)
    options.publish(result, args.format, args.html)
    saving.check()
    died = {point_key(point) for point in points if failures([point])}
    if died:
        told = f"{len(died)} of {len(plans)} boots failed"
        raise GuestError(f"{told}; the rest is as printed; to try them again: {_again(output)}")
    return ExitCode.OK if all_agree(points) else ExitCode.FINDING


def scenario_of(args: argparse.Namespace) -> MatrixScenario:
    """Return what the options ask for.

    Raises
    ------
    InputError : a value out of range, or --exhaustive beside the axes that it sets.
    """
    if args.exhaustive:
        for option, value in (("--ep-slots", args.ep_slots), ("--mw-count", args.mw_count)):
            if value is not None:
                raise InputError(option, value, "not with --exhaustive, which sets it")
    slots = EXHAUSTIVE_SLOTS if args.exhaustive else args.ep_slots or "8"
    windows = EXHAUSTIVE_WINDOWS if args.exhaustive else args.mw_count or "2"
    flows, packets, gap_us = options.traffic_of(args)
    return MatrixScenario(
        kernel=args.kernel,
        source=None if args.source is None else str(args.source.absolute()),
        ep_drivers=_drivers(args.ep_driver, args),
        rc_drivers=_drivers(args.rc_driver, args),
        ep_slots=tuple(parse_int_axis(slots, "--ep-slots", 0, SLOTS_MAX)),
        mw_counts=tuple(parse_int_axis(windows, "--mw-count", 1, WINDOWS_MAX)),
        queues=options.queues_of(args),
        doorbell=args.doorbell,
        directions=options.directions_of(args),
        flows=flows,
        packets=packets,
        gap_us=gap_us,
    )


def recorded(path: Path, previous: PairResult) -> MatrixScenario:
    """Return what an unfinished matrix was asked.

    Raises
    ------
    InputError : the file is no matrix.
    """
    if previous.kind != MATRIX:
        raise InputError(
            "--resume", str(path), f"a result of `lab pair matrix`, not {previous.kind}"
        )
    try:
        return msgspec.convert(previous.scenario, MatrixScenario)
    except msgspec.ValidationError as error:
        raise InputError("--resume", str(path), f"a whole matrix: {error}") from None


def resumed(args: argparse.Namespace, previous: PairResult) -> MatrixScenario:
    """Return the scenario of an unfinished matrix and let `args` name its kernel.

    Raises
    ------
    InputError : the file is no matrix, or options ask for another one.
    """
    scenario = recorded(args.resume, previous)
    if scenario_of(args) not in (DEFAULT, scenario):
        raise InputError("--resume", str(args.resume), "alone: the file says what is left to run")
    args.kernel = scenario.kernel
    args.source = None if scenario.source is None else Path(scenario.source)
    return scenario


def check_sources(path: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse to add boots of one source to those of another.

    Raises
    ------
    InputError : a driver, the --source tree or the kernel has changed, or it is not known.
    """
    if not before:
        allowed = "a matrix that tells which sources it ran; this one is older: run it anew"
        raise InputError("--resume", str(path), allowed)
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if changed:
        allowed = f"the same sources; changed since then: {', '.join(changed)}"
        raise InputError("--resume", str(path), allowed)


def _again(output: Path) -> str:
    return shlex.join(["ntbbench", "lab", "pair", "matrix", "--resume", str(output)])


def _drivers(text: str, args: argparse.Namespace) -> tuple[str, ...]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(dict.fromkeys(options.driver_of(name, args) for name in names))


def _result(
    lab: PairLab, scenario: MatrixScenario, points: list[PairPoint], *, complete: bool
) -> PairResult:
    return PairResult(
        kind=MATRIX,
        scenario=msgspec.to_builtins(scenario),
        complete=complete,
        points=points,
        not_exercised=not_exercised(points),
        **lab.facts(),
    )
