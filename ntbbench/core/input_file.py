# SPDX-License-Identifier: BSD-3-Clause
"""The one way to a file that somebody else made: bounded, and what is wrong with it is one line.

The byte order mark with which editors of some systems begin a text is no part of it.
"""

import codecs
import errno
import os
import re
import select
import sqlite3
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

from ntbbench.core.errors import InputError, NtbbenchError

LARGEST = 1 << 30  # bytes; a larger file would not fit in the memory of a common machine
RESULT_MAX = 1 << 28  # bytes of a result of ours; a sweep of 10,000 points has 20 MB
WRITER_SECONDS = 2.0  # that a pipe may have nobody who writes to it
# A number with so many digits is more than a float holds, and int() takes the square of them.
DIGITS_MAX = 300
TOO_LONG = re.compile(rb"(?:0x[0-9a-fA-F_]{%d}|[0-9_]{%d})" % (DIGITS_MAX, DIGITS_MAX))
DEPTH_MAX = 60  # of brackets in each other, where nothing is between them; no tool writes ten
TOO_DEEP = re.compile(rb'(?:[\[{]\s*(?:"[^"]{0,99}"\s*:\s*)?){%d}' % DEPTH_MAX)
# What libraries and our own readers raise at content that nobody writes.
DAMAGED = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    *(EOFError, MemoryError, RuntimeError, zlib.error, BadZipFile, sqlite3.Error),
)
ENCODING = "utf-8-sig"  # UTF-8, with a byte order mark or without
SHOWN = 100  # characters of what a library says


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Tell what is wrong with the content of `path` in one line, whatever finds it.

    InputError: one of DAMAGED was raised inside; its own words are in the line.
    """
    try:
        yield
    except NtbbenchError:
        raise
    except DAMAGED as error:
        said = f"{type(error).__name__}: {error}"
        said = said if len(said) <= SHOWN else f"{said[:SHOWN]}..."
        if isinstance(error, MemoryError):
            raise InputError(str(path), said, "a file that fits in memory") from error
        raise InputError(str(path), said, "content that is not damaged") from error


def open_input(
    path: Path, field: str = "input", largest: int = LARGEST, *, pipes: bool = False
) -> BinaryIO:
    """Open a file to read it; the end of a pipe, which is read once, only where `pipes` says so.

    InputError: it cannot be opened, is larger than `largest` bytes, is a device or a folder, or a
    pipe where none is taken.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe may have no end
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(field, str(path), why) from None
    found = os.fstat(number)
    mode, allowed = found.st_mode, ""
    if stat.S_ISFIFO(mode) and pipes:
        poll = select.poll()
        poll.register(number, select.POLLIN)
        poll.poll(1000 * WRITER_SECONDS)  # until somebody writes; without one it reads as empty
    elif not stat.S_ISREG(mode):
        taken = "a file or a pipe, no device" if pipes else "a file; this is no regular file"
        allowed = os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else taken
    elif found.st_size > largest:
        allowed = f"at most {largest} bytes; this has {found.st_size}"
    if allowed:
        os.close(number)
        raise InputError(field, str(path), allowed)
    os.set_blocking(number, True)
    return os.fdopen(number, "rb")


def read_input(
    path: Path, field: str = "input", largest: int = LARGEST, *, pipes: bool = False
) -> bytes:
    """Return the text of a file of at most `largest` bytes; `-` is stdin where `pipes` may be.

    InputError: as of `open_input`, and for a file that is larger or cannot be read.
    """
    try:
        with reading(path), _stdin_or(path, field, largest, pipes=pipes) as file:
            data = file.read(largest + 1)
    except OSError as error:
        raise InputError(field, str(path), error.strerror or "cannot be read") from None
    if len(data) > largest:
        raise InputError(field, str(path), f"at most {largest} bytes")
    return without_bom(data)


def without_bom(data: bytes) -> bytes:
    """Return the bytes of a text without its byte order mark."""
    return data.removeprefix(codecs.BOM_UTF8)


@contextmanager
def _stdin_or(path: Path, field: str, largest: int, *, pipes: bool) -> Iterator[BinaryIO]:
    if pipes and str(path) == "-":
        yield sys.stdin.buffer
        return
    with open_input(path, field, largest, pipes=pipes) as file:
        yield file


def check_json(data: bytes, path: Path | str) -> None:
    """Refuse JSON that is costly to parse, or holds numbers that no float does.

    InputError: a row of DIGITS_MAX digits, or of DEPTH_MAX brackets.
    """
    for pattern, allowed in (
        (TOO_LONG, f"numbers of fewer than {DIGITS_MAX} digits"),
        (TOO_DEEP, f"fewer than {DEPTH_MAX} brackets in each other"),
    ):
        found = pattern.search(data)
        if found is not None:
            raise InputError(str(path), f"{found[0][:8].decode(errors='replace')}...", allowed)
