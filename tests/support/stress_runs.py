# SPDX-License-Identifier: BSD-3-Clause
"""One run of a command under watch: in a fork of this process or as a program of its own."""

import io
import os
import re
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from children import clean_signals

from ntbbench.cli.main import main
from ntbbench.core.errors import ExitCode

PROGRAM = Path(sys.executable).with_name("ntbbench")
SECONDS_MAX = 5.0  # of processor time, of an input that is refused
HANGS = 60.0  # seconds after which a run is ended
BYTES_MAX = 1 << 30
RAISED = 99  # exit code of a fork whose command raised
CODES = {0, 1, 2, 3, 4, 5}
RAW = ("--format json", "--format csv")  # what a program reads: there texts stay as they are
# What a terminal would obey: control characters but for the end of a line, and those that turn the
# direction of a text.
OBEYED = re.compile(
    rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]"
)


@dataclass(frozen=True)
class Ran:
    """What a run did.

    Parameters
    ----------
    code : its exit code; below zero: the signal that ended it; None: it had not ended by HANGS.
    seconds : of processor time.
    peak : bytes of memory.
    """

    words: Sequence[str]
    code: int | None
    out: bytes
    err: bytes
    seconds: float = 0.0
    peak: int = 0

    def wrong(self, allowed: set[int] | None = None, *, lines: int = 1) -> list[str]:
        """Return what no run may do.

        Parameters
        ----------
        allowed : exit codes.
        lines : on stderr of a refused input; 0: any number.
        """
        told = self.err.splitlines()
        found = {
            f"exit code {self.code}": self.code not in (CODES if allowed is None else allowed),
            f"{self.seconds:.1f} s": self.code == ExitCode.BAD_INPUT and self.seconds > SECONDS_MAX,
            f"{self.peak >> 20} MiB": self.peak > BYTES_MAX,
            "a traceback": b"Traceback" in self.err,
            "control characters on stderr": bool(OBEYED.search(self.err)),
            "control characters on stdout": bool(OBEYED.search(self.out))
            and not any(raw in " ".join(self.words) for raw in RAW),
            f"{len(told)} lines on stderr": bool(lines)
            and self.code == ExitCode.BAD_INPUT
            and len(told) != lines,
        }
        return [what for what, holds in found.items() if holds]


def forked(
    words: Sequence[str], folder: Path, *, stdin: Path | None = None, file_size: int | None = None
) -> Ran:
    """Run a command in `folder`, in a fork of this process, which has loaded everything.

    Parameters
    ----------
    file_size : bytes that a file may have: a disk that is full then.
    """
    streams = [folder.with_name(f"{folder.name}.{name}") for name in ("out", "err")]
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        _child(words, folder, [stdin or Path(os.devnull), *streams], file_size)
    status, usage = _waited(pid)
    out, err = (path.read_bytes() for path in streams)
    seconds = usage.ru_utime + usage.ru_stime
    return Ran(words, status, out, err, seconds, usage.ru_maxrss * 1024)


def _child(
    words: Sequence[str], folder: Path, streams: Sequence[Path], file_size: int | None
) -> None:
    """Become the command; never returns."""
    code = RAISED
    try:
        os.setsid()
        for number, path in enumerate(streams):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
            opened = os.open(path, flags)
            os.dup2(opened, number)
            os.close(opened)
        sys.stdin, sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.FileIO(number, "rw"[number > 0], closefd=False), "utf-8")
            for number in range(3)
        )
        os.chdir(folder)
        if file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # whatever came out of `main` is a finding, told by the parent
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _waited(pid: int) -> tuple[int | None, resource.struct_rusage]:
    watch = os.pidfd_open(pid)
    ended = bool(select.select([watch], [], [], HANGS)[0])
    os.close(watch)
    if not ended:
        os.killpg(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    return (os.waitstatus_to_exitcode(status) if ended else None), usage


def started(
    words: Sequence[str],
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    prepare: Callable[[], None] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start the program in a session of its own."""
    clean = {"PATH": os.environ["PATH"]} | dict(environment or {})
    with clean_signals():
        return subprocess.Popen(
            [PROGRAM, *words],
            cwd=folder,
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 -- no threads
        )


def ended(process: "subprocess.Popen[bytes]", words: Sequence[str]) -> Ran:
    """Wait for a program that was started."""
    try:
        out, err = process.communicate(timeout=HANGS)
        return Ran(words, process.returncode, out, err)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return Ran(words, None, out, err)


def left_over(process: "subprocess.Popen[bytes]") -> bool:
    """Return whether a child of a program that has ended still runs; it gets a moment to end."""
    for _ in range(20):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    return True
