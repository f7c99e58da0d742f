# SPDX-License-Identifier: BSD-3-Clause
"""The one way to a file that somebody else made: bounded, and what is wrong with it is one line.

The byte order mark with which editors of some systems begin a text is no part of it.
"""

import codecs
import errno
import os
import select
import sqlite3
import stat
import sys
import tokenize
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

from ntbbench.core.errors import InputError, NtbbenchError

LARGEST = 1 << 30  # bytes; a larger file would not fit in the memory of a common machine
RESULT_MAX = 1 << 28  # bytes of a result; a sweep of 10,000 points has 20 MB
WRITER_SECONDS = 2.0  # that a pipe may have nobody who writes to it
# Content beyond these is refused before it is parsed: it would need far more memory or time than
# its size tells. A number of so many digits is more than a float holds, and int() takes the square
# of them; no tool nests ten brackets; each list takes a hundred bytes for its own two.
DIGITS_MAX = 300
DEPTH_MAX = 60
BRACKETS_MAX = 1 << 20  # lists and objects; a sweep of 10,000 points has a fifth of that
VALUES_MAX = 1 << 22
COUNT_MAX = 1 << 53  # of packets, calls, interrupts: sums and quotients of such counts are exact
CHUNK = 1 << 20  # bytes that are looked at together
DECIMAL, HEXADECIMAL = b"0123456789_", b"0123456789abcdefABCDEF_"
ALL_BYTES = bytes(range(256))
NO_BRACKETS = ALL_BYTES.translate(None, b"[]{}")
AS_LISTS = bytes.maketrans(b"{}", b"[]")
# What libraries and our own readers raise at content that nobody writes.
DAMAGED = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    *(EOFError, MemoryError, RuntimeError, zlib.error, BadZipFile, sqlite3.Error),
    *(SyntaxError, tokenize.TokenError),  # of the header of a NumPy file
)
# Of these any can come of a file that is damaged or huge, wherever it is found out.
OVERWHELMED = (
    *(MemoryError, RecursionError, OverflowError, UnicodeError),
    *(zlib.error, BadZipFile, sqlite3.Error),
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
        raise damaged(path, error) from error


def damaged(path: Path | str, error: Exception) -> InputError:
    """Return the error in one line about a file whose content made another one."""
    said = f"{type(error).__name__}: {error}"
    said = said if len(said) <= SHOWN else f"{said[:SHOWN]}..."
    fits = "a file that fits in memory" if isinstance(error, MemoryError) else ""
    return InputError(str(path), said, fits or "content that is not damaged")


def open_input(
    path: Path, field: str = "input", largest: int = LARGEST, *, pipes: bool = False
) -> BufferedReader:
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


def check_json(data: bytes, path: Path | str, digits: bytes = DECIMAL) -> None:
    """Refuse a text that is costly to parse, or holds numbers that no float does; linear time.

    Parameters
    ----------
    digits : what a long number may be written with.

    Raises
    ------
    InputError : more than BRACKETS_MAX lists and objects or VALUES_MAX values, DEPTH_MAX of them in
        each other, or DIGITS_MAX digits in a row.
    """
    brackets, values = data.count(b"[") + data.count(b"{"), data.count(b",")
    if brackets > BRACKETS_MAX:
        raise InputError(str(path), f"{brackets} brackets", f"at most {BRACKETS_MAX}")
    if values > VALUES_MAX:
        raise InputError(str(path), f"{values} commas", f"at most {VALUES_MAX}")
    if (number := _long_number(data, digits)) is not None:
        allowed = f"numbers of fewer than {DIGITS_MAX} digits"
        raise InputError(str(path), f"{number.decode()}...", allowed)
    # What a string holds is no nesting; strings are taken out only where it could be.
    if _is_deep(data) and (data.count(b'"') > 2 * VALUES_MAX or _is_deep(_outside_strings(data))):
        allowed = f"fewer than {DEPTH_MAX} brackets in each other"
        raise InputError(str(path), f"{data[:8].decode(errors='replace')}...", allowed)


def _long_number(data: bytes, digits: bytes) -> bytes | None:
    """Return the beginning of a row of DIGITS_MAX digits; None: there is no such row."""
    found = ALL_BYTES.translate(None, digits)
    table = bytes.maketrans(digits + found, b"1" * len(digits) + b" " * len(found))
    for start in range(0, len(data), CHUNK):
        chunk = data[start : start + CHUNK + DIGITS_MAX]
        if (at := chunk.translate(table).find(b"1" * DIGITS_MAX)) >= 0:
            return chunk[at : at + 8]
    return None


def _is_deep(data: bytes) -> bool:
    """Tell whether DEPTH_MAX brackets are in each other: pairs are taken out from the inside."""
    brackets = data.translate(AS_LISTS, NO_BRACKETS)
    for _ in range(DEPTH_MAX - 1):
        brackets = brackets.replace(b"[]", b"")
    return b"[]" in brackets or brackets.count(b"[") >= DEPTH_MAX


def _outside_strings(data: bytes) -> bytes:
    plain = data.replace(rb"\\", b"").replace(rb"\"", b"")
    return b"".join(plain.split(b'"')[::2])


def is_json(data: bytes) -> bool:
    """Tell whether a text begins as a list or an object of JSON does."""
    return data.lstrip()[:1] in (b"[", b"{")
