# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab ep`: the kernel's endpoint tests on controllers with features of choice."""

import argparse
import os
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

from msgspec import Struct

from ntbbench.cli.lab_kernel import PAIR_KERNEL, add_cache_option, say
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import add_output, output_of
from ntbbench.cli.progress import bar, interrupts
from ntbbench.core.errors import ExitCode
from ntbbench.core.options import Word
from ntbbench.lab.boot_pool import BootPool, Jobs, PoolHooks
from ntbbench.lab.ep.ep_features import (
    BARS,
    PLAIN_NAME,
    BarSizes,
    Controllers,
    feature_lines,
    parse_features,
    shown_features,
    shown_sizes,
)
from ntbbench.lab.ep.ep_files import KERNELS_OWN
from ntbbench.lab.ep.ep_run import EpDrivers, boot_controller, build_tests_of
from ntbbench.lab.ep.records import EpPart, EpResult
from ntbbench.lab.packages.cache import Cache, default_root
from ntbbench.lab.pair.pair_kernel import pair_kernel
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.selftest.records import FAILED

DESCRIPTION = """\
Run the kernel's own pci_endpoint_test, driver and selftest, against its pci-epf-test, on a software
endpoint controller whose features you choose: BARs, MSI, MSI-X and INTx, reads, writes and copies
with their checksums, the doorbell. So a function driver meets the quirks of real controllers. All
of it is emulated: no time that it takes means anything.
"""
WIDTH, INDENT = 78, 12
EPILOG = """\
features, which the controller claims and has:
{features}

exit codes:
  0    no part failed but those that are known to
  1    at least one did
  2    bad input, or a package that cannot be had
  3    a source does not build, QEMU failed, or the guest ended before the first part
  130  interrupted          143  the same, by SIGTERM

examples:
  ntbbench lab ep
  ntbbench lab ep --features align=64K,reserved=1,3,msix=no --format ktap
  ntbbench lab ep --features plain --features unaligned=no,align=64K --features windows=1
  ntbbench lab ep --ep-driver my-epf-test.c --bar-sizes 2:64K,4:8M
"""


@dataclass(frozen=True)
class TestDriverName(Word):
    """Where a driver's text is."""

    metavar: ClassVar[str] = "FILE"
    allowed: ClassVar[str] = f"{KERNELS_OWN}: its own, a C file, or a kernel tree"


class EpTests(Struct, frozen=True):
    """Which drivers meet on which controllers."""

    features: Annotated[
        tuple[str, ...], Controllers("of a controller; repeated, a boot and a column each")
    ] = (PLAIN_NAME,)
    ep_driver: Annotated[str, TestDriverName((), "pci-epf-test")] = KERNELS_OWN
    host_driver: Annotated[str, TestDriverName((), "pci_endpoint_test")] = KERNELS_OWN
    bar_sizes: Annotated[tuple[int, ...], BarSizes(text="of pci-epf-test's BARs")] = (0,) * BARS


def add_ep(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `lab ep` to the subcommands of lab."""
    listed = "\n".join(
        textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent=" " * INDENT)
        for line in feature_lines()
    )
    parser = actions.add_parser(
        "ep",
        help="the kernel's endpoint tests on a controller with features of choice",
        description=DESCRIPTION,
        epilog=EPILOG.format(features=listed).replace("%", "%%"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    kernel = parser.add_argument_group("kernel")
    kernel.add_argument(
        "--kernel", metavar="debian:VERSION", default=PAIR_KERNEL, help="default %(default)s"
    )
    add_cache_option(kernel)
    add_options(parser, "controllers and drivers", EpTests())
    add_options(parser, "running", Jobs())
    add_output(parser, saves="lab-ep", checks=True, tested=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Boot each controller once, and show what became of each part."""
    asked = chosen(args, EpTests())
    jobs = chosen(args, Jobs()).jobs or os.cpu_count() or 1
    output = output_of(args, saves="lab-ep")
    cache = Cache(default_root(args.cache))
    lab = PairLab(cache, pair_kernel(cache, args.kernel, say), None, say)
    drivers = build_tests_of(lab, asked.ep_driver, asked.host_driver)
    boots = {
        text: partial(boot_controller, lab, drivers, text, parse_features(text), asked.bar_sizes)
        for text in asked.features
    }
    with interrupts() as signals, bar() as progress:
        hooks = PoolHooks[str, list[EpPart]](
            save=lambda _done: None,
            failures=lambda _parts: [],
            stop=signals.asked,
            progress=partial(progress, "boots"),
            jobs=jobs,
        )
        pool = BootPool(boots, {}, hooks)
        pool.run()
        if not pool.complete:
            say("interrupted; nothing is kept")
            return signals.exit_code
    result = _result(lab, asked, drivers, pool.done)
    output.finish(result, say)
    failed = any(part.status == FAILED for part in result.parts)
    return ExitCode.FINDING if failed else ExitCode.OK


def _result(
    lab: PairLab, asked: EpTests, drivers: EpDrivers, done: Mapping[str, list[EpPart]]
) -> EpResult:
    """Return the parts in the order of the controllers, however they were booted."""
    return EpResult(
        **{**lab.facts(), "sources": drivers.sources},
        ep_driver=asked.ep_driver,
        host_driver=asked.host_driver,
        bar_sizes=shown_sizes(asked.bar_sizes),
        controllers={text: shown_features(parse_features(text)) for text in asked.features},
        parts=[part for text in asked.features for part in done[text]],
    )
