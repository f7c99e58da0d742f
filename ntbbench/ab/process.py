# SPDX-License-Identifier: BSD-3-Clause
"""One timed process: started without a shell, ended with its whole group."""

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from ntbbench.core.clock import NS, monotonic
from ntbbench.core.ending import child_process, ends_within, kill_group
from ntbbench.core.errors import InputError

WATCH = 0.2  # seconds between two looks whether to end
PADDING_VARIABLE = "NTBBENCH_AB_PADDING"
WORDS_MAX = 200  # characters of a program's last words
Stop = Callable[[], bool]


class Interrupted(Exception):
    """The user wants an end; the run under way is lost."""


@dataclass(frozen=True)
class Ran:
    """What one process took and left.

    Parameters
    ----------
    wall, cpu : seconds; `cpu` is user and system time of the process and of its children that it
        waited for.
    """

    wall: float
    cpu: float
    stdout: bytes


@dataclass(frozen=True)
class Job:
    """A process to run.

    Parameters
    ----------
    option : where the user gave the command, for the error that names it.
    words : the program and its arguments.
    environment : what its environment has beside this process's.
    cpu : the only CPU that it may run on; None: those of this process.
    timeout : seconds.
    """

    option: str
    words: Sequence[str]
    folder: Path | None
    environment: Mapping[str, str]
    cpu: int | None
    timeout: float


def split(option: str, command: str) -> list[str]:
    """Return the words of a command line; InputError where it has none or an open quote."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(option, command, f"a command line: {error}") from error
    if not words:
        raise InputError(option, command, "a command line")
    return words


def run_job(job: Job, stop: Stop) -> Ran:
    """Run a process to its end.

    Raises
    ------
    InputError : it cannot be run, fails, or takes longer than its timeout.
    Interrupted : `stop` said so first.
    """
    with TemporaryFile() as stdout, TemporaryFile() as stderr:
        begun = monotonic()
        with _child(job, stdout, stderr) as child:
            _wait(child, job, begun, stop)
            ended = monotonic()
            kill_group(child)  # before the child is waited for
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            did = f"this run {_how(child.returncode)}: {_last_words(stderr, stdout)}"
            raise InputError(job.option, shlex.join(job.words), f"a command that exits 0; {did}")
        stdout.seek(0)
        cpu = usage.ru_utime + usage.ru_stime
        return Ran((ended - begun) / NS, cpu, stdout.read())


@contextmanager
def _child(job: Job, stdout: IO[bytes], stderr: IO[bytes]) -> "Iterator[subprocess.Popen[bytes]]":
    with ExitStack() as stack:
        with _pinned(job.cpu):
            try:
                child = stack.enter_context(
                    child_process(
                        job.words,
                        cwd=job.folder,
                        env={**os.environ, **job.environment},
                        stdin=subprocess.DEVNULL,
                        stdout=stdout,
                        stderr=stderr,
                    )
                )
            except OSError as error:
                why = f"a program that can be run: {error.strerror or error}"
                raise InputError(job.option, job.words[0], why) from error
        yield child


@contextmanager
def _pinned(cpu: int | None) -> Iterator[None]:
    """Let what is started here inherit one CPU, so that it is pinned from its first instruction."""
    if cpu is None:
        yield
        return
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError as error:
        usable = ",".join(map(str, sorted(before)))
        raise InputError("--pin", cpu, f"one of the CPUs {usable}") from error
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _wait(child: "subprocess.Popen[bytes]", job: Job, begun: int, stop: Stop) -> None:
    """Wait until the process has ended, without taking its exit status."""
    while not ends_within(child, WATCH):
        if stop():
            raise Interrupted
        if monotonic() - begun > job.timeout * NS:
            allowed = f"a command that ends within {job.timeout:g} s (--timeout)"
            raise InputError(job.option, shlex.join(job.words), allowed)


def _how(returncode: int) -> str:
    if returncode < 0:
        return f"was ended by {signal.Signals(-returncode).name}"
    return f"exits {returncode}"


def _last_words(*streams: IO[bytes]) -> str:
    """Return the last line that is not empty, of the first stream that has one."""
    for stream in streams:
        stream.seek(0)
        lines = stream.read().decode(errors="replace").split("\n")
        told = next((line.strip() for line in reversed(lines) if line.strip()), "")
        if told:
            return told[:WORDS_MAX]
    return "it says nothing"
