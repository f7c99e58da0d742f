# SPDX-License-Identifier: BSD-3-Clause
"""The options that the commands on the driver pair share: the setting and the output."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from ntbbench.core.names import parse_int
from ntbbench.core.result_file import write_bytes
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.setting import Setting

U32_MAX = (1 << 32) - 1
DEFAULT = Setting()
FORMAT_ALIASES = {"markdown": "md"}


def add_setting(parser: argparse.ArgumentParser) -> None:
    """Add the options that configure the pair."""
    group = parser.add_argument_group("setting")
    group.add_argument(
        "--ep-slots",
        metavar="N",
        default=str(DEFAULT.ep_slots),
        help=f"db_count of the endpoint, 3..32 (default {DEFAULT.ep_slots})",
    )
    group.add_argument(
        "--rc-vectors",
        metavar="N",
        default=str(DEFAULT.rc_vectors),
        help=f"MSI(-X) vectors granted to the root complex, 4..32 (default {DEFAULT.rc_vectors})",
    )
    group.add_argument(
        "--mw-count",
        metavar="N",
        default=str(DEFAULT.mw_count),
        help=f"memory windows, 1..4 (default {DEFAULT.mw_count})",
    )
    group.add_argument(
        "--doorbell",
        choices=[str(mode) for mode in Doorbell],
        default=str(DEFAULT.doorbell),
        help="how rings reach the endpoint (default poll); no effect on ep-to-rc",
    )


def setting_of(args: argparse.Namespace) -> Setting:
    """Return the setting of the options.

    Raises
    ------
    DriverError, InputError : a number that no driver accepts.
    """
    return Setting(
        ep_slots=parse_int("--ep-slots", args.ep_slots, 0, U32_MAX),
        rc_vectors=parse_int("--rc-vectors", args.rc_vectors, 0, U32_MAX),
        mw_count=parse_int("--mw-count", args.mw_count, 0, U32_MAX),
        doorbell=Doorbell(args.doorbell),
    )


def add_output(parser: argparse.ArgumentParser, formats: Mapping[str, object]) -> None:
    """Add --format and -o."""
    group = parser.add_argument_group("output")
    aliases = [alias for alias, name in FORMAT_ALIASES.items() if name in formats]
    group.add_argument(
        "--format",
        choices=[*formats, *aliases],
        metavar="|".join(formats),
        default="text",
        help="of the output (default text)",
    )
    group.add_argument("-o", "--output", metavar="FILE", help="write there instead of stdout")


def add_html(parser: argparse.ArgumentParser) -> None:
    """Add --html."""
    parser.add_argument("--html", metavar="FILE", help="also write an HTML page")


def chosen_format(args: argparse.Namespace) -> str:
    """Return the format with its alias resolved."""
    name: str = args.format
    return FORMAT_ALIASES.get(name, name)


def write(args: argparse.Namespace, text: str) -> None:
    """Write `text` to the output file or to stdout."""
    if args.output is None:
        sys.stdout.write(text)
    else:
        write_bytes(Path(args.output), text.encode())
