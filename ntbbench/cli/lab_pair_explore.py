# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair explore`: the pair on several CPUs, which a seed holds here and there."""

import argparse
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated

from msgspec import Struct, ValidationError, convert
from msgspec.structs import replace

from ntbbench.cli.lab_kernel import add_pair_kernel, pair_lab, say
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import add_output, output_of
from ntbbench.cli.pair_setting import pair_setup
from ntbbench.cli.progress import bar, interrupts
from ntbbench.core.clock import NS, monotonic
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.options import Count, Word, Words, shown
from ntbbench.core.result_file import load_as
from ntbbench.lab.boot_pool import Jobs, PoolHooks
from ntbbench.lab.explore.exploration import Exploration
from ntbbench.lab.explore.explore_guest import ExploreLab
from ntbbench.lab.explore.explore_run import SeedRun
from ntbbench.lab.explore.records import (
    EXPLORE_SCHEMA,
    HELD,
    REPLAYED,
    ExploreFinding,
    ExploreResult,
)
from ntbbench.lab.explore.replay_schedule import replay_finding
from ntbbench.lab.explore.schedules import STRATEGIES, WORKLOADS, ScheduleDraws, Strategy, Workload
from ntbbench.lab.pair.pair_kernel import CHECK, RUN
from ntbbench.lab.pair.plan import AFTER, BEFORE, PairSetup
from ntbbench.lab.pair.sources import side_of_file

SEEDS = 100
SEEDS_MAX = 1_000_000
QUEUES = 4
DEBIAN = "debian:"
SETTING = ("ep_slots", "mw_count", "queues", "doorbell")
DESCRIPTION = """\
Run the pair on several virtual CPUs that QEMU runs in turn, send packets both ways, and hold CPUs
for a while at points where their accesses to memory meet: which, when and how long is drawn from
a seed. A packet that waits for no doorbell, a count beyond the model's bounds, a complaint of the
kernel or its end is a finding: made small, run again, and told CPU by CPU.
"""
EPILOG = """\
exit codes:
  0    every seed holds; with --compare: every seed of the last driver
  1    at least one does not
  2    bad input
  3    a source does not build, QEMU failed, or the pair does not carry packets undisturbed
  130  interrupted: what is finished is saved          143  the same, by SIGTERM

examples:
  ntbbench lab pair explore --seeds 20
  ntbbench lab pair explore --minutes 10 --cpus 4 --workload traffic,link
  ntbbench lab pair explore --compare after,my-vntb.c
"""


REPLAY_DESCRIPTION = """\
Run the schedule of a finding again, some times in a boot of its own. One boot in some 40 is shifted
by QEMU's own clock: where it holds, another boot is tried, three in all, which the report tells.
With --driver the schedule runs on another driver: the places where CPUs are held are found by their
lines of source, and one that is no longer there is told.
"""
REPLAY_EPILOG = """\
exit codes:
  0    it holds, or the driver no longer meets the point
  1    it fails again
  2    bad input: no result of `explore`, or one without such a finding
  3    a source does not build, QEMU failed, or the guest did not get to a link

examples:
  ntbbench lab pair explore -o found.json
  ntbbench lab pair replay-schedule found.json
  ntbbench lab pair replay-schedule found.json --driver fixed-vntb.c
"""


class ReplayOptions(Struct, frozen=True, kw_only=True):
    """Which schedule."""

    seed: Annotated[int | None, Count(0, SEEDS_MAX, "that of a finding; unset: the first one")] = (
        None
    )


class ExploreOptions(Struct, frozen=True, kw_only=True):
    """How far to look."""

    cpus: Annotated[int, Count(2, 4, "CPUs of the guest")] = 2
    seeds: Annotated[
        int | None, Count(1, SEEDS_MAX, f"how many, from --first-seed; unset: {SEEDS}")
    ] = None
    first_seed: Annotated[int, Count(0, SEEDS_MAX, "the first one")] = 0
    minutes: Annotated[
        int | None, Count(1, 10_000, "in place of --seeds: as many as so long allows")
    ] = None
    workload: Annotated[
        tuple[Workload, ...], Words(WORKLOADS, "what happens while CPUs are held", once=True)
    ] = ("traffic",)
    strategy: Annotated[
        Strategy,
        Word(STRATEGIES, "delays at points that meet others; or priority changes, as PCT does"),
    ] = "random"
    findings: Annotated[
        int, Count(0, 20, "of each pair of drivers that are made small and run again")
    ] = 1
    compare: Annotated[
        tuple[str, ...] | None,
        Words((), "the same seeds on several drivers: before, after, debian:VERSION, C files"),
    ] = None


def add_explore(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `explore` to the subcommands of lab pair."""
    parser = actions.add_parser(
        "explore",
        help="schedules on several CPUs: races of the drivers, found and made small",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_pair_kernel(parser)
    add_options(parser, "exploring", ExploreOptions())
    add_options(parser, "drivers", PairSetup(), only=("ep_driver", "rc_driver"))
    add_options(parser, "setting", PairSetup(), only=SETTING)
    parser.add_argument(
        "--check", action="store_true", help="on the debug kernel of `lab pair check`: slower"
    )
    add_options(parser, "running", Jobs())
    add_output(parser, saves="lab-pair-explore", checks=True, tested=True)
    parser.set_defaults(run=run, ep_patches=None, rc_patches=None)


def run(args: argparse.Namespace) -> int:
    """Run the seeds of each pair of drivers; the exit code is that of the last pair."""
    asked = chosen(args, ExploreOptions())
    if asked.seeds is not None and asked.minutes is not None:
        raise InputError("--minutes", asked.minutes, "not with --seeds: one of them")
    output = output_of(args, saves="lab-pair-explore")
    setups = list(_setups(args, asked))
    lab = pair_lab(args, CHECK if args.check else RUN)
    lab.read_sources(setups)
    jobs = chosen(args, Jobs()).jobs or os.cpu_count() or 1
    explored = Exploration()
    with interrupts() as signals, bar() as progress:
        for setup, workload in product(setups, asked.workload):
            if signals.asked():
                break
            explored.add(
                ExploreLab(lab, setup),
                ScheduleDraws(workload, asked.strategy),
                range(asked.first_seed, asked.first_seed + _count(asked)),
                _hooks(signals.asked, asked.minutes, partial(progress, "boots"), jobs),
                most_findings=asked.findings,
            )
    result = ExploreResult(
        points=explored.points,
        findings=explored.findings,
        coverage=explored.coverage,
        cpus=asked.cpus,
        checks=lab.checks if args.check else [],
        complete=not signals.asked(),
        scenario=shown(asked) | {name: getattr(setups[0], name) for name in SETTING},
        **lab.facts(),
    )
    output.finish(result, say)
    return exit_code(result, setups[-1]) if result.complete else signals.exit_code


def exit_code(result: ExploreResult, last: PairSetup) -> int:
    """Return whether a seed of the last pair of drivers failed."""
    failed = (
        point.outcome != HELD
        for point in result.points
        if (point.ep_driver, point.rc_driver) == (last.ep_driver, last.rc_driver)
    )
    return ExitCode.FINDING if any(failed) else ExitCode.OK


def _count(asked: ExploreOptions) -> int:
    return asked.seeds or (SEEDS if asked.minutes is None else SEEDS_MAX)


def _setups(args: argparse.Namespace, asked: ExploreOptions) -> Iterator[PairSetup]:
    """Yield a setup for each pair of drivers; a C file replaces the driver of its own side."""
    usual = pair_setup(args)
    usual = replace(usual, cpus=asked.cpus, queues=usual.queues or QUEUES)
    for spec in asked.compare or ():
        if spec in (BEFORE, AFTER) or spec.startswith(DEBIAN):
            yield replace(usual, ep_driver=spec, rc_driver=spec)
        elif side_of_file("--compare", Path(spec)) == "ep":
            yield replace(usual, ep_driver=spec)
        else:
            yield replace(usual, rc_driver=spec)
    if asked.compare is None:
        yield usual


def _hooks(
    asked: Callable[[], bool], minutes: int | None, progress: Callable[[int, int], None], jobs: int
) -> PoolHooks[int, list[SeedRun]]:
    """Return what stops and shows the boots of one pair of drivers."""
    end = None if minutes is None else monotonic() + minutes * 60 * NS
    return PoolHooks(
        save=lambda _done: None,
        failures=lambda _runs: [],
        stop=lambda: asked() or (end is not None and monotonic() > end),
        progress=progress if end is None else lambda _done, _total: None,
        jobs=jobs,
    )


def add_replay(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `replay-schedule` to the subcommands of lab pair."""
    parser = actions.add_parser(
        "replay-schedule",
        help="a schedule that `explore` found, again, on this driver or on another one",
        description=REPLAY_DESCRIPTION,
        epilog=REPLAY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE.json", type=Path, help="a result of `explore`")
    add_pair_kernel(parser)
    add_options(parser, "schedule", ReplayOptions())
    parser.add_argument(
        "--driver", metavar="FIXED.c", type=Path, help="run it on this driver of its side"
    )
    parser.add_argument(
        "--check", action="store_true", help="on the debug kernel of `lab pair check`: slower"
    )
    add_output(parser, saves="lab-pair-replay", checks=True, tested=True)
    parser.set_defaults(run=run_replay)


def run_replay(args: argparse.Namespace) -> int:
    """Run one schedule again; the exit code tells whether it fails."""
    output = output_of(args, saves="lab-pair-replay")
    found = load_as(args.file, EXPLORE_SCHEMA, ExploreResult)
    one = _finding(found, chosen(args, ReplayOptions()).seed, args.file)
    setup = _setup_of(found, one)
    if args.driver is not None:
        side = side_of_file("--driver", args.driver)
        setup = replace(setup, **{f"{side}_driver": str(args.driver.absolute())})
    lab = pair_lab(args, CHECK if args.check else RUN)
    lab.read_sources([setup])
    again = replay_finding(ExploreLab(lab, setup), found, one)
    result = ExploreResult(
        kind=REPLAYED,
        points=[again.point],
        findings=[again.finding],
        coverage=[again.coverage],
        cpus=found.cpus,
        checks=lab.checks if args.check else [],
        scenario=found.scenario,
        **lab.facts(),
    )
    output.finish(result, say)
    return ExitCode.OK if again.point.outcome == HELD else ExitCode.FINDING


def _finding(found: ExploreResult, seed: int | None, path: Path) -> ExploreFinding:
    """Return the finding of a seed, the first one if none is named; InputError: there is none."""
    seeds = [one.seed for one in found.findings]
    if not seeds:
        raise InputError("FILE.json", str(path), "a result of `explore` with a finding")
    if seed is None:
        return found.findings[0]
    if seed not in seeds:
        raise InputError("--seed", seed, f"one of {', '.join(map(str, sorted(set(seeds))))}")
    return found.findings[seeds.index(seed)]


def _setup_of(found: ExploreResult, one: ExploreFinding) -> PairSetup:
    """Return the machine of a finding; InputError: the file does not tell it."""
    setting = {name: found.scenario[name] for name in SETTING if name in found.scenario}
    try:
        return convert(
            {
                **setting,
                "ep_driver": one.ep_driver,
                "rc_driver": one.rc_driver,
                "cpus": found.cpus,
            },
            PairSetup,
        )
    except ValidationError as error:
        raise InputError("scenario", "", f"that of a result of `explore`: {error}") from None
