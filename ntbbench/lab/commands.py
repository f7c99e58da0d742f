# SPDX-License-Identifier: BSD-3-Clause
"""Running other programs, no stray child left behind; and what can go wrong in the lab."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ntbbench.core.ending import child_process
from ntbbench.core.errors import ExitCode, NtbbenchError

LAB_FAILED = ExitCode.LAB_FAILED


class MissingToolError(NtbbenchError):
    """This machine lacks a program; the message names the command that installs it."""

    exit_code = ExitCode.BAD_INPUT


class FetchError(NtbbenchError):
    """A package could not be had: no network, no such version, a damaged cache."""

    exit_code = ExitCode.BAD_INPUT


class BuildError(NtbbenchError):
    """The modules did not build; the message carries the compiler's first error."""

    exit_code = LAB_FAILED


class HostError(NtbbenchError):
    """QEMU or the disk of this machine failed, which says nothing of a driver."""

    exit_code = LAB_FAILED


class GuestError(NtbbenchError):
    """The guest panicked, hung or said something that is no recording."""

    exit_code = LAB_FAILED


class UnjudgedError(GuestError):
    """The lab gave up in the guest where the driver need not be the cause: it lacks a function that
    the lab traces, for one.
    """


SYSTEM_FOLDERS = "/usr/sbin:/sbin"  # an ordinary user's PATH often lacks them
CAUSE = re.compile(r"No space left on device|Could not (?:resolve|connect)|Unable to connect")
ENGLISH = {"LC_ALL": "C", "LANG": "C"}  # messages are parsed and shown


@dataclass(frozen=True)
class CommandOutput:
    """What a program left: its exit status and its two streams, decoded leniently."""

    status: int
    stdout: str
    stderr: str

    @property
    def last_words(self) -> str:
        """The last non-empty line of stderr, else of stdout.

        What the system said to it goes before: apt's and dpkg's own last line is that something
        failed, not why.
        """
        causes = [line.strip() for line in self.stderr.splitlines() if CAUSE.search(line)]
        if causes:
            return causes[0]
        for stream in (self.stderr, self.stdout):
            lines = [line.strip() for line in stream.splitlines() if line.strip()]
            if lines:
                return lines[-1]
        return f"no message, exit status {self.status}"


def program(name: str) -> str:
    """Return the path of program `name`; MissingToolError: it is not installed."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_FOLDERS}")
    if path is None:
        raise MissingToolError(f"{name}: not found on this machine: see `ntbbench lab doctor`")
    return path


@contextmanager
def started(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stderr: IO[bytes] | int = subprocess.PIPE,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that ends with the block, and with this process, however that ends."""
    setpriv = [program("setpriv"), "--pdeathsig", "KILL", "--"]
    with child_process(
        [*setpriv, *_words(command)],
        cwd=cwd,
        env={**os.environ, **ENGLISH, **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        pass_fds=pass_fds,
    ) as child:
        yield child


def _words(command: Sequence[str | Path]) -> list[str]:
    return [program(str(command[0])), *map(str, command[1:])]


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes = "",
    timeout: float | None = None,
) -> CommandOutput:
    """Run a program to its end on `stdin` and return what it said; subprocess.TimeoutExpired: it
    took longer than `timeout` seconds (and was killed)."""
    with started(command, cwd=cwd, env=env) as child:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        stdout, stderr = child.communicate(given, timeout=timeout)
    return CommandOutput(
        child.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace")
    )


@contextmanager
def reading(
    command: Sequence[str | Path], stdin: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program whose `stdout` is read as it comes; what is left unread is not waited for.

    `stdin`: another program's output, which is this one's alone from now on.
    """
    with child_process(
        _words(command),
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:
        if stdin is not None:
            stdin.close()
        yield child


def output(child: subprocess.Popen[bytes]) -> IO[bytes]:
    """Return the stream of what `child` writes."""
    assert child.stdout is not None
    return child.stdout
