# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench doorbell`: one ring through both drivers, step by step."""

import argparse

from ntbbench.cli.pair_options import add_output, add_setting, chosen_format, setting_of, write
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.pair.drivers.hazards import DriverError
from ntbbench.pair.drivers.ntb_hw_epf import contiguous_irqs, scattered_irqs
from ntbbench.pair.drivers.patches import KERNELS, PREREQUISITES, parse_driver
from ntbbench.pair.drivers.slots import U64_BITS
from ntbbench.pair.ring_trace import RingTrace, ring
from ntbbench.pair.series.ring_report import collected, story_of
from ntbbench.pair.setting import DIRECTIONS
from ntbbench.report import story

DESCRIPTION = """\
Ring doorbell bits once, from the transmit path of ntb_transport, and trace what happens in both
drivers, in the NTB core and in the receiving ntb_transport.
"""
EPILOG = f"""\
a driver:
  0..7 or 0..5      so many patches of its half, in posted order
  none, all         the unpatched driver, the whole half
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
    parser.add_argument(
        "--direction", choices=[*DIRECTIONS, "both"], default="both", help="who rings (both)"
    )
    parser.add_argument(
        "--irqs",
        choices=tuple(IRQS),
        default="contiguous",
        help="Linux irq numbers of the root complex's vectors (contiguous)",
    )
    add_setting(parser)
    add_output(parser, story.FORMATS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the trace of one ring, in one direction or both."""
    setting = setting_of(args)
    ep, rc = parse_driver("ep", args.ep), parse_driver("rc", args.rc)
    db_bits = parse_bits(args.bits)
    irqs = IRQS[args.irqs](setting.rc_vectors)
    ways = DIRECTIONS if args.direction == "both" else (args.direction,)
    traces = [ring(way, ep, rc, setting, db_bits, irqs=irqs) for way in ways]
    for trace in traces:
        refuse(trace)
    told = collected([story_of(trace) for trace in traces], setting)
    write(args, story.FORMATS[chosen_format(args)](told))
    return ExitCode.OK


def refuse(trace: RingTrace) -> None:
    """Raise the errno of peer_db_set(), if it returned one."""
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
    allowed = f"bit numbers 0..{U64_BITS - 1} like 0,2 or 0-3, or a 0x mask of them"
    if text.lower().startswith("0x"):
        try:
            mask = int(text, 16)
        except ValueError:
            raise InputError("--bits", text, allowed) from None
        if not 0 < mask < 1 << U64_BITS:
            raise InputError("--bits", text, allowed)
        return mask
    mask = 0
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        ends = (low, high if dash else low)
        if not all(end.isascii() and end.isdigit() and len(end) < 4 for end in ends):
            raise InputError("--bits", text, allowed)
        first, last = int(ends[0]), int(ends[1])
        if not first <= last < U64_BITS:
            raise InputError("--bits", text, allowed)
        mask |= (1 << last + 1) - (1 << first)
    return mask
