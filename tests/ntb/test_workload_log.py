# SPDX-License-Identifier: BSD-3-Clause
"""Recorded logs: the files, and the streams that they become."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.ntb.catalogue import generic, resolve
from ntbbench.ntb.device import dispatch_map
from ntbbench.ntb.vectormap import VectorMap
from ntbbench.ntb.workload import make_stream, parse_workload
from ntbbench.ntb.workload.stream import Stream

# Vector 0 has bits 0-3, vector 1 bits 4-7.
TWO_VECTORS = generic(8, 2).vector_map


def stream_of(path: Path, vector_map: VectorMap = TWO_VECTORS, queues: int = 7) -> Stream:
    return make_stream(parse_workload(f"log:{path}"), vector_map, queues, 5, 1)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_rung_bits(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,db_bits\n0.5,0x1\n0.5,2\n1,0x10\n")
    stream = stream_of(path)
    assert stream.vectors.tolist() == [0, 0, 1]
    assert stream.rung.tolist() == [1, 2, 16]
    assert (stream.rings, stream.exact, stream.trials) == (3, True, 0)
    assert stream.rates == (Fraction(2, 3), Fraction(1, 3))


def test_a_row_with_bits_of_two_vectors_is_two_interrupts(tmp_path: Path) -> None:
    crossed = VectorMap(0xFF, (0xF0, 0x0F), 2, (0xF0, 0x0F))
    path = write(tmp_path / "a.csv", "time,db_bits\n1,0x31\n2,0x80\n3,0x0f\n")
    stream = stream_of(path, crossed)
    # The source of the lowest bit comes first: peer_db_set() rings from the lowest bit on.
    assert stream.vectors.tolist() == [1, 0, 0, 1]
    assert stream.rung.tolist() == [0x1, 0x30, 0x80, 0xF]
    assert stream.rings == 8
    assert stream.rates == (Fraction(1, 2), Fraction(1, 2))


def test_vectors_alone_ring_their_active_bits_in_turn(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,vector\n" + "1,0\n1,1\n" * 3)
    stream = stream_of(path, queues=6)
    assert stream.vectors.tolist() == [0, 1] * 3
    assert stream.rung.tolist() == [1, 16, 2, 32, 4, 16]
    assert stream.rings == 6


def test_a_vector_without_an_active_bit_rings_its_valid_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,vector\n1,1\n2,1\n")
    assert stream_of(path, queues=2).rung.tolist() == [16, 32]


def test_vectors_and_bits(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "cpu,vector,db_bits,time\n7,0,3,0\n7,1,0x30,0\n")
    assert stream_of(path).rung.tolist() == [3, 0x30]
    path = write(tmp_path / "b.csv", "time,vector,db_bits\n0,0,3\n0,1,0x11\n")
    with pytest.raises(InputError, match=r"row 2: db_bits: '0x11': doorbell bits of this .* 0xf0"):
        stream_of(path)


def test_msi_vectors_are_qps(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time,vector\n1,2\n2,0\n")
    vector_map = dispatch_map(resolve("generic"), "msi", 3)
    assert stream_of(path, vector_map, 3).rung.tolist() == [4, 1]


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_numpy_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    time, vector = np.array([0, 1, 2]), np.array([1, 0, 1], dtype=np.int32)
    db_bits = np.array([16, 1, 2**7], dtype=np.uint64)
    if suffix == "npz":
        np.savez(path, time=time, vector=vector, db_bits=db_bits, other=np.zeros(9))
    else:
        rows = np.zeros(3, dtype=[("time", "f8"), ("db_bits", "u8"), ("vector", "i4")])
        rows["time"], rows["vector"], rows["db_bits"] = time, vector, db_bits
        np.save(path, rows)
    stream = stream_of(path)
    assert stream.vectors.tolist() == [1, 0, 1]
    assert stream.rung.tolist() == [16, 1, 128]


def test_bit_63_survives(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f"time,db_bits\n1,{2**63}\n2,0x8000000000000001\n")
    wide = generic(64, 1).vector_map
    assert stream_of(path, wide).rung.tolist() == [2**63, 2**63 + 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"\[\]: columns time and vector or db_bits"),
        ("time\n1\n", r"\['time'\]: columns time and"),
        ("vector\n1\n", "columns time and"),
        ("time,vector\n", "at least one row"),
        ("time,vector\n1\n", "line 2: 1: 2 cells"),
        ("time,time\n1,2\n", "each column once"),
        ("time,vector\nx,1\n", "line 2: time: 'x': a number of seconds"),
        ("time,vector\nnan,1\n", "finite"),
        ("time,vector\n1e999,1\n", "finite"),
        ("time,vector\n2,1\n1,1\n", "row 2: time: 1.0: times that never go back"),
        ("time,vector\n1,64\n", "line 2: vector: 64: a whole number from 0 to 63"),
        ("time,vector\n1,-1\n", "line 2: vector: '-1'"),
        ("time,db_bits\n1,0\n", "row 1: db_bits: 0: at least one rung bit"),
        ("time,db_bits\n1,18446744073709551616\n", "line 2: db_bits"),
        ("time,db_bits\n\n1,1\n\n1,0xg\n", "line 5: db_bits: '0xg'"),
        ("time,db_bits\n1,0x100\n", "row 1: db_bits: '0x100': doorbell bits of this .* 0xff"),
        ("time,vector\n1,0\n1,2\n", "row 2: vector: 2: a vector with doorbells, of 0 to 1"),
    ],
)
def test_a_bad_csv_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(InputError, match=message) as caught:
        stream_of(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"time": [1.0]}, "columns time and"),
        ({"time": [1.0], "vector": [0, 1]}, "equal lengths"),
        ({"time": [[1.0]], "vector": [[0]]}, "one dimension"),
        ({"time": [1.0], "vector": [0.5]}, "vector: 'float64': whole numbers"),
        ({"time": ["a"], "vector": [0]}, "time: '<U1': numbers"),
        ({"time": [1.0], "vector": [-1]}, "vector: -1: 0 to 63"),
        ({"time": [1.0], "vector": [64]}, "vector: 64: 0 to 63"),
        ({"time": [1.0], "db_bits": [-1]}, "db_bits: -1"),
        ({"time": [2.0, 1.0], "db_bits": [1, 1]}, "row 2: time"),
    ],
)
def test_bad_arrays(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **{name: np.array(column) for name, column in columns.items()})
    with pytest.raises(InputError, match=message):
        stream_of(path)


def test_files_that_are_no_logs(tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", np.arange(3))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    (tmp_path / "noise.npz").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "noise.npy").write_bytes(b"\x93NUMPY\x01\x00")
    (tmp_path / "latin.csv").write_bytes(b"time,vector\n\xff\xfe,1\n")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "a.txt").write_text("time,vector\n")
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 7
    for path in paths:
        with pytest.raises(InputError) as caught:
            stream_of(path)
        assert path.name in str(caught.value)


@given(st.binary(max_size=200) | st.text("timevcordb_,x0123456789.\n\"'\r-", max_size=120))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_bytes_are_a_log_or_an_input_error(tmp_path: Path, content: bytes | str) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    for suffix in ("csv", "npy", "npz"):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(data)
        try:
            stream = stream_of(path)
        except InputError:
            continue
        assert len(stream.vectors) == len(stream.rung) > 0


@given(st.lists(st.integers(1, 2**16 - 1), min_size=1, max_size=30), st.integers(1, 20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_no_ring_is_lost_or_invented(tmp_path: Path, masks: list[int], vectors: int) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, time=np.arange(len(masks)), db_bits=np.array(masks, dtype=np.uint64))
    vector_map = generic(16, vectors).vector_map
    stream = stream_of(path, vector_map)
    assert stream.rings == sum(mask.bit_count() for mask in masks)
    rows = []
    for source, rung in zip(stream.vectors.tolist(), stream.rung.tolist(), strict=True):
        assert rung & ~vector_map.irq_masks[source] == 0
        rows.append((source, rung))
    at = 0
    for mask in masks:
        sources = {vector_map.irq_of_bit[bit] for bit in range(16) if mask >> bit & 1}
        part = rows[at : at + len(sources)]
        at += len(sources)
        assert {source for source, _ in part} == sources
        assert sum(rung for _, rung in part) == mask
    assert at == len(rows)
    counts = np.bincount(stream.vectors, minlength=vectors)
    assert stream.rates == tuple(Fraction(int(count), len(rows)) for count in counts)
