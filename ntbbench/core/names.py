# SPDX-License-Identifier: BSD-3-Clause
"""Names and numbers that a user typed: the right one, or one clear line about the wrong one."""

from collections.abc import Iterable
from difflib import get_close_matches

from ntbbench.core.errors import InputError

DIGITS_MAX = 20  # of 2**64 in decimal; longer numbers are never meant


def printable(text: str) -> str:
    """Return `text` on one line and without anything a terminal or a browser would obey.

    Control, format and bidirectional characters become their Python escapes, so they stay visible.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def encodable(text: str) -> str:
    """Return a text that can be encoded: bytes of a file name that are no UTF-8 become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def unknown(field: str, value: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not among `known`: the nearest one, then all."""
    names = sorted(known)
    near = get_close_matches(value, names, n=1)
    hint = f"unknown; did you mean {near[0]}? " if near else "unknown; "
    return InputError(field, value, f"{hint}known: {', '.join(names)}")


def parse_int(field: str, text: str, low: int, high: int) -> int:
    """Return the decimal or 0x number in `text`, or raise InputError with the range."""
    digits = text.strip()
    base = 16 if digits.lower().startswith("0x") else 10
    plain = digits[2:] if base == 16 else digits
    if not (plain.isascii() and plain.isalnum() and len(plain) <= DIGITS_MAX):
        raise InputError(field, text, f"a whole number from {low} to {high}")
    try:
        number = int(plain, base)
    except ValueError:
        raise InputError(field, text, f"a whole number from {low} to {high}") from None
    return check_range(field, number, low, high)


def check_range(field: str, number: int, low: int, high: int) -> int:
    """Return `number` if it is from `low` to `high`, else raise InputError."""
    if not low <= number <= high:
        raise InputError(field, number, f"a whole number from {low} to {high}")
    return number


def parse_settings(field: str, text: str, known: Iterable[str]) -> dict[str, str]:
    """Return the settings of "key=value,key=value"; every key is known and given once."""
    settings: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise InputError(
                field, text, f"key=value separated by commas, keys: {', '.join(known)}"
            )
        if key not in known:
            raise unknown(f"{field}: key", key, known)
        if key in settings:
            raise InputError(field, text, f"{key} is given twice")
        settings[key] = value
    return settings


AXIS_FORMS = 'numbers like "1,2,8", "1-16" (by one) or "1,2,4..64" (going on as begun, or doubling)'


def parse_int_axis(text: str, field: str, low: int = 1, high: int = 64) -> list[int]:
    """Return the numbers of one axis in the order written, each of them once.

    Numbers and ranges are separated by commas. "a-b" counts by one from a to b. "a..b" goes on to b
    at most, with the step or the factor of the two numbers before it and a itself ("1,2,4..64",
    "2,4,6..16"); without two such numbers it doubles.

    InputError: anything else, a number out of range, or an empty range.
    """
    numbers: list[int] = []
    for part in text.split(","):
        first, separator, last = part.partition(".." if ".." in part else "-")
        if not first.strip() or (separator and not last.strip()):
            raise InputError(field, text, AXIS_FORMS)
        start = parse_int(field, first, low, high)
        end = parse_int(field, last, low, high) if separator else start
        if end < start:
            raise InputError(
                field, text, f"{part.strip()} is empty: the smaller number comes first"
            )
        if separator == "..":
            step, factor = _pace(numbers[-2:], start)
            if start * factor + step <= start:
                raise InputError(field, text, f"{part.strip()} stays at 0: go on as in 0,1,2..8")
            while start <= end:
                numbers.append(start)
                start = start * factor + step
        else:
            numbers += range(start, end + 1)
    return list(dict.fromkeys(numbers))


def _pace(before: list[int], start: int) -> tuple[int, int]:
    """Return the step and the factor of the series that `before` and `start` began."""
    step, factor = 0, 2
    if len(before) == 2:
        first, second = before
        if second > first > 0 and second * second == first * start and second % first == 0:
            factor = second // first
        elif start - second == second - first > 0:
            step, factor = start - second, 1
    return step, factor
