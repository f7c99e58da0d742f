# SPDX-License-Identifier: BSD-3-Clause
"""Text files: read with limits, so that a foreign file costs no memory."""

import io
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from ntbbench.core.errors import InputError
from ntbbench.core.input_file import ENCODING, HEXADECIMAL, check_json, open_input, read_input

TOML_MAX = 1 << 20  # bytes


def read_toml(field: str, path: Path) -> dict[str, Any]:
    """Return the table of a TOML file.

    InputError: the file cannot be read, is not TOML, or is nested or numbered without end.
    """
    data = read_input(path, field, TOML_MAX)
    check_json(data, f"{field}: {path}", HEXADECIMAL)
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(field, str(path), f"not TOML in UTF-8: {error}") from None
    except RecursionError:
        raise InputError(field, str(path), "brackets less deep in each other") from None


SHOWN_MAX = 60  # characters of a bad line that an error shows
SIZE_MAX = 1 << 24  # characters; /proc/interrupts of a thousand CPUs has some 10 MB
LINE_MAX = 1 << 11  # of a trace; patterns may take the square of it


def open_text(path: Path) -> TextIO:
    """Open a capture file; bytes that are no UTF-8 become escapes, since comms are any bytes.

    InputError: the file cannot be opened, or is no regular file.
    """
    file = open_input(path, "capture file")
    return io.TextIOWrapper(file, ENCODING, "backslashreplace", newline="\n")


def read_small(path: Path) -> str:
    """Return the text of a file of at most `SIZE_MAX` characters.

    InputError: it cannot be read, is larger, or holds NUL characters.
    """
    text = read_head(path, SIZE_MAX + 1)
    if len(text) > SIZE_MAX:
        raise InputError(str(path), "", f"more than {SIZE_MAX} characters: no file of a capture")
    if "\0" in text:
        raise InputError(str(path), "NUL characters", "a text file")
    return text


def read_head(path: Path, length: int) -> str:
    """Return the first `length` characters of a file; InputError: it cannot be read."""
    with open_text(path) as file:
        try:
            return file.read(length)
        except OSError as error:
            raise _unread(path, error) from None


def read_lines(path: Path, longest: int = LINE_MAX) -> Iterator[tuple[int, str]]:
    """Yield number (from 1) and text of each line, its end included; memory stays bounded.

    InputError: the file cannot be read, or a line has more than `longest` characters.
    """
    with open_text(path) as file:
        number = 0
        while True:
            try:
                line = file.readline(longest + 1)
            except OSError as error:
                raise _unread(path, error) from None
            if not line:
                return
            number += 1
            if len(line) > longest:
                raise InputError(
                    f"{path}:{number}", line[:40], f"a line of at most {longest} characters"
                )
            yield number, line


def bad_line(path: Path, number: int, text: str, allowed: str) -> InputError:
    """Return the error for line `number` (from 1) of a file: what stands there, what is allowed."""
    shown = text.strip()
    if len(shown) > SHOWN_MAX:
        shown = shown[:SHOWN_MAX] + "..."
    return InputError(f"{path}:{number}", shown, allowed)


def _unread(path: Path, error: OSError) -> InputError:
    return InputError(str(path), "", f"cannot be read: {error.strerror}")
