# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench explain`: measured numbers beside what the model of the device predicts."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ntbbench.capture.candidates import candidates
from ntbbench.capture.evidence import check_measured, find_evidence
from ntbbench.capture.explain import explain
from ntbbench.capture.records import EXCESS, FEWER, MEASURED_SCHEMA, Explanations, Measured
from ntbbench.capture.transmit import rings_to_restart, transmit_findings
from ntbbench.capture.transmit_records import Restart
from ntbbench.cli.output import add_output, output_of
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.input_file import reading
from ntbbench.core.names import parse_int
from ntbbench.core.result_file import load_as

DESCRIPTION = """\
Hold what `ntbbench ingest -o MEASURED.json` measured against the model of the device:
by vector and QP, predicted and measured, and the likely causes of more than one
tasklet run per interrupt. The device is the one named, else the one that the capture
describes (debugfs info, a recording's point), else each preset that its interrupt lines, its
kernel's log and its active QPs leave.
"""
EPILOG = """\
exit codes:
  0  the measurement is inside the bounds of the (or one) device, or too little is known
  1  it is outside those of every device
  2  no result of ingest, or no device named and none to be told

example:
  ntbbench explain measured.json --hardware ntb_hw_epf-v4
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "explain",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("measured", metavar="MEASURED.json", type=Path)
    parser.add_argument("--hardware", metavar="A,B", help="presets, see `ntbbench hardware`")
    parser.add_argument(
        "--doorbells",
        metavar="N",
        help="db_count of the epf drivers (default: by their lines, else 16)",
    )
    add_output(parser).add_argument(
        "-o", "--output", metavar="FILE.json", type=Path, help="write JSON too"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the explanations; a measurement that no device's model allows is a finding."""
    output = output_of(args)
    doorbells = args.doorbells and parse_int("--doorbells", args.doorbells, 1, 64)
    names = [name.strip() for name in args.hardware.split(",")] if args.hardware else []
    if args.measured.is_dir():
        allowed = f"what `ntbbench ingest {args.measured} -o measured.json` writes"
        raise InputError("MEASURED.json", str(args.measured), allowed)
    with reading(args.measured):
        measured = load_as(args.measured, MEASURED_SCHEMA, Measured)
        check_measured(measured, args.measured)
        captures = find_evidence(measured)
        if not captures:
            reason = (
                "nothing to explain: explain needs interrupts of an NTB line, or counters of a QP"
            )
            raise InputError("MEASURED.json", str(args.measured), reason)
        by_capture, ruled_out = [], {}
        for evidence in captures:
            found = candidates(evidence, names, doorbells)
            by_capture.append([explain(evidence, device) for device in found.devices])
            if found.ruled_out:
                ruled_out[evidence.capture] = found.ruled_out
        transmits = transmit_findings(measured)
        restarts = _restarts(rings_to_restart(measured))
    output.finish(
        Explanations(
            explanations=[one for group in by_capture for one in group],
            transmits=transmits,
            restarts=restarts,
            is_named=bool(names),
            ruled_out=ruled_out,
        )
    )
    bad = any(all(one.verdict in {EXCESS, FEWER} for one in group) for group in by_capture)
    return ExitCode.FINDING if bad else ExitCode.OK


def _restarts(rings: Sequence[int]) -> list[Restart]:
    """Return what restart timers give for rings of these sizes, and of twice the window."""
    if not rings:
        return []
    from ntbbench.datapath.restart import restarts  # noqa: PLC0415 -- loads numpy

    sizes = sorted({*rings, *(2 * entries for entries in rings)})
    return [row for entries in sizes for row in restarts(entries)]
