# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench fit`: a scenario whose copy cost gives a measured single-queue throughput."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from textwrap import wrap
from typing import Annotated

import msgspec
from msgspec import Struct

from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import Output, add_output, report_output, write_text
from ntbbench.cli.streams import tell
from ntbbench.compare.readers.detect import load_variant
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import warned
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.options import Counts, Share, Word, kinds, shown
from ntbbench.core.result_file import check_writable, write_bytes
from ntbbench.core.units import RATES
from ntbbench.datapath import scenario_file
from ntbbench.datapath.engine import ENGINES
from ntbbench.datapath.fit import fit, target_of, with_byte
from ntbbench.datapath.records import Target
from ntbbench.datapath.sections import BOARDS, PROTOCOLS, OfferedTraffic, Scenario
from ntbbench.report.registry import kind_of
from ntbbench.report.views.fit import run_words, sentences

RATE_MAX = 10**13  # bit/s
ERROR = 20_000  # millionths: what runs of one and the same machine differ by, by experience
ONE_RUN = "mean of {} seconds of one run with their t interval; runs may differ by more"
COMMENT_WIDTH = 78  # columns of a line's text, after "# "
ONE_PROCESS = "one-process"  # a caution of samples that are all of one run
BOTH = (
    "the {} direction of runs both ways (iperf3 --bidir), while {:.5g} Mbit/s went the other way; "
    "--direction chooses"
)
TRAFFIC = {"packet": "length", "flows": "flows", "window": "window"}  # option: key of [traffic]
IPERF3 = {"blksize": "packet", "num_streams": "flows", "protocol": "protocol"}

DESCRIPTION = """\
Fit the receiver's copy cost per byte to a measured throughput of a single queue, with its range,
and write a scenario that `ntbbench simulate` reads. All other costs stay as they are.
"""
EPILOG = """\
examples:
  ntbbench fit --throughput 583e6 --packet 65480 -o board.toml
  ntbbench fit --preset rcar-s4-spider --throughput 583e6,585e6 --set receiver.packet=30us
  ntbbench fit --iperf3 run1.json --iperf3 run2.json -o board.toml
  ntbbench simulate board.toml --queues 1,2,4
"""


class FitMeasured(Struct, frozen=True, kw_only=True):
    """What was measured with one queue, and how it is fitted."""

    throughput: Annotated[
        tuple[int, ...],
        Counts(1, RATE_MAX, "payload bits a second: 583e6, 583Mbit/s; several runs", RATES),
    ] = ()
    direction: Annotated[
        str | None, Word(("forward", "reverse"), "of iperf3; of --bidir forward, if not said")
    ] = None
    error: Annotated[int | None, Share("of a single --throughput; 0.02, if not said")] = None
    protocol: Annotated[str | None, Word(PROTOCOLS, "what iperf3 says, or tcp")] = None
    engine: Annotated[str, Word(ENGINES, "all give the same")] = ENGINES[0]


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "fit",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    group = add_options(parser, "measured, with one queue", FitMeasured())
    group.add_argument(
        "--iperf3", metavar="FILE.json", action="append", help="of iperf3 -J; can be given again"
    )
    group = parser.add_argument_group("the machine it was measured on")
    group.add_argument("scenario", nargs="?", metavar="SCENARIO.toml", help="the other costs")
    group.add_argument("--preset", metavar="NAME", help=f"or a board: {', '.join(BOARDS)}")
    for name, key in TRAFFIC.items():
        group.add_argument(f"--{name}", metavar="N", help=kinds(OfferedTraffic)[key].text)
    group.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="as in simulate"
    )
    add_output(parser).add_argument(
        "-o",
        "--output",
        metavar="FILE.toml",
        type=Path,
        help="the scenario (default: stdout, in place of a report as text)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fit, and write the scenario."""
    if args.throughput is None and args.iperf3 is None:
        raise InputError("fit", "no measurement", "one of --throughput, --iperf3 is needed")
    if args.throughput is not None and args.iperf3 is not None:
        raise InputError("--throughput", args.throughput, "either --throughput or --iperf3")
    output = report_output(args)
    if args.output is not None:
        check_writable(args.output)
        if output.page is not None:
            Output.check_apart("--html", output.page, args.output)
    known = chosen(args, FitMeasured())
    settings, target, doubts = measured(args, known)
    scenario = scenario_of(args, settings)
    protocol = known.protocol or settings.get("protocol", "tcp")
    found = fit(scenario, protocol, target, known.engine)
    said = [*sentences(found), *(f"warning: {text}" for text in doubts)]
    name = scenario.name if args.output is None else args.output.stem
    fitted = with_byte(scenario, protocol, found.byte_fs)
    fitted = msgspec.structs.replace(fitted, name=name, note="; ".join(said))
    found = msgspec.structs.replace(found, scenario=shown(fitted), warnings=doubts)
    comments = [line for text in (*said, *run_words(found)) for line in wrap(text, COMMENT_WIDTH)]
    text = scenario_file.to_toml(fitted, comments)
    report = kind_of(found).document(found)
    if args.output is None and output.form == "text":
        write_text(text)
        output.write_page(report)
        return ExitCode.OK
    if args.output is not None:
        write_bytes(args.output, text.encode())
        tell(f"saved {args.output}; go on with: ntbbench simulate {args.output}")
    output.show(report)
    return ExitCode.OK


def measured(
    args: argparse.Namespace, known: FitMeasured
) -> tuple[Mapping[str, str], Target, list[str]]:
    """Return the settings that a measurement knows, its throughput, and what speaks against it.

    Raises
    ------
    InputError : not a rate above 0, not a run of iperf3, or an error beside several values.
    """
    if known.throughput:
        if known.direction is not None:
            raise InputError("--direction", known.direction, "goes with --iperf3 only")
        return {}, runs_target(args, known, list(map(float, known.throughput))), []
    files = ",".join(args.iperf3)
    try:
        variant = load_variant(files)
    except InputError as reason:  # of whatever format the file looked like
        raise InputError("--iperf3", files, f"runs of iperf3 -J, alike: {reason}") from None
    series, both = series_of(variant, known.direction, files)
    target = iperf3_target(args, known, series)
    target = msgspec.structs.replace(target, how="; ".join([target.how, *both]))
    doubts = [warned(code).message for code in series.cautions if code != ONE_PROCESS]
    return iperf3_settings(variant.environment), target, doubts


def runs_target(args: argparse.Namespace, known: FitMeasured, rates: Sequence[float]) -> Target:
    """Return the target of runs; InputError for an assumed error where they show their own."""
    if known.error is not None and len(rates) > 1:
        allowed = f"only with a single value: {len(rates)} have their t interval"
        raise InputError("--error", args.error, allowed)
    return target_of(rates, (ERROR if known.error is None else known.error) / 1_000_000)


def iperf3_target(args: argparse.Namespace, known: FitMeasured, series: Series) -> Target:
    """Return the target of runs, or of the seconds of the only one: given twice it is one too."""
    rates = [] if series.samples is None else series.samples.tolist()
    if not all(rate > 0 for rate in rates):
        raise InputError("--iperf3", min(rates), "a throughput above 0")
    if ONE_PROCESS not in series.cautions or len(rates) == 1:
        return runs_target(args, known, rates)
    if known.error is not None:
        return runs_target(args, known, [fmean(rates)])
    seconds = runs_target(args, known, rates)
    return msgspec.structs.replace(seconds, how=ONE_RUN.format(len(rates)))


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
    chosen_way = first if direction is None else direction
    others = [variant.series[name].samples for way, name in names.items() if way != chosen_way]
    both = [BOTH.format(chosen_way, fmean(rates) / 1e6) for rates in others if rates is not None]
    return variant.series[names[chosen_way]], both


def iperf3_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a run of iperf3 says of its traffic, by the names of the options."""
    found = {IPERF3[key]: value for key, value in environment.items() if key in IPERF3}
    if "protocol" in found:
        found["protocol"] = found["protocol"].lower()
        if found["protocol"] not in PROTOCOLS:
            raise InputError("--iperf3: protocol", found["protocol"], " or ".join(PROTOCOLS))
    return found


def scenario_of(args: argparse.Namespace, settings: Mapping[str, str]) -> Scenario:
    """Return the scenario whose copy cost is to be fitted.

    Raises
    ------
    InputError : a file and a preset at once, or any bad value.
    """
    scenario = scenario_file.file_or_preset(args.scenario, args.preset)
    changes = {}
    for option, key in TRAFFIC.items():
        said = getattr(args, option)
        text = settings.get(option) if said is None else said
        if text is not None:
            changes[key] = kinds(OfferedTraffic)[key].parse(f"--{option}", text)
    traffic = msgspec.structs.replace(scenario.traffic, **changes)
    scenario = msgspec.structs.replace(scenario, traffic=traffic)
    scenario = scenario_file.with_settings(scenario, args.set)
    scenario_file.check_scenario(scenario)
    return scenario
