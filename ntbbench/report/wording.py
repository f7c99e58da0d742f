# SPDX-License-Identifier: BSD-3-Clause
"""What every format says alike: numbers with their units, safe names, facts."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from textwrap import wrap
from typing import Any, NamedTuple

from ntbbench.core.names import printable

UNITS = {"resolution": " s"}  # of numbers in the environment
WIDTH = 80  # of a text report
ENTRIES_MAX = 12  # of a list in a few lines; a longer one (the CPU's flags) is counted


def ascii_only(text: str) -> str:
    """Return `text` as printable ASCII, every other character as its Python escape."""
    if text.isascii() and text.isprintable():
        return text
    return printable(text).encode("ascii", "backslashreplace").decode("ascii")


def folded(text: str, indent: str = "") -> str:
    """Return `text` in lines of at most WIDTH columns of ASCII, the first one indented less."""
    lines = wrap(
        ascii_only(text), WIDTH, initial_indent=indent, subsequent_indent=indent + "  ",
        break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(lines)


def nanoseconds(value: float) -> str:
    """Return a duration in ns with the digits that a measurement can hold, without the unit."""
    decimals = 2 if value < 10 else 1 if value < 1000 else 0
    return f"{value:.{decimals}f}"


def short(value: float) -> str:
    """Return a number with two decimals at most: 1, 1.5, 1.85."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def percent(ratio: float) -> str:
    """Return a share in percent: 0.875 -> `87.5%`."""
    return f"{100 * ratio:.1f}%"


def plural(count: int, noun: str) -> str:
    """Return `1 point`, `2 points`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def ranges(numbers: Iterable[int]) -> str:
    """Return ascending numbers as "0-4,7"; "-" where there are none."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    parts = [str(first) if first == last else f"{first}-{last}" for first, last in spans]
    return ",".join(parts) or "-"


def facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a nested record as rows: the dotted name and its value as text."""
    rows: list[tuple[str, str]] = []
    for key, value in record.items():
        if isinstance(value, dict):
            rows += [(f"{key}.{name}", text) for name, text in facts(value)]
        else:
            rows.append((key, _plain(value) + UNITS.get(key, "")))
    return rows


def brief_facts(record: Mapping[str, Any]) -> list[str]:
    """Return a nested record as a few lines: one a key, and no long list."""
    lines: list[str] = []
    for key, value in record.items():
        inner = facts(value) if isinstance(value, dict) else [("", _plain(value))]
        parts = [f"{name} {_brief(text)}".strip() for name, text in inner]
        lines.append(f"{key}: {'; '.join(parts)}")
    return lines


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value) or "none"
    return "none" if value is None else str(value)


def _brief(text: str) -> str:
    entries = text.count(", ") + 1
    return f"{entries} entries, in the JSON" if entries > ENTRIES_MAX else text


DIGITS = 5  # of a number in a column that has one unit


class Unit(NamedTuple):
    """A unit, and how much of the record's (a second, a bit a second, one) it is."""

    size: float
    name: str


TIMES = (Unit(1.0, "s"), Unit(1e-3, "ms"), Unit(1e-6, "us"), Unit(1e-9, "ns"))
RATES = (Unit(1e9, "Gbit/s"), Unit(1e6, "Mbit/s"), Unit(1e3, "kbit/s"), Unit(1.0, "bit/s"))
NO_UNIT = Unit(1.0, "")  # of counts and ratios


def unit_of(values: Iterable[float | None], units: tuple[Unit, ...], least: float = 1.0) -> Unit:
    """Return the largest unit of which the largest value has at least so many; None: not defined.

    `units` go from the largest to the smallest.
    """
    largest = max((value for value in values if value is not None), default=0.0)
    if not largest:
        return units[1]
    return next((unit for unit in units if largest >= least * unit.size), units[-1])


def plain(value: float, digits: int = DIGITS) -> str:
    """Return a number with so many digits, and more of them rather than an exponent."""
    if abs(value) >= 10**digits - 0.5:  # what rounds to 10**digits gets an exponent too
        return f"{value:.0f}"
    return f"{Decimal(f'{value:.{digits}g}'):f}"


def quantity(value: float | None, units: tuple[Unit, ...], digits: int = DIGITS) -> str:
    """Return a value with the unit that suits it: `1.235 ms`; a dash where it is not defined."""
    if value is None:
        return "-"
    unit = unit_of([value], units)
    return f"{plain(value / unit.size, digits)} {unit.name}"
