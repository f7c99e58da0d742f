# SPDX-License-Identifier: BSD-3-Clause
"""The capture script: what `ntbbench capture` runs, and a board without Python runs by itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import IO

from ntbbench.core.ending import caught, child_process, handled, held_back
from ntbbench.core.errors import SIGNALLED, ExitCode
from ntbbench.core.names import printable
from ntbbench.core.result_file import write_bytes
from ntbbench.core.text_file import SIZE_MAX

SECONDS_MAX = 86400
BPFTRACE = "doorbell.bt"
STDOUT = "stdout"  # of a bracketed command, in the folder
BEGUN = b"recording\n"
PIECE = 1 << 16
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # exit codes as of a shell


def script_text() -> str:
    """Return the POSIX shell script, the eBPF program in it."""
    return package_text("capture.sh").replace(f"@{BPFTRACE}@\n", package_text(BPFTRACE))


def package_text(name: str) -> str:
    """Return a text file beside this module."""
    return files("ntbbench.capture").joinpath(name).read_text(encoding="utf-8")


def shell(folder: Path, *arguments: str) -> list[str]:
    """Return the command that runs the script; the package may lie in a zip file."""
    return ["/bin/sh", "-c", script_text(), "capture.sh", os.fspath(folder), *arguments]


def run_script(folder: Path, seconds: int) -> int:
    """Run the script with /bin/sh, its messages on our stderr, and return its exit code.

    An interrupted script takes its second snapshot and removes its tracing instance before this
    returns.
    """
    with child_process(shell(folder, str(seconds))) as process:
        try:
            process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
    return process.returncode if process.returncode >= 0 else ExitCode.INTERRUPTED


def run_around(folder: Path, command: Sequence[str]) -> int:
    """Run a command between the two snapshots, and return its exit code.

    What it prints goes to stdout, and up to 16 MiB of it to DIR/stdout. Signals reach it, and the
    second snapshot is taken when it has ended. The script is in a process group of its own: a
    Ctrl-C is the command's alone.

    Returns
    -------
    code : as a shell has it, 128 and the number of a signal; that of the script where it failed.
    """
    pipe = subprocess.PIPE
    with child_process(shell(folder, "-", *command), stdin=pipe, stdout=pipe) as script:
        assert script.stdin is not None
        assert script.stdout is not None
        try:
            if script.stdout.readline() != BEGUN:
                return script.wait()
        except KeyboardInterrupt:
            script.terminate()
            script.wait()
            return ExitCode.INTERRUPTED
        code, printed = run_command(command)
        script.communicate(f"exit={code}\n".encode())
    if script.returncode:
        return script.returncode
    if 0 < len(printed) <= SIZE_MAX:
        write_bytes(folder / STDOUT, printed)
    return code


def run_command(command: Sequence[str]) -> tuple[int, bytes]:
    """Run a command and return its exit code and what it printed, a byte beyond 16 MiB at most.

    In the foreground of a terminal, which it may read, it stays with us; else it leads a group.
    """
    group, child = None if in_foreground() else 0, None
    pipe = subprocess.PIPE
    try:
        with held_back():
            child = subprocess.Popen(command, stdout=pipe, process_group=group)  # noqa: S603
        with child, signals_reach(child):
            assert child.stdout is not None
            printed = shown(child.stdout)
    except OSError as error:
        print(f"ntbbench: {printable(command[0])}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE, b""
    except KeyboardInterrupt:  # before a signal could reach it
        if child is not None:
            child.kill()
        raise
    return child.returncode if child.returncode >= 0 else SIGNALLED - child.returncode, printed


def shown(stream: IO[bytes]) -> bytes:
    """Copy a stream to stdout as it comes, and return it, a byte beyond 16 MiB at most."""
    kept = bytearray()
    while piece := os.read(stream.fileno(), PIECE):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        kept += piece[: SIZE_MAX + 1 - len(kept)]
    return bytes(kept)


@contextmanager
def signals_reach(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Send on to a child, and to its group, what would end us.

    A Ctrl-C at the terminal reaches the whole foreground: a second SIGINT would be one too many.
    """

    def send_on(number: int, _frame: FrameType | None) -> None:
        if child.returncode is not None:
            return
        if os.getpgid(child.pid) == child.pid:
            os.killpg(child.pid, number)
        elif number != signal.SIGINT or not in_foreground():
            child.send_signal(number)

    with handled(send_on, *caught()):
        yield


def in_foreground() -> bool:
    """Tell whether the terminal's keys reach this process."""
    try:
        return os.tcgetpgrp(sys.__stdin__.fileno() if sys.__stdin__ else -1) == os.getpgrp()
    except (OSError, ValueError):
        return False
