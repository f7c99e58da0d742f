# SPDX-License-Identifier: BSD-3-Clause
"""Files that somebody else made: bounded before they are read, and wrong in one line."""

import os
import threading
import zlib
from pathlib import Path

import pytest

from ntbbench.core.errors import InputError
from ntbbench.core.input_file import DEPTH_MAX, DIGITS_MAX, check_json, read_input, reading


def test_a_pipe_is_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="no regular file"):
        read_input(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"text",))
    writer.start()
    assert read_input(pipe, pipes=True) == b"text"
    writer.join()


def test_a_pipe_that_nobody_writes_to_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ntbbench.core.input_file.WRITER_SECONDS", 0.01)
    os.mkfifo(tmp_path / "pipe")
    assert read_input(tmp_path / "pipe", pipes=True) == b""


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", ".", "none", "a\0b", "x" * 5000])
def test_what_is_no_file_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        read_input(Path(name), pipes=True)


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="at most 10 bytes; this has 1099511627776"):
        read_input(tmp_path / "a", largest=10)


@pytest.mark.parametrize(
    ("data", "is_good"),
    [
        (b"[" * (DEPTH_MAX - 1), True),
        (b"[" * DEPTH_MAX, False),
        (b'{"a" : ' * DEPTH_MAX, False),
        (b"[ {" * DEPTH_MAX, False),
        (b"[1]," * 1000, True),
        (b"9" * (DIGITS_MAX - 1), True),
        (b"-0." + b"9" * DIGITS_MAX, False),
        (b"[" + b" " * 200_000 + b"]", True),
    ],
)
def test_json_that_is_costly_to_parse(data: bytes, is_good: bool) -> None:
    if is_good:
        check_json(data, "a.json")
    else:
        with pytest.raises(InputError, match=r"^a\.json: "):
            check_json(data, "a.json")


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), KeyError("x"), zlib.error("x" * 900)])
def test_what_a_library_says_is_one_line_that_names_the_file(error: Exception) -> None:
    with pytest.raises(InputError) as told, reading("a.npz"):
        raise error
    assert str(told.value).startswith("a.npz: ") and type(error).__name__ in str(told.value)
    assert len(str(told.value)) < 200


@pytest.mark.parametrize("error", [InputError("a", "b", "c"), OSError(2, "none"), AssertionError()])
def test_what_is_told_already_or_is_a_defect_passes(error: Exception) -> None:
    with pytest.raises(type(error)) as told, reading("a.npz"):
        raise error
    assert told.value is error
