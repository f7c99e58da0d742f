# SPDX-License-Identifier: BSD-3-Clause
"""How the numbers of a simulation are written: rates, durations, ratios, intervals."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from ntbbench.datapath.records import Estimate

MBIT = 1e6
DASH = "-"
RATE_DIGITS = 5  # of a rate
RATE_DECIMALS = 4  # at most
LEAST = 0.001  # of a narrow column
DIGITS = 5  # of a number in a column that has one unit


class Unit(NamedTuple):
    """A unit, and how much of the record's (a second, a bit a second, one) it is."""

    size: float
    name: str


UNITS = (Unit(1.0, "s"), Unit(1e-3, "ms"), Unit(1e-6, "us"), Unit(1e-9, "ns"))
RATE_UNITS = (Unit(1e9, "Gbit/s"), Unit(MBIT, "Mbit/s"), Unit(1e3, "kbit/s"), Unit(1.0, "bit/s"))
ONE = Unit(1.0, "")  # of counts and ratios


def unit_of(values: Iterable[Estimate | None], units: tuple[Unit, ...]) -> Unit:
    """Return the unit in which the largest mean has digits before its point.

    Parameters
    ----------
    values : that are shown together, None: not defined.
    units : from the largest to the smallest.
    """
    largest = max((value.mean for value in values if value is not None), default=0.0)
    if not largest:
        return units[1]
    return next((unit for unit in units if largest >= unit.size), units[-1])


def plain(value: float, digits: int = DIGITS) -> str:
    """Return a number with so many digits, and more of them rather than an exponent."""
    if abs(value) >= 10**digits - 0.5:  # what rounds to 10**digits gets an exponent too
        return f"{value:.0f}"
    return f"{Decimal(f'{value:.{digits}g}'):f}"


def rate(value: Estimate) -> str:
    """Return a rate with its unit and interval: `19.177 Gbit/s (19.095-19.258)`."""
    unit = unit_of([value], RATE_UNITS)
    spread = interval(value, lambda end: plain(end / unit.size))
    return f"{plain(value.mean / unit.size)} {unit.name} ({spread})"


def duration(seconds: float) -> str:
    """Return a duration with its unit and four digits: `1.235 ms`."""
    value, unit = scaled(seconds)
    return f"{value:.4g} {unit}"


def scaled(seconds: float) -> tuple[float, str]:
    """Return a duration in the largest unit of which it is one or more, or in the smallest."""
    size, unit = next((unit for unit in UNITS if seconds >= unit.size), UNITS[-1])
    return seconds / size, unit


def rate_cells(value: Estimate) -> tuple[str, str]:
    """Return a rate in Mbit/s, and its interval, all with as many decimals.

    That is what the largest of them needs for its digits, and never an exponent: an end of an
    interval takes six characters below a Tbit/s, like a rate without any decimal.
    """
    most = max(value.mean, value.high or 0.0) / MBIT
    whole_digits = len(f"{most:.0f}") if most >= 1 else 0
    decimals = min(max(RATE_DIGITS - whole_digits, 0), RATE_DECIMALS) if most else 0

    def shown(bps: float) -> str:
        return f"{bps / MBIT:.{decimals}f}"

    return shown(value.mean), interval(value, shown)


def interval(value: Estimate, shown: Callable[[float], str]) -> str:
    """Return the interval of an estimate; a single run has none."""
    if value.low is None or value.high is None:
        return "one run"
    return f"{shown(value.low)}-{shown(value.high)}"


def ratio(value: float | None, form: str) -> str:
    """Return a ratio of counts; a dash where nothing was counted."""
    return DASH if value is None else format(value, form)


def spread(value: Estimate | None) -> str:
    """Return a count a replication, and half the width of its interval in percent of it.

    From 100 % on the interval itself, for its lower end is cut off at 0.
    """
    if value is None:
        return DASH
    mean = plain(value.mean)
    if value.high is None or value.low is None or value.high == value.mean or not value.mean:
        return mean
    share = (value.high - value.mean) / value.mean
    if share > 1:
        return f"{mean} ({plain(value.low, 3)}..{plain(value.high, 3)})"
    return f"{mean} +-{share:.1%}"


def tight(seconds: float) -> str:
    """Return a duration without a blank and with three digits, for narrow columns."""
    value, unit = scaled(seconds)
    return f"{value:.3g}{unit}"


def short(value: float) -> str:
    """Return a number in five characters, below a hundred thousand: six columns fit beside axes."""
    if not value:
        return "0"
    if value < LEAST / 2:
        return f"<{LEAST}".replace("0.", ".")
    if value < 1:
        return f"{value:.3f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
