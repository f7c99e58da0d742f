# SPDX-License-Identifier: BSD-3-Clause
"""The axes of a sweep as a user writes them: "1,2,4", "1-16", "1,2,4..64"."""

from ntbbench.core.errors import InputError
from ntbbench.core.names import parse_int

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
