# SPDX-License-Identifier: BSD-3-Clause
"""Standard output and error made such that no message can fail on its way out.

What a command found must not depend on who reads it. A reader that leaves early (head, grep -q)
has what it wants; a stderr that nobody reads changes nothing. A stdout that the system refuses, on
a full disk or closed, is remembered until `main` reports it: an exception at the first
`write` would end a long run, and argparse would swallow it.
"""

import codecs
import errno
import io
import os
import re
import select
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ntbbench.core.errors import ExitCode, InputError, NtbbenchError
from ntbbench.core.input_file import OVERWHELMED, damaged
from ntbbench.core.names import printable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

ESCAPES = "ntbbench.escapes"  # the name of our error handler of encodings
LAST_OF_ONE = 0xFFFF  # code points that one \\uXXXX can hold
STDOUT = 1
OWN = "ntbbench"
DISTRIBUTIONS = {"hdrh": "hdrhistogram"}  # of modules whose package has another name
CLOSED = "it is closed"
PARTS = re.compile("[=:,]")  # of a word of a command line
# What takes the place of a standard descriptor that the caller closed (`>&-`), by its number. The
# next file that is opened would take it instead, and get what a child process prints. /dev/full
# refuses, also where it is opened anew by the name /dev/stdout.
STAND_INS = ((os.devnull, os.O_RDONLY), ("/dev/full", os.O_WRONLY), (os.devnull, os.O_WRONLY))


class Outlet(io.RawIOBase):
    """A descriptor that takes whatever is written to it; `refused` is why some of it is lost."""

    def __init__(self, number: int, *, closed: bool) -> None:
        super().__init__()
        self.name = self._number = number  # as of any file that is opened by its descriptor
        self.refused = ""
        self._closed_by_caller = closed
        self._reader_left = False

    def writable(self) -> bool:
        """Return True: it takes everything."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._number

    def isatty(self) -> bool:
        """Return whether it is a terminal, for a progress bar."""
        return os.isatty(self._number)

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write all of `data`, or what is left of it nowhere."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left and not self.refused and not self._reader_left:
            try:
                left = left[self._write(left) :]
            except BrokenPipeError:
                self._reader_left = True
            except OSError as error:
                self.refused = error.strerror or str(error)
        return size

    def _write(self, data: memoryview) -> int:
        if self._closed_by_caller:
            self.refused = CLOSED
            return len(data)
        try:
            return os.write(self._number, data)
        except BlockingIOError:  # a pipe that another program made so
            select.select([], [self._number], [])
            return 0


def prepare_streams() -> None:
    """Give the commands a stdout and a stderr that take whatever is written to them.

    A locale other than UTF-8 gets ASCII with escapes: a name in another script is no reason to
    fail, and JSON and XML are UTF-8 whatever the locale, of which ASCII is a part.
    """
    codecs.register_error(ESCAPES, escaped)
    for number in missing():
        replace_missing(number)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if number >= STDOUT and (stream is None or isinstance(stream, io.TextIOWrapper)):
            setattr(sys, name, prepared(stream, number))


def missing() -> Iterator[int]:
    """Yield the standard descriptors that the caller closed."""
    for number in range(len(STAND_INS)):
        try:
            os.fstat(number)
        except OSError:
            yield number


def replace_missing(number: int) -> None:
    """Open the stand-in of a standard descriptor, for child processes too."""
    path, flags = STAND_INS[number]
    opened = os.open(path, flags)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    os.set_inheritable(number, True)


def prepared(stream: io.TextIOWrapper | None, number: int) -> io.TextIOWrapper:
    """Return what is to be used in the place of a standard stream; None: the caller closed it."""
    if stream is None:
        return io.TextIOWrapper(Outlet(number, closed=True), "utf-8", ESCAPES, write_through=True)
    encoding = "utf-8" if codecs.lookup(stream.encoding).name == "utf-8" else "ascii"
    try:
        descriptor = stream.fileno()
    except io.UnsupportedOperation:  # in memory: nothing that is written to it is lost
        stream.reconfigure(encoding=encoding, errors=ESCAPES)
        return stream
    outlet = Outlet(descriptor, closed=False)
    return io.TextIOWrapper(
        # Unbuffered (PYTHONUNBUFFERED=1) it stays; Python's own then loses what one write leaves.
        outlet if stream.write_through else io.BufferedWriter(outlet),
        encoding,
        ESCAPES,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def refusal() -> InputError | None:
    """Return the error that a part of what was written to stdout is lost by, if any is."""
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    outlet = getattr(buffer, "raw", buffer)
    if isinstance(outlet, Outlet) and outlet.refused:
        return InputError("output", "standard output", f"cannot be written: {outlet.refused}")
    return None


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


def fail(message: str, code: int) -> int:
    """Print `message` as one line on stderr and return `code`."""
    tell(message)
    return code


def tell(message: str) -> None:
    """Print one line on stderr; what a terminal would obey is shown as an escape."""
    print(f"ntbbench: {printable(' '.join(message.split()))}", file=sys.stderr)


def files_in(words: Sequence[str]) -> list[str]:
    """Return the files that a command line names: FILE, --option=FILE, kind:FILE, A,B."""
    parts = dict.fromkeys(part for word in words for part in (word, *PARTS.split(word)))
    return [part for part in parts if os.path.exists(part)]  # noqa: PTH110 -- of any text


def failed(error: Exception, words: Sequence[str] = ()) -> int:
    """Print an error as one line and return its exit code.

    What a damaged or huge file may make is told with the files that are named in `words`, the
    command line. Any other error is a defect of ntbbench and is named so, with its traceback where
    NTBBENCH_DEBUG is set.
    """
    if isinstance(error, NtbbenchError):
        return fail(str(error), error.exit_code)
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        # of a copy that the disk has no room for: the file that was written, not the one read
        name = (error.errno == errno.ENOSPC and error.filename2) or error.filename
        named = f"{name!r}: {reason}" if name is not None else reason
        return fail(named, ExitCode.BAD_INPUT)
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith(OWN):
        module = error.name.partition(".")[0]
        package = DISTRIBUTIONS.get(module, module)
        told = f"this needs the package {package}, which is not installed: pip install {package}"
        return fail(told, ExitCode.BAD_INPUT)
    files = files_in(words)
    if isinstance(error, OVERWHELMED) and (files or isinstance(error, MemoryError)):
        return failed(damaged(", ".join(files) or "memory", error))
    if os.environ.get("NTBBENCH_DEBUG"):
        traceback.print_exception(error)
    return fail(f"internal error: {type(error).__name__}: {error}", ExitCode.INTERNAL)
