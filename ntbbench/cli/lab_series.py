# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab series`: a series of commits on the two drivers, commit by commit."""

import argparse
import os
import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from ntbbench.cli.lab_kernel import PAIR_KERNEL, add_cache_option, say
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import Output, add_output, output_of
from ntbbench.cli.progress import Saving, bar, interrupts
from ntbbench.core.ending import scratch_folder
from ntbbench.core.errors import ExitCode, InputError, NtbbenchError
from ntbbench.core.result_file import load_as
from ntbbench.lab.boot_pool import Jobs
from ntbbench.lab.packages.cache import Cache, default_root
from ntbbench.lab.pair.pair_kernel import pair_kernel
from ntbbench.lab.series.commits import SeriesSteps, read_steps
from ntbbench.lab.series.judge import is_sound
from ntbbench.lab.series.records import SERIES_SCHEMA, SeriesResult
from ntbbench.lab.series.series_result import KnownSeries, outcomes_of, wanted
from ntbbench.lab.series.series_run import BootOutcome, SeriesHooks, SeriesLab, boot_all, build_all
from ntbbench.lab.series.series_scenario import SeriesScenario
from ntbbench.report.wording import plural

DESCRIPTION = """\
Take a series of patches on pci-epf-vntb, ntb_hw_epf or the NTB code below them, commit by commit:
does it apply, build, link and work, with itself, with old peers and with the base on the other
side, in both directions? What does a doorbell cost now, and what did it cost at the commit before?
The last commit runs on a debug kernel too. What runs alike is booted once.
"""
EPILOG = """\
exit codes:
  0    every commit applies, builds and works, with every peer that the base works with, and the
       model agrees in every point
  1    not so: the first such commit is named; or the debug kernel complained
  2    bad input
  3    QEMU or the disk failed: finished boots are saved
  70   internal error
  130  interrupted: finished boots are saved, and --resume goes on     143  the same, by SIGTERM

examples:
  ntbbench lab series v4.mbx
  ntbbench lab series patches/ --base ~/linux --peers before,debian:6.1
  ntbbench lab series v7.2..HEAD --tree ~/linux --check all
  ntbbench lab series v5.mbx --prerequisite fixes.mbx -o v5.json
  ntbbench gate v4.json v5.json
"""
USUAL = SeriesScenario(series="")
SETTING = ("ep_slots", "mw_count", "queues", "doorbell")
PACKETS = ("direction", "flows", "packets", "gap_us")
WAITS = "interrupted: waiting for {} to end; what is finished is kept"


def add_series(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `lab series` to the subcommands of lab."""
    parser = actions.add_parser(
        "series",
        help="a series of commits: does each apply, build and work with old and new peers?",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "series", metavar="MBOX|DIR|BASE..HEAD", nargs="?", help="patches, or commits of --tree"
    )
    group = parser.add_argument_group("commits")
    group.add_argument(
        "--tree",
        metavar="DIR",
        type=Path,
        help="the repository of BASE..HEAD; of a whole kernel every change runs",
    )
    group.add_argument(
        "--base",
        metavar="debian:VERSION|DIR",
        help=f"what the patches apply to (default {USUAL.base})",
    )
    group.add_argument(
        "--prerequisite",
        metavar="MBOX",
        action="append",
        default=[],
        help="patches that come before the series; repeatable",
    )
    kernel = parser.add_argument_group("kernel")
    kernel.add_argument(
        "--kernel", metavar="debian:VERSION", default=PAIR_KERNEL, help="default %(default)s"
    )
    add_cache_option(kernel)
    add_options(parser, "peers and checks", USUAL, only=("peers", "prefixes", "check"))
    add_options(parser, "setting", USUAL, only=SETTING)
    add_options(parser, "packets", USUAL, only=PACKETS)
    add_output(parser, saves="lab-series", checks=True, tested=True, revises=True)
    add_options(parser, "running", Jobs()).add_argument(
        "--resume", metavar="FILE.json", type=Path, help="go on with an interrupted series"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Build and boot what the commits need, save after each boot, and print."""
    previous = None if args.resume is None else load_as(args.resume, SERIES_SCHEMA, SeriesResult)
    asked = scenario_of(args) if previous is None else resumed(args, previous)
    output = output_of(args, saves="lab-series", resumed=args.resume)
    jobs = chosen(args, Jobs()).jobs or os.cpu_count() or 1
    cache = Cache(default_root(args.cache))
    lab = SeriesLab(cache, pair_kernel(cache, asked.kernel, say), asked, say)
    if previous is not None:
        lab.go_on(previous)
    with scratch_folder() as scratch:
        series = read_steps(cache, asked, lab.kernel.source, scratch, say)
        done = {} if previous is None else outcomes_of(previous)
        result, code = _run(lab, series, done, output, jobs)
    if code is not None:
        return code
    output.finish(result, say)
    return ExitCode.OK if is_sound(result) else ExitCode.FINDING


def _run(
    lab: SeriesLab, series: SeriesSteps, done: Mapping[str, BootOutcome], output: Output, jobs: int
) -> tuple[SeriesResult, int | None]:
    """Return the result, and what to exit with where a signal ended it."""
    saving = output.saving
    assert saving is not None
    with interrupts() as signals, bar() as progress:
        hooks = SeriesHooks(
            say=say,
            stop=signals.asked,
            waits=lambda running: say(WAITS.format(plural(running, "boot"))),
            progress=progress,
            jobs=jobs,
        )
        built = build_all(lab, wanted(lab.asked, series), hooks)
        known = partial(KnownSeries, lab, series, built)
        saving.at_the_end(known(done).result(complete=False))  # whatever ends it, there is a file
        saving.check()
        hooks.save = lambda outcomes: saving.on_the_way(known(outcomes).result(complete=False))
        again = f"go on with: {_again(saving)}"
        try:
            outcomes, complete = boot_all(lab, built, done, hooks)
        except (NtbbenchError, OSError):
            say(f"finished boots are saved; {again}")
            raise
        result = known(outcomes).result(complete=complete and not signals.asked())
        if not result.complete:
            saving.at_the_end(result)
            saving.check()
            say(f"interrupted; finished boots are saved; {again}")
            return result, signals.exit_code
    return result, None


def _again(saving: Saving) -> str:
    return shlex.join(["ntbbench", "lab", "series", "--resume", str(saving.output)])


def scenario_of(args: argparse.Namespace) -> SeriesScenario:
    """Return what the options ask for; paths are absolute, so that --resume finds them.

    Raises
    ------
    InputError : no series, a value out of range, or a base of a range that names its own.
    """
    if args.series is None:
        raise InputError("MBOX", "", "a mailbox, a folder of mails, or BASE..HEAD with --tree DIR")
    if args.tree is not None:
        for option, value in (("--base", args.base), ("--prerequisite", args.prerequisite)):
            if value:
                raise InputError(option, value, "not with --tree: BASE..HEAD says what there is")
    base = args.base or USUAL.base
    usual = SeriesScenario(
        series=args.series if args.tree else str(Path(args.series).absolute()),
        tree=None if args.tree is None else str(args.tree.absolute()),
        base=base if base.startswith("debian:") else str(Path(base).absolute()),
        prerequisites=tuple(str(Path(place).absolute()) for place in args.prerequisite),
        kernel=args.kernel,
    )
    return chosen(args, usual)


def resumed(args: argparse.Namespace, previous: SeriesResult) -> SeriesScenario:
    """Return the scenario of an unfinished series.

    Boots are known by the content of what ran, so that what has changed since is booted anew.

    Raises
    ------
    InputError : the file lacks its scenario, or options ask for another series.
    """
    try:
        asked = msgspec.convert(previous.scenario, SeriesScenario)
    except msgspec.ValidationError as error:
        raise InputError("--resume", str(args.resume), f"a whole series: {error}") from None
    given = (args.series, args.tree, args.base, *args.prerequisite)
    other = chosen(args, USUAL) != USUAL or args.kernel != PAIR_KERNEL
    if other or any(value is not None for value in given):
        raise InputError("--resume", str(args.resume), "alone: the file says what is left to run")
    return asked
