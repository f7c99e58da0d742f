# SPDX-License-Identifier: BSD-3-Clause
"""Text files of a capture: opening them, and naming a bad line in one line."""

from pathlib import Path
from typing import TextIO

from ntbbench.core.errors import InputError

SHOWN_MAX = 60  # characters of a bad line that an error shows


def open_text(path: Path) -> TextIO:
    """Open a capture file; bytes that are no UTF-8 become escapes, since comms are any bytes.

    Raises
    ------
    InputError : the file cannot be opened.
    """
    try:
        return path.open(encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise InputError(str(path), "", f"cannot be read: {error.strerror}") from None


def bad_line(path: Path, number: int, text: str, allowed: str) -> InputError:
    """Return the error for line `number` (from 1) of a file: what stands there, what is allowed."""
    shown = text.strip()
    if len(shown) > SHOWN_MAX:
        shown = shown[:SHOWN_MAX] + "..."
    return InputError(f"{path}:{number}", shown, allowed)
