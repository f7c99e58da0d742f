# SPDX-License-Identifier: BSD-3-Clause
"""Options of the command line out of the sections that declare them: see ntbbench.core.options."""

import argparse
from collections.abc import Collection
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from ntbbench.core.options import kinds

Section = TypeVar("Section", bound=Struct)


def add_options(
    parser: argparse.ArgumentParser, title: str, usual: Struct, only: Collection[str] = ()
) -> argparse._ArgumentGroup:
    """Add a group with an option for each key of a section; all are texts until `chosen`.

    Parameters
    ----------
    usual : a section whose values are the defaults.
    only : the keys that become options; none: all of them.
    """
    group = parser.add_argument_group(title)
    for key, kind in kinds(type(usual)).items():
        if only and key not in only:
            continue
        default = kind.show(getattr(usual, key))
        shown = "" if default in (None, "", []) else f"; default {_plain(default)}"
        words = f"{kind.text} ({kind.allowed}{shown})".replace("%", "%%")
        action = "append" if kind.repeated else "store"
        group.add_argument(option(key), metavar=kind.metavar, action=action, help=words)
    return group


def chosen(args: argparse.Namespace, base: Section) -> Section:
    """Return `base` with what the options say instead.

    Raises
    ------
    InputError : a value that its key does not allow; the error names the option.
    """
    changes: dict[str, Any] = {
        key: kind.parse(option(key), text)
        for key, kind in kinds(type(base)).items()
        if (text := getattr(args, key, None)) is not None
    }
    return msgspec.structs.replace(base, **changes)


def option(key: str) -> str:
    """Return the option of a key: `mw_count` is --mw-count."""
    return f"--{key.replace('_', '-')}"


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
