# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair run`: the two real drivers in one guest, beside the model."""

import argparse
import shlex

from ntbbench.cli.lab_kernel import pair_lab, say
from ntbbench.cli.lab_pair_boot import (
    add_boot,
    finish,
    packets_of,
    recordings_of,
    result_kind,
    setup_of,
)
from ntbbench.cli.lab_pair_check import add_check
from ntbbench.cli.lab_pair_explore import add_explore, add_replay
from ntbbench.cli.lab_pair_matrix import add_matrix
from ntbbench.cli.lab_pair_selftest import add_selftest
from ntbbench.cli.output import output_of
from ntbbench.cli.streams import failed, refusal
from ntbbench.core.errors import ExitCode
from ntbbench.lab.commands import BuildError, GuestError, UnjudgedError
from ntbbench.lab.pair.disagreements import (
    REQUIREMENTS,
    check_requirement,
    not_as_required,
    not_exercised,
)
from ntbbench.lab.pair.plan import PairPlan
from ntbbench.lab.pair.points import all_agree, all_points, observed
from ntbbench.lab.pair.records import RUN, PairPoint

DESCRIPTION = """\
Bind the unmodified pci-epf-vntb and ntb_hw_epf to each other over a software endpoint controller
in one QEMU guest, bring up ntb_transport and multi-queue ntb_netdev, send packets, and count what
the drivers do beside what the model predicts. With --function ntb: two hosts with ntb_hw_epf, each
on a controller of its own, that the unmodified pci-epf-ntb joins.
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
  ntbbench lab pair run               # spaced packets, bursts, and all that the drivers answer
  ntbbench lab pair run --quick --queues 4
  ntbbench lab pair run --ep-driver my-vntb.c --ep-patches 1-7   # does it behave as the series?
  ntbbench lab pair run --function ntb --host1-driver before     # an old host beside a new one
  ntbbench lab pair run --direction ep-to-rc --flows 1 --packets 200 --gap 0     # a burst
  ntbbench lab pair run --source ~/linux --rc-driver before     # still links with old peers?
  git bisect run ntbbench lab pair run --source . --require per-vector --bisect
"""
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
    add_selftest(inner)
    add_explore(inner)
    add_replay(inner)


def _add_run(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "run",
        help="one pair of drivers: doorbells, MSIs, callbacks, tasklet runs",
        description=DESCRIPTION,
        epilog=RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_boot(parser, "lab-pair")
    parser.add_argument(
        "--require",
        choices=tuple(REQUIREMENTS),
        help="a point that is not so is a finding, whatever the model says",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="without bursts, and without the API probe: several bits, scratchpads, windows, link",
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
    except Exception as error:  # a defect of ours too: git takes main's 70 for "bad"
        failed(error, shlex.split(args.command_line))  # as main() does; nothing is hidden
        if isinstance(error, BuildError | UnjudgedError):
            return BISECT_SKIP
        return ExitCode.FINDING if isinstance(error, GuestError) else BISECT_STOP


def _run(args: argparse.Namespace) -> int:
    setup = setup_of(args)
    packets = packets_of(args, setup)
    spaced = args.quick or args.gap_us is not None  # a --gap that is given is the only one
    traffic = packets.points(setup) if spaced else packets.whole(setup)
    plan = PairPlan(setup, traffic, probe=not args.quick)
    check_requirement(plan, args.require)
    output = output_of(args, saves="lab-pair")
    with recordings_of(args) as folder:
        lab = pair_lab(args)
        recordings = lab.boot(plan, folder)
        points = all_points(recordings)
    result = result_kind(args)(
        kind=RUN,
        points=points,
        observed=observed(recordings),
        not_exercised=not_exercised(points, probed=plan.probe),
        **lab.facts(),
    )
    finish(args, output, result)
    return exit_code(points, args.require)


def exit_code(points: list[PairPoint], required: str | None) -> int:
    """Return whether a point differs from the model, or is not as required, which is said."""
    failing = not_as_required(points, required)
    for line in failing:
        say(line)
    return ExitCode.OK if all_agree(points) and not failing else ExitCode.FINDING
