# SPDX-License-Identifier: BSD-3-Clause
"""Quantities as a reader compares them: one unit for what stands together, no exponents."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

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
