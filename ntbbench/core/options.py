# SPDX-License-Identifier: BSD-3-Clause
"""Options, declared once: each field of a section carries its range, its unit and its words.

A section is a msgspec Struct whose fields are `Annotated[type, Duration | Count | Word | ...]`, or
sections themselves. The options of the command line, the keys of TOML files, `--set` and the
reference page come from there.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Struct

from ntbbench.core.errors import InputError
from ntbbench.core.names import parse_int, parse_int_axis, unknown
from ntbbench.core.units import PS, duration_text, share_ppm, ticks, whole

TEXT_MAX = 1000  # characters of a note

Section = TypeVar("Section", bound=Struct)


class Kind(ABC):
    """What a key may be: how it is read, how it is written, and what is allowed, in words."""

    text: str
    metavar: ClassVar[str] = "X"
    repeated: ClassVar[bool] = False  # the option is given once for each value

    @abstractmethod
    def parse(self, name: str, value: object) -> Any:
        """Return the value of a key; InputError names it where the value is not allowed."""

    def show(self, value: Any) -> object:
        """Return the plain value that `parse` reads back."""
        return list(value) if isinstance(value, tuple) else value

    @property
    @abstractmethod
    def allowed(self) -> str:
        """The range or the words."""


@dataclass(frozen=True)
class Duration(Kind):
    """A time: seconds, or a text with a unit; whole ticks inside, picoseconds unless said."""

    low: float  # seconds
    high: float
    text: str
    per_second: int = PS

    def parse(self, name: str, value: object) -> int:
        """Return ticks."""
        return ticks(name, value, self.low, self.high, self.per_second)

    def show(self, value: Any) -> object:
        """Return a text with a unit."""
        return duration_text(value, self.per_second)

    @property
    def allowed(self) -> str:
        """The range."""
        return f"{self.low:g} to {self.high:g} s"


@dataclass(frozen=True)
class Share(Kind):
    """A share from 0 to 1; millionths inside."""

    text: str
    allowed: ClassVar[str] = "0 to 1"

    def parse(self, name: str, value: object) -> int:
        """Return millionths."""
        return share_ppm(name, value)

    def show(self, value: Any) -> object:
        """Return the share."""
        return value / 1_000_000


@dataclass(frozen=True)
class Count(Kind):
    """A whole number, with a unit where it has some."""

    low: int
    high: int
    text: str
    units: dict[str, int] = field(default_factory=dict, hash=False)
    metavar: ClassVar[str] = "N"

    def parse(self, name: str, value: object) -> int:
        """Return the number; a text may be hexadecimal."""
        if isinstance(value, str) and value.strip().lower().startswith("0x"):
            return parse_int(name, value, self.low, self.high)
        return whole(name, value, self.low, self.high, self.units)

    @property
    def allowed(self) -> str:
        """The range."""
        return f"{self.low} to {self.high}"


@dataclass(frozen=True)
class Choice(Kind):
    """One whole number out of a few."""

    known: tuple[int, ...]
    text: str
    metavar: ClassVar[str] = "N"

    def parse(self, name: str, value: object) -> int:
        """Return the number."""
        words = {str(number): number for number in self.known}
        found = words.get(value) if isinstance(value, str) else value
        if not isinstance(found, int) or found not in self.known:
            raise InputError(name, value, f"one of {self.allowed}")
        return found

    @property
    def allowed(self) -> str:
        """The numbers."""
        return ", ".join(map(str, self.known))


@dataclass(frozen=True)
class Counts(Kind):
    """A list of whole numbers; on the command line `0,1` or `[0,1]`, and `[]`."""

    low: int
    high: int
    text: str
    units: dict[str, int] = field(default_factory=dict, hash=False)
    metavar: ClassVar[str] = "N,N"

    def parse(self, name: str, value: object) -> tuple[int, ...]:
        """Return the numbers."""
        parts = _parts(value) if isinstance(value, str) else value
        if not isinstance(parts, list):
            allowed = f"a list of whole numbers from {self.low} to {self.high}: 0,1 or [0,1] or []"
            raise InputError(name, value, allowed)
        return tuple(whole(name, part, self.low, self.high, self.units) for part in parts)

    @property
    def allowed(self) -> str:
        """The range of each number."""
        return f"list of {self.low} to {self.high}"


@dataclass(frozen=True)
class Word(Kind):
    """One word out of a few; none listed: any text of one line."""

    known: tuple[str, ...]
    text: str
    metavar: ClassVar[str] = "WORD"

    def parse(self, name: str, value: object) -> str:
        """Return the word; of an enum's, its member."""
        if not isinstance(value, str) or not value.isprintable() or len(value) > TEXT_MAX:
            raise InputError(name, value, self.allowed)
        if self.known and value not in self.known:
            raise unknown(name, value, self.known)
        return next((word for word in self.known if word == value), value)

    @property
    def allowed(self) -> str:
        """The words."""
        return ", ".join(self.known) or "a text of one line"


@dataclass(frozen=True)
class Flag(Kind):
    """Yes or no; on the command line `true` and `false`."""

    text: str
    metavar: ClassVar[str] = "true|false"
    allowed: ClassVar[str] = "true, false"

    def parse(self, name: str, value: object) -> bool:
        """Return the flag."""
        words = {"true": True, "false": False}
        found = words.get(value) if isinstance(value, str) else value
        if not isinstance(found, bool):
            raise InputError(name, value, "true or false")
        return found


@dataclass(frozen=True)
class Axis(Kind):
    """Whole numbers to try one after the other: `1,2,4`, `1-16`, `1,2,4..64`, or a TOML list."""

    low: int
    high: int
    text: str
    empty: bool = False  # a list may hold none
    metavar: ClassVar[str] = "1,2,4..64"

    def parse(self, name: str, value: object) -> tuple[int, ...]:
        """Return each number once, in the order written."""
        if value == [] and self.empty:
            return ()
        parts = value if isinstance(value, list) else [value]
        if not parts:
            raise InputError(name, value, "at least one value")
        for part in parts:
            if isinstance(part, bool) or not isinstance(part, int | str):
                raise InputError(name, part, f"a whole number from {self.low} to {self.high}")
        return tuple(parse_int_axis(",".join(map(str, parts)), name, self.low, self.high))

    @property
    def allowed(self) -> str:
        """The range of each number."""
        return f"{self.low} to {self.high}"


@dataclass(frozen=True)
class Words(Kind):
    """Words to try one after the other, out of a few; none listed: any.

    Parameters
    ----------
    once : a word that is written twice is refused; else it counts once.
    """

    known: tuple[str, ...]
    text: str
    once: bool = False
    metavar: ClassVar[str] = "A,B"

    def parse(self, name: str, value: object) -> tuple[str, ...]:
        """Return each word once, in the order written."""
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list) or not parts:
            raise InputError(name, value, f"a list out of {self.allowed}")
        one = Word(self.known, self.text)
        found = [one.parse(name, p.strip() if isinstance(p, str) else p) for p in parts]
        twice = next((word for word in found if found.count(word) > 1), None)
        if self.once and twice is not None:
            raise InputError(name, twice, "every value once")
        return tuple(dict.fromkeys(found))

    @property
    def allowed(self) -> str:
        """The words."""
        return ", ".join(self.known) or "words"


def _parts(text: str) -> list[str]:
    """Return the parts of a list, with or without brackets around it."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1].strip()
    return text.split(",") if text else []


@cache
def kinds(section: type[Struct]) -> Mapping[str, Kind]:
    """Return what each key of a section may be."""
    hints = get_type_hints(section, include_extras=True)
    marks = {
        name: [mark for mark in get_args(hints[name])[1:] if isinstance(mark, Kind)]
        for name in section.__struct_fields__
    }
    return {name: found[0] for name, found in marks.items() if found}


def sections(base: Struct) -> dict[str, Struct]:
    """Return the sections inside a section."""
    inner = {name: getattr(base, name) for name in base.__struct_fields__}
    return {name: value for name, value in inner.items() if isinstance(value, Struct)}


def option(key: str) -> str:
    """Return the option of a key: `mw_count` is --mw-count, and `gap_us` --gap, in us."""
    return f"--{key.removesuffix('_us').replace('_', '-')}"


def check(section: Struct) -> None:
    """Raise InputError for a value that its key does not allow; None is one that is not set."""
    for key, kind in kinds(type(section)).items():
        value = getattr(section, key)
        if value is not None:
            kind.parse(option(key), kind.show(value))


def changed(prefix: str, base: Section, table: object, also: Collection[str] = ()) -> Section:
    """Return `base` with what a table says instead; the keys of `also` are read by the caller.

    Raises
    ------
    InputError : an unknown key (with the nearest known one), or a value that is not allowed.
    """
    if not isinstance(table, dict):
        raise InputError(prefix.rstrip(".: "), table, "a table of keys")
    known, inner = kinds(type(base)), sections(base)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in inner:
            values[key] = changed(f"{prefix}{key}.", inner[key], value)
        elif key in known:
            values[key] = known[key].parse(f"{prefix}{key}", value)
        elif key not in also:
            raise unknown(f"{prefix}key", str(key), [*known, *inner, *also])
    return msgspec.structs.replace(base, **values)


def shown(section: Struct) -> dict[str, Any]:
    """Return a section as plain values that `changed` reads back to the same section.

    A key that is not set is left out.
    """
    known, inner = kinds(type(section)), sections(section)
    return {
        key: shown(inner[key]) if key in inner else known[key].show(getattr(section, key))
        for key in section.__struct_fields__
        if key in inner or (key in known and getattr(section, key) is not None)
    }


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
