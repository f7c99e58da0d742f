# SPDX-License-Identifier: BSD-3-Clause
"""The axes of a sweep as a user writes them: "1,2,4", "1-16", "1,2,4..64"."""

from ntbbench.errors import InputError
from ntbbench.model.names import parse_int

AXIS_FORMS = 'numbers like "1,2,8", "1-16" (by one) or "1,2,4..64" (doubling)'


def parse_int_axis(text: str, field: str, low: int = 1, high: int = 64) -> list[int]:
    """Return the numbers of one axis, in the order written.

    Parameters
    ----------
    text : numbers, ranges "a-b" that count by one, and ranges "a..b" that double from a and end
        with b, separated by commas.
    field : what to call the axis in an error.
    low, high : the smallest and the largest number allowed.

    Raises
    ------
    InputError : anything else, an empty range, or a number given twice.
    """
    numbers: list[int] = []
    for part in text.split(","):
        numbers += parse_part(part.strip(), text, field, (low, high))
    for number in numbers:
        if numbers.count(number) > 1:
            raise InputError(field, text, f"every number once; {number} comes twice")
    return numbers


def parse_part(part: str, text: str, field: str, bounds: tuple[int, int]) -> list[int]:
    """Return the numbers of one comma-separated part."""
    for separator in ("..", "-"):
        first_text, found, last_text = part.partition(separator)
        if not found:
            continue
        if not first_text.strip() or not last_text.strip():
            raise InputError(field, text, AXIS_FORMS)
        first = parse_int(field, first_text, *bounds)
        last = parse_int(field, last_text, *bounds)
        if last < first:
            raise InputError(field, text, f"{part} is empty: the first number is the smaller one")
        return doubling(first, last) if separator == ".." else list(range(first, last + 1))
    if not part:
        raise InputError(field, text, AXIS_FORMS)
    return [parse_int(field, part, *bounds)]


def doubling(first: int, last: int) -> list[int]:
    """Return first, 2 * first, 4 * first, ... and, whether it is one of them or not, `last`."""
    numbers = []
    number = first
    while number < last:
        numbers.append(number)
        number = max(2 * number, 1)
    return [*numbers, last]
