# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair`: the two real drivers against each other in one guest, beside the model."""

import argparse
import tempfile
from pathlib import Path

from ntbbench.cli import lab_pair_options as options
from ntbbench.cli.failures import failed
from ntbbench.cli.lab_kernel import say
from ntbbench.cli.lab_pair_check import add_check
from ntbbench.cli.lab_pair_kernel import pair_lab
from ntbbench.cli.lab_pair_matrix import add_matrix
from ntbbench.cli.lab_pair_patches import add_patches
from ntbbench.cli.progress import Saving
from ntbbench.cli.streams import refusal
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.result_file import new_run
from ntbbench.lab.lab_errors import BuildError, GuestError, UnjudgedError
from ntbbench.lab.pair.judged.boot import is_spaced, observed
from ntbbench.lab.pair.judged.exercised import not_exercised
from ntbbench.lab.pair.judged.points import all_agree, all_points
from ntbbench.lab.pair.judged.predict import PER_VECTOR, SPACED_GAP, WORKS
from ntbbench.lab.pair.plan import AFTER, PairPlan
from ntbbench.lab.pair.records import RUN, PairPoint, PairResult

DESCRIPTION = """\
Bind the unmodified pci-epf-vntb and ntb_hw_epf to each other over a software endpoint controller
in one QEMU guest, bring up ntb_transport and multi-queue ntb_netdev, send packets, and count what
the drivers do beside what the model predicts.
"""
RUN_EPILOG = """\
exit codes:
  0    the kernel and the model agree in every point, and --require is met
  1    they do not, or it is not; or a driver does what no known patches do, or others than said
  2    bad input, a missing tool, or a package that cannot be had
  3    a source does not build, QEMU failed, or the guest panicked, hung or gave up
  70   internal error          130  interrupted
  with --bisect, for `git bisect run`:
  0    good    1  bad: also a guest that panics or hangs, or a module that does not load
  125  skip: does not build, or lacks what the lab traces     255  stop

examples:
  ntbbench lab pair run
  ntbbench lab pair run --queues 4
  ntbbench lab pair run --ep-driver my-vntb.c --ep-patches 1-7   # does it behave as the series?
  ntbbench lab pair run --direction ep-to-rc --flows 1 --packets 200 --gap 0     # a burst
  ntbbench lab pair run --source ~/linux --rc-driver before     # still links with old peers?
  git bisect run ntbbench lab pair run --source . --require per-vector --bisect
"""
LEAST_GAP = round(SPACED_GAP * 1e6)
VERDICTS = {"": "no verdict, they may have met", WORKS: "per-vector or fallback, with one QP"}
BISECT_SKIP, BISECT_STOP = ExitCode.BISECT_SKIP, ExitCode.BISECT_STOP


def add_pair(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `lab pair` and its subcommands to the subcommands of lab."""
    parser = actions.add_parser(
        "pair",
        help="the real driver pair: ntb_hw_epf against pci-epf-vntb",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    inner = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND", required=True)
    _add_run(inner)
    add_matrix(inner)
    add_check(inner)


def _add_run(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "run",
        help="one pair of drivers: doorbells, MSIs, callbacks, tasklet runs",
        description=DESCRIPTION,
        epilog=RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_kernel(parser)
    options.add_drivers(parser, AFTER)
    add_patches(parser)
    options.add_setting(parser)
    options.add_traffic(parser)
    options.add_output(parser)
    parser.add_argument(
        "--require",
        choices=tuple(REQUIREMENTS),
        help="a point that is not so is a finding, whatever the model says",
    )
    parser.add_argument("--bisect", action="store_true", help="exit codes for `git bisect run`")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run one boot; the exit code is that of the points, or of `git bisect run`."""
    if not args.bisect:
        return _run(args)
    try:
        code = _run(args)
        refused = refusal()
        if refused is not None:
            raise refused
        return code
    except Exception as error:
        # Every one: of a defect of ours too, git would take main's 70 for "bad" and blame the
        # commit. It is told as main tells it.
        failed(error)
        if isinstance(error, BuildError | UnjudgedError):
            return BISECT_SKIP
        return ExitCode.FINDING if isinstance(error, GuestError) else BISECT_STOP


def _run(args: argparse.Namespace) -> int:
    plan = plan_of(args)
    check_requirement(plan, args.require)
    output = args.output or new_run(options.RUNS, "lab-pair")
    options.check_outputs(args, output)
    lab = pair_lab(args)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.record_folder(args, Path(scratch) / "recordings")
        recordings = lab.boot(plan, folder)
        points = all_points(recordings)
    result = PairResult(
        kind=RUN,
        points=points,
        observed=observed(recordings),
        not_exercised=not_exercised(points),
        **lab.facts(),
    )
    saving = Saving(output)
    saving.at_the_end(result)
    options.tell_saved(args, saving)
    options.publish(result, args.format, args.html)
    saving.check()
    return verdict(points, args.require)


def plan_of(args: argparse.Namespace) -> PairPlan:
    """Return the boot that the options ask for.

    Raises
    ------
    InputError : a value out of range.
    """
    setup = options.setup_of(args)
    return PairPlan(setup, options.points_of(args, setup))


def _is_up(point: PairPoint) -> bool:
    return point.link == "up"


def _works(point: PairPoint) -> bool:
    return _is_up(point) and point.packets_received == point.packets_sent > 0


def _per_vector(point: PairPoint) -> bool:
    return _works(point) and point.verdict == "per-vector"


# What --require asks of every point.
REQUIREMENTS = {"link": _is_up, "packets": _works, PER_VECTOR: _per_vector}


def check_requirement(plan: PairPlan, required: str | None) -> None:
    """Refuse a requirement that no drivers can meet in this setting.

    Raises
    ------
    InputError : per-vector of a burst, which has no verdict, or of one QP, where it is `works`.
    """
    if required != PER_VECTOR:
        return
    setup = plan.setup
    if any(not is_spaced(traffic) for traffic in plan.traffic):
        gap = plan.traffic[0].gap_us
        raise InputError("--require", PER_VECTOR, f"a --gap of {LEAST_GAP} us or more, not {gap}")
    for option, value in (("--mw-count", setup.mw_count), ("--queues", setup.queues)):
        if value == 1:
            allowed = f"two QPs or more, not the one of {option} 1: it is woken either way"
            raise InputError("--require", PER_VECTOR, allowed)


def _why(point: PairPoint) -> str:
    """Return what a point is instead of what was required, and its packets where it has any."""
    if not _is_up(point):
        return point.cause
    sent = f"{point.packets_sent} packets sent, {point.packets_received} received"
    return f"{sent}; doorbells: {VERDICTS.get(point.verdict, point.verdict)}"


def verdict(points: list[PairPoint], required: str | None) -> int:
    """Return the exit code: a point that differs from the model, or is not as required."""
    failing = [point for point in points if required and not REQUIREMENTS[required](point)]
    for point in failing:
        say(f"--require {required}: {point.direction} is not: {_why(point)}")
    return ExitCode.OK if all_agree(points) and not failing else ExitCode.FINDING
