# SPDX-License-Identifier: BSD-3-Clause
"""Options of the command line out of the sections that declare them: see ntbbench.core.options."""

import argparse
from collections.abc import Collection
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from ntbbench.core.options import default_of, kinds, option

Section = TypeVar("Section", bound=Struct)


def add_options(
    parser: argparse.ArgumentParser, title: str, usual: Struct, only: Collection[str] = ()
) -> argparse._ArgumentGroup:
    """Return a new group with an option for each key of a section; all are texts until `chosen`.

    A kind without a metavar is a flag that takes no value.

    Parameters
    ----------
    usual : a section whose values are the defaults.
    only : the keys that become options; none: all of them.
    """
    group = parser.add_argument_group(title)
    for key, kind in kinds(type(usual)).items():
        if only and key not in only:
            continue
        if not kind.metavar:
            group.add_argument(
                option(key), dest=key, action="store_const", const="true", help=kind.text
            )
            continue
        default = _plain(default_of(usual, key))
        shown = f"; default {default}" if default else ""
        words = f"{kind.text} ({kind.allowed}{shown})".replace("%", "%%")
        action = "append" if kind.repeated else "store"
        group.add_argument(option(key), dest=key, metavar=kind.metavar, action=action, help=words)
    return group


def chosen(args: argparse.Namespace, base: Section, only: Collection[str] = ()) -> Section:
    """Return `base` with what the options of these keys say instead; none named: of all keys.

    Raises
    ------
    InputError : a value that its key does not allow; the error names the option.
    """
    changes: dict[str, Any] = {
        key: kind.parse(option(key), text)
        for key, kind in kinds(type(base)).items()
        if (not only or key in only) and (text := getattr(args, key, None)) is not None
    }
    return msgspec.structs.replace(base, **changes)


def _plain(value: object) -> str:
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
