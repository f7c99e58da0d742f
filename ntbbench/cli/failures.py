# SPDX-License-Identifier: BSD-3-Clause
"""How an error becomes one line on stderr and an exit code."""

import errno
import os
import sys
import traceback

from ntbbench.core.errors import ExitCode, NtbbenchError


def fail(message: str, code: int) -> int:
    """Print `message` as one line on stderr and return `code`."""
    line = " ".join(message.split())
    print(f"ntbbench: {line}", file=sys.stderr)
    return code


def failed(error: Exception) -> int:
    """Print an error as one line and return its exit code.

    One that is a defect of ntbbench is named so, with its traceback where NTBBENCH_DEBUG is set.
    """
    if isinstance(error, NtbbenchError):
        return fail(str(error), error.exit_code)
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        # of a copy that the disk has no room for: the file that was written, not the one read
        name = (error.errno == errno.ENOSPC and error.filename2) or error.filename
        named = f"{name!r}: {reason}" if name is not None else reason
        return fail(named, ExitCode.BAD_INPUT)
    if os.environ.get("NTBBENCH_DEBUG"):
        traceback.print_exception(error)
    return fail(f"internal error: {type(error).__name__}: {error}", ExitCode.INTERNAL)
