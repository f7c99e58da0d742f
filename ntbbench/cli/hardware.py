# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench hardware`: list the devices, draw one doorbell map bit by bit, or audit them."""

import argparse
import sys
from collections.abc import Mapping

from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.names import parse_int
from ntbbench.ntb.audit.audit import audit, findings
from ntbbench.ntb.audit.records import DeviceAudit
from ntbbench.ntb.audit.vector_rules import conduct_of
from ntbbench.ntb.devices.catalogue import DOORBELLS_MAX, MW_COUNT_MAX, hardware_names, resolve
from ntbbench.ntb.devices.custom import Device as CustomDevice
from ntbbench.ntb.devices.custom import build_device, parse_device
from ntbbench.ntb.devices.device import Hardware
from ntbbench.ntb.devices.dispatch_modes import provision
from ntbbench.ntb.transport import CLIENTS_MAX
from ntbbench.report.hardware import LIST_FORMATS, MAP_FORMATS
from ntbbench.report.hardware_audit import AUDIT_FORMATS
from ntbbench.report.hardware_rows import Device

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
    parser.add_argument(
        "--doorbells", metavar="D", help="db_count of the epf drivers, bits of generic (default 16)"
    )
    parser.add_argument("--vectors", metavar="V", help="vectors of generic (default: D)")
    parser.add_argument("--mw-count", metavar="N", help="memory windows instead of the device's")
    parser.add_argument(
        "--max-num-clients", metavar="N", default="0", help="of ntb_transport (default 0: unset)"
    )
    parser.add_argument(
        "--device",
        metavar="NAME:KEY=VALUE,...",
        action="append",
        default=[],
        help="a custom device",
    )
    parser.add_argument(
        "--scenario", metavar="FILE", help="take custom devices from this TOML file"
    )
    parser.add_argument("--format", choices=tuple(LIST_FORMATS), default="text")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the list, the map of one device, or the audit."""
    custom = custom_devices(args.device, args.scenario)
    if args.audit:
        return run_audit(args, custom)
    if args.name is not None:
        device = pick(args, args.name, custom)
        refuse_size(args.doorbells, device.hardware)
        sys.stdout.write(MAP_FORMATS[args.format](device))
        return ExitCode.OK
    names = (*hardware_names(), *custom)
    devices = [pick(args, name, custom) for name in names]
    sys.stdout.write(LIST_FORMATS[args.format](devices))
    return ExitCode.OK


def run_audit(args: argparse.Namespace, custom: Mapping[str, Hardware]) -> int:
    """Print what the devices, or the one named, break; FINDING if anything."""
    names = (*hardware_names(), *custom) if args.name is None else (args.name,)
    devices = {name: pick(args, name, custom).hardware for name in names}
    if args.name is not None:
        refuse_size(args.doorbells, devices[args.name])
    audits = [audit_device(args, name, devices[name], custom) for name in names]
    sys.stdout.write(AUDIT_FORMATS[args.format](audits))
    return ExitCode.FINDING if any(audit.findings for audit in audits) else ExitCode.OK


def audit_device(
    args: argparse.Namespace, name: str, hardware: Hardware, custom: Mapping[str, Hardware]
) -> DeviceAudit:
    """Return the audit of one device, at each db_count where none was asked for."""
    sizes: dict[int | None, Hardware] = {None: hardware}
    if hardware.sized == "db_count":
        sizes = {hardware.doorbells: hardware}
    if hardware.sized == "db_count" and args.doorbells is None:
        every = range(1, DOORBELLS_MAX + 1)
        sizes = {size: resolve(name, size, None, hardware.mw_count, custom) for size in every}
        sizes = {size: device for size, device in sizes.items() if not device.refusal}
    elif hardware.sized == "db_count" and hardware.refusal:
        return DeviceAudit(name, (), (), hardware.refusal)
    clients = parse_int("--max-num-clients", args.max_num_clients, 0, CLIENTS_MAX)
    found = findings(
        (size, audit(device, conduct_of(device), clients)) for size, device in sizes.items()
    )
    return DeviceAudit(name, tuple(size for size in sizes if size is not None), found, None)


def refuse_size(doorbells: str | None, hardware: Hardware) -> None:
    """Raise InputError if the driver makes no device of this db_count."""
    if hardware.sized == "db_count" and hardware.refusal:
        raise InputError("--doorbells", doorbells, hardware.refusal)


def pick(args: argparse.Namespace, name: str, custom: Mapping[str, Hardware]) -> Device:
    """Return one device as the options size it, and its queue pairs."""
    hardware = resolve(
        name,
        optional_int("--doorbells", args.doorbells, 1, DOORBELLS_MAX),
        optional_int("--vectors", args.vectors, 1, DOORBELLS_MAX),
        optional_int("--mw-count", args.mw_count, 0, MW_COUNT_MAX),
        custom,
    )
    clients = parse_int("--max-num-clients", args.max_num_clients, 0, CLIENTS_MAX)
    return Device(hardware, provision(hardware, "per-vector", 1, clients).qps)


def optional_int(field: str, text: str | None, low: int, high: int) -> int | None:
    """Return the number of an option, None where it is not given."""
    return None if text is None else parse_int(field, text, low, high)


def custom_devices(specs: list[str], scenario: str | None) -> dict[str, Hardware]:
    """Return the devices of the --device options and of a scenario.

    Raises
    ------
    InputError : a bad device, or a name given twice.
    """
    found: dict[str, CustomDevice] = {}
    if scenario:
        from ntbbench.dispatch.scenario import load_scenario  # noqa: PLC0415 -- loads numpy

        found |= load_scenario(scenario).device
    for text in specs:
        name, device = parse_device(text)
        if name in found:
            raise InputError("--device", name, "each device once")
        found[name] = device
    return {name: build_device(name, device) for name, device in found.items()}
