# SPDX-License-Identifier: BSD-3-Clause
"""Results of successive commits in one SQLite file.

SQLite of the standard library: one file, transactions (an interrupted `add` leaves nothing
behind), and any other tool can read it. Of a noisy metric the median and n are kept, of an exact
one the value.
"""

import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from msgspec import Struct

from ntbbench.compare.pairing import known_machine
from ntbbench.compare.records import Kind, Own
from ntbbench.compare.series import Variant
from ntbbench.core.errors import InputError
from ntbbench.core.input_file import open_input

VERSION = 3
# What each version added to the one before; a new store is made of all of them.
ADDED = {
    2: (
        """CREATE TABLE results (
          id INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE, source TEXT NOT NULL,
          environment TEXT NOT NULL)""",
        """CREATE TABLE metrics (
          id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
          unit TEXT NOT NULL, better TEXT NOT NULL)""",
        """CREATE TABLE points (
          result INTEGER NOT NULL REFERENCES results ON DELETE CASCADE,
          metric INTEGER NOT NULL REFERENCES metrics, n INTEGER NOT NULL, value, rank INTEGER,
          PRIMARY KEY (result, metric)) WITHOUT ROWID""",
    ),
    3: (
        # Seconds since 1970 at which the result was stored; 0: not known.
        "ALTER TABLE results ADD COLUMN stored INTEGER NOT NULL DEFAULT 0",
        """CREATE TABLE accepted (
          result INTEGER NOT NULL REFERENCES results ON DELETE CASCADE, pattern TEXT NOT NULL,
          why TEXT NOT NULL, PRIMARY KEY (result, pattern)) WITHOUT ROWID""",
    ),
}


class Track(Struct, frozen=True):
    """One metric over the commits that have it, in the order they were added."""

    metric: str
    kind: Kind
    unit: str
    better: Own
    results: list[int]  # the place of each commit in the store
    labels: list[str]
    values: list[int | float | str]
    ranks: list[int | None]  # of values that are words: the higher the better
    environments: list[str]
    times: list[int]  # seconds since 1970 at which each was stored; 0: not known


class Accepted(Struct, frozen=True):
    """A change that somebody has looked at: it fails no check."""

    commit: str
    pattern: str  # a glob over the metrics that it is accepted of, or the name of one
    why: str

    def names(self, metric: str) -> bool:
        """Return whether this is about `metric`."""
        return metric == self.pattern or fnmatchcase(metric, self.pattern)


Row = TypeVar("Row", bound=Struct)


class Window(Struct, frozen=True, kw_only=True):
    """Which commits of the store are looked at; by default all."""

    last: int | None = None  # so many
    since: str | None = None  # this one and those after it


@contextmanager
def _opened(
    path: Path, *, create: bool = False, write: bool = False
) -> Iterator[sqlite3.Connection]:
    """Yield a connection to the store, committed on success, undone on any error.

    A store of an older version is brought to this one as soon as it is written; who only reads gets
    a copy of this version.
    """
    if not create and not path.exists():
        raise InputError("--store", str(path), "a store; `ntbbench history add` makes one")
    if not path.parent.is_dir():
        raise InputError("--store", str(path), "cannot be written: its folder does not exist")
    if path.exists():
        open_input(path, "--store").close()  # no device and no pipe
    mode = "mode=rwc" if create else "mode=rw" if write else _unwritten(path)
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
    except sqlite3.Error as error:
        raise InputError("--store", str(path), f"cannot be opened: {error}") from error
    try:
        _check_version(path, connection, empty=create)
        writes = create or write
        if not writes and _version(connection) < VERSION:
            connection = _migrated_copy(connection)
        with connection:
            if writes:
                _migrate(connection)
            yield connection
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise InputError("--store", str(path), f"a store of ntbbench: {error}") from error
    finally:
        connection.close()


def _unwritten(path: Path) -> str:
    """Return how a store is opened such that nothing is written, in a read-only folder too.

    With a write-ahead log, which another tool may have set, even a reader makes files beside it.

    Source: https://www.sqlite.org/fileformat.html, offset 18; https://www.sqlite.org/wal.html.
    """
    with open_input(path, "--store") as file:
        is_logged = file.read(20)[18:] == b"\2\2"
    return "immutable=1" if is_logged else "mode=ro"


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _check_version(path: Path, connection: sqlite3.Connection, *, empty: bool) -> None:
    version = _version(connection)
    if version > VERSION:
        allowed = f"a store of version {VERSION} or older; a newer ntbbench wrote version {version}"
        raise InputError("--store", str(path), allowed)
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version not in ADDED and (tables or not empty):
        raise InputError("--store", str(path), "a store of ntbbench")


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring a store to this version: all of it or nothing, and no other process in between."""
    connection.execute("BEGIN IMMEDIATE")
    found = _version(connection)
    for version, statements in ADDED.items():
        for statement in statements if version > found else ():
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _migrated_copy(connection: sqlite3.Connection) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:")
    connection.backup(copy)
    connection.close()
    _migrate(copy)
    return copy


def add(path: Path, label: str, variant: Variant) -> int:
    """Store a result under the name of its commit and return how many metrics it has.

    InputError: a label that is empty or there already, for a result without metrics, and for a
    metric that the store has in another unit or of another kind.
    """
    if not label.strip():
        raise InputError("--commit", label, "a name")
    if not variant.series:
        raise InputError("RESULT", variant.label, "a result with at least one metric")
    with _opened(path, create=True) as connection:
        if connection.execute("SELECT 1 FROM results WHERE label = ?", (label,)).fetchone():
            raise InputError("--commit", label, "a commit that the store does not hold yet")
        result = connection.execute(
            "INSERT INTO results (label, source, environment, stored) "
            "VALUES (?, ?, ?, strftime('%s', 'now'))",
            (label, variant.source, environment_of(variant)),
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


def environment_of(variant: Variant) -> str:
    """Return the machine of a result as the store keeps it."""
    return "; ".join(f"{key}={value}" for key, value in sorted(known_machine(variant).items()))


def machine_in(environment: str) -> dict[str, str]:
    """Return what the store keeps of a machine, key by key."""
    parts = (part.partition("=") for part in environment.split("; ") if part)
    return {key: value for key, _, value in parts}


def _check_quantities(connection: sqlite3.Connection, variant: Variant) -> None:
    """Refuse metrics that are not the quantity that the store has under their name."""
    for name, kind, unit in connection.execute("SELECT name, kind, unit FROM metrics"):
        series = variant.series.get(name)
        if series is not None and (series.kind, series.unit) != (kind, unit):
            stored, given = (
                f"{k} in {u or 'no unit'}" for k, u in ((kind, unit), (series.kind, series.unit))
            )
            raise InputError(f"RESULT: {name}", given, f"{stored}, as in the store")


def accept(path: Path, commit: str, pattern: str, why: str) -> int:
    """Accept what changed at a commit and return how many metrics `pattern` names there.

    Said again of the same commit and pattern, the last reason holds.

    InputError: a commit that the store does not hold, or metrics that it does not have.
    """
    query = """
      SELECT count(*) FROM points JOIN metrics ON metrics.id = metric
      WHERE result = ?1 AND (name GLOB ?2 OR name = ?2)"""
    with _opened(path, write=True) as connection:
        result = _result_of(connection, "COMMIT", commit)
        (count,) = connection.execute(query, (result, pattern)).fetchone()
        if not count:
            raise InputError("--metric", pattern, f"a metric of {commit!r}, or a glob over them")
        connection.execute(
            "INSERT OR REPLACE INTO accepted VALUES (?, ?, ?)", (result, pattern, why)
        )
    return int(count)


def accepted(path: Path) -> list[Accepted]:
    """Return what was accepted, in the order of commits."""
    with _opened(path) as connection:
        rows = connection.execute(
            "SELECT label, pattern, why FROM accepted JOIN results ON id = result ORDER BY id"
        )
        return [_whole(path, Accepted, row) for row in rows]


def _result_of(connection: sqlite3.Connection, field: str, label: str) -> int:
    """Return the place of a commit in the store."""
    row = connection.execute("SELECT id FROM results WHERE label = ?", (label,)).fetchone()
    if row is None:
        raise InputError(field, label, "a commit of the store, by the name it was added under")
    return int(row[0])


def _first_of(connection: sqlite3.Connection, window: Window) -> int:
    """Return the place of the first commit of a window."""
    first = 0
    if window.since is not None:
        first = _result_of(connection, "--since", window.since)
    if window.last is not None:
        query = "SELECT min(id) FROM (SELECT id FROM results ORDER BY id DESC LIMIT ?)"
        first = max(first, connection.execute(query, (window.last,)).fetchone()[0] or 0)
    return first


def tracks(path: Path, pattern: str, window: Window | None = None) -> list[Track]:
    """Return every metric whose name is `pattern` or matches it as a glob.

    InputError: a window that begins at a commit which the store does not hold.
    """
    query = """
      SELECT metrics.name, kind, unit, better,
        results.id, label, value, rank, environment, stored
      FROM points JOIN metrics ON metrics.id = points.metric JOIN results ON results.id = result
      WHERE (metrics.name GLOB ?1 OR metrics.name = ?1) AND results.id >= ?2
      ORDER BY metrics.id, results.id"""
    found: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    with _opened(path) as connection:
        first = _first_of(connection, window or Window())
        for row in connection.execute(query, (pattern, first)):
            found.setdefault(row[:4], []).append(row[4:])
    return [
        _whole(path, Track, (*about, *map(list, zip(*points, strict=True))))
        for about, points in found.items()
    ]


def _whole(path: Path, record: type[Row], values: Sequence[Any]) -> Row:
    """Return a record of the store's values; InputError: one that `add` does not write."""
    try:
        found = msgspec.convert(
            dict(zip(record.__struct_fields__, values, strict=True)), type=record
        )
        if isinstance(found, Track):
            _check_values(found)
    except (ValueError, OverflowError) as error:  # also msgspec's
        raise InputError(
            "--store", str(path), f"values that `history add` wrote: {error}"
        ) from None
    return found


def _check_values(track: Track) -> None:
    """Raise ValueError for a value that no result has."""
    for value in track.values:
        fits = track.kind == "exact" if isinstance(value, str) else math.isfinite(value)
        if not fits:
            raise ValueError(f"{track.metric}: {value!r}")
