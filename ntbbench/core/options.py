# SPDX-License-Identifier: BSD-3-Clause
"""Options, declared once: each field of a section carries its range, its unit and its words.

A section is a msgspec Struct whose fields are `Annotated[type, Duration | Count | Word | ...]`. The
options of the command line, keys of TOML files, `--set`, and the reference page come from there.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Struct

from ntbbench.core.axes import parse_int_axis
from ntbbench.core.errors import InputError
from ntbbench.core.names import parse_int, unknown
from ntbbench.core.units import PS, duration_text, share_ppm, ticks, whole

TEXT_MAX = 1000  # characters of a note

Section = TypeVar("Section", bound=Struct)


@dataclass(frozen=True)
class Duration:
    """A time: seconds, or a text with a unit; whole ticks inside, picoseconds unless said."""

    low: float  # seconds
    high: float
    text: str
    per_second: int = PS
    metavar: ClassVar[str] = "X"

    def parse(self, name: str, value: object) -> int:
        """Return ticks."""
        return ticks(name, value, self.low, self.high, self.per_second)

    def show(self, value: Any) -> object:
        """Return the text that `parse` reads back."""
        return duration_text(value, self.per_second)

    @property
    def allowed(self) -> str:
        """The range in words."""
        return f"{self.low:g} to {self.high:g} s"


@dataclass(frozen=True)
class Share:
    """A share from 0 to 1; millionths inside."""

    text: str
    metavar: ClassVar[str] = "X"

    def parse(self, name: str, value: object) -> int:
        """Return millionths."""
        return share_ppm(name, value)

    def show(self, value: Any) -> object:
        """Return the share."""
        return value / 1_000_000

    @property
    def allowed(self) -> str:
        """The range in words."""
        return "0 to 1"


@dataclass(frozen=True)
class Count:
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

    def show(self, value: Any) -> object:
        """Return the number."""
        return value

    @property
    def allowed(self) -> str:
        """The range in words."""
        return f"{self.low} to {self.high}"


@dataclass(frozen=True)
class Choice:
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

    def show(self, value: Any) -> object:
        """Return the number."""
        return value

    @property
    def allowed(self) -> str:
        """The numbers."""
        return ", ".join(map(str, self.known))


@dataclass(frozen=True)
class Counts:
    """A list of whole numbers; on the command line `0,1` or `[0,1]`, and `[]`."""

    low: int
    high: int
    text: str
    metavar: ClassVar[str] = "0,1"

    def parse(self, name: str, value: object) -> tuple[int, ...]:
        """Return the numbers."""
        parts = _parts(value) if isinstance(value, str) else value
        if not isinstance(parts, list):
            allowed = f"a list of whole numbers from {self.low} to {self.high}: 0,1 or [0,1] or []"
            raise InputError(name, value, allowed)
        return tuple(whole(name, part, self.low, self.high, {}) for part in parts)

    def show(self, value: Any) -> object:
        """Return a list."""
        return list(value)

    @property
    def allowed(self) -> str:
        """The range in words."""
        return f"list of {self.low} to {self.high}"


@dataclass(frozen=True)
class Word:
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

    def show(self, value: Any) -> object:
        """Return the word."""
        return value

    @property
    def allowed(self) -> str:
        """The words."""
        return ", ".join(self.known) or "a text of one line"


@dataclass(frozen=True)
class Flag:
    """Yes or no."""

    text: str
    metavar: ClassVar[str] = "true|false"

    def parse(self, name: str, value: object) -> bool:
        """Return the flag; on the command line `true` and `false` are texts."""
        words = {"true": True, "false": False}
        found = words.get(value) if isinstance(value, str) else value
        if not isinstance(found, bool):
            raise InputError(name, value, "true or false")
        return found

    def show(self, value: Any) -> object:
        """Return the flag."""
        return value

    @property
    def allowed(self) -> str:
        """The words."""
        return "true, false"


@dataclass(frozen=True)
class Axis:
    """Whole numbers to try one after the other: `1,2,4`, `1-16`, `1,2,4..64`, or a TOML list."""

    low: int
    high: int
    text: str
    metavar: ClassVar[str] = "1,2,4..64"

    def parse(self, name: str, value: object) -> tuple[int, ...]:
        """Return each number once, in the order written."""
        if isinstance(value, str):
            return tuple(parse_int_axis(value, name, self.low, self.high))
        parts = value if isinstance(value, list) else [value]
        numbers = [whole(name, part, self.low, self.high, {}) for part in parts]
        return tuple(dict.fromkeys(numbers))

    def show(self, value: Any) -> object:
        """Return a list."""
        return list(value)

    @property
    def allowed(self) -> str:
        """The range in words."""
        return f"{self.low} to {self.high}"


@dataclass(frozen=True)
class Words:
    """Words to try one after the other, out of a few; none listed: any."""

    known: tuple[str, ...]
    text: str
    metavar: ClassVar[str] = "A,B"

    def parse(self, name: str, value: object) -> tuple[str, ...]:
        """Return each word once, in the order written."""
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list) or not parts:
            raise InputError(name, value, f"a list of {self.allowed}")
        one = Word(self.known, self.text)
        return tuple(dict.fromkeys(one.parse(name, _stripped(part)) for part in parts))

    def show(self, value: Any) -> object:
        """Return a list."""
        return list(value)

    @property
    def allowed(self) -> str:
        """The words."""
        return ", ".join(self.known) or "words"


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


Kind = Duration | Share | Count | Choice | Counts | Word | Flag | Axis | Words


def _parts(text: str) -> list[str]:
    """Return the parts of a list, with or without brackets around it."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1].strip()
    return text.split(",") if text else []


def kinds(section: type[Struct]) -> dict[str, Kind]:
    """Return what each key of a section may be."""
    hints = get_type_hints(section, include_extras=True)
    found: dict[str, Kind] = {}
    for name in section.__struct_fields__:
        marks = [mark for mark in get_args(hints[name])[1:] if isinstance(mark, Kind)]
        if marks:
            found[name] = marks[0]
    return found


def option(key: str) -> str:
    """Return the option of a key: `mw_count` is --mw-count, and `gap_us` --gap, in us."""
    return f"--{key.removesuffix('_us').replace('_', '-')}"


def check(section: Struct) -> None:
    """Raise InputError for a value that its key does not allow; None is one that is not set."""
    for key, kind in kinds(type(section)).items():
        value = getattr(section, key)
        if value is not None:
            kind.parse(option(key), kind.show(value))


def changed(prefix: str, base: Section, table: object) -> Section:
    """Return `base` with what a table says instead.

    Raises
    ------
    InputError : an unknown key (with the nearest known one), or a value that is not allowed.
    """
    if not isinstance(table, dict):
        raise InputError(prefix.rstrip("."), table, "a table of keys")
    known = kinds(type(base))
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise unknown(f"{prefix}key", str(key), known)
        values[key] = known[key].parse(f"{prefix}{key}", value)
    return msgspec.structs.replace(base, **values)


def shown(section: Struct) -> dict[str, Any]:
    """Return a section as plain values that `changed` reads back to the same section."""
    return {key: kind.show(getattr(section, key)) for key, kind in kinds(type(section)).items()}
