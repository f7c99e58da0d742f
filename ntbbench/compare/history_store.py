# SPDX-License-Identifier: BSD-3-Clause
"""Results of successive commits in one SQLite file.

SQLite of the standard library: one file, transactions (an interrupted `add` leaves nothing
behind), and any other tool can read it. Of a noisy metric the median and n are kept, of an exact
one the value.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from ntbbench.compare.pairing import known_machine
from ntbbench.compare.records import Own
from ntbbench.compare.series import Variant
from ntbbench.core.errors import InputError

VERSION = 2
TABLES = """
CREATE TABLE IF NOT EXISTS results (
  id INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE, source TEXT NOT NULL,
  environment TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS metrics (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, unit TEXT NOT NULL,
  better TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS points (
  result INTEGER NOT NULL REFERENCES results ON DELETE CASCADE,
  metric INTEGER NOT NULL REFERENCES metrics, n INTEGER NOT NULL, value, rank INTEGER,
  PRIMARY KEY (result, metric)) WITHOUT ROWID;
"""


class Track(Struct, frozen=True):
    """One metric over the commits that have it, in the order they were added."""

    metric: str
    kind: str
    unit: str
    better: Own
    results: list[int]  # the place of each commit in the store
    labels: list[str]
    values: list[int | float | str]
    ranks: list[int | None]  # of values that are words: the higher the better
    environments: list[str]


@contextmanager
def _opened(path: Path, *, create: bool) -> Iterator[sqlite3.Connection]:
    """Yield a connection to the store, committed on success, undone on any error."""
    if not create and not path.exists():
        raise InputError("--store", str(path), "a store; `ntbbench history add` makes one")
    if not path.parent.is_dir():
        raise InputError("--store", str(path), "cannot be written: its folder does not exist")
    mode = "rwc" if create else "ro"
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)
    except sqlite3.Error as error:
        raise InputError("--store", str(path), f"cannot be opened: {error}") from error
    try:
        with connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if version != VERSION and (tables or not create):
                raise InputError("--store", str(path), f"a store of version {VERSION}")
            if create:
                connection.executescript(TABLES)
                connection.execute(f"PRAGMA user_version = {VERSION}")
            yield connection
    except sqlite3.DatabaseError as error:
        raise InputError("--store", str(path), f"a store of ntbbench: {error}") from error
    finally:
        connection.close()


def add(path: Path, label: str, variant: Variant) -> int:
    """Store a result under the name of its commit and return how many metrics it has.

    InputError: a label that is empty or there already, for a result without metrics, and for a
    metric that the store has in another unit or of another kind.
    """
    if not label.strip():
        raise InputError("--commit", label, "a name")
    if not variant.series:
        raise InputError("RESULT", variant.label, "a result with at least one metric")
    environment = "; ".join(
        f"{key}={value}" for key, value in sorted(known_machine(variant).items())
    )
    with _opened(path, create=True) as connection:
        if connection.execute("SELECT 1 FROM results WHERE label = ?", (label,)).fetchone():
            raise InputError("--commit", label, "a commit that the store does not hold yet")
        result = connection.execute(
            "INSERT INTO results (label, source, environment) VALUES (?, ?, ?)",
            (label, variant.source, environment),
        ).lastrowid
        connection.executemany(
            "INSERT OR IGNORE INTO metrics (name, kind, unit, better) VALUES (?, ?, ?, ?)",
            [(s.metric, s.kind, s.unit, s.better) for s in variant.series.values()],
        )
        _check_quantities(connection, variant)
        connection.executemany(
            "INSERT INTO points SELECT ?, id, ?, ?, ? FROM metrics WHERE name = ?",
            [
                (result, 1, s.value, s.rank, s.metric)
                if s.samples is None
                else (result, len(s.samples), float(np.median(s.samples)), None, s.metric)
                for s in variant.series.values()
            ],
        )
    return len(variant.series)


def _check_quantities(connection: sqlite3.Connection, variant: Variant) -> None:
    """Refuse metrics that are not the quantity that the store has under their name."""
    for name, kind, unit in connection.execute("SELECT name, kind, unit FROM metrics"):
        series = variant.series.get(name)
        if series is not None and (series.kind, series.unit) != (kind, unit):
            stored, given = (
                f"{k} in {u or 'no unit'}" for k, u in ((kind, unit), (series.kind, series.unit))
            )
            raise InputError(f"RESULT: {name}", given, f"{stored}, as in the store")


def tracks(path: Path, pattern: str) -> list[Track]:
    """Return every metric whose name is `pattern` or matches it as a glob."""
    query = """
      SELECT metrics.name, kind, unit, better, results.id, label, value, rank, environment
      FROM points JOIN metrics ON metrics.id = points.metric JOIN results ON results.id = result
      WHERE metrics.name GLOB ?1 OR metrics.name = ?1 ORDER BY metrics.id, results.id"""
    found: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    with _opened(path, create=False) as connection:
        for row in connection.execute(query, (pattern,)):
            found.setdefault(row[:4], []).append(row[4:])
    return [
        Track(*about, *map(list, zip(*points, strict=True)))  # type: ignore[arg-type]
        for about, points in found.items()
    ]
