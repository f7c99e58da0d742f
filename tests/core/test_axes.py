# SPDX-License-Identifier: BSD-3-Clause
"""Axes, numbers and settings as a user writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.core.names import parse_int, parse_int_axis, parse_settings, unknown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("7", [7]), ("1,2,4", [1, 2, 4]), (" 4 , 1 ", [4, 1]), ("0x10", [16])),
        *(("1-16", list(range(1, 17))), ("5-5", [5]), ("1-4,3-6,2", [1, 2, 3, 4, 5, 6])),
        *(("1,2,4..64", [1, 2, 4, 8, 16, 32, 64]), ("4..64", [4, 8, 16, 32, 64])),
        *(("3..20", [3, 6, 12]), ("2..2", [2]), ("1,3,9..64", [1, 3, 9, 27])),
        *(("2,4,6..16", list(range(2, 17, 2))), ("1,2,3..8", list(range(1, 9)))),
        *(("8,5,6..30", [8, 5, 6, 12, 24]), ("2-4,4..16", [2, 3, 4, 8, 16])),
        *(("0,1,2..5", [0, 1, 2, 3, 4, 5]), ("0,0,5..21", [0, 5, 10, 20])),
    ],
)
def test_axis(text: str, expected: list[int]) -> None:
    assert parse_int_axis(text, "queues", 0) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "1,,2", "x", "1-", "-1", "1..", "..4", "0", "65", "1-65", "4-1", "64..1"),
        *("1.5", "1-2-3", "1..2..4", "--", "1_0", "１", "1e2", "0x", "9" * 99),
    ],
)
def test_axis_refuses(text: str) -> None:
    with pytest.raises(InputError, match=r"^queues: ") as caught:
        parse_int_axis(text, "queues")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["0..3", "0,0..3", "0,0,0..8"])
def test_a_series_that_stays_at_0_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="stays at 0"):
        parse_int_axis(text, "vectors", 0)


@given(st.text("0123456789-.,x ", max_size=12) | st.text(max_size=8))
def test_axis_is_numbers_or_an_input_error(text: str) -> None:
    try:
        numbers = parse_int_axis(text, "queues", 1, 64)
    except InputError:
        return
    assert numbers
    assert len(set(numbers)) == len(numbers)
    assert all(1 <= number <= 64 for number in numbers)


@given(st.lists(st.integers(1, 64), min_size=1, unique=True))
def test_axis_reads_what_is_written(numbers: list[int]) -> None:
    assert parse_int_axis(",".join(map(str, numbers)), "queues") == numbers


@given(st.integers(0, 2**64 - 1))
def test_numbers_decimal_and_hexadecimal(number: int) -> None:
    assert parse_int("n", str(number), 0, 2**64 - 1) == number
    assert parse_int("n", hex(number), 0, 2**64 - 1) == number


def test_settings() -> None:
    assert parse_settings("f", "a=1, b = 2=3", ("a", "b")) == {"a": "1", "b": "2=3"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "key=value separated by commas, keys: aa, b"),
        ("a=", "key=value"),
        ("aaa=1", r"f: key: 'aaa': unknown; did you mean aa\?"),
        ("b=1,b=2", "b is given twice"),
    ],
)
def test_settings_refuse(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_settings("f", text, ("aa", "b"))


def test_unknown_without_a_near_name_lists_all() -> None:
    assert str(unknown("f", "qqq", ("b", "a"))) == "f: 'qqq': unknown; known: a, b"
