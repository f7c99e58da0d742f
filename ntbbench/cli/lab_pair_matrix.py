# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair matrix`: old and new drivers on either side, on the real code."""

import argparse
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from ntbbench.cli.lab_kernel import PAIR_KERNEL, add_pair_kernel, pair_lab, say
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import add_output, output_of
from ntbbench.cli.pair_setting import (
    EP_RC_DRIVERS,
    HOST_DRIVERS,
    NTB,
    VNTB,
    add_function,
    joins_hosts,
    refuse,
    refuse_drivers,
)
from ntbbench.cli.progress import bar, interrupts
from ntbbench.core.errors import ExitCode, InputError, NtbbenchError
from ntbbench.core.options import kinds, option
from ntbbench.core.result_file import load_as
from ntbbench.lab.boot_pool import Jobs
from ntbbench.lab.commands import GuestError
from ntbbench.lab.hosts.bridge_records import HOSTS_SCHEMA, HostResult
from ntbbench.lab.hosts.hosts_plan import HostScenario
from ntbbench.lab.pair.disagreements import not_exercised
from ntbbench.lab.pair.matrix import (
    MatrixHooks,
    MatrixScenario,
    failures,
    point_key,
    run_matrix,
)
from ntbbench.lab.pair.plan import AFTER, WINDOWS_MAX, PairPlan
from ntbbench.lab.pair.points import all_agree
from ntbbench.lab.pair.records import MATRIX, PAIR_SCHEMA, PairPoint, PairResult
from ntbbench.lab.pair.runner import PairLab
from ntbbench.pair.drivers.kernel_around import EP_DB_COUNT_MAX
from ntbbench.pair.setting import EP_SLOTS_MIN
from ntbbench.report.wording import plural

DEFAULT = MatrixScenario(kernel=PAIR_KERNEL)
HOSTS_DEFAULT = HostScenario(kernel=PAIR_KERNEL)
AnyScenario = MatrixScenario | HostScenario
EXHAUSTIVE_SLOTS = tuple(range(EP_SLOTS_MIN, EP_DB_COUNT_MAX + 1))
EXHAUSTIVE_WINDOWS = tuple(range(1, WINDOWS_MAX + 1))
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
  ntbbench lab pair matrix --function ntb --ep-slots 3-16 --mw-count 1-2     # two hosts
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
    add_pair_kernel(parser)
    add_function(parser)
    add_options(parser, "drivers", DEFAULT, only=EP_RC_DRIVERS)
    hosts = add_options(parser, "drivers of --function ntb", HOSTS_DEFAULT, only=("ntb_driver",))
    for name, kind in zip(HOST_DRIVERS, ("host 1", "host 2"), strict=True):
        words = f"drivers of {kind}; as --ep-driver"
        hosts.add_argument(option(name), metavar="A,B", help=words)
    setting = ("ep_slots", "mw_count", "queues", "doorbell")
    add_options(parser, "setting", DEFAULT, only=setting).add_argument(
        "--exhaustive",
        action="store_true",
        help=f"slots {EP_SLOTS_MIN}-{EP_DB_COUNT_MAX} and windows 1-{WINDOWS_MAX}",
    )
    add_options(parser, "packets", DEFAULT, only=("direction", "flows", "packets", "gap_us"))
    add_output(parser, saves="lab-pair-matrix", checks=True, tested=True)
    add_options(parser, "running", Jobs()).add_argument(
        "--resume", metavar="FILE.json", type=Path, help="go on with an interrupted matrix"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Boot every cell, save after each, print; an interrupted matrix keeps what is finished."""
    schema, kind = (HOSTS_SCHEMA, HostResult) if joins_hosts(args) else (PAIR_SCHEMA, PairResult)
    previous = None if args.resume is None else load_as(args.resume, schema, kind)
    scenario = scenario_of(args) if previous is None else resumed(args, previous)
    plans = scenario.plans()
    output = output_of(args, saves="lab-pair-matrix", resumed=args.resume)
    jobs = chosen(args, Jobs()).jobs or os.cpu_count() or 1
    lab = pair_lab(args)
    sources = lab.read_sources(plan.setup for plan in plans)
    if previous is not None:
        check_sources(args.resume, previous.sources, sources)
        lab.go_on(previous)
    saving = output.saving
    assert saving is not None
    with interrupts() as signals, bar() as progress:
        hooks = MatrixHooks(
            boot=lab.boot,
            drivers=lab.drivers,
            save=lambda points: saving.on_the_way(_result(lab, scenario, plans, points)),
            stop=signals.asked,
            waits=lambda running: say(WAITS.format(plural(running, "boot"))),
            progress=lambda done, of: progress("boots", done, of),
            failed=say,
            jobs=jobs,
        )
        adopted = previous.points if previous else []
        # whatever ends the matrix, --resume has a file
        saving.at_the_end(_result(lab, scenario, plans, adopted))
        saving.check()
        function = ["--function", NTB] if joins_hosts(args) else []
        words = ["ntbbench", "lab", "pair", "matrix", *function, "--resume", str(saving.output)]
        again = shlex.join(words)
        try:
            points, complete = run_matrix(plans, adopted, hooks)
        except (NtbbenchError, OSError):
            if saving.saved:
                say(f"finished boots are saved; go on with: {again}")
            raise
        result = replace(_result(lab, scenario, plans, points), complete=complete)
        if not complete:
            saving.at_the_end(result)
            saving.check()
            say(f"interrupted; finished boots are saved; go on with: {again}")
            return signals.exit_code
    output.finish(result, say)
    return _exit_code(points, len(plans), again)


def _exit_code(points: list[PairPoint], boots: int, again: str) -> int:
    died = {point_key(point) for point in points if failures([point])}
    if died:
        told = f"{len(died)} of {boots} boots failed"
        raise GuestError(f"{told}; the rest is as printed; to try them again: {again}")
    return ExitCode.OK if all_agree(points) else ExitCode.FINDING


def _result(
    lab: PairLab, scenario: AnyScenario, plans: Sequence[PairPlan], points: list[PairPoint]
) -> PairResult:
    """Return the result of the points that there are."""
    kind: type[PairResult] = HostResult if isinstance(scenario, HostScenario) else PairResult
    return kind(
        kind=MATRIX,
        scenario=msgspec.to_builtins(scenario),
        complete=len(points) == sum(len(plan.traffic) for plan in plans),
        points=points,
        not_exercised=not_exercised(points, probed=False),
        **lab.facts(),
    )


def scenario_of(args: argparse.Namespace) -> AnyScenario:
    """Return what the options ask for; with --source `after` is that tree's.

    Raises
    ------
    InputError : a value out of range, or --exhaustive beside the axes that it sets.
    """
    refuse_drivers(args)
    scenario: AnyScenario
    if joins_hosts(args):
        refuse(args, ("doorbell",), VNTB)
        scenario = _hosts(args)
    else:
        scenario = chosen(args, MatrixScenario(kernel=args.kernel))
    if args.exhaustive:
        for option, value in (("--ep-slots", args.ep_slots), ("--mw-count", args.mw_count)):
            if value is not None:
                raise InputError(option, value, "not with --exhaustive, which sets it")
        scenario = replace(scenario, ep_slots=EXHAUSTIVE_SLOTS, mw_count=EXHAUSTIVE_WINDOWS)
    if args.source is None:
        return scenario
    tree = str(args.source.absolute())
    ep, rc = (
        tuple(tree if name == AFTER else name for name in names)
        for names in (scenario.ep_driver, scenario.rc_driver)
    )
    scenario = replace(scenario, source=tree, ep_driver=ep, rc_driver=rc)
    if isinstance(scenario, HostScenario) and scenario.ntb_driver == AFTER:
        scenario = replace(scenario, ntb_driver=tree)
    return scenario


def _hosts(args: argparse.Namespace) -> HostScenario:
    """Return the scenario of two hosts, whose drivers have options of their own."""
    base = HostScenario(kernel=args.kernel)
    drivers = {
        own: kinds(HostScenario)[own].parse(option(name), text)
        for own, name in zip(EP_RC_DRIVERS, HOST_DRIVERS, strict=True)
        if (text := getattr(args, name)) is not None
    }
    return replace(chosen(args, base), **drivers)


def resumed(args: argparse.Namespace, previous: PairResult) -> AnyScenario:
    """Return the scenario of an unfinished matrix and let `args` name its kernel.

    Raises
    ------
    InputError : the file is no matrix, or options ask for another one.
    """
    if previous.kind != MATRIX:
        allowed = f"a result of `lab pair matrix`, not {previous.kind}"
        raise InputError("--resume", str(args.resume), allowed)
    try:
        scenario: AnyScenario = (
            msgspec.convert(previous.scenario, HostScenario)
            if joins_hosts(args)
            else msgspec.convert(previous.scenario, MatrixScenario)
        )
    except msgspec.ValidationError as error:
        raise InputError("--resume", str(args.resume), f"a whole matrix: {error}") from None
    if scenario_of(args) not in (DEFAULT, HOSTS_DEFAULT, scenario):
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
