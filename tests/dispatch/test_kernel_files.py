# SPDX-License-Identifier: BSD-3-Clause
"""Kernels on what a file holds: any log is refused, or counted as the reference counts it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.dispatch import engine
from ntbbench.ntb.vectormap import VectorMap
from ntbbench.ntb.workload.stream import Stream
from ntbbench.ntb.workload.workload_log import log_stream, read_log

ACTIVE = 0b0101
DEVICE = VectorMap(0b1111, (0b0011, 0b1100), 2, (0b0011, 0b1100))
KERNELS = ("scan", "bitset")
words = st.integers(0, 17) | st.sampled_from([63, 64, 255, (1 << 63) - 1, -1, 1 << 63])


def stream_of(path: Path, data: bytes) -> Stream:
    """Return the stream of a log of these bytes; InputError: it is none."""
    path.write_bytes(data)
    return log_stream(read_log(str(path)), DEVICE, ACTIVE)


def check_counts(stream: Stream) -> None:
    """Check each kernel against the reference on a stream that a file gave."""
    masks = np.array(DEVICE.db_vector_masks, np.uint64)
    others: dict[str, Any] = {"qp_bitmap": 0b1111, "qp_bitmap_free": 0b1000, "active": ACTIVE}
    expected = engine.count("reference", stream.vectors, stream.rung, masks, drain=2, **others)
    for kernel in KERNELS:
        found = engine.count(kernel, stream.vectors, stream.rung, masks, drain=2, **others)
        assert found == expected, kernel


def saved(columns: dict[str, list[int]], kind: str) -> bytes:
    """Return columns as a file of NumPy; OverflowError where the type does not hold them."""
    length = min(map(len, columns.values()))
    arrays = {name: np.array(cells[:length], kind) for name, cells in columns.items()}
    packed = io.BytesIO()
    np.savez(packed, time=np.arange(length, dtype=float), **arrays)
    return packed.getvalue()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["vector", "db_bits"]), st.lists(words, max_size=8), min_size=1
    ),
    st.sampled_from(["u1", "i1", "<u8", ">u8", "<i8", "<u4", "<f8"]),
)
def test_any_columns_are_counted_or_refused(
    tmp_path: Path, columns: dict[str, list[int]], kind: str
) -> None:
    try:
        stream = stream_of(tmp_path / "log.npz", saved(columns, kind))
    except (InputError, OverflowError):
        return
    check_counts(stream)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 999), st.binary(max_size=9))
@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_a_damaged_log_is_counted_or_refused(
    tmp_path: Path, suffix: str, place: int, put: bytes
) -> None:
    good = {
        ".csv": b"time,vector,db_bits\n" + b"".join(b"%d,%d,1\n" % (n, 0) for n in range(9)),
        ".npz": saved({"vector": [0, 1] * 4, "db_bits": [1, 4] * 4}, "<u8"),
    }[suffix]
    at = place % len(good)
    try:
        stream = stream_of(tmp_path / f"log{suffix}", good[:at] + put + good[at + len(put) :])
    except InputError:
        return
    check_counts(stream)
