# SPDX-License-Identifier: BSD-3-Clause
"""Options that several commands share: what to sweep, and how to report it."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ntbbench.core.axes import parse_int_axis
from ntbbench.core.errors import InputError
from ntbbench.core.names import parse_int, unknown
from ntbbench.core.result_file import check_writable, write_bytes
from ntbbench.dispatch.records import SweepResult
from ntbbench.dispatch.scenario import INT_AXES, NUMBERS, Scenario, check_scenario
from ntbbench.ntb.devices.custom import parse_device
from ntbbench.report import FORMATS

NAMES_HELP = {
    "hardware": ("A,B", "devices, see `ntbbench hardware`"),
    "dispatch": ("A,B", "modes out of fallback, per-vector, msi"),
}
AXES_HELP = {
    "queues": "netdev queues to ask for",
    "doorbells": "db_count of the epf drivers, doorbell bits of generic",
    "vectors": "interrupt vectors of generic",
}
NUMBERS_HELP = {
    "interrupts": "doorbell interrupts a point",
    "seed": "of all random draws; the same seed gives the same counts",
    "repeats": "timed samples a point; 0: counts only",
    "jobs": "threads that count; 0: one a core",
    "mw_count": "memory windows instead of the device's own, with scratchpads enough for them",
    "max_num_clients": "of ntb_transport; 0: unset",
    "drain": "interrupts between two runs of the softirq",
}


def add_scenario_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for every key of a scenario; all are texts, checked by `scenario_with`."""
    usual = Scenario()
    group = parser.add_argument_group("what to sweep: every combination is a point")
    for key, (metavar, text) in NAMES_HELP.items():
        shown = ",".join(getattr(usual, key))
        group.add_argument(f"--{key}", metavar=metavar, help=f"{text} (default {shown})")
    for key, text in AXES_HELP.items():
        shown = ",".join(str(number) for number in getattr(usual, key)) or "one a doorbell"
        group.add_argument(f"--{key}", metavar="1,2,4..64", help=f"{text} (default {shown})")
    group.add_argument(
        "--workload",
        metavar="SPEC",
        action="append",
        help="who rings when, can be given again (default round-robin)",
    )
    group.add_argument(
        "--device",
        metavar="NAME:KEY=VALUE,...",
        action="append",
        help="a custom device; without --hardware only custom devices are swept",
    )
    group = parser.add_argument_group("how")
    for key, text in NUMBERS_HELP.items():
        default = getattr(usual, key)
        shown = "" if default is None else f" (default {default})"
        group.add_argument(f"--{key.replace('_', '-')}", metavar="N", help=text + shown)


def scenario_with(args: argparse.Namespace, base: Scenario) -> Scenario:
    """Return `base` with what the options say instead.

    Raises
    ------
    InputError : an option is not of its form or out of range.
    """
    changes: dict[str, Any] = {}
    for key in NAMES_HELP:
        if (text := getattr(args, key)) is not None:
            changes[key] = [name.strip() for name in text.split(",")]
    for key in AXES_HELP:
        if (text := getattr(args, key)) is not None:
            changes[key] = parse_int_axis(text, f"--{key}", *INT_AXES[key])
    for key in NUMBERS_HELP:
        if (text := getattr(args, key)) is not None:
            changes[key] = parse_int(f"--{key.replace('_', '-')}", text, *NUMBERS[key])
    if args.workload is not None:
        changes["workload"] = args.workload
    if args.device is not None:
        given = dict(parse_device(text) for text in args.device)
        if len(given) < len(args.device):
            raise InputError("--device", args.device, "every name once")
        changes["device"] = base.device | given
        changes.setdefault("hardware", list(given))
    scenario = msgspec.structs.replace(base, **changes)
    check_scenario(scenario, "--")
    return scenario


@dataclass(frozen=True)
class Reports:
    """How a result is shown.

    Parameters
    ----------
    name : the format of stdout, one of FORMATS.
    render : from a sweep to what goes to stdout.
    html : where to write the page; None: nowhere.
    """

    name: str
    render: Callable[[SweepResult], str]
    html: Path | None


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Add --format and --html."""
    group = parser.add_argument_group("reports")
    group.add_argument(
        "--format",
        metavar="|".join(FORMATS),
        default="text",
        help="what stdout gets (default text)",
    )
    group.add_argument("--html", metavar="FILE", help="write a self-contained page too")


def reports_of(args: argparse.Namespace) -> Reports:
    """Return the checked reports.

    Raises
    ------
    InputError : an unknown format, or a page that could not be written.
    """
    if args.format not in FORMATS:
        raise unknown("--format", args.format, FORMATS)
    html = None if args.html is None else Path(args.html)
    if html is not None:
        check_writable(html)
    return Reports(args.format, FORMATS[args.format], html)


def publish(result: SweepResult, reports: Reports) -> None:
    """Print the result on stdout, and write the page."""
    sys.stdout.write(reports.render(result))
    if reports.html is not None:
        from ntbbench.report import html  # noqa: PLC0415  # plotly takes long to import

        write_bytes(reports.html, html.render(result).encode())
