# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench fit`: a scenario whose copy cost gives a measured single-queue throughput."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from textwrap import wrap

import msgspec

from ntbbench.cli.progress import tell
from ntbbench.compare.readers import load_variant
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import warned
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.options import kinds
from ntbbench.core.result_file import check_writable, write_bytes
from ntbbench.core.units import FS, PS, RATES, duration_text, share_ppm, whole
from ntbbench.datapath.engine import ENGINES
from ntbbench.datapath.grid.fit import (
    PACKETS_MIN,
    Fit,
    Target,
    fit,
    long_enough,
    target_of,
    with_byte,
)
from ntbbench.datapath.scenario import load
from ntbbench.datapath.scenario.boards import BOARDS
from ntbbench.datapath.scenario.sections import PROTOCOLS, Scenario, Traffic
from ntbbench.report.plain import folded

RATE_MAX = 10**13  # bit/s
ONE_RUN = "mean of {} seconds of one run with their t interval; runs may differ by more"
COMMENT_WIDTH = 78  # columns of a line's text, after "# "
DIRECTIONS = ("forward", "reverse")
ONE_PROCESS = "one-process"  # a caution of samples that are all of one run
BOTH = (
    "the {} direction of runs both ways (iperf3 --bidir), while {:.5g} Mbit/s went the other way; "
    "--direction chooses"
)
ERROR = "0.02"  # what runs of one and the same machine differ by, by experience

DESCRIPTION = """\
Fit the receiver's copy cost a byte to a measured throughput of a single queue, with its range,
and write a scenario that `ntbbench simulate` reads. All other costs stay as they are.
"""
EPILOG = """\
examples:
  ntbbench fit --throughput 583e6 --packet 65480 -o board.toml
  ntbbench fit --preset rcar-s4-spider --throughput 583e6,585e6 --set receiver.packet=30us
  ntbbench fit --iperf3 run1.json --iperf3 run2.json -o board.toml
  ntbbench simulate board.toml --queues 1,2,4
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "fit",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    group = parser.add_argument_group("measured, with one queue")
    group.add_argument(
        "--throughput", metavar="X,Y", help="payload bits a second: 583e6, 583Mbit/s; several runs"
    )
    group.add_argument(
        "--iperf3", metavar="FILE.json", action="append", help="of iperf3 -J; can be given again"
    )
    group.add_argument(
        "--direction",
        choices=DIRECTIONS,
        help="of iperf3, from its client to its server or back; of --bidir forward, if not said",
    )
    group.add_argument("--error", metavar="X", help=f"of a single --throughput (default {ERROR})")
    group = parser.add_argument_group("the machine it was measured on")
    group.add_argument("scenario", nargs="?", metavar="SCENARIO.toml", help="the other costs")
    group.add_argument("--preset", metavar="NAME", help=f"or a board: {', '.join(BOARDS)}")
    group.add_argument("--packet", metavar="BYTES", help="payload of a packet, iperf3 -l")
    group.add_argument("--flows", metavar="N", help="streams, iperf3 -P")
    group.add_argument("--window", metavar="BYTES", help="of a TCP flow, iperf3 -w")
    group.add_argument("--protocol", choices=PROTOCOLS, help="default tcp, or what iperf3 says")
    group.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="as in simulate"
    )
    group = parser.add_argument_group("output")
    group.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="all give the same")
    group.add_argument("-o", "--output", metavar="FILE.toml", help="default: stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fit, and write the scenario."""
    if args.throughput is None and args.iperf3 is None:
        raise InputError("fit", "no measurement", "one of --throughput, --iperf3 is needed")
    if args.throughput is not None and args.iperf3 is not None:
        raise InputError("--throughput", args.throughput, "either --throughput or --iperf3")
    if args.output is not None:
        check_writable(Path(args.output))
    settings, target, doubts = measured(args)
    scenario = scenario_of(args, settings)
    protocol = args.protocol or settings.get("protocol", "tcp")
    found = fit(scenario, protocol, target, args.engine)
    told = words(found, target, protocol) + doubts
    fitted = with_byte(scenario, protocol, found.byte)
    fitted = msgspec.structs.replace(fitted, note="; ".join(told))
    told += run_words(scenario, long_enough(scenario, protocol, target.mean))
    text = load.to_toml(fitted, [line for text in told for line in wrap(text, COMMENT_WIDTH)])
    if args.output is None:
        sys.stdout.write(text)
    else:
        write_bytes(Path(args.output), text.encode())
        for line in (line for text in told for line in folded(text, "")):
            print(line)
        tell(f"saved {args.output}; go on with: ntbbench simulate {args.output}")
    return ExitCode.OK


def measured(args: argparse.Namespace) -> tuple[dict[str, str], Target, list[str]]:
    """Return the settings that a measurement knows, its throughput, and what speaks against it.

    Raises
    ------
    InputError : not a rate above 0, not a run of iperf3, or an error beside several values.
    """
    error = share_ppm("--error", ERROR if args.error is None else args.error) / 1_000_000
    if args.throughput is not None:
        rates = [
            float(whole("--throughput", part, 1, RATE_MAX, RATES))
            for part in args.throughput.split(",")
        ]
        if args.direction is not None:
            raise InputError("--direction", args.direction, "goes with --iperf3 only")
        check_error(args.error, rates)
        return {}, target_of(rates, error), []
    files = ",".join(args.iperf3)
    try:
        variant = load_variant(files)
    except InputError as reason:  # of whatever format the file looked like
        raise InputError("--iperf3", files, f"runs of iperf3 -J, alike: {reason}") from None
    series, both = series_of(variant, args.direction, files)
    target = iperf3_target(args, series, error)
    target = replace(target, how="; ".join([target.how, *both]))
    doubts = [warned(code).message for code in series.cautions if code != ONE_PROCESS]
    return iperf3_settings(variant.environment), target, [f"warning: {text}" for text in doubts]


def iperf3_target(args: argparse.Namespace, series: Series, error: float) -> Target:
    """Return the target of runs, or of the seconds of the only one: given twice it is one too."""
    rates = [] if series.samples is None else series.samples.tolist()
    if not all(rate > 0 for rate in rates):
        raise InputError("--iperf3", min(rates), "a throughput above 0")
    if ONE_PROCESS not in series.cautions:
        check_error(args.error, rates)
    elif args.error is not None:
        return target_of([fmean(rates)], error)
    elif len(rates) > 1:
        return replace(target_of(rates, error), how=ONE_RUN.format(len(rates)))
    return target_of(rates, error)


def series_of(variant: Variant, direction: str | None, files: str) -> tuple[Series, list[str]]:
    """Return the throughput of one direction, and what is to be said where data went both ways.

    Raises
    ------
    InputError : no throughput of iperf3, or not of that direction.
    """
    first = "reverse" if variant.environment.get("reverse") == "1" else "forward"  # iperf3 -R
    names = {first: "throughput", "reverse": "throughput_reverse"}
    if "throughput_reverse" not in variant.series:
        names = {first: "throughput"}
    if variant.source != "iperf3" or "throughput" not in variant.series:
        raise InputError("--iperf3", files, "JSON of iperf3 with a throughput")
    if direction is not None and direction not in names:
        raise InputError("--direction", direction, f"{' or '.join(names)}: data went no other way")
    chosen = first if direction is None else direction
    others = [variant.series[name].samples for way, name in names.items() if way != chosen]
    both = [BOTH.format(chosen, fmean(rates) / 1e6) for rates in others if rates is not None]
    return variant.series[names[chosen]], both


def check_error(error: str | None, rates: Sequence[float]) -> None:
    """Raise InputError where an assumed error is given though the values show their own."""
    if error is not None and len(rates) > 1:
        allowed = f"only with a single value: {len(rates)} have their t interval"
        raise InputError("--error", error, allowed)


def run_words(asked: Scenario, longer: Scenario) -> list[str]:
    """Return that the fit simulated longer than the scenario says, if it did."""
    if asked.run.duration == longer.run.duration:
        return []
    return [
        f"the fit simulated {longer.run.duration / PS:.4g} s a replication, for {PACKETS_MIN} "
        f"packets of it; the scenario keeps its duration of {duration_text(asked.run.duration, PS)}"
    ]


def iperf3_settings(environment: dict[str, str]) -> dict[str, str]:
    """Return what a run of iperf3 says of its traffic, by the names of the options."""
    names = {"blksize": "packet", "num_streams": "flows", "protocol": "protocol"}
    found = {names[key]: value for key, value in environment.items() if key in names}
    if "protocol" in found:
        found["protocol"] = found["protocol"].lower()
        if found["protocol"] not in PROTOCOLS:
            raise InputError("--iperf3: protocol", found["protocol"], " or ".join(PROTOCOLS))
    return found


def scenario_of(args: argparse.Namespace, settings: dict[str, str]) -> Scenario:
    """Return the scenario whose copy cost is to be fitted.

    Raises
    ------
    InputError : a file and a preset at once, or any bad value.
    """
    if args.scenario is not None and args.preset is not None:
        raise InputError("--preset", args.preset, "a SCENARIO.toml or a preset, not both")
    scenario = (
        load.preset(args.preset or "generic")
        if args.scenario is None
        else load.load_scenario(args.scenario)
    )
    keys = kinds(Traffic)
    changes = {}
    for option, key in (("packet", "length"), ("flows", "flows"), ("window", "window")):
        said = getattr(args, option)
        text = settings.get(option) if said is None else said
        if text is not None:
            changes[key] = keys[key].parse(f"--{option}", text)
    traffic = msgspec.structs.replace(scenario.traffic, **changes)
    scenario = msgspec.structs.replace(scenario, traffic=traffic)
    scenario = load.with_settings(scenario, args.set)
    load.check_scenario(scenario)
    return scenario


def words(found: Fit, target: Target, protocol: str) -> list[str]:
    """Return what was fitted, to what, and what it leaves open."""
    cost, low = (duration_text(value, FS) for value in (found.byte, found.low))
    if found.high is None:
        spread = f"from {low} up without an end" if found.low else "without either end"
        spread += ": that of the throughput reaches all but 0"
        spread += "" if found.low else " and above what a copy for nothing gives"
    elif not found.low:
        spread = f"up to {duration_text(found.high, FS)}, without a lower end: that of the "
        spread += "throughput is above what a copy for nothing gives"
    else:
        spread = f"{low} to {duration_text(found.high, FS)}"
    return [
        f"copy cost fitted to the single-queue throughput of {protocol}: {cost} a byte, range "
        f"{spread}",
        f"measured {target.mean / 1e6:.5g} Mbit/s ({target.low / 1e6:.5g}-"
        f"{target.high / 1e6:.5g}; {target.how}), simulated {found.throughput_bps / 1e6:.5g}",
        "all other costs were given, not fitted; whatever is not a single queue is a prediction",
    ]
