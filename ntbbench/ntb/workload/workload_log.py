# SPDX-License-Identifier: BSD-3-Clause
"""Recorded logs of doorbells as workloads: CSV or NumPy files, read once and checked row by row."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from ntbbench.core.errors import InputError
from ntbbench.core.names import parse_int
from ntbbench.ntb.vectormap import DB_BITS_MAX

U64_MAX = (1 << DB_BITS_MAX) - 1
VECTOR_MAX = DB_BITS_MAX - 1
COLUMNS = ("time", "vector", "db_bits")
WANTED = "columns time and vector or db_bits (or both)"


@dataclass(frozen=True, eq=False)
class Log:
    """One recorded log.

    Parameters
    ----------
    path : as the user wrote it.
    vectors : uint8[R] interrupt sources, or None.
    db_bits : uint64[R] rung bits, none of them 0, or None. One of the two is there.
    """

    path: str
    vectors: npt.NDArray[np.uint8] | None
    db_bits: npt.NDArray[np.uint64] | None

    @property
    def spec(self) -> str:
        """The specification, in canonical form."""
        return f"log:{self.path}"


def read_log(path: str) -> Log:
    """Return the log in a .csv, .npy (structured) or .npz file.

    Raises
    ------
    InputError : the file cannot be read, a column is missing, or a row is wrong.
    """
    suffix = Path(path).suffix.lower()
    if suffix in {".npy", ".npz"}:
        return check_columns(path, read_numpy(path))
    if suffix == ".csv":
        return check_columns(path, read_csv(path))
    raise InputError("workload: log", path, "a .csv, .npy or .npz file")


def read_csv(path: str) -> dict[str, npt.NDArray[Any]]:
    """Return the known columns of a CSV file; every bad cell is named by its line."""
    columns: dict[str, list[Any]] = {}
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
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
                    columns[name].append(parse_cell(where, name, row[place]))
    except OSError as error:
        raise InputError("workload: log", path, str(error.strerror)) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"log {path!r}", "", f"not a CSV file in UTF-8: {error}") from None
    kinds = {"time": np.float64, "vector": np.uint8, "db_bits": np.uint64}
    return {name: np.array(cells, dtype=kinds[name]) for name, cells in columns.items()}


def parse_cell(where: str, name: str, text: str) -> float | int:
    """Return one cell's number."""
    if name != "time":
        high = VECTOR_MAX if name == "vector" else U64_MAX
        return parse_int(f"{where}: {name}", text, 0, high)
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{where}: time", text, "a number of seconds") from None


def read_numpy(path: str) -> dict[str, npt.NDArray[Any]]:
    """Return the known columns of a structured .npy array or of the arrays of an .npz file."""
    try:
        with Path(path).open("rb") as file:
            data = np.load(file, allow_pickle=False)
            if isinstance(data, np.ndarray):
                names = data.dtype.names or ()
                found = {name: data[name] for name in COLUMNS if name in names}
            else:
                found = {name: data[name] for name in COLUMNS if name in data.files}
    except OSError as error:
        raise InputError("workload: log", path, error.strerror or str(error)) from None
    except (ValueError, EOFError, BadZipFile, KeyError) as error:
        raise InputError(
            f"log {path!r}", "", f"not a NumPy file without pickles: {error}"
        ) from None
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


def check_columns(path: str, columns: dict[str, npt.NDArray[Any]]) -> Log:
    """Return the log of these columns, or raise InputError at the first row that is wrong."""
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
    return Log(path, columns.get("vector"), db_bits)
