# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench hardware`: list the devices, draw one doorbell map bit by bit, or audit them."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Struct

from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import Output, add_output, output_of
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.options import Count
from ntbbench.ntb.audit import audit_row, device_row
from ntbbench.ntb.catalogue import (
    DOORBELLS,
    DOORBELLS_DEFAULT,
    DOORBELLS_MAX,
    MAX_NUM_CLIENTS,
    MW_COUNT,
    hardware_names,
    resolve,
)
from ntbbench.ntb.custom import build_device, parse_devices
from ntbbench.ntb.device import Hardware
from ntbbench.ntb.records import AuditResult, AuditRow, HardwareResult

DESCRIPTION = """\
List every NTB device that ntbbench knows, or draw the doorbell map of one of them bit by bit:
which interrupt a bit raises, which QP it belongs to, which QPs wake together.
--audit checks what must hold between doorbells, vectors and QPs, and names the line of the
driver for each violation; it exits with 1 when there is one. The epf drivers are audited at every
db_count that they take, or at --doorbells.
"""
EXAMPLES = """\
examples:
  ntbbench hardware
  ntbbench hardware ntb_hw_intel-gen1 --mw-count 4
  ntbbench hardware generic --doorbells 16 --vectors 4
  ntbbench hardware board --device board:doorbells=16,vectors=4,shift=5
  ntbbench hardware odd --device odd:masks=0x1f/0x3e0/0x400
  ntbbench hardware --audit
  ntbbench hardware --audit pci-epf-vntb-legacy --doorbells 4
"""


class DeviceSizes(Struct, frozen=True, kw_only=True):
    """How large a device is that has no fixed size."""

    doorbells: Annotated[
        int | None, Count(1, DOORBELLS_MAX, f"{DOORBELLS}; {DOORBELLS_DEFAULT} if not given")
    ] = None
    vectors: Annotated[
        int | None, Count(1, DOORBELLS_MAX, "of generic; one per doorbell if not given")
    ] = None
    mw_count: Annotated[int | None, MW_COUNT] = None
    max_num_clients: Annotated[int, MAX_NUM_CLIENTS] = 0

    def device(self, name: str, custom: Mapping[str, Hardware]) -> Hardware:
        """Return a preset or custom device of this size."""
        return resolve(name, self.doorbells, self.vectors, self.mw_count, custom)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "hardware",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the device to draw or audit")
    parser.add_argument(
        "--audit", action="store_true", help="check all devices, or NAME, against their drivers"
    )
    group = add_options(parser, "devices", DeviceSizes())
    group.add_argument(
        "--device",
        metavar="NAME:KEY=VALUE,...",
        action="append",
        default=[],
        help="a custom device",
    )
    group.add_argument(
        "--scenario", metavar="FILE", type=Path, help="take custom devices from this TOML file"
    )
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the list, the map of one device, or the audit."""
    output, sizes = output_of(args), chosen(args, DeviceSizes())
    custom = custom_devices(args)
    names = [args.name] if args.name is not None else [*hardware_names(), *custom]
    devices = {name: sizes.device(name, custom) for name in names}
    if args.name is not None and is_refused(devices[args.name]):
        raise InputError("--doorbells", sizes.doorbells, str(devices[args.name].refusal))
    if args.audit:
        return audited(devices, sizes, output)
    drawn = args.name is not None
    rows = [device_row(one, sizes.max_num_clients, drawn=drawn) for one in devices.values()]
    output.finish(HardwareResult(hardware=rows))
    return ExitCode.OK


def audited(devices: Mapping[str, Hardware], sizes: DeviceSizes, output: Output) -> int:
    """Print what the devices break; FINDING if anything."""
    rows = [audit_of(name, device, sizes) for name, device in devices.items()]
    found = sum(len(row.violations) for row in rows)
    output.finish(AuditResult(violations=found, hardware=rows))
    return ExitCode.FINDING if found else ExitCode.OK


def audit_of(name: str, device: Hardware, sizes: DeviceSizes) -> AuditRow:
    """Return the audit of one device, at each db_count where none was asked for."""
    every: dict[int | None, Hardware] = {None: device}
    if device.sized == "db_count":
        every = {device.doorbells: device}
    if device.sized == "db_count" and sizes.doorbells is None:
        counts = range(1, DOORBELLS_MAX + 1)
        every = {count: resolve(name, count, mw_count=sizes.mw_count) for count in counts}
        every = {count: one for count, one in every.items() if not one.refusal}
    return audit_row(name, every.items(), sizes.max_num_clients)


def is_refused(device: Hardware) -> bool:
    """Tell whether the driver makes no device of this db_count."""
    return device.sized == "db_count" and device.refusal is not None


def custom_devices(args: argparse.Namespace) -> dict[str, Hardware]:
    """Return the devices of the --device options and of a scenario.

    Raises
    ------
    InputError : a bad device, or a name given twice.
    """
    found = parse_devices(args.device)
    if args.scenario is not None:
        from ntbbench.dispatch.scenario import load_scenario  # noqa: PLC0415 -- loads numpy

        for name, device in load_scenario(args.scenario).device.items():
            if name in found:
                raise InputError("--device", name, "each device once")
            found[name] = device
    return {name: build_device(name, device) for name, device in found.items()}
