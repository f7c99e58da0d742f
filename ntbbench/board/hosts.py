# SPDX-License-Identifier: BSD-3-Clause
"""Hosts that shell lines run on: this machine, a network namespace, or another one by ssh."""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from tempfile import TemporaryFile
from typing import ClassVar

from ntbbench.board.settings import BoardSide
from ntbbench.core.clock import NS, monotonic, sleep
from ntbbench.core.errors import ExitCode, InputError, NtbbenchError

POLL = 0.02  # seconds between two looks
END = 3.0  # seconds until a command has ended whose stdin has
GRACE = 10.0  # seconds beyond its limit until a command that should have ended itself is given up
USUAL = 30.0  # seconds for what only reads, or sets one value
LAST = 300  # characters of a command's last words
# `ip netns exec` hides debugfs and tracefs; these mounts are seen by that one process alone.
MOUNTS = (
    "mount -t debugfs none /sys/kernel/debug 2>/dev/null; "
    'mount -t tracefs none /sys/kernel/tracing 2>/dev/null; exec "$@"'
)
Stop = Callable[[], bool]


class HostLost(NtbbenchError):
    """A host does not answer any more."""

    exit_code = ExitCode.BAD_INPUT


class CommandFailed(NtbbenchError):
    """A command on a host failed, or took too long."""

    exit_code = ExitCode.BAD_INPUT


class BoardInterrupted(Exception):
    """The user wants an end."""


@dataclass(frozen=True)
class Done:
    """What a command left."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Return stdout as text."""
        return self.out.decode(errors="backslashreplace")


class Running(ABC):
    """A command under way."""

    @abstractmethod
    def poll(self) -> Done | None:
        """Return what it left; None: it runs. HostLost: nobody can tell."""

    @abstractmethod
    def begun(self) -> bytes:
        """Return what it has printed so far."""

    @abstractmethod
    def end_input(self) -> None:
        """End its stdin, upon which what `start` started ends."""


class Host(ABC):
    """A place to run shell lines; `guarded` ones end with their limit or with the connection."""

    def __init__(self, name: str) -> None:
        self.name = name  # rc or ep

    @abstractmethod
    def launch(self, words: Sequence[str], first: bytes = b"") -> Running:
        """Start a program with `first` on its stdin, which stays open; HostLost: no answer."""

    def close(self) -> None:  # noqa: B027 -- not every host has one
        """End the connection."""

    def start(self, line: str, limit: float) -> Running:
        """Start a shell line that ends by itself, after `limit` seconds, or with its stdin."""
        return self.launch(["/bin/sh", "-c", guard(), "guard", line, str(max(1, round(limit)))])

    def run(self, line: str, limit: float = USUAL, stop: Stop = lambda: False) -> Done:
        """Return what a shell line left.

        Raises
        ------
        HostLost : the host does not answer.
        CommandFailed : it took longer than `limit` seconds.
        BoardInterrupted : `stop` said so.
        """
        running = self.start(line, limit)
        return self.wait(running, line, limit, stop)

    def wait(self, running: Running, line: str, limit: float, stop: Stop) -> Done:
        """Wait for what was started; exceptions as of `run`."""
        begun = monotonic()
        while (done := running.poll()) is None:
            if stop():
                ended(running)
                raise BoardInterrupted
            if monotonic() - begun > (limit + GRACE) * NS:
                ended(running)
                raise HostLost(f"{self.name}: no answer within {limit + GRACE:g} s: {line:.80}")
            sleep(POLL)
        if monotonic() - begun > limit * NS and done.code:
            raise CommandFailed(f"{self.name}: not done within {limit:g} s: {line:.80}")
        return done

    def checked(self, line: str, limit: float = USUAL, stop: Stop = lambda: False) -> Done:
        """Return what a shell line left that exits 0; CommandFailed: it does not."""
        done = self.run(line, limit, stop)
        if done.code:
            raise CommandFailed(f"{self.name}: exit code {done.code} of {line:.120}: {last(done)}")
        return done


def ended(running: Running) -> None:
    """End a command and see it ended; of a lost one the guard on the host has seen stdin end."""
    running.end_input()
    until = monotonic() + END * NS
    with suppress(HostLost):
        while running.poll() is None and monotonic() < until:
            sleep(POLL)


def last(done: Done) -> str:
    """Return a command's last words."""
    told = [line.strip() for line in (done.text + "\n" + done.err).splitlines() if line.strip()]
    return told[-1][:LAST] if told else "it says nothing"


def guard() -> str:
    """Return the script that ends a command with its limit and with the connection."""
    return files("ntbbench.board").joinpath("guard.sh").read_text(encoding="utf-8")


class LocalRunning(Running):
    """A process of this machine."""

    def __init__(self, words: Sequence[str], first: bytes = b"") -> None:
        self._done: Done | None = None
        self._out, self._err = TemporaryFile(), TemporaryFile()  # noqa: SIM115 -- closed by poll
        try:
            self._process = subprocess.Popen(  # noqa: S603
                words,
                stdin=subprocess.PIPE,
                stdout=self._out,
                stderr=self._err,
                start_new_session=True,
            )
        except OSError:
            self._out.close()
            self._err.close()
            raise
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it ended first, and `poll` tells why
            self._process.stdin.write(first)
            self._process.stdin.flush()

    def poll(self) -> Done | None:
        """Return what it left."""
        if self._done is None and self._process.poll() is not None:
            self.end_input()
            self._done = Done(self._process.returncode, self.begun(), self._words())
            self._out.close()
            self._err.close()
        return self._done

    def begun(self) -> bytes:
        """Return its stdout so far."""
        self._out.seek(0)
        return self._out.read()

    def _words(self) -> str:
        self._err.seek(0)
        return self._err.read().decode(errors="backslashreplace")

    def end_input(self) -> None:
        """Close its stdin."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()


class LocalHost(Host):
    """This machine, or a network namespace of it."""

    kind: ClassVar[str] = "local"

    def __init__(self, name: str, namespace: str, become: Sequence[str]) -> None:
        super().__init__(name)
        enter = ["ip", "netns", "exec", namespace, "/bin/sh", "-c", MOUNTS, "sh"]
        self._before = [*become, *(enter if namespace else [])]

    def launch(self, words: Sequence[str], first: bytes = b"") -> Running:
        """Start a program here."""
        try:
            return LocalRunning([*self._before, *words], first)
        except OSError as error:
            raise HostLost(f"{self.name}: {error.filename}: {error.strerror}") from error


def open_host(name: str, side: BoardSide) -> Host:
    """Return the host of a side.

    Raises
    ------
    InputError : no such namespace, a host key that is not known, no key that it takes.
    HostLost : nobody answers there.
    """
    kind, _, place = side.host.partition(":")
    become = side.become.split()
    if kind == "ssh":
        from ntbbench.board.ssh_host import SshHost  # noqa: PLC0415 -- asyncssh is an extra

        return SshHost(name, side)
    host = LocalHost(name, place, become)
    tried = host.run("true")
    if tried.code:
        raise InputError(f"{name}.host", side.host, f"a host that runs /bin/sh: {last(tried)}")
    return host
