# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair selftest`: the kernel's own NTB tests on the pair."""

import argparse
import os
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from typing import Annotated

from msgspec import Struct

from ntbbench.cli.lab_kernel import add_pair_kernel, pair_lab, say
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import add_output, output_of
from ntbbench.cli.pair_setting import add_function, joins_hosts, refuse_drivers
from ntbbench.cli.progress import bar, interrupts
from ntbbench.core.errors import ExitCode
from ntbbench.core.options import Word
from ntbbench.lab.boot_pool import BootPool, Jobs, PoolHooks
from ntbbench.lab.hosts.hosts_lab import HostLab
from ntbbench.lab.pair.plan import AFTER, NTB_DRIVER, AnySetup, DriverNames, HostSetup, PairSetup
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.selftest.records import FAILED, HostSelftestResult, SelftestPart, SelftestResult
from ntbbench.lab.selftest.selftest_run import boot_tests

DESCRIPTION = """\
Run the kernel's own tools/testing/selftests/ntb/ntb_test.sh, with ntb_tool, ntb_pingpong, ntb_perf
and ntb_msi_test of the same source, on the two NTB devices of the pair, or of two hosts:
part by part, so that one that fails hides no other. Failures of the tests themselves are named as
known, with the reason.
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
  ntbbench lab pair selftest --function ntb       # between two hosts
"""


class SelftestDrivers(Struct, frozen=True):
    """Drivers of either side: each meets each."""

    ep_driver: DriverNames = (AFTER,)
    rc_driver: DriverNames = (AFTER,)


class HostSelftestDrivers(Struct, frozen=True):
    """The same of two hosts, and what joins them."""

    host1_driver: DriverNames = (AFTER,)
    host2_driver: DriverNames = (AFTER,)
    ntb_driver: Annotated[str, Word((), NTB_DRIVER)] = AFTER


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
    add_function(parser)
    add_options(parser, "drivers", SelftestDrivers())
    add_options(parser, "drivers of --function ntb", HostSelftestDrivers())
    add_options(parser, "running", Jobs())
    add_output(parser, saves="lab-pair-selftest", checks=True, tested=True)
    parser.set_defaults(run=run)


def setups_of(args: argparse.Namespace) -> list[AnySetup]:
    """Return a setup for each pair of drivers; with --source `after` is that tree's.

    Raises
    ------
    InputError : an option of the other endpoint function.
    """
    refuse_drivers(args)
    tree = AFTER if args.source is None else str(args.source.absolute())

    def named(names: Sequence[str]) -> list[str]:
        return [tree if name == AFTER else name for name in names]

    if not joins_hosts(args):
        asked = chosen(args, SelftestDrivers())
        pairs = product(named(asked.ep_driver), named(asked.rc_driver))
        return [PairSetup(ep_driver=ep, rc_driver=rc) for ep, rc in pairs]
    hosts = chosen(args, HostSelftestDrivers())
    (joint,) = named([hosts.ntb_driver])
    pairs = product(named(hosts.host1_driver), named(hosts.host2_driver))
    return [HostSetup(host1_driver=a, host2_driver=b, ntb_driver=joint) for a, b in pairs]


def run(args: argparse.Namespace) -> int:
    """Boot each pair of drivers once, and show what became of each part."""
    setups = setups_of(args)
    output = output_of(args, saves="lab-pair-selftest")
    lab = pair_lab(args)
    lab.read_sources(setups)
    pairs = {setup.driver_specs: partial(boot_tests, lab, setup) for setup in setups}
    with interrupts() as signals, bar() as progress:
        hooks = PoolHooks[tuple[str, ...], list[SelftestPart]](
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
    done: Mapping[tuple[str, ...], list[SelftestPart]],
    order: list[tuple[str, ...]],
) -> SelftestResult:
    """Return the parts in the order of the pairs, however they were booted."""
    parts = [part for pair in order for part in done[pair]]
    kind: type[SelftestResult] = HostSelftestResult if isinstance(lab, HostLab) else SelftestResult
    return kind(parts=parts, **lab.facts())
