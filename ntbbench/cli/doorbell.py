# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench doorbell`: one ring through both drivers, step by step."""

import argparse
from typing import Annotated

from msgspec import Struct

from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import add_output, output_of
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.names import parse_int, parse_int_axis
from ntbbench.core.options import Word, shown
from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.drivers.kernel_around import U64_BITS, DriverError
from ntbbench.pair.drivers.ntb_hw_epf import contiguous_irqs, scattered_irqs
from ntbbench.pair.drivers.patches import KERNELS, PREREQUISITES, parse_driver
from ntbbench.pair.records import STORY_SCHEMA, Stories
from ntbbench.pair.ring_trace import RingTrace, ring, story_of
from ntbbench.pair.setting import DIRECTIONS, Setting

DESCRIPTION = """\
Ring doorbell bits once, from the transmit path of ntb_transport, and trace what happens in both
drivers, in the NTB core and in the receiving ntb_transport.
"""
EPILOG = f"""\
a driver:
  0..7 or 0..5      so many patches of its half, in posted order
  none, before      the unpatched driver
  all, full, after  the whole half
  set:12            just these patches; set:8-11 and 8,9,12 work too
  root-fix          the rejected alternative
  {", ".join(KERNELS)}
                    the driver of that kernel
  ...,-NAME         without a prerequisite: {", ".join(PREREQUISITES)}

examples:
  ntbbench doorbell --ep all --rc set:12 --bits 0
  ntbbench doorbell --ep 0 --rc 6.12.117 --bits 1 --direction ep-to-rc
  ntbbench doorbell --ep 7 --rc 5 --bits 0,2 --irqs scattered

exit codes:
  0  the trace is printed, whatever became of the ring
  2  bad input or usage, and what a driver refuses
  70 internal error
"""
IRQS = {"contiguous": contiguous_irqs, "scattered": scattered_irqs}


class RingOptions(Struct, frozen=True, kw_only=True):
    """How the bits are rung."""

    direction: Annotated[str, Word((*DIRECTIONS, "both"), "who rings")] = "both"
    irqs: Annotated[str, Word(tuple(IRQS), "Linux irq numbers of the root complex's vectors")] = (
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
    parser.add_argument("--ep", metavar="DRIVER", required=True, help="the endpoint's driver")
    parser.add_argument("--rc", metavar="DRIVER", required=True, help="the root complex's driver")
    parser.add_argument(
        "--bits", metavar="LIST", required=True, help="bits of one call: 0,2 or 0-3, or a 0x mask"
    )
    add_options(parser, "ring", RingOptions())
    add_options(parser, "setting", Setting())
    add_output(parser, redirects=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the trace of one ring, in one direction or both."""
    setting, options, output = chosen(args, Setting()), chosen(args, RingOptions()), output_of(args)
    ep, rc = parse_driver("ep", args.ep), parse_driver("rc", args.rc)
    db_bits = parse_bits(args.bits)
    irqs = IRQS[options.irqs](setting.rc_vectors)
    traces = [
        ring(way, ep, rc, setting, db_bits, irqs=irqs)
        for way in DIRECTIONS
        if options.direction in ("both", way)
    ]
    for trace in traces:
        check(trace)
    stories = [story_of(trace) for trace in traces]
    output.finish(Stories(schema=STORY_SCHEMA, **shown(setting), stories=stories))
    return ExitCode.OK


def check(trace: RingTrace) -> None:
    """Raise what speaks against the bits of a ring.

    Raises
    ------
    DriverError : the errno of peer_db_set().
    InputError : bits that the sending endpoint does not have; ntb_hw_epf answers for itself.
    """
    mask = trace.masks[trace.sender.side]
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
