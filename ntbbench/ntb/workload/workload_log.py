# SPDX-License-Identifier: BSD-3-Clause
"""Recorded logs of doorbells as workloads: CSV or NumPy files, and their streams on a device."""

import csv
import hashlib
import io
import math
import operator
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, BinaryIO
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from ntbbench.core.errors import InputError
from ntbbench.core.input_file import ENCODING, damaged, open_input, reading
from ntbbench.core.names import parse_int
from ntbbench.ntb.vectormap import DB_BITS_MAX, VectorMap, bits_of
from ntbbench.ntb.workload.stream import U8, U64, Stream

U64_MAX = (1 << DB_BITS_MAX) - 1
VECTOR_MAX = DB_BITS_MAX - 1
COLUMNS = ("time", "vector", "db_bits")
TEXT_MAX = 1 << 25  # bytes of a CSV file, whose numbers take ten times as much on the way
ARRAYS_MAX = 1 << 28  # bytes of the arrays of a NumPy file: 16 million rows
ENCRYPTED = 1  # bit of a member's flags in a zip file
WANTED = "columns time and vector or db_bits (or both)"


@dataclass(frozen=True, eq=False)
class Log:
    """One recorded log."""

    path: str  # as the user wrote it
    vectors: npt.NDArray[np.uint8] | None  # uint8[R] interrupt sources, or None
    # uint64[R] rung bits, none of them 0, or None. One of the two is there.
    db_bits: npt.NDArray[np.uint64] | None
    sha256: str  # of the file, in hexadecimal

    @property
    def spec(self) -> str:
        """The specification, in canonical form."""
        return f"log:{self.path}"


def read_log(path: str) -> Log:
    """Return the log in a .csv, .npy (structured) or .npz file; InputError: it is none."""
    readers = {".csv": _read_csv, ".npy": _read_numpy, ".npz": _read_numpy}
    read = readers.get(Path(path).suffix.lower())
    if read is None:
        raise InputError("workload: log", path, "a .csv, .npy or .npz file")
    with open_input(Path(path), "workload: log", ARRAYS_MAX) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    vectors, db_bits = _checked_columns(path, read(path))
    return Log(path, vectors, db_bits, digest)


def _read_csv(path: str) -> dict[str, npt.NDArray[Any]]:
    """Return the known columns of a CSV file; every bad cell is named by its line."""
    columns: dict[str, list[Any]] = {}
    try:
        raw = open_input(Path(path), "workload: log", TEXT_MAX)
        with io.TextIOWrapper(raw, ENCODING, newline="") as file:
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            if len(set(header)) < len(header):
                raise InputError(f"log {path!r}", header, "each column once")
            places = [(name, header.index(name)) for name in COLUMNS if name in header]
            columns = {name: [] for name, _ in places}
            for row in rows:
                if not row:
                    continue
                where = f"log {path!r}: line {rows.line_num}"
                if len(row) != len(header):
                    raise InputError(where, len(row), f"{len(header)} cells, as in the header")
                for name, place in places:
                    columns[name].append(_parse_cell(where, name, row[place]))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"log {path!r}", "", f"not a CSV file in UTF-8: {error}") from None
    kinds = {"time": np.float64, "vector": np.uint8, "db_bits": np.uint64}
    return {name: np.array(cells, dtype=kinds[name]) for name, cells in columns.items()}


def _parse_cell(where: str, name: str, text: str) -> float | int:
    if name != "time":
        high = VECTOR_MAX if name == "vector" else U64_MAX
        return parse_int(f"{where}: {name}", text, 0, high)
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{where}: time", text, "a number of seconds") from None


def _read_numpy(path: str) -> dict[str, npt.NDArray[Any]]:
    """Return the known columns of a structured .npy array or of the arrays of an .npz file."""
    found: dict[str, npt.NDArray[Any]] = {}
    with reading(f"log {path!r}"), open_input(Path(path), "workload: log", ARRAYS_MAX) as file:
        if path.lower().endswith(".npy"):
            data = _read_array(file, path, os.fstat(file.fileno()).st_size)
            found = {name: data[name] for name in COLUMNS if name in (data.dtype.names or ())}
        else:
            try:
                found = _read_archive(file, path)
            except OSError as error:  # a place in the archive that no file has
                raise damaged(f"log {path!r}", error) from error
    limits = {"vector": (VECTOR_MAX, np.uint8), "db_bits": (U64_MAX, np.uint64)}
    for name, (high, kind) in limits.items():
        if name not in found:
            continue
        column = found[name]
        if column.dtype.kind not in "iu":
            raise InputError(f"log {path!r}: {name}", str(column.dtype), "whole numbers")
        wrong = (column < 0) | (column > high)
        if wrong.any():
            raise InputError(f"log {path!r}: {name}", int(column[wrong].flat[0]), f"0 to {high}")
        found[name] = column.astype(kind)
    if "time" in found and found["time"].dtype.kind not in "iuf":
        raise InputError(f"log {path!r}: time", str(found["time"].dtype), "numbers")
    return found


def _read_archive(file: BinaryIO, path: str) -> dict[str, npt.NDArray[Any]]:
    """Return the columns in an .npz file; InputError: they unpack to more than ARRAYS_MAX."""
    with ZipFile(file) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        known = {name: members[name] for name in COLUMNS if name in members}
        size = sum(info.file_size for info in known.values())
        if size > ARRAYS_MAX:
            raise InputError(f"log {path!r}", size, f"arrays of at most {ARRAYS_MAX} bytes")
        if any(info.flag_bits & ENCRYPTED for info in known.values()):
            raise InputError(f"log {path!r}", "encrypted", "a NumPy file without a password")
        found = {}
        for name, info in known.items():
            with archive.open(info) as member:
                found[name] = _read_array(member, path, info.file_size)
        return found


def _read_array(file: IO[bytes], path: str, size: int) -> npt.NDArray[Any]:
    """Return the array in a .npy file of `size` bytes, whose header must not promise more."""
    version = np.lib.format.read_magic(file)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise InputError(f"log {path!r}", version, "version 1.0 or 2.0 of NumPy's format")
    shape, in_columns, dtype = read_header(file)
    rows = math.prod(map(operator.index, shape))
    if dtype.hasobject or not 0 <= rows * dtype.itemsize <= size:
        what = "pickles" if dtype.hasobject else f"{rows * dtype.itemsize} bytes in {size}"
        raise InputError(f"log {path!r}", what, "a whole NumPy file without pickles")
    data = np.frombuffer(file.read(rows * dtype.itemsize), dtype, rows)
    return data.reshape(shape, order="F" if in_columns else "C")


def _checked_columns(
    path: str, columns: dict[str, npt.NDArray[Any]]
) -> tuple[U8 | None, U64 | None]:
    """Return the vectors and the rung bits, or raise InputError at the first row that is wrong."""
    if "time" not in columns or len(columns) < 2:
        raise InputError(f"log {path!r}", sorted(columns), WANTED)
    if any(column.ndim != 1 for column in columns.values()):
        raise InputError(f"log {path!r}", [c.shape for c in columns.values()], "one dimension")
    if len({len(column) for column in columns.values()}) != 1:
        raise InputError(f"log {path!r}", [len(c) for c in columns.values()], "equal lengths")
    time = columns["time"].astype(np.float64)
    if not len(time):
        raise InputError(f"log {path!r}", 0, "at least one row")
    if not np.isfinite(time).all():
        raise InputError(f"log {path!r}: time", "nan or inf", "finite numbers")
    back = np.flatnonzero(time[1:] < time[:-1])
    if len(back):
        row = int(back[0]) + 2
        raise InputError(
            f"log {path!r}: row {row}: time", float(time[row - 1]), "times that never go back"
        )
    db_bits = columns.get("db_bits")
    if db_bits is not None and not db_bits.all():
        row = int(np.flatnonzero(db_bits == 0)[0]) + 1
        raise InputError(f"log {path!r}: row {row}: db_bits", 0, "at least one rung bit")
    return columns.get("vector"), db_bits


def log_stream(log: Log, vector_map: VectorMap, active: int) -> Stream:
    """Return every interrupt of a log; the length of a stream is that of its log.

    A row with rung bits is one interrupt for each source that has one of them, the source of the
    lowest bit first. A row with a vector alone rings one of the vector's active bits, which take
    turns; where none is active, its valid bits do. A row with both rings these bits and no other.

    active: u64 mask of the doorbell bits of the queues that exist.
    InputError: a vector or a bit that the device does not have.
    """
    if log.db_bits is not None:
        _check_bits(log, log.db_bits, vector_map)
        vectors, rung = _split_by_source(log.db_bits, vector_map)
    else:
        assert log.vectors is not None
        vectors, rung = log.vectors, _bits_in_turn(log.path, log.vectors, vector_map, active)
    rings = sum(
        int(mask).bit_count() * int(count)
        for mask, count in zip(*np.unique(rung, return_counts=True), strict=True)
    )
    return Stream(vectors, rung, rings, _log_rates(log, vector_map), exact=True, trials=0)


def _bits_in_turn(path: str, vectors: U8, vector_map: VectorMap, active: int) -> U64:
    """Return for each interrupt the next bit of its vector."""
    rung = np.zeros(len(vectors), dtype=np.uint64)
    known = len(vector_map.irq_masks)
    for source in np.unique(vectors).tolist():
        rows = np.flatnonzero(vectors == source)
        mask = vector_map.irq_masks[source] & vector_map.db_valid_mask if source < known else 0
        bits = bits_of(mask & active) or bits_of(mask)
        if not bits:
            allowed = f"a vector with doorbells, of 0 to {known - 1}"
            raise InputError(f"log {path!r}: row {rows[0] + 1}: vector", source, allowed)
        turns = np.array([1 << bit for bit in bits], dtype=np.uint64)
        rung[rows] = turns[np.arange(len(rows)) % len(turns)]
    return rung


def _check_bits(log: Log, db_bits: U64, vector_map: VectorMap) -> None:
    """Raise InputError at the first row whose bits the device, or the row's vector, has not."""
    allowed = np.full(len(db_bits), vector_map.db_valid_mask, dtype=np.uint64)
    if log.vectors is not None:
        table = np.zeros(256, dtype=np.uint64)
        table[: len(vector_map.irq_masks)] = vector_map.irq_masks
        allowed &= table[log.vectors]
    wrong = np.flatnonzero(db_bits & ~allowed)
    if len(wrong):
        row = wrong[0]
        raise InputError(
            f"log {log.path!r}: row {row + 1}: db_bits",
            hex(db_bits[row]),
            f"doorbell bits of this device and vector: {int(allowed[row]):#x}",
        )


def _split_by_source(db_bits: U64, vector_map: VectorMap) -> tuple[U8, U64]:
    """Return one interrupt for each source of each row, the source of the lowest bit first."""
    rows, sources, parts = [], [], []
    for source, mask in enumerate(vector_map.irq_masks):
        part = db_bits & np.uint64(mask)
        hit = np.flatnonzero(part)
        rows.append(hit)
        sources.append(np.full(len(hit), source, dtype=np.uint8))
        parts.append(part[hit])
    row, vectors, rung = np.concatenate(rows), np.concatenate(sources), np.concatenate(parts)
    # x & -x is the lowest set bit; it orders the sources of one row.
    order = np.lexsort((rung & (~rung + np.uint64(1)), row))
    return vectors[order], rung[order]


def _log_rates(log: Log, vector_map: VectorMap) -> tuple[Fraction, ...]:
    """Return the exact share of each source in the interrupts of the log."""
    hits = [0] * len(vector_map.irq_masks)
    if log.vectors is not None and log.db_bits is None:
        for source, count in zip(*np.unique(log.vectors, return_counts=True), strict=True):
            hits[source] += int(count)
    elif log.db_bits is not None:
        for mask, count in zip(*np.unique(log.db_bits, return_counts=True), strict=True):
            for source in {vector_map.irq_of_bit[bit] for bit in bits_of(int(mask))}:
                hits[source] += int(count)
    return tuple(Fraction(hit, sum(hits)) for hit in hits)
