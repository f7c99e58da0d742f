# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair selftest`: the kernel's own NTB tests on the pair."""

import argparse
import os
from collections.abc import Mapping
from functools import partial
from itertools import product

from msgspec import Struct

from ntbbench.cli.lab_kernel import add_pair_kernel, pair_lab, say
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import add_output, output_of
from ntbbench.cli.progress import bar, interrupts
from ntbbench.core.errors import ExitCode
from ntbbench.lab.boot_pool import BootPool, Jobs, PoolHooks
from ntbbench.lab.pair.plan import AFTER, DriverNames
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.selftest.records import FAILED, SelftestPart, SelftestResult
from ntbbench.lab.selftest.selftest_run import boot_tests

DESCRIPTION = """\
Run the kernel's own tools/testing/selftests/ntb/ntb_test.sh, with ntb_tool, ntb_pingpong, ntb_perf
and ntb_msi_test of the same source, on the two NTB devices of the pair: part by part, so that one
that fails hides no other. Failures of the tests themselves are named as known, with the reason.
"""
EPILOG = """\
exit codes:
  0    no part failed but those that are known to
  1    at least one did
  2    bad input, or a package that cannot be had
  3    a source does not build, QEMU failed, or the guest ended before the first part
  130  interrupted          143  the same, by SIGTERM

examples:
  ntbbench lab pair selftest
  ntbbench lab pair selftest --ep-driver my-vntb.c --format ktap
  ntbbench lab pair selftest --ep-driver before,after --rc-driver before,after
"""


class SelftestDrivers(Struct, frozen=True):
    """Drivers of either side: each meets each."""

    ep_driver: DriverNames = (AFTER,)
    rc_driver: DriverNames = (AFTER,)


def add_selftest(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `selftest` to the subcommands of lab pair."""
    parser = actions.add_parser(
        "selftest",
        help="the kernel's own ntb_test.sh, part by part",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_pair_kernel(parser)
    add_options(parser, "drivers", SelftestDrivers())
    add_options(parser, "running", Jobs())
    add_output(parser, saves="lab-pair-selftest", checks=True, tested=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Boot each pair of drivers once, and show what became of each part."""
    asked = chosen(args, SelftestDrivers())
    output = output_of(args, saves="lab-pair-selftest")
    lab = pair_lab(args)
    tree = AFTER if args.source is None else str(args.source.absolute())
    eps, rcs = (
        tuple(tree if name == AFTER else name for name in names)
        for names in (asked.ep_driver, asked.rc_driver)
    )
    lab.read_sources(eps, rcs)
    pairs = {pair: partial(boot_tests, lab, *pair) for pair in product(eps, rcs)}
    with interrupts() as signals, bar() as progress:
        hooks = PoolHooks[tuple[str, str], list[SelftestPart]](
            save=lambda _done: None,
            failures=lambda _parts: [],
            stop=signals.asked,
            progress=partial(progress, "boots"),
            jobs=chosen(args, Jobs()).jobs or os.cpu_count() or 1,
        )
        pool = BootPool(pairs, {}, hooks)
        pool.run()
        if not pool.complete:
            say("interrupted; nothing is kept")
            return signals.exit_code
    result = _result(lab, pool.done, list(pairs))
    output.finish(result, say)
    failed = any(part.status == FAILED for part in result.parts)
    return ExitCode.FINDING if failed else ExitCode.OK


def _result(
    lab: PairLab,
    done: Mapping[tuple[str, str], list[SelftestPart]],
    order: list[tuple[str, str]],
) -> SelftestResult:
    """Return the parts in the order of the pairs, however they were booted."""
    parts = [part for pair in order for part in done[pair]]
    return SelftestResult(parts=parts, **lab.facts())
