# SPDX-License-Identifier: BSD-3-Clause
"""The store of a history: its versions, and what is accepted in it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from golden_cases import INPUTS

from ntbbench.compare import history_store
from ntbbench.compare.history_store import Accepted, Window
from ntbbench.core.errors import InputError


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a store that version 2 wrote."""
    path = tmp_path / "old.sqlite"
    shutil.copy(INPUTS / "history.sqlite", path)
    assert version_of(path) == 2
    return path


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_an_old_store_is_read_as_it_is_and_migrated_when_it_is_written(old: Path) -> None:
    before = old.read_bytes()
    tracks = history_store.tracks(old, "*")
    assert history_store.accepted(old) == []
    assert old.read_bytes() == before
    assert set(tracks[0].times) == {0}
    last = tracks[0].labels[-1]
    assert history_store.accept(old, last, "*", "why") == len(tracks)
    assert version_of(old) == history_store.VERSION
    assert history_store.tracks(old, "*") == tracks
    assert history_store.accepted(old) == [Accepted(last, "*", "why")]


def test_a_migration_that_fails_leaves_the_old_store(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("CREATE TABLE accepted (x)")  # what the migration wants to make
        connection.commit()
    before = old.read_bytes()
    with pytest.raises(InputError, match="a store of ntbbench: table accepted already exists"):
        history_store.accept(old, history_store.tracks(INPUTS / "history.sqlite", "*")[0].labels[0],
                             "*", "")  # fmt: skip
    assert (version_of(old), old.read_bytes()) == (2, before)


def test_a_newer_store_is_refused(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("PRAGMA user_version = 4")
    with pytest.raises(InputError, match="version 3 or older; a newer ntbbench wrote version 4"):
        history_store.tracks(old, "*")


def test_windows_count_the_commits_of_the_store(old: Path) -> None:
    (track, *_) = history_store.tracks(old, "*")
    (last, *_) = history_store.tracks(old, "*", Window(last=3))
    assert last.labels == track.labels[-3:]
    (since, *_) = history_store.tracks(old, "*", Window(since=track.labels[6]))
    assert since.labels == track.labels[6:]
    (both, *_) = history_store.tracks(old, "*", Window(last=2, since=track.labels[6]))
    assert both.labels == track.labels[-2:]


def test_who_accepts_names_what_is_there(old: Path) -> None:
    with pytest.raises(InputError, match="COMMIT: 'x': a commit of the store"):
        history_store.accept(old, "x", "*", "")
    label = history_store.tracks(old, "*")[0].labels[0]
    with pytest.raises(InputError, match="--metric: 'nothing'"):
        history_store.accept(old, label, "nothing", "")
    assert version_of(old) == 2
