# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench doorbell`: one ring through both drivers, step by step."""

import argparse
from typing import Annotated

from msgspec import Struct

from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import add_output, output_of
from ntbbench.cli.pair_setting import add_setting, joins_hosts, setting_from
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.names import parse_int, parse_int_axis
from ntbbench.core.options import Word, option
from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.drivers.kernel_around import U64_BITS, DriverError
from ntbbench.pair.drivers.ntb_hw_epf import contiguous_irqs, scattered_irqs
from ntbbench.pair.drivers.patches import KERNELS, NAMED, PREREQUISITES, Driver, parse_driver
from ntbbench.pair.ring_trace import RingTrace, ring, stories, story_of
from ntbbench.pair.setting import HOST_ENDS, VNTB_ENDS, Ends, by_role

DESCRIPTION = """\
Ring doorbell bits once, from the transmit path of ntb_transport, and trace what happens in both
drivers, in the NTB core and in the receiving ntb_transport.
"""
EPILOG = f"""\
a driver, in the words of `lab pair` where it has some:
  before, after     the drivers of {" and ".join(NAMED.values())}
  debian:VERSION    of that kernel: {", ".join(KERNELS)}; `debian:` may be left out
  none; all, full   its half without the patches; with all of them
  0..7 or 0..5      so many of them, in posted order
  set:12            just these patches; set:8-11 and 8,9,12 work too
  root-fix          the rejected alternative
  ...,-NAME         without a prerequisite: {", ".join(PREREQUISITES)}

examples:
  ntbbench doorbell --ep-driver after --rc-driver set:12 --bits 0
  ntbbench doorbell --ep-driver before --rc-driver debian:6.12.117 --bits 1 --direction ep-to-rc
  ntbbench doorbell --ep-driver 7 --rc-driver 5 --bits 0,2 --irqs scattered
  ntbbench doorbell --function ntb --host1-driver after --host2-driver before --bits 1

exit codes:
  0  the trace is printed, whatever became of the ring
  2  bad input or usage, and what a driver refuses
  70 internal error
"""
WHOSE = {
    "ep": "the endpoint's",
    "rc": "the root complex's",
    "host1": "with --function ntb host 1's",
    "host2": "with --function ntb host 2's",
}
IRQS = {"contiguous": contiguous_irqs, "scattered": scattered_irqs}


WAYS = (*VNTB_ENDS.directions, *HOST_ENDS.directions)


class RingOptions(Struct, frozen=True, kw_only=True):
    """How the bits are rung."""

    direction: Annotated[str, Word((*WAYS, "both"), "who rings")] = "both"
    irqs: Annotated[str, Word(tuple(IRQS), "Linux irq numbers of ntb_hw_epf's vectors")] = (
        "contiguous"
    )


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "doorbell",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, whose in WHOSE.items():
        words = option(driver_of(name)), option(name)  # `--ep` is what it was called first
        parser.add_argument(*words, metavar="DRIVER", help=f"{whose} driver")
    parser.add_argument(
        "--bits", metavar="LIST", required=True, help="bits of one call: 0,2 or 0-3, or a 0x mask"
    )
    add_options(parser, "ring", RingOptions())
    add_setting(parser)
    add_output(parser, redirects=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the trace of one ring, in one direction or both."""
    setting, options, output = setting_from(args), chosen(args, RingOptions()), output_of(args)
    ends = setting.ends
    drivers = drivers_of(args, ends)
    db_bits = parse_bits(args.bits)
    if options.direction not in (*ends.directions, "both"):
        raise InputError("--direction", options.direction, ", ".join((*ends.directions, "both")))
    irqs = IRQS[options.irqs]
    traces = [
        ring(way, *drivers, setting, db_bits, irqs=irqs)
        for way in ends.directions
        if options.direction in ("both", way)
    ]
    for trace in traces:
        check(trace)
    output.finish(stories(setting, [story_of(trace) for trace in traces]))
    return ExitCode.OK


def drivers_of(args: argparse.Namespace, ends: Ends) -> tuple[Driver, Driver]:
    """Return the drivers of both ends.

    Raises
    ------
    InputError : no such driver, none given, or one of an end that the function has not.
    """
    others = VNTB_ENDS if joins_hosts(args) else HOST_ENDS
    keys = [driver_of(name) for name in ends.names]
    named = " and ".join(map(option, keys))
    for key in map(driver_of, others.names):
        if (text := getattr(args, key)) is not None:
            raise InputError(option(key), text, f"here the drivers are {named}")
    for key in keys:
        if getattr(args, key) is None:
            raise InputError(option(key), "", f"a driver: {named} are required")
    (one, two), (first, second) = ends.halves, ends.names
    return (
        parse_driver(one, getattr(args, keys[0]), first),
        parse_driver(two, getattr(args, keys[1]), second),
    )


def driver_of(end: str) -> str:
    """Return the key of an end's driver, as `lab pair` has it."""
    return f"{end}_driver"


def check(trace: RingTrace) -> None:
    """Raise what speaks against the bits of a ring.

    Raises
    ------
    DriverError : the errno of peer_db_set().
    InputError : bits that the sending endpoint does not have; ntb_hw_epf answers for itself.
    """
    mask = by_role(trace.direction, *trace.masks)[0]
    outside = ",".join(map(str, bits_of(trace.db_bits & ~mask)))
    if outside and trace.sender.side == "ep":
        raise InputError("--bits", outside, f"outside the endpoint's db_valid_mask {mask:#x}")
    if trace.refused is not None:
        raise DriverError(
            trace.refused.code,
            f"--bits: {trace.db_bits:#x}: {trace.refused.call}",
            trace.refused.words,
        )


def parse_bits(text: str) -> int:
    """Return the mask of "0,2", "0-3" or "0x5".

    Raises
    ------
    InputError : anything else, or a bit beyond 63.
    """
    try:
        if text.lower().startswith("0x"):
            return parse_int("--bits", text, 1, (1 << U64_BITS) - 1)
        if ".." not in text:
            return sum(1 << bit for bit in parse_int_axis(text, "--bits", 0, U64_BITS - 1))
    except InputError:
        pass
    allowed = f"bit numbers 0..{U64_BITS - 1} like 0,2 or 0-3, or a 0x mask of them"
    raise InputError("--bits", text, allowed)
