# SPDX-License-Identifier: BSD-3-Clause
"""Standard output and error made such that no message can fail on its way out."""

import codecs
import io
import os
import sys
from pathlib import Path

ESCAPES = "ntbbench.escapes"  # the name of our error handler of encodings
LAST_OF_ONE = 0xFFFF  # code points that one \\uXXXX can hold


def prepare_streams() -> None:
    """Give the commands a stdout and a stderr that take whatever is written to them.

    A stream that the caller closed (`>&-`, `2>&-`) leads to the null device: Python has None for
    it, and `print(file=None)` would put a message for stderr on stdout.

    A locale other than UTF-8 gets ASCII with escapes: a name in another script is no reason to
    fail, and JSON and XML are UTF-8 whatever the locale, of which ASCII is a part.
    """
    codecs.register_error(ESCAPES, escaped)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            utf8 = codecs.lookup(stream.encoding).name == "utf-8"
            stream.reconfigure(encoding="utf-8" if utf8 else "ascii", errors=ESCAPES)


def escaped(error: UnicodeError) -> tuple[str, int]:
    """Return the characters that cannot be encoded as `\\uXXXX`, which JSON understands too."""
    assert isinstance(error, UnicodeEncodeError)
    units = []
    for character in error.object[error.start : error.end]:
        code = ord(character)
        if code > LAST_OF_ONE:  # two halves, as UTF-16 and JSON write it
            code -= LAST_OF_ONE + 1
            units += [0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF)]
        else:
            units.append(code)
    return "".join(f"\\u{unit:04x}" for unit in units), error.end
