# SPDX-License-Identifier: BSD-3-Clause
"""The options of `compat`, `patches` and `doorbell`: an endpoint function and its setting."""

import argparse
from collections.abc import Iterable
from typing import Annotated

from msgspec import Struct
from msgspec.structs import replace

from ntbbench.cli.options import add_options, chosen
from ntbbench.core.errors import InputError
from ntbbench.core.options import Word, option
from ntbbench.lab.pair.plan import AFTER, PairSetup, named_patches
from ntbbench.pair.drivers.patches import SIDES
from ntbbench.pair.joined_hosts import AnySetting, HostSetting
from ntbbench.pair.setting import Setting

VNTB, NTB = "vntb", "ntb"
OF_VNTB = ("rc_vectors", "doorbell")  # settings that only one of the functions has
EP_RC_DRIVERS = ("ep_driver", "rc_driver")
HOST_DRIVERS = ("host1_driver", "host2_driver")
NTB_DRIVERS = (*HOST_DRIVERS, "ntb_driver")
OF_NTB = ("irq_type", "host1_vectors", "host2_vectors")


class FunctionOption(Struct, frozen=True, kw_only=True):
    """Which endpoint function stands between the two ends."""

    function: Annotated[
        str, Word((VNTB, NTB), "pci-epf-vntb, or pci-epf-ntb between two hosts with ntb_hw_epf")
    ] = VNTB


def add_function(parser: argparse.ArgumentParser) -> None:
    """Add --function."""
    add_options(parser, "function", FunctionOption())


def add_setting(parser: argparse.ArgumentParser) -> None:
    """Add --function and the settings of either function."""
    add_function(parser)
    add_options(parser, "setting", Setting())
    add_options(parser, "setting of --function ntb", HostSetting(), only=OF_NTB)


def joins_hosts(args: argparse.Namespace) -> bool:
    """Return whether --function is ntb.

    Raises
    ------
    InputError : no such function.
    """
    return chosen(args, FunctionOption()).function == NTB


def setting_from(args: argparse.Namespace) -> AnySetting:
    """Return the setting of the function that was asked for.

    Raises
    ------
    InputError : a value out of range, or an option of the other function.
    """
    if joins_hosts(args):
        refuse(args, OF_VNTB, VNTB)
        return chosen(args, HostSetting())
    refuse(args, OF_NTB, NTB)
    return chosen(args, Setting())


def refuse_drivers(args: argparse.Namespace) -> None:
    """Refuse drivers of ends that the function has not.

    Raises
    ------
    InputError : one of them was given.
    """
    if joins_hosts(args):
        refuse(args, EP_RC_DRIVERS, VNTB)
    else:
        refuse(args, NTB_DRIVERS, NTB)


def refuse(args: argparse.Namespace, keys: Iterable[str], function: str) -> None:
    """Refuse options that belong to the other function.

    Raises
    ------
    InputError : one of them was given.
    """
    for key in keys:
        if (value := getattr(args, key)) is not None:
            raise InputError(option(key), value, f"only with --function {function}")


def pair_setup(args: argparse.Namespace) -> PairSetup:
    """Return the drivers and the setting of a boot of pci-epf-vntb; with --source `after` is that
    tree's.

    Raises
    ------
    InputError : a value out of range, or other patches than the driver's name says.
    """
    setup = chosen(args, PairSetup())
    for side in SIDES:
        driver, given = getattr(setup, f"{side}_driver"), getattr(setup, f"{side}_patches")
        if driver == AFTER and args.source is not None:
            setup = replace(setup, **{f"{side}_driver": str(args.source.absolute())})
            continue
        named = named_patches(side, driver)
        if named is not None and given not in (None, named):
            allowed = f"{'full' if named else 'none'}, which `{driver}` stands for; or name a file"
            raise InputError(f"--{side}-patches", getattr(args, f"{side}_patches"), allowed)
    return setup
