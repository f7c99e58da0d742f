# SPDX-License-Identifier: BSD-3-Clause
"""Sections of options as data: what `--keys` prints, and the reference page is made of."""

import inspect
from typing import Any

from msgspec import Struct

from ntbbench.core.options import kinds, sections


class Option(Struct, frozen=True, kw_only=True):
    """What a reader should know of a key."""

    key: str
    kind: str  # duration, share, count, ...
    text: str
    allowed: str
    default: Any  # as a TOML file would say it; null: none


class OptionSection(Struct, frozen=True, kw_only=True):
    """A section and its keys; `name` is what stands before a key in a TOML file."""

    name: str
    about: str
    options: list[Option]


class OptionList(Struct, frozen=True, kw_only=True):
    """Sections with all their keys."""

    schema: str = "ntbbench.options/1"
    sections: list[OptionSection]


def default_of(usual: Struct, key: str) -> object:
    """Return the default of a key as a TOML file would say it; None: there is none."""
    value = getattr(usual, key)
    return None if value is None else kinds(type(usual))[key].show(value)


def described(usual: Struct, name: str = "") -> list[OptionSection]:
    """Return a section, whose values are the defaults, and the sections inside it."""
    options = [
        Option(
            key=key,
            kind=type(kind).__name__.lower(),
            text=kind.text,
            allowed=kind.allowed,
            default=default_of(usual, key),
        )
        for key, kind in kinds(type(usual)).items()
    ]
    about = (inspect.getdoc(type(usual)) or "").partition("\n")[0]
    found = [OptionSection(name=name, about=about, options=options)] if options else []
    for key, section in sections(usual).items():
        found += described(section, f"{name}.{key}" if name else key)
    return found
