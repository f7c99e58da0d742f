# SPDX-License-Identifier: BSD-3-Clause
"""Durations and sizes of a scenario: numbers, or texts with a unit; whole numbers inside."""

import math
import re
from decimal import Decimal, InvalidOperation

from ntbbench.core.errors import InputError

PS = 10**12  # picoseconds in a second
FS = 10**15  # femtoseconds: the costs of a byte
DURATIONS = {
    "fs": Decimal("1e-15"),
    "ps": Decimal("1e-12"),
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
}
SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 10**3, "MB": 10**6}
RATES = {"bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9}
QUANTITY = re.compile(r"\s*([-+]?[0-9][0-9.]*(?:[eE][-+]?[0-9]{1,3})?)\s*([A-Za-z/]*)\s*")
TEXT_MAX = 40  # characters; a longer number is never meant


def ticks(field: str, value: object, low: float, high: float, per_second: int) -> int:
    """Return a duration, a number of seconds or a text like "1.5us", in whole ticks, rounded.

    InputError: not a duration, or outside `low` .. `high` seconds.
    """
    allowed = f"{low:g} to {high:g} s, or a text like '1.5us'"
    seconds = _quantity(field, value, DURATIONS, allowed)
    if not Decimal(str(low)) <= seconds <= Decimal(str(high)):
        raise InputError(field, value, allowed)
    return int((seconds * per_second).to_integral_value())


def whole(field: str, value: object, low: int, high: int, units: dict[str, int]) -> int:
    """Return a whole number, or a text with one of `units` ("1MiB").

    InputError: not a whole number of the unit's base, or outside `low` .. `high`.
    """
    base, *others = units or ["number"]
    also = f", also {', '.join(others)}" if others else ""
    what = f"whole {base}" if others else f"a whole {base}"
    allowed = f"{what} from {low} to {high}{also}"
    number = _quantity(field, value, {unit: Decimal(size) for unit, size in units.items()}, allowed)
    if number != number.to_integral_value() or not low <= number <= high:
        raise InputError(field, value, allowed)
    return int(number)


def share_ppm(field: str, value: object) -> int:
    """Return a share from 0 to 1 in millionths; InputError: not a number from 0 to 1."""
    allowed = "a share from 0 to 1"
    share = _quantity(field, value, {}, allowed)
    if not 0 <= share <= 1:
        raise InputError(field, value, allowed)
    return int((share * 1_000_000).to_integral_value())


def duration_text(count: int, per_second: int) -> str:
    """Return a duration with the unit in which it is a short number: `898us`, `12.3ns`."""
    seconds = Decimal(count) / per_second
    if not count:
        return "0s"
    unit = next((u for u in reversed(DURATIONS) if seconds >= DURATIONS[u]), "fs")
    return f"{(seconds / DURATIONS[unit]).normalize():f}{unit}"


def _quantity(field: str, value: object, units: dict[str, Decimal], allowed: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError(field, value, allowed)
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(field, value, allowed)
    text = str(value)
    found = QUANTITY.fullmatch(text) if len(text) <= TEXT_MAX else None
    if found is None or (found[2] and found[2] not in units):
        raise InputError(field, value, allowed)
    try:
        return Decimal(found[1]) * (units[found[2]] if found[2] else Decimal(1))
    except InvalidOperation:
        raise InputError(field, value, allowed) from None
