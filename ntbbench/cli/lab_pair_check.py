# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair check`: the two real drivers on a kernel that watches itself."""

import argparse

from ntbbench.cli.lab_kernel import pair_lab
from ntbbench.cli.lab_pair_boot import (
    add_boot,
    finish,
    packets_of,
    recordings_of,
    result_kind,
    setup_of,
)
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import output_of
from ntbbench.cli.pair_setting import joins_hosts
from ntbbench.core.errors import ExitCode
from ntbbench.lab.pair.disagreements import not_exercised
from ntbbench.lab.pair.findings import known_to_model, read_findings
from ntbbench.lab.pair.pair_kernel import CHECK as DEBUG_KERNEL
from ntbbench.lab.pair.plan import PairPlan, Rounds
from ntbbench.lab.pair.points import all_agree, evaluate, observed
from ntbbench.lab.pair.records import CHECK

DESCRIPTION = """\
Run the pair on a kernel that watches itself (sleeping in atomic context, lock order, use after
free), send packets, unbind and bind the endpoint again --rounds times, and list what the kernel
complained of, each with the first line that shows it.
"""
EPILOG = """\
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


def add_check(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `check` to the subcommands of lab pair."""
    parser = actions.add_parser(
        "check",
        help="the pair on a debug kernel: atomic sleeps, lock order, use after free",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_boot(parser, "lab-pair-check")
    add_options(parser, "rounds", Rounds())
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Boot once, list the findings; a finding is one whatever the points say."""
    setup = setup_of(args)
    # unbinding pci-epf-ntb panics in 7.3: only who asks for it sees that
    rounds = chosen(args, Rounds(0) if joins_hosts(args) else Rounds()).rounds
    plan = PairPlan(setup, packets_of(args, setup).points(setup), rounds=rounds, may_die=True)
    output = output_of(args, saves="lab-pair-check")
    with recordings_of(args) as folder:
        lab = pair_lab(args, DEBUG_KERNEL)
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
    finish(args, output, result)
    return ExitCode.OK if all_agree(points) and not findings else ExitCode.FINDING
