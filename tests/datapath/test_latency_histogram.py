# SPDX-License-Identifier: BSD-3-Clause
"""Histograms in a result file: read as the library reads them, and no byte is trusted."""

import base64
import struct
import zlib

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.core.input_file import COUNT_MAX
from ntbbench.datapath.replicate import LAYOUT, PACKED_MAX, decoded, encoded, histogram_of

COUNTS_LEN = HdrHistogram(*LAYOUT).counts_len
OUTER, INNER = 0x1C849314, 0x1C849313  # the cookies of the compressed form and of what is in it


def text_of(body: bytes, *, inner: int = INNER, offset: int = 0) -> str:
    """Return the text of a histogram with these bytes for its counts."""
    head = struct.pack(">IIIIQQd", inner, len(body), offset, 3, 1, LAYOUT[1], 1.0)
    packed = zlib.compress(head + body)
    return base64.b64encode(struct.pack(">II", OUTER, len(packed)) + packed).decode()


def number(value: int) -> bytes:
    """Return a count, or a run of counts of zero where it is negative, as the format has it."""
    left, found = (value << 1) ^ (value >> 70), bytearray()
    while left >= 0x80:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*found, left])


counts = st.dictionaries(
    st.integers(0, COUNTS_LEN - 1),
    st.one_of(st.integers(1, 3), st.integers(1, COUNT_MAX // 40)),
    max_size=40,
)


@given(counts)
def test_it_is_read_as_the_library_reads_it(found: dict[int, int]) -> None:
    text = encoded(histogram_of(sorted(found.items())))
    read, library = decoded(text), HdrHistogram.decode(text)
    assert bytes(read.counts) == bytes(library.counts)
    assert (read.total_count, read.min_value, read.max_value) == (
        library.total_count, library.min_value, library.max_value,
    )  # fmt: skip
    assert encoded(read) == text


@given(st.binary(max_size=60) | st.lists(st.integers(-(1 << 64), 1 << 64)).map(
    lambda values: b"".join(map(number, values))
))  # fmt: skip
def test_any_counts_are_read_or_refused(body: bytes) -> None:
    try:
        histogram = decoded(text_of(body))
    except InputError:
        return
    assert histogram.total_count == np.array(histogram.counts).sum() < COUNT_MAX


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (number(COUNT_MAX), "in all"),
        (number(1 << 63), "a count beyond"),
        (number((1 << 64) - 1), "a count beyond"),
        (number(COUNT_MAX - 1) + number(1), "in all"),
        (number(1) * (COUNTS_LEN + 1), "more than"),
        (number(-COUNTS_LEN) + number(1), "more than"),
        (number(-(1 << 54)) * 2, "more than"),
        (b"\x80", "cut off"),
        (b"\x80" * 9 + b"\x01", "a count beyond"),
        (b"\0" * (PACKED_MAX + 1), "larger than any"),
        (b"\0" * (1 << 26), "larger than any"),
    ],
    ids=range(11),
)
def test_counts_that_no_run_has_are_refused(body: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why):
        decoded(text_of(body))


def test_the_largest_counts_are_read() -> None:
    histogram = decoded(text_of(number(-(COUNTS_LEN - 1)) + number(COUNT_MAX - 1)))
    assert np.flatnonzero(np.array(histogram.counts)).tolist() == [COUNTS_LEN - 1]
    assert histogram.total_count == COUNT_MAX - 1


@pytest.mark.parametrize(
    "text",
    [
        text_of(b"", inner=0),
        text_of(b"", offset=1),
        text_of(b"")[:-4],
        text_of(b"")[4:],
        "not base64",
        "",
        base64.b64encode(b"\0" * 8).decode(),
        text_of(b"") + "AAAA",
    ],
)
def test_damaged_heads_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="the base64 of an HDR histogram"):
        decoded(text)
