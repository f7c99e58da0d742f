# SPDX-License-Identifier: BSD-3-Clause
"""The options that configure the modelled pair."""

import argparse

from ntbbench.core.names import parse_int
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.setting import Setting

U32_MAX = (1 << 32) - 1
USUAL = Setting()
NUMBERS = {
    "ep_slots": "db_count of the endpoint, 3..32",
    "rc_vectors": "MSI(-X) vectors granted to the root complex, 4..32",
    "mw_count": "memory windows, 1..4",
}


def add_setting(parser: argparse.ArgumentParser) -> None:
    """Add the options that configure the pair."""
    group = parser.add_argument_group("setting")
    for name, text in NUMBERS.items():
        usual = str(getattr(USUAL, name))
        group.add_argument(
            _option(name), metavar="N", default=usual, help=f"{text} (default {usual})"
        )
    group.add_argument(
        "--doorbell",
        choices=[str(mode) for mode in Doorbell],
        default=str(USUAL.doorbell),
        help="how rings reach the endpoint (default poll); no effect on ep-to-rc",
    )


def setting_of(args: argparse.Namespace) -> Setting:
    """Return the setting of the options.

    Raises
    ------
    DriverError, InputError : a number that no driver accepts.
    """
    numbers = {name: parse_int(_option(name), getattr(args, name), 0, U32_MAX) for name in NUMBERS}
    return Setting(**numbers, doorbell=Doorbell(args.doorbell))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
