# SPDX-License-Identifier: BSD-3-Clause
"""The capture script: what `ntbbench capture` runs, and a board without Python runs by itself."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from ntbbench.core.errors import ExitCode

SECONDS_MAX = 86400


def script_text() -> str:
    """Return the POSIX shell script."""
    return files("ntbbench.capture").joinpath("capture.sh").read_text(encoding="utf-8")


def run_script(folder: Path, seconds: int) -> int:
    """Run the script with /bin/sh, its messages on our stderr, and return its exit code.

    On Ctrl-C, SIGTERM or SIGHUP the script takes its second snapshot and removes its tracing
    instance before this returns.
    """
    # -s reads the script from the pipe: the package may lie in a zip file.
    command = ["/bin/sh", "-s", "--", os.fspath(folder), str(seconds)]
    with (
        ending_signals_interrupt(),
        subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process,  # noqa: S603
    ):
        try:
            process.communicate(script_text())
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
    return process.returncode if process.returncode >= 0 else ExitCode.INTERRUPTED


@contextmanager
def ending_signals_interrupt() -> Iterator[None]:
    """Make SIGTERM and SIGHUP a KeyboardInterrupt: a connection that drops must end the script too.

    A signal that the caller ignores (nohup) stays ignored.
    """
    numbers = (signal.SIGTERM, signal.SIGHUP)
    replaced = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in replaced:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)
