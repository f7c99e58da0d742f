# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair run` and `check`: the two real drivers in one guest, beside the model."""

import argparse
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from ntbbench.cli.lab_kernel import add_pair_kernel, check_empty, pair_lab, say
from ntbbench.cli.lab_pair_explore import add_explore, add_replay
from ntbbench.cli.lab_pair_matrix import add_matrix
from ntbbench.cli.lab_pair_selftest import add_selftest
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import Output, add_output, output_of
from ntbbench.cli.pair_setting import (
    EP_RC_DRIVERS,
    HOST_DRIVERS,
    VNTB,
    add_function,
    joins_hosts,
    pair_setup,
    refuse,
    refuse_drivers,
)
from ntbbench.cli.streams import failed, refusal
from ntbbench.core.ending import scratch_folder
from ntbbench.core.errors import ExitCode
from ntbbench.lab.commands import BuildError, GuestError, UnjudgedError
from ntbbench.lab.hosts.bridge_records import HostResult
from ntbbench.lab.hosts.hosts_plan import HostPackets
from ntbbench.lab.pair.disagreements import (
    REQUIREMENTS,
    check_requirement,
    not_as_required,
    not_exercised,
)
from ntbbench.lab.pair.findings import known_to_model, read_findings
from ntbbench.lab.pair.plan import (
    AFTER,
    AnySetup,
    HostSetup,
    Packets,
    PairPlan,
    PairSetup,
    Rounds,
)
from ntbbench.lab.pair.points import all_agree, all_points, evaluate, observed
from ntbbench.lab.pair.records import CHECK, RUN, PairPoint, PairResult

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
CHECK_DESCRIPTION = """\
Run the pair on a kernel that watches itself (sleeping in atomic context, lock order, use after
free), send packets, unbind and bind the endpoint again --rounds times, and list what the kernel
complained of, each with the first line that shows it.
"""
CHECK_EPILOG = """\
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
    _add_check(inner)
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
    _add_boot(parser, "lab-pair")
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


def _add_check(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "check",
        help="the pair on a debug kernel: atomic sleeps, lock order, use after free",
        description=CHECK_DESCRIPTION,
        epilog=CHECK_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_boot(parser, "lab-pair-check")
    add_options(parser, "rounds", Rounds())
    parser.set_defaults(run=run_check)


def _add_boot(parser: argparse.ArgumentParser, saves: str) -> None:
    """Add the options of one boot: kernel, drivers, setting, packets, output."""
    add_pair_kernel(parser)
    add_function(parser)
    add_options(parser, "drivers", PairSetup(), only=EP_RC_DRIVERS)
    add_options(parser, "drivers of --function ntb", HostSetup(), only=HOST_DRIVERS)
    add_options(parser, "patches", PairSetup(), only=("ep_patches", "rc_patches"))
    add_options(parser, "setting", PairSetup(), only=("ep_slots", "mw_count", "queues", "doorbell"))
    add_options(parser, "packets", Packets())
    add_output(parser, saves=saves, checks=True, tested=True).add_argument(
        "--record", metavar="DIR", type=Path, help="keep ftrace text and counters, a folder a point"
    )


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
    plan = PairPlan(setup, traffic, probe=setup.is_observed and not args.quick)
    check_requirement(plan, args.require)
    output = output_of(args, saves="lab-pair")
    with _recordings(args) as folder:
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
    _finish(args, output, result)
    return exit_code(points, args.require)


def exit_code(points: list[PairPoint], required: str | None) -> int:
    """Return whether a point differs from the model, or is not as required, which is said."""
    failing = not_as_required(points, required)
    for line in failing:
        say(line)
    return ExitCode.OK if all_agree(points) and not failing else ExitCode.FINDING


def run_check(args: argparse.Namespace) -> int:
    """Boot once, list the findings; a finding is one whatever the points say."""
    setup = setup_of(args)
    # unbinding pci-epf-ntb panics in 7.3: only who asks for it sees that
    rounds = chosen(args, Rounds(0) if joins_hosts(args) else Rounds()).rounds
    plan = PairPlan(setup, packets_of(args, setup).points(setup), rounds=rounds, may_die=True)
    output = output_of(args, saves="lab-pair-check")
    with _recordings(args) as folder:
        lab = pair_lab(args, debug=True)
        recordings = lab.boot(plan, folder)
        points = evaluate(recordings)
        found = read_findings(folder, recordings.died) if recordings.available else []
    findings = known_to_model(found, recordings)
    result = result_kind(args)(
        kind=CHECK,
        points=points,
        observed=observed(recordings),
        not_exercised=not_exercised(points, probed=plan.probe),
        findings=findings,
        rounds=rounds,
        complete=not recordings.died,
        checks=lab.checks,
        **lab.facts(),
    )
    _finish(args, output, result)
    return ExitCode.OK if all_agree(points) and not findings else ExitCode.FINDING


def packets_of(args: argparse.Namespace, setup: AnySetup) -> Packets:
    """Return what a boot sends; InputError: a value out of range."""
    return chosen(args, HostPackets() if isinstance(setup, HostSetup) else Packets())


def setup_of(args: argparse.Namespace) -> AnySetup:
    """Return the drivers and the setting of one boot; with --source `after` is that tree's.

    Raises
    ------
    InputError : a value out of range, other patches than the driver's name says, or an option of
        the other endpoint function.
    """
    refuse_drivers(args)
    if joins_hosts(args):
        refuse(args, ("ep_patches", "rc_patches", "doorbell"), VNTB)
        hosts = chosen(args, HostSetup(), only=(*HOST_DRIVERS, "ep_slots", "mw_count", "queues"))
        if args.source is None:
            return hosts
        tree = str(args.source.absolute())
        ours = {name: tree for name in HOST_DRIVERS if getattr(hosts, name) == AFTER}
        return replace(hosts, **ours)
    return pair_setup(args)


def result_kind(args: argparse.Namespace) -> type[PairResult]:
    """Return the kind of record that a run of this function makes."""
    return HostResult if joins_hosts(args) else PairResult


@contextmanager
def _recordings(args: argparse.Namespace) -> Iterator[Path]:
    """Yield where the recordings go: --record, which must be new or empty, or for a while."""
    if args.record is not None:
        check_empty("--record", args.record)
        yield args.record
        return
    with scratch_folder() as scratch:
        yield scratch / "recordings"


def _finish(args: argparse.Namespace, output: Output, result: PairResult) -> None:
    if args.record is not None:
        say(f"recordings kept in {args.record}")
    output.finish(result, say)
