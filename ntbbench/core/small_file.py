# SPDX-License-Identifier: BSD-3-Clause
"""Small files of a capture: read with a limit, so that a foreign file costs no memory."""

from collections.abc import Iterator
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.core.text_file import open_text

SIZE_MAX = 1 << 24  # characters; /proc/interrupts of a thousand CPUs has some 10 MB
LINE_MAX = 1 << 11  # of a trace; patterns may take the square of it


def read_small(path: Path) -> str:
    """Return the text of a file of at most `SIZE_MAX` characters.

    Raises
    ------
    InputError : it cannot be read, is larger, or holds NUL characters.
    """
    with open_text(path) as file:
        try:
            text = file.read(SIZE_MAX + 1)
        except OSError as error:
            raise InputError(str(path), "", f"cannot be read: {error.strerror}") from None
    if len(text) > SIZE_MAX:
        raise InputError(str(path), "", f"more than {SIZE_MAX} characters: no file of a capture")
    if "\0" in text:
        raise InputError(str(path), "NUL characters", "a text file")
    return text


def read_lines(path: Path, longest: int = LINE_MAX) -> Iterator[tuple[int, str]]:
    """Yield number (from 1) and text of each line, its end included; memory stays bounded.

    Raises
    ------
    InputError : the file cannot be read, or a line has more than `longest` characters.
    """
    with open_text(path) as file:
        number = 0
        while True:
            try:
                line = file.readline(longest + 1)
            except OSError as error:
                raise InputError(str(path), "", f"cannot be read: {error.strerror}") from None
            if not line:
                return
            number += 1
            if len(line) > longest:
                raise InputError(
                    f"{path}:{number}", line[:40], f"a line of at most {longest} characters"
                )
            yield number, line
